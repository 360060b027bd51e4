package cache_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store/storetest"
)

// safe has for each account another text under one strong entity tag, whole, in parts or as a stream, all of it marked as public.
func safe(r *http.Request) *http.Response {
	who := r.Header.Get("Authorization")
	w := httptest.NewRecorder()
	w.Header().Set("Cache-Control", "public, max-age=2, stale-while-revalidate=3, stale-if-error=60")
	w.Header().Set("Etag", `"same for all"`)
	if r.URL.Path == "/stream" {
		w.Header().Set("Content-Type", "text/event-stream")
		resp := w.Result()
		resp.Body, resp.ContentLength = newSpoken(r.Context(), []heard{{10 * time.Millisecond, holding(who)}, {20 * time.Millisecond, "\n"}}, io.EOF), -1
		return resp
	}
	http.ServeContent(w, r, "safe.txt", time.Time{}, strings.NewReader(holding(who)))
	return w.Result()
}

// holding is what an account has: each byte belongs to a line that names it. It is a stream as well.
func holding(who string) string { return strings.Repeat(fmt.Sprintf("data: of %-6.6s\n", who), 20) }

// Accounts whose credentials are added below the cache ask for ranges, streams and the whole, while stale answers are refreshed in the background, before and after they expire.
// None gets a byte of another's, nor an answer that is put together of two.
func TestCredentialsBelowWithPartsAndRefreshes(t *testing.T) {
	seeds := uint64(8)
	if underRace {
		seeds = 4 // two with each store
	}
	for _, named := range []bool{false, true} {
		for seed := range seeds {
			t.Run(fmt.Sprintf("named %t, seed %d", named, seed), func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					var mu sync.Mutex // of the origin, which remembers what it was asked
					o := signed(&origin{answer: safe})
					below := roundTripper(func(r *http.Request) (*http.Response, error) {
						time.Sleep(5 * time.Millisecond)
						mu.Lock()
						defer mu.Unlock()
						return o.RoundTrip(r)
					})
					options := cache.Options{EventStreams: cache.EventStreamsAtOnce, Expiry: expiry.Ahead(nil, 0.5)}
					if seed%2 == 1 {
						options.Store = storetest.NewMap(1 << 20)
					}
					c := must(cache.New(options))
					defer c.Close()
					rt := c.Middleware(below)
					var callers sync.WaitGroup
					for i, who := range []string{"", "alice", "bob", "", "alice", "bob"} {
						random := rand.New(rand.NewPCG(seed, uint64(i)))
						callers.Go(func() {
							for range 60 {
								time.Sleep(time.Duration(random.Int64N(int64(200 * time.Millisecond))))
								ctx := t.Context()
								if who != "" {
									ctx = context.WithValue(ctx, signer{}, who)
								}
								if named {
									ctx = cache.WithPrincipal(ctx, who)
								}
								checkHolding(t, rt, ctx, who, named, random)
							}
						})
					}
					callers.Wait()
					time.Sleep(time.Minute)
				})
			})
		}
	}
}

// checkHolding asks for one thing or another, and checks whose it is: of the one who asks or, if the accounts have no names for the cache, what belongs to no account.
func checkHolding(t *testing.T, rt http.RoundTripper, ctx context.Context, who string, named bool, random *rand.Rand) {
	r, _ := http.NewRequestWithContext(ctx, "GET", "http://h/text", nil)
	cut := func(s string) string { return s }
	switch random.IntN(5) {
	case 0:
		r.URL.Path = "/stream"
		cut = func(s string) string { return s + "\n" }
	case 1, 2:
		first := random.IntN(100)
		last := first + random.IntN(200)
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", first, last))
		cut = func(s string) string { return s[first:min(last+1, len(s))] }
	}
	resp, err := rt.RoundTrip(r)
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if resp.StatusCode == 200 && r.URL.Path == "/text" {
		cut = func(s string) string { return s }
	}
	if string(got) != cut(holding(who)) && (named || string(got) != cut(holding(""))) || err != nil {
		s, _ := cache.StatusOf(resp)
		t.Errorf("%q gets %q at %s, %d, %s: %v, %v", who, got, r.URL.Path, resp.StatusCode, r.Header.Get("Range"), s, err)
	}
}
