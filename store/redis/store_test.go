//go:build unix

package redis_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/redis"
	"github.com/plyhttp/ply/store/redis/internal/server"
	"github.com/plyhttp/ply/store/storetest"
)

// open returns a store on a server, with a namespace of the test's own.
func open(t testing.TB, addr string, o redis.Options) *redis.Store {
	t.Helper()
	s, err := redis.Open("redis://"+addr, o)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// raw returns a client for what other programs do.
func raw(t testing.TB, addr string) *goredis.Client {
	t.Helper()
	c := goredis.NewClient(&goredis.Options{Addr: addr})
	t.Cleanup(func() { c.Close() })
	return c
}

func namespace(i int) string { return fmt.Sprintf("test-%d", i) }

func TestContract(t *testing.T) {
	srv := server.Start(t)
	n := 0
	storetest.Run(t, func(t *testing.T) store.Store {
		n++
		return open(t, srv.Addr, redis.Options{Namespace: namespace(n), Timeout: 20 * time.Second})
	})
}

func TestContractShared(t *testing.T) {
	srv := server.Start(t)
	run := 0
	storetest.RunShared(t, func(t *testing.T, n int) []store.Store {
		run++
		stores := make([]store.Store, n)
		for i := range stores {
			stores[i] = open(t, srv.Addr, redis.Options{Namespace: namespace(run), Timeout: 20 * time.Second})
		}
		return stores
	})
}

func put(t testing.TB, s store.Store, key, data string) store.Record {
	t.Helper()
	ctx := context.Background()
	require.NoError(t, s.Delete(ctx, key, ""))
	require.NoError(t, s.Put(ctx, key, store.Record{Data: []byte(data), Kind: store.KindEntry}))
	return get(t, s, key)
}

func get(t testing.TB, s store.Store, key string) store.Record {
	t.Helper()
	r, err := s.Get(context.Background(), key)
	require.NoError(t, err)
	return r
}

// What is in Redis can be read by people, expires, and is under the namespace.
func TestLayout(t *testing.T) {
	srv := server.Start(t)
	s, c, ctx := open(t, srv.Addr, redis.Options{Namespace: "shop", TTL: time.Hour}), raw(t, srv.Addr), t.Context()
	expires := time.Now().Add(10 * time.Minute)
	require.NoError(t, s.Put(ctx, "k", store.Record{Data: []byte("data"), Kind: store.KindBody, Owner: "o", Expires: expires, Label: "GET https://example.com/\r\n" + strings.Repeat("x", 1000)}))
	require.NoError(t, s.Put(ctx, "endless", store.Record{Data: []byte("data")}))
	if keys := c.Keys(ctx, "*").Val(); len(keys) != 2 || !strings.HasPrefix(keys[0], "shop:") || !strings.HasPrefix(keys[1], "shop:") {
		t.Errorf("keys %q, want two in the namespace", keys)
	}
	head, data, _ := strings.Cut(c.Get(ctx, "shop:k").Val(), "\n")
	want := fmt.Sprintf("ply1 %s %015d body owner=o key=k label=GET https://example.com/??xxx", get(t, s, "k").Version, expires.UnixMilli())
	if !strings.HasPrefix(head, want) || len(head) > 500 || data != "data" {
		t.Errorf("the value is %q and %q, want %q…", head, data, want)
	}
	if ttl := c.PTTL(ctx, "shop:k").Val(); ttl > 10*time.Minute || ttl < 9*time.Minute {
		t.Errorf("time to live %v, want the record's", ttl)
	}
	if ttl := c.PTTL(ctx, "shop:endless").Val(); ttl > time.Hour || ttl < 59*time.Minute {
		t.Errorf("time to live %v of a record without an end, want Options.TTL", ttl)
	}
}

// What others leave under our keys is never a record. A string gives way to the next Put, anything else is left alone.
func TestForeignValues(t *testing.T) {
	srv := server.Start(t)
	s, c, ctx := open(t, srv.Addr, redis.Options{MaxRecordBytes: 10_000}), raw(t, srv.Addr), t.Context()
	put(t, s, "other", "of another key")
	good := c.Get(ctx, "ply:other").Val()
	for name, value := range map[string]string{
		"text":               "hello",
		"a record elsewhere": good, // as after RENAME
		"no data":            good[:strings.IndexByte(good, '\n')+1],
		"no line":            strings.Repeat("x", 5000),
		"bad end":            strings.Replace(good, " 0000", " x000", 1),
		"too large":          strings.Repeat("x", 1<<20),
		"a long owner":       strings.Replace(strings.Replace(good, "key=other", "key=k", 1), "owner=", "owner="+strings.Repeat("o", 129), 1),
	} {
		t.Run(name, func(t *testing.T) {
			c.Set(ctx, "ply:k", value, 0)
			if r := get(t, s, "k"); r.Version != "" || r.Data != nil {
				t.Errorf("Get returns %d bytes", len(r.Data))
			}
			records, err := s.GetMulti(ctx, []string{"k", "other"})
			if err != nil || records[0].Version != "" || string(records[1].Data) != "of another key" {
				t.Errorf("GetMulti: %v, %v", records, err)
			}
			if err := s.Put(ctx, "k", store.Record{Data: []byte("ours")}); err != nil {
				t.Errorf("Put: %v", err)
			}
			require.NoError(t, s.Delete(ctx, "k", ""))
		})
	}
	t.Run("a list", func(t *testing.T) {
		c.RPush(ctx, "ply:list", "a", "b")
		r, err := s.Get(ctx, "list")
		if err == nil || !strings.Contains(err.Error(), "WRONGTYPE") || r.Version != "" {
			t.Errorf("Get: %v, %v, want an error", r, err)
		}
		if err := s.Put(ctx, "list", store.Record{Data: []byte("x")}); err == nil {
			t.Error("Put has overwritten a list")
		}
		if err := s.Delete(ctx, "list", ""); err == nil {
			t.Error("Delete has deleted a list")
		}
		records, err := s.GetMulti(ctx, []string{"other", "list"})
		if err != nil || string(records[0].Data) != "of another key" || records[1].Version != "" {
			t.Errorf("GetMulti: %v, %v", records, err)
		}
		require.NoError(t, s.Clear(ctx))
		if n := c.LLen(ctx, "ply:list").Val(); n != 2 {
			t.Errorf("the list has %d elements after Clear, want 2", n)
		}
	})
	t.Run("a newer format", func(t *testing.T) {
		newer := "ply2 " + good[5:]
		c.Set(ctx, "ply:newer", newer, 0)
		if r, err := s.Get(ctx, "newer"); !errors.Is(err, store.ErrNewer) || r.Version != "" {
			t.Errorf("Get: %v, %v, want an error", r, err)
		}
		if err := s.Put(ctx, "newer", store.Record{Data: []byte("x")}); !errors.Is(err, store.ErrConflict) {
			t.Errorf("Put: %v, want ErrConflict", err)
		}
		if now := c.Get(ctx, "ply:newer").Val(); now != newer {
			t.Errorf("the value is %q now", now)
		}
	})
}

// Large new records take another way to Redis, with the same outcome.
func TestLargeNewRecordHasTheSameOutcome(t *testing.T) {
	srv := server.Start(t)
	s, c, ctx := open(t, srv.Addr, redis.Options{}), raw(t, srv.Addr), t.Context()
	large := store.Record{Data: body("k", 1, 300_000), Expires: time.Now().Add(time.Minute)}
	require.NoError(t, s.Put(ctx, "k", large))
	if r := get(t, s, "k"); string(r.Data) != string(large.Data) {
		t.Error("Get returns something else")
	}
	if ttl := c.PTTL(ctx, "ply:k").Val(); ttl <= 50*time.Second || ttl > time.Minute {
		t.Errorf("time to live %v, want a minute", ttl)
	}
	if err := s.Put(ctx, "k", large); !errors.Is(err, store.ErrConflict) {
		t.Errorf("Put where there is a record: %v, want ErrConflict", err)
	}
	over := strings.Replace(c.Get(ctx, "ply:k").Val(), fmt.Sprintf("%015d", large.Expires.UnixMilli()), fmt.Sprintf("%015d", 1), 1)
	for name, value := range map[string]string{"text": "hello", "a record that is over": over} {
		c.Set(ctx, "ply:k", value, 0)
		if err := s.Put(ctx, "k", large); err != nil {
			t.Errorf("Put where there is %s: %v", name, err)
		}
	}
	c.RPush(ctx, "ply:list", "a")
	if err := s.Put(ctx, "list", large); err == nil || errors.Is(err, store.ErrConflict) {
		t.Errorf("Put where there is a list: %v, want an error", err)
	}
}

// The limit holds for what is written and what is read.
func TestRecordLimit(t *testing.T) {
	srv := server.Start(t)
	large, small := open(t, srv.Addr, redis.Options{}), open(t, srv.Addr, redis.Options{MaxRecordBytes: 1000})
	ctx := t.Context()
	for _, n := range []int{999, 1000} {
		put(t, small, "k", strings.Repeat("x", n))
	}
	if err := small.Put(ctx, "l", store.Record{Data: make([]byte, 1001)}); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("Put of 1001 bytes: %v, want ErrTooLarge", err)
	}
	put(t, large, "l", strings.Repeat("x", 1001))
	for _, n := range []int{1001, 5000, 2 << 20} {
		put(t, large, "l", strings.Repeat("x", n))
		if r, err := small.Get(ctx, "l"); !errors.Is(err, store.ErrTooLarge) || r.Data != nil {
			t.Errorf("Get of %d bytes: %d bytes, %v, want ErrTooLarge", n, len(r.Data), err)
		}
	}
}

// Every flipped bit in the line before the data, and every truncation, is another record or none, but never one with other fields under the same version.
func TestDamagedHead(t *testing.T) {
	srv := server.Start(t)
	s, c, ctx := open(t, srv.Addr, redis.Options{}), raw(t, srv.Addr), t.Context()
	require.NoError(t, s.Put(ctx, "k", store.Record{Data: []byte("data"), Kind: store.KindBody, Owner: "owner"}))
	good := c.Get(ctx, "ply:k").Val()
	for i := range len(good) {
		c.Set(ctx, "ply:k", good[:i], 0)
		if r, err := s.Get(ctx, "k"); err == nil && r.Version != "" && !strings.HasPrefix("data", string(r.Data)) {
			t.Fatalf("truncated to %d bytes: Get returns %q", i, r.Data)
		}
		c.Set(ctx, "ply:k", good[:i]+string(good[i]^1)+good[i+1:], 0)
		r, err := s.Get(ctx, "k")
		if err != nil && !errors.Is(err, store.ErrNewer) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
		// What was damaged heals: it gives way to what the reader of it writes.
		if err := s.Put(ctx, "k", store.Record{Data: []byte("data"), Version: r.Version}); err != nil {
			t.Fatalf("byte %d flipped: Put: %v", i, err)
		}
	}
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]redis.Options{
		"namespace":   {Namespace: "a:b"},
		"braces":      {Namespace: "{a}"},
		"glob":        {Namespace: "a*"},
		"record":      {MaxRecordBytes: -1},
		"ttl":         {TTL: time.Millisecond},
		"timeout":     {Timeout: -1},
		"connections": {Connections: -1},
	} {
		if _, err := redis.Open("redis://localhost:1", o); err == nil || !strings.HasPrefix(err.Error(), "redis: Options.") {
			t.Errorf("%s: %v, want an error that names the option", name, err)
		}
	}
	for _, url := range []string{"", "localhost:6379", "http://localhost", "redis+raft://localhost", "unix+cluster:///x", "redis://user:secret@host:port", "redis://:secret@host:1/x",
		"redis://localhost?option=secret", "redis://:12#secret@host", "redis+cluster://host:1#secret", "redis+sentinel://host:1", "redis://h\x7f:secret"} {
		_, err := redis.Open(url, redis.Options{})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v, want an error without the password", url, err)
		}
	}
	ring := goredis.NewRing(&goredis.RingOptions{})
	replicas := goredis.NewClusterClient(&goredis.ClusterOptions{ReadOnly: true})
	defer ring.Close()
	defer replicas.Close()
	for _, c := range []goredis.UniversalClient{nil, ring, replicas, (*goredis.Client)(nil)} {
		if _, err := redis.New(c, redis.Options{}); err == nil {
			t.Errorf("New takes %T", c)
		}
	}
}

func TestBadKeys(t *testing.T) {
	s := open(t, "127.0.0.1:1", redis.Options{})
	ctx := t.Context()
	for _, key := range []string{"", "a b", "a\n", "ü", "a/b", strings.Repeat("x", 129)} {
		if _, err := s.Get(ctx, key); err == nil || !strings.Contains(err.Error(), "key") {
			t.Errorf("Get(%q): %v", key, err)
		}
		if err := s.Put(ctx, key, store.Record{Data: []byte("x")}); err == nil || !strings.Contains(err.Error(), "key") {
			t.Errorf("Put(%q): %v", key, err)
		}
		if err := s.Put(ctx, "k", store.Record{Data: []byte("x"), Owner: key}); key != "" && (err == nil || !strings.Contains(err.Error(), "key")) {
			t.Errorf("Put with owner %q: %v", key, err)
		}
		if err := s.Delete(ctx, key, ""); err == nil || !strings.Contains(err.Error(), "key") {
			t.Errorf("Delete(%q): %v", key, err)
		}
	}
	if err := s.Put(ctx, "k", store.Record{}); err == nil {
		t.Error("Put takes a record without data")
	}
}
