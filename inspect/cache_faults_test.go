package inspect_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/inspect"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// troubledStore is a store whose list, or whose deletions, are as a test says. Nil is as they should be.
type troubledStore struct {
	*storetest.Map
	list   func(ctx context.Context, each func(string, store.Record) bool) error
	delete func(ctx context.Context) error
}

func (s *troubledStore) Range(ctx context.Context, kind store.Kind, f func(string, store.Record) bool) error {
	if s.list == nil || kind != store.KindEntry {
		return s.Map.Range(ctx, kind, f)
	}
	return s.list(ctx, f)
}

func (s *troubledStore) Delete(ctx context.Context, key, version string) error {
	if s.delete != nil {
		return s.delete(ctx)
	}
	return s.Map.Delete(ctx, key, version)
}

// overTroubled returns an inspector over a cache with n entries in a store that works so far.
func overTroubled(t *testing.T, n int) (*inspect.Inspector, *troubledStore) {
	t.Helper()
	s := &troubledStore{Map: storetest.NewMap(1 << 20)}
	c := newCache(t, cache.Options{Store: s})
	in := newInspector(t, inspect.Options{Cache: c})
	client := newClient(t, ply.Options{Transport: plytest.NewOrigin(plytest.Text("x", "Cache-Control", "max-age=100")), Use: []ply.Middleware{in.Middleware, c.Middleware}})
	for i := range n {
		fetch(t, client, fmt.Sprintf("http://a.test/%d", i+1))
	}
	synctest.Wait()
	require.Len(t, get[entries](t, in, "cache").Entries, n)
	return in, s
}

// A store that fails is no empty cache: the view says what it failed at, and shows what had come before, without the secrets of either.
func TestCacheViewOfAStoreThatFailsSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, s := overTroubled(t, 100) // more than what a walk reads at once
		down := errors.New("dial redis://u:canary@h: connection refused")
		s.list = func(context.Context, func(string, store.Record) bool) error { return down }
		w := ask(in, "GET", "cache", "")
		require.Equal(t, http.StatusBadGateway, w.Code)
		require.Contains(t, w.Body.String(), "connection refused")
		require.NotContains(t, w.Body.String(), "canary")

		s.list = func(ctx context.Context, each func(string, store.Record) bool) error {
			s.Map.Range(ctx, store.KindEntry, each)
			return down
		}
		w = ask(in, "GET", "cache", "")
		require.Equal(t, http.StatusOK, w.Code)
		require.Contains(t, w.Body.String(), `"fault":"dial redis:`)
		require.NotContains(t, w.Body.String(), "canary")

		s.list, s.delete = nil, func(context.Context) error { return down }
		id := get[entries](t, in, "cache").Entries[0].ID
		require.Equal(t, http.StatusBadGateway, ask(in, "DELETE", "cache/"+id, "").Code)
		require.Equal(t, http.StatusBadRequest, ask(in, "POST", "cache/purge", `{"url":"/x"}`).Code, "that is not the store's fault")
	})
}

// A store that hangs, whatever its context says, takes some requests for the cache with it, and nothing else of the inspector.
func TestCacheViewOfAStoreThatHangsIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, s := overTroubled(t, 2)
		s.list = func(ctx context.Context, _ func(string, store.Record) bool) error { <-ctx.Done(); return ctx.Err() }
		began := time.Now()
		w := ask(in, "GET", "cache", "")
		require.Equal(t, http.StatusBadGateway, w.Code)
		require.Contains(t, w.Body.String(), "took longer than 30s")
		require.Equal(t, 30*time.Second, time.Since(began))

		release := make(chan struct{})
		s.list = func(context.Context, func(string, store.Record) bool) error { <-release; return nil }
		var stuck sync.WaitGroup
		for range 4 {
			stuck.Go(func() { ask(in, "GET", "cache", "") })
		}
		synctest.Wait()
		w = ask(in, "GET", "cache", "")
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
		require.NotEmpty(t, w.Header().Get("Retry-After"))
		require.Equal(t, http.StatusServiceUnavailable, ask(in, "POST", "cache/purge", `{"all":true}`).Code)
		require.Len(t, calls(t, in), 2)
		require.NoError(t, in.Close())
		close(release)
		stuck.Wait()
		s.list = nil
		require.Len(t, get[entries](t, in, "cache").Entries, 2)
	})
}

// Pages that are slow to send what they want removed keep no other from looking at the cache.
func TestSlowRemovalsKeepNoneFromTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, _ := overTroubled(t, 2)
		content, end := io.Pipe()
		var slow sync.WaitGroup
		for range 10 {
			r := httptest.NewRequest("POST", "http://localhost:7117/cache/purge", content)
			r.RemoteAddr = "127.0.0.1:50000"
			r.Header.Set("Content-Type", "application/json")
			slow.Go(func() { in.ServeHTTP(httptest.NewRecorder(), r) })
		}
		synctest.Wait()
		require.Len(t, get[entries](t, in, "cache").Entries, 2)
		require.NoError(t, end.Close())
		slow.Wait()
	})
}

// A store that lists what it should not, damaged, under other names, or again and again, makes the view neither fail nor show what is not there.
func TestCacheViewOfAStoreThatLies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, s := overTroubled(t, 2)
		s.list = func(ctx context.Context, each func(string, store.Record) bool) error {
			each("", store.Record{})
			each("no name of ours", store.Record{Data: []byte("x"), Version: "1"})
			return s.Map.Range(ctx, store.KindEntry, func(name string, r store.Record) bool {
				cut := r
				cut.Data = cut.Data[:len(cut.Data)/2]
				each(name, cut)
				flipped := r
				flipped.Data = append([]byte(nil), r.Data...)
				flipped.Data[len(flipped.Data)/2] ^= 0xff
				each(name, flipped)
				return each(name, r) && each(name, store.Record{Version: "2"})
			})
		}
		l := get[entries](t, in, "cache")
		require.Len(t, l.Entries, 2)
		require.Equal(t, "http://a.test/1", l.Entries[0].URL)
	})
}
