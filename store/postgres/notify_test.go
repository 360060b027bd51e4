//go:build unix

package postgres_test

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/fault"
	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/postgres"
	"github.com/plyhttp/ply/store/postgres/internal/server"
)

// heard is what Notify has told.
type heard struct {
	mu   sync.Mutex // guards keys
	keys map[string]int
}

// listen returns when the store hears.
func listen(t testing.TB, s *postgres.Store) *heard {
	t.Helper()
	h := &heard{keys: make(map[string]int)}
	t.Cleanup(s.Notify(func(key string) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.keys[key]++
	}))
	h.waitFor(t, "")
	return h
}

func (h *heard) times(key string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.keys[key]
}

func (h *heard) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.keys)
}

func (h *heard) waitFor(t testing.TB, key string) {
	t.Helper()
	testutil.Eventually(t, fmt.Sprintf("hearing of %q", key), func() bool { return h.times(key) > 0 })
}

func TestNotifyTellsOfTheChangesOfOthersAndNotOfItsOwn(t *testing.T) {
	srv := server.Shared(t)
	schema, ctx := newSchema(), t.Context()
	s, other, c := open(t, srv.URL(), postgres.Options{Schema: schema}), open(t, srv.URL(), postgres.Options{Schema: schema}), raw(t, srv.URL())
	stranger := open(t, srv.URL(), postgres.Options{})
	h := listen(t, s)
	h.forget()
	for i := range 200 {
		put(t, s, fmt.Sprint("own-", i), "x")
		put(t, stranger, fmt.Sprint("strange-", i), "x")
		put(t, other, fmt.Sprint("other-", i), "x")
	}
	for i := range 200 {
		h.waitFor(t, fmt.Sprint("other-", i))
		if n := h.times(fmt.Sprint("own-", i)) + h.times(fmt.Sprint("strange-", i)); n != 0 {
			t.Errorf("told of what no other store of this table has changed: %d times", n)
		}
	}
	r := get(t, other, "other-1")
	for _, change := range []func() error{
		func() error { return other.Delete(ctx, "other-1", r.Version) },
		func() error { return other.Put(ctx, "other-1", store.Record{Data: []byte("y")}) },
		func() error { exec(t, c, `NOTIFY "ply_`+schema+`"`); return nil }, // as people tell
	} {
		h.forget()
		require.NoError(t, change())
		testutil.Eventually(t, "hearing of a change", func() bool { return h.times("other-1")+h.times("") > 0 })
	}
	h.forget()
	require.NoError(t, other.Clear(ctx))
	h.waitFor(t, "")
}

// Between two states of the connection everything counts as changed: after the server has restarted, and after the connection alone was ended.
func TestNotifyTellsThatAllMayHaveChangedAfterTheConnectionWasLost(t *testing.T) {
	srv := server.Start(t)
	schema := newSchema()
	s, other := open(t, srv.URL(), postgres.Options{Schema: schema}), open(t, srv.URL(), postgres.Options{Schema: schema})
	h := listen(t, s)
	put(t, other, "before", "x")
	h.waitFor(t, "before")
	for name, harm := range map[string]func(){
		"the server restarts": func() { srv.Kill(); require.NoError(t, srv.Run()) },
		"the connection is ended": func() {
			c := raw(t, srv.URL())
			require.NotZero(t, exec(t, c, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			h.forget()
			harm()
			h.waitFor(t, "")
			testutil.Eventually(t, "the other store works", func() bool { return other.Ping(t.Context()) == nil })
			key := fmt.Sprint("after-", time.Now().UnixNano())
			testutil.Eventually(t, "hearing again", func() bool {
				h.forget()
				put(t, other, key, "x")
				for range 100 {
					if h.times(key) > 0 {
						return true
					}
					<-time.After(time.Millisecond)
				}
				return false
			})
		})
	}
}

// A connection on which notifications do not arrive, or that cannot be made, is told to the logger, and then everything counts as changed from time to time.
func TestListenURLThatDoesNotHear(t *testing.T) {
	srv := server.Shared(t)
	exec(t, raw(t, srv.URL()), "CREATE DATABASE elsewhere")
	for url, want := range map[string]string{
		"postgres://127.0.0.1:1/x":                                 "failed to connect",
		strings.Replace(srv.URL(), "/postgres?", "/elsewhere?", 1): "notifications do not arrive on this connection",
	} {
		t.Run(want, func(t *testing.T) {
			var log logged
			s := open(t, srv.URL(), postgres.Options{Timeout: 2 * time.Second, ListenURL: url, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			var told atomic.Int64
			defer s.Notify(func(key string) {
				if key == "" {
					told.Add(1)
				}
			})()
			testutil.Eventually(t, "all may have changed", func() bool {
				_, err := s.Get(t.Context(), "k")
				require.NoError(t, err)
				return told.Load() >= 2
			})
			if text := log.String(); strings.Count(text, "level=WARN") != 1 || !strings.Contains(text, want) {
				t.Errorf("the log is %q, want one warning with %q", text, want)
			}
		})
	}
}

// logged is what a logger has written.
type logged struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestCloseLeavesNothing(t *testing.T) {
	srv := server.Shared(t)
	plytest.CheckGoroutines(t)
	s, err := postgres.Open(srv.URL(), postgres.Options{Schema: newSchema()})
	require.NoError(t, err)
	listen(t, s)
	put(t, s, "k", "v")
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	s.Notify(func(string) { t.Error("Notify calls after Close") })()
	if _, err := s.Get(t.Context(), "k"); err == nil {
		t.Error("Get works after Close")
	}
}

// A change whose reply is lost may have been made, so the others are told of it.
func TestNotifyTellsOfAChangeWhoseReplyIsLost(t *testing.T) {
	srv := server.Shared(t)
	schema, ctx := newSchema(), t.Context()
	proxy := fault.New(t, srv.Addr)
	s := open(t, server.URL(proxy.Addr), postgres.Options{Schema: schema, Timeout: time.Second, Connections: 1})
	h := listen(t, open(t, srv.URL(), postgres.Options{Schema: schema}))
	for name, change := range map[string]func(version string) error{
		"Put":    func(v string) error { return s.Put(ctx, "k", store.Record{Data: []byte("new"), Version: v}) },
		"Delete": func(v string) error { return s.Delete(ctx, "k", v) },
	} {
		n := 0
		testutil.Eventually(t, name+" without a reply", func() bool {
			works(t, s)
			old := put(t, s, "k", "old")
			n++
			last := fmt.Sprint("last-before-", name, n)
			put(t, s, last, "x")
			testutil.Eventually(t, "hearing of what came before", func() bool { return h.times(last)+h.times("") > 0 })
			h.forget()
			proxy.Lose(1) // that of the change, if nothing else is under way
			err := change(old.Version)
			proxy.Lose(0)
			return err != nil
		})
		h.waitFor(t, "k")
	}
}
