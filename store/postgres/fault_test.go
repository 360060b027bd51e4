//go:build unix

package postgres_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/fault"
	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/postgres"
	"github.com/plyhttp/ply/store/postgres/internal/server"
)

// works waits until the store reads and writes.
func works(t *testing.T, s *postgres.Store) {
	t.Helper()
	testutil.Eventually(t, "the store works", func() bool {
		ctx := t.Context()
		if s.Delete(ctx, "works", "") != nil || s.Put(ctx, "works", store.Record{Data: []byte("yes")}) != nil {
			return false
		}
		r, err := s.Get(ctx, "works")
		return err == nil && string(r.Data) == "yes"
	})
}

// Whatever happens on the way to the server, no caller gets the reply of another, none is late, and afterwards everything is as before.
func TestFaultsOnTheWay(t *testing.T) {
	srv := server.Shared(t)
	for name, f := range map[string]fault.Faults{
		"latency":             {Delay: 5 * time.Millisecond},
		"1 byte":              {Slice: 1},
		"reset mid-reply":     {Cut: 60_000, How: fault.Reset},
		"reset while greeted": {Cut: 300, How: fault.Reset},
		"truncated":           {Cut: 60_000, How: fault.Close},
		"hung mid-reply":      {Cut: 60_000, How: fault.Hang},
		"hole":                {Hole: true},
		"all together":        {Delay: time.Millisecond, Slice: 700, Cut: 30_000, How: fault.Hang},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := fault.New(t, srv.Addr)
			s := open(t, server.URL(proxy.Addr), postgres.Options{Timeout: time.Second})
			works(t, s)
			proxy.Set(f)
			ctx, cancel := context.WithTimeout(t.Context(), moment())
			defer cancel()
			t.Log(load(t, ctx, s, 100*time.Millisecond))
			proxy.Set(fault.Faults{})
			proxy.Break()
			works(t, s)
		})
	}
}

// A call whose reply is lost is an error, and what it was about is whole: as before, or as it wanted. One that succeeds has made its change.
func TestLostReplyIsAnError(t *testing.T) {
	srv := server.Shared(t)
	proxy := fault.New(t, srv.Addr)
	s := open(t, server.URL(proxy.Addr), postgres.Options{Timeout: time.Second, Connections: 1})
	failed := 0
	for range 10 {
		works(t, s)
		old := put(t, s, "k", string(body("k", 1, 5000)))
		proxy.Lose(1) // that of the Put, or of the notification about what came before it
		err := s.Put(t.Context(), "k", store.Record{Data: body("k", 2, 100_000), Version: old.Version})
		proxy.Lose(0)
		works(t, s)
		r := get(t, s, "k")
		require.NoError(t, proven("k", r.Data))
		if err != nil {
			failed++
		} else if r.Version == old.Version {
			t.Error("Put without an error has changed nothing")
		}
	}
	if failed == 0 {
		t.Error("no call fails whose reply is lost")
	}
}

// harm does something to a server again and again while stores are used, and everything works afterwards.
func harm(t *testing.T, srv *server.Server, s *postgres.Store, do, undo func()) {
	t.Helper()
	works(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), max(*long, 1500*time.Millisecond))
	defer cancel()
	var harming sync.WaitGroup
	harming.Go(func() {
		for ctx.Err() == nil {
			do()
			<-time.After(100 * time.Millisecond)
			undo()
			<-time.After(300 * time.Millisecond)
		}
	})
	t.Log(load(t, ctx, s, 100*time.Millisecond))
	harming.Wait()
	works(t, s)
}

func TestServerThatIsHarmed(t *testing.T) {
	t.Run("killed", func(t *testing.T) {
		t.Parallel()
		srv := server.Start(t)
		harm(t, srv, open(t, srv.URL(), postgres.Options{Timeout: time.Second}), srv.Kill, func() {
			if err := srv.Run(); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("hung", func(t *testing.T) {
		t.Parallel()
		srv := server.Start(t)
		harm(t, srv, open(t, srv.URL(), postgres.Options{Timeout: time.Second}), srv.Pause, srv.Resume)
	})
	t.Run("connections ended", func(t *testing.T) {
		t.Parallel()
		srv := server.Start(t)
		c := raw(t, srv.URL())
		harm(t, srv, open(t, srv.URL(), postgres.Options{Timeout: time.Second}), func() {
			exec(t, c, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'")
		}, func() {})
	})
	t.Run("refusing", func(t *testing.T) { // too many connections
		t.Parallel()
		srv := server.Start(t, "max_connections=6")
		s := open(t, srv.URL(), postgres.Options{Timeout: time.Second, Connections: 32})
		ctx, cancel := context.WithTimeout(t.Context(), moment())
		defer cancel()
		t.Log(load(t, ctx, s, 100*time.Millisecond))
		works(t, s)
	})
}

// A server that hangs holds up no caller beyond its time, and few goroutines.
func TestHungServerHoldsUpNoCaller(t *testing.T) {
	srv := server.Start(t)
	const connections = 4
	s := open(t, srv.URL(), postgres.Options{Connections: connections, Timeout: 300 * time.Millisecond})
	works(t, s)
	calls := map[string]func(context.Context) error{
		"get":   func(ctx context.Context) error { _, err := s.Get(ctx, "k"); return err },
		"multi": func(ctx context.Context) error { _, err := s.GetMulti(ctx, []string{"k", "l"}); return err },
		"put": func(ctx context.Context) error {
			return s.Put(ctx, "k", store.Record{Data: make([]byte, 1<<20)})
		},
		"delete":  func(ctx context.Context) error { return s.Delete(ctx, "k", "") },
		"range":   func(ctx context.Context) error { return s.Range(ctx, store.KindEntry, nil) },
		"clear":   s.Clear,
		"expired": func(ctx context.Context) error { _, err := s.DeleteExpired(ctx, time.Now()); return err },
		"size":    func(ctx context.Context) error { _, _, err := s.Size(ctx); return err },
		"ping":    s.Ping,
	}
	base := runtime.NumGoroutine()
	srv.Pause()
	for range 3 {
		var all sync.WaitGroup
		for name, f := range calls {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				defer cancel()
				began := time.Now()
				if err := f(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s: %v, want the context's error", name, err)
				}
				if took := time.Since(began); took > 50*time.Millisecond+lateness {
					t.Errorf("%s takes %v", name, took)
				}
			})
		}
		all.Wait()
		if n := runtime.NumGoroutine() - base; n > 6*connections {
			t.Errorf("%d goroutines are left after the calls, with %d connections", n, connections)
		}
	}
	began := time.Now()
	if _, err := s.Get(t.Context(), "k"); err == nil || time.Since(began) > 300*time.Millisecond+lateness {
		t.Errorf("Get without a deadline: %v after %v, want an error after Options.Timeout", err, time.Since(began))
	}
	srv.Resume()
	works(t, s)
}

// What the server refuses is an error that says why, and over when the server has got over it. What can be read is read.
func TestRefusalIsAnErrorUntilTheServerRecovers(t *testing.T) {
	srv := server.Start(t)
	schema := newSchema()
	s, c, ctx := open(t, srv.URL(), postgres.Options{Schema: schema}), raw(t, srv.URL()), t.Context()
	put(t, s, "k", "v")
	table := pgx.Identifier{schema, "records"}.Sanitize()
	for name, tt := range map[string]struct{ bad, good, want string }{
		"full": { // as when the disk is: the server raises it from the depths of an INSERT
			`CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING ERRCODE = '53100', MESSAGE = 'could not extend file'; END $$;
			 CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON ` + table + ` FOR EACH ROW EXECUTE FUNCTION full_disk()`,
			`DROP TRIGGER full_disk ON ` + table, "53100",
		},
		"read-only": {
			`ALTER SYSTEM SET default_transaction_read_only = on; SELECT pg_reload_conf()`,
			`SET default_transaction_read_only = off; ALTER SYSTEM RESET default_transaction_read_only; SELECT pg_reload_conf()`, "25006",
		},
	} {
		t.Run(name, func(t *testing.T) {
			run := func(sql string) {
				for _, one := range strings.Split(sql, ";\n") {
					for _, statement := range splitSimple(one) {
						exec(t, c, statement)
					}
				}
			}
			run(tt.bad)
			testutil.Eventually(t, "the refusal", func() bool {
				err := s.Put(ctx, "new", store.Record{Data: []byte("x"), Expires: time.Now().Add(-time.Second)})
				return err != nil && strings.HasPrefix(err.Error(), "postgres: put: ") && strings.Contains(err.Error(), tt.want)
			})
			if r := get(t, s, "k"); string(r.Data) != "v" {
				t.Errorf("Get returns %q of a server that refuses changes", r.Data)
			}
			run(tt.good)
			works(t, s)
		})
	}
}

// splitSimple splits statements at semicolons, but for those in the body of a function.
func splitSimple(sql string) []string {
	if strings.Contains(sql, "$$") {
		return []string{sql}
	}
	return strings.Split(sql, ";")
}

// kill -9 of the server empties a table that is not logged, and no other.
func TestKilledServerKeepsWhatIsLogged(t *testing.T) {
	for _, logged := range []bool{false, true} {
		srv := server.Start(t)
		s := open(t, srv.URL(), postgres.Options{Logged: logged})
		old := put(t, s, "k", "v")
		srv.Kill()
		require.NoError(t, srv.Run())
		works(t, s)
		r := get(t, s, "k")
		if kept := string(r.Data) == "v"; kept != logged {
			t.Errorf("logged: %v; after the crash %q is there", logged, r.Data)
		}
		if err := s.Put(t.Context(), "k", store.Record{Data: []byte("w"), Version: old.Version}); logged && err != nil || !logged && !errors.Is(err, store.ErrConflict) {
			t.Errorf("logged: %v; Put in the place of what was there before: %v", logged, err)
		}
		if !logged {
			if again := put(t, s, "k", "v"); again.Version == old.Version {
				t.Errorf("version %q came again", old.Version)
			}
		}
	}
}

// With any of pgx's ways to run statements, those for poolers of transactions among them, records are the same.
func TestExecModes(t *testing.T) {
	srv := server.Shared(t)
	for _, mode := range []string{"cache_describe", "describe_exec", "exec", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			h := listen(t, open(t, srv.URL(), postgres.Options{Schema: "mode-" + mode}))
			s := open(t, srv.URL()+"&default_query_exec_mode="+mode, postgres.Options{MaxBytes: 1 << 20, Schema: "mode-" + mode})
			ctx := t.Context()
			all := make([]byte, 0, 1024)
			for i := range 1024 {
				all = append(all, byte(i))
			}
			expires := time.Now().Add(time.Hour).Truncate(time.Millisecond)
			for i := range 100 { // more than it holds
				key := string(rune('a'+i%26)) + strings.Repeat("x", i)
				require.NoError(t, s.Put(ctx, key, store.Record{Data: append(all, make([]byte, 20_000)...), Kind: store.KindEntry, Expires: expires}))
				r := get(t, s, key)
				if string(r.Data[:1024]) != string(all) || !r.Expires.Equal(expires) || r.Kind != store.KindEntry {
					t.Fatalf("%d bytes, %v, %v", len(r.Data), r.Expires, r.Kind)
				}
				require.NoError(t, s.Put(ctx, key, store.Record{Data: all, Version: r.Version, Owner: "", Kind: store.KindEntry}))
				require.NoError(t, s.Delete(ctx, key, get(t, s, key).Version))
				require.NoError(t, s.Put(ctx, key, store.Record{Data: append(all, make([]byte, 20_000)...), Kind: store.KindEntry}))
				h.waitFor(t, key)
			}
			records, err := s.GetMulti(ctx, []string{"nothing", "k"})
			require.NoError(t, err)
			require.Empty(t, records[0].Version)
			n := 0
			require.NoError(t, s.Range(ctx, store.KindEntry, func(string, store.Record) bool { n++; return true }))
			if n == 0 || n > 60 {
				t.Errorf("%d records in 1 MiB", n)
			}
			_, err = s.DeleteExpired(ctx, time.Now().Add(2*time.Hour))
			require.NoError(t, err)
			require.NoError(t, s.Clear(ctx))
			if records, _, err := s.Size(ctx); err != nil || records != 0 {
				t.Errorf("Size after Clear: %d, %v", records, err)
			}
		})
	}
}
