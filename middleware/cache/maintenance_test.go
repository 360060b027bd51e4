package cache_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/middleware/cache"
)

func TestMaintenanceCalls(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		ctx := t.Context()
		o := &origin{answer: func(r *http.Request) *http.Response {
			return reply(200, "x", "Cache-Control: max-age="+r.URL.Query().Get("age"))
		}}
		g := newRig(t, o, cache.Options{})
		urls := []string{"http://h/a?age=1", "http://h/b?age=100", "http://i/c?age=100"}
		for _, u := range urls {
			g.get(u)
		}
		g.get(urls[1], "Authorization: x")
		contains := func(u string) bool {
			r, _ := http.NewRequestWithContext(ctx, "GET", u, nil)
			return g.Contains(r)
		}
		shown := urls
		if onBytes {
			shown = []string{"http://h/a?age=REDACTED", "http://h/b?age=REDACTED", "http://i/c?age=REDACTED"}
		}
		if got := slices.Sorted(g.URLs(ctx)); !slices.Equal(got, shown) {
			t.Errorf("URLs %v", got)
		}
		time.Sleep(2 * time.Second)
		n, err := g.DeleteExpired(ctx)
		if n != 1 || err != nil || contains(urls[0]) || !contains(urls[1]) {
			t.Errorf("DeleteExpired: %d, %v", n, err)
		}
		n, err = g.DeletePattern(ctx, "i/**")
		if n != 1 || err != nil || contains(urls[2]) {
			t.Errorf("DeletePattern: %d, %v", n, err)
		}
		if _, err := g.DeletePattern(ctx, "a*b"); err == nil {
			t.Error("a bad pattern must be an error")
		}
		require.NoError(t, g.DeleteURL(ctx, urls[1]))
		if n := g.entries(); n != 0 {
			t.Errorf("%d entries after DeleteURL, want none", n)
		}
		g.get(urls[1])
		r, _ := http.NewRequest("GET", urls[1], nil)
		require.NoError(t, g.Delete(ctx, r))
		if contains(urls[1]) {
			t.Error("Delete left it")
		}
		g.get(urls[1])
		time.Sleep(10 * time.Second)
		g.get(urls[2])
		n, err = g.DeleteOlderThan(ctx, 5*time.Second)
		if n != 1 || err != nil || contains(urls[1]) || !contains(urls[2]) {
			t.Errorf("DeleteOlderThan: %d, %v", n, err)
		}
		require.NoError(t, g.Clear(ctx))
		if s := g.Stats(); s.Entries != 0 || s.Bytes != 0 {
			t.Errorf("after Clear: %+v", s)
		}
	})
}

func TestRecomputeExpiry(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		lifetime := time.Minute
		s := expiry.Func(func(*http.Request, *http.Response, time.Time) expiry.Verdict { return expiry.Lifetime(lifetime) })
		g := newRig(t, says("x"), cache.Options{Expiry: s})
		g.get(url)
		lifetime = time.Second
		time.Sleep(2 * time.Second)
		have, _ := g.get(url)
		g.want(have, 200, "x", "hit", 1)
		require.NoError(t, g.RecomputeExpiry(t.Context()))
		have, _ = g.get(url)
		g.want(have, 200, "x", "refreshed", 2)
	})
}

// Callbacks of maintenance may use the cache, and are asked about each response once.
func TestMaintenanceCallbacksMayUseTheCache(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Store: cache.NewMemory(cache.MemoryOptions{MaxEntries: 10})})
		g.get(url)
		g.get(url + "/2")
		asked := 0
		n, err := g.DeleteFunc(t.Context(), func(e *cache.Entry) bool {
			asked++
			r, _ := http.NewRequest("GET", e.URL(), nil)
			return g.Contains(r) && strings.HasSuffix(e.URL(), "2") // this would wait for ever
		})
		require.NoError(t, err)
		if n != 1 || asked != 2 || g.Stats().Entries != 1 {
			t.Errorf("%d deleted, asked %d times, %d left", n, asked, g.Stats().Entries)
		}
	})
}

func TestDeleteRemovesWhatAnswersTheRequest(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60", "No-Vary-Search: params=(\"a\")"), cache.Options{})
		g.get(url + "?a=1")
		r, _ := http.NewRequestWithContext(t.Context(), "GET", url+"?a=2", nil)
		if !g.Contains(r) {
			t.Fatal("not stored")
		}
		require.NoError(t, g.Delete(t.Context(), r))
		if g.Contains(r) {
			t.Error("it is still there")
		}
	})
}

func TestMaintenanceErrorsAreRedacted(t *testing.T) {
	c, err := cache.New(cache.Options{})
	require.NoError(t, err)
	defer c.Close()
	for _, bad := range []string{"http://user:s3cret@h/%zz?token=s3cret", "http://user:s3cret@h:port/"} {
		for _, err := range []error{c.DeleteURL(t.Context(), bad), c.DeleteGroup(t.Context(), bad, "g")} {
			if err == nil || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%v", err)
			}
		}
	}
}
