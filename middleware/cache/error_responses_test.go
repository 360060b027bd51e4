package cache_test

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/middleware/cache"
)

// errorStatuses are errors of all kinds: cacheable by default and not, RFC 5861's and others.
var errorStatuses = []int{400, 401, 403, 404, 405, 410, 414, 429, 451, 500, 501, 502, 503, 504}

// A lifetime of one's own keeps no error, whatever the strategies around it.
func TestErrorIsNotStoredUnderOwnLifetime(t *testing.T) {
	byURL, err := expiry.ByURL(expiry.URLRule{Pattern: "*", Strategy: expiry.After(time.Hour)})
	require.NoError(t, err)
	hour := expiry.After(time.Hour)
	strategies := map[string]expiry.Strategy{
		"After":      hour,
		"Never":      expiry.NeverExpires(),
		"At":         expiry.At(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)),
		"ByURL":      byURL,
		"ByType":     expiry.ByType(map[string]expiry.Strategy{"*/*": hour, "": hour}),
		"First":      expiry.First(expiry.ByStatus(map[int]expiry.Strategy{999: hour}), hour),
		"Clamp":      expiry.Clamp(nil, time.Hour, 0),
		"Jitter":     expiry.Jitter(hour, 0.1),
		"Sliding":    expiry.Sliding(hour),
		"Stale":      expiry.StaleWindows(hour, time.Hour, time.Hour),
		"Precedence": expiry.Precedence{Default: hour},
		"URLs":       expiry.Precedence{URLs: byURL, IgnoreResponse: true},
		"Func": expiry.Func(func(*http.Request, *http.Response, time.Time) expiry.Verdict {
			return expiry.Lifetime(time.Hour)
		}),
		"Follow": expiry.Func(func(*http.Request, *http.Response, time.Time) expiry.Verdict {
			return expiry.Follow(time.Hour)
		}),
	}
	for name, s := range strategies {
		for _, status := range errorStatuses {
			for _, fields := range [][]string{nil, {"Cache-Control: max-age=0"}, {"Cache-Control: max-age=0, no-store"}, {"Cache-Control: max-age=60, no-store"}, {"Expires: 0"}} {
				inBubble(t, func(t *testing.T) {
					g := newRig(t, inOrder(reply(status, "wrong", fields...), reply(200, "right")), cache.Options{Expiry: s})
					g.get(url)
					if have, _ := g.get(url); have.Body != "right" {
						t.Errorf("%s, %d with %q: %v", name, status, fields, have)
					}
				})
			}
		}
	}
}

// What the server gives an error a lifetime for is kept for that long, or for less if one's own is shorter.
func TestErrorIsStoredForTheServersLifetime(t *testing.T) {
	for _, test := range []struct {
		name string
		s    expiry.Strategy
		for_ time.Duration
	}{
		{"a longer one", expiry.After(time.Hour), 60 * time.Second},
		{"a shorter one", expiry.After(5 * time.Second), 5 * time.Second},
		{"at least", expiry.Clamp(nil, time.Hour, 0), 60 * time.Second},
		{"from each use", expiry.Sliding(expiry.After(time.Hour)), 60 * time.Second},
		{"stale windows", expiry.StaleWindows(nil, time.Hour, time.Hour), 60 * time.Second},
		{"the status by name", expiry.ByStatus(map[int]expiry.Strategy{404: expiry.After(time.Hour)}), time.Hour},
		{"the status by name, inside another", expiry.Clamp(expiry.ByStatus(map[int]expiry.Strategy{404: expiry.After(time.Second)}), time.Hour, 0), time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				g := newRig(t, inOrder(reply(404, "none", "Cache-Control: max-age=60"), reply(200, "some")), cache.Options{Expiry: test.s})
				g.get(url)
				time.Sleep(test.for_ - time.Second)
				have, _ := g.get(url)
				g.want(have, 404, "none", "hit", 1)
				time.Sleep(2 * time.Second)
				if have, _ := g.get(url); have.Body != "some" {
					t.Errorf("after %v: %v", test.for_, have)
				}
			})
		})
	}
}

// The server counts from when it made the error, a lifetime of one's own from when that came.
func TestErrorLifetimeWithAge(t *testing.T) {
	for own, want := range map[time.Duration]time.Duration{5 * time.Second: 5 * time.Second, time.Hour: 10 * time.Second} {
		inBubble(t, func(t *testing.T) {
			g := newRig(t, inOrder(reply(404, "none", "Cache-Control: max-age=60", "Age: 50"), reply(200, "some")), cache.Options{Expiry: expiry.After(own)})
			g.get(url)
			time.Sleep(want - time.Second)
			have, _ := g.get(url)
			g.want(have, 404, "none", "hit", 1)
			time.Sleep(2 * time.Second)
			if have, _ := g.get(url); have.Body != "some" {
				t.Errorf("after %v: %v", want, have)
			}
		})
	}
}

// A strategy can take away the windows that the server gives an error, though it cannot widen them.
func TestErrorIsNotServedStaleAgainstTheStrategy(t *testing.T) {
	for _, s := range []expiry.Strategy{expiry.StaleWindows(nil, -1, -1), expiry.StaleWindows(expiry.After(5*time.Second), -1, -1)} {
		inBubble(t, func(t *testing.T) {
			g := newRig(t, inOrder(reply(404, "none", "Cache-Control: max-age=10, stale-while-revalidate=600, stale-if-error=600"), reply(500, "down")), cache.Options{Expiry: s})
			g.get(url)
			time.Sleep(20 * time.Second)
			if have, _ := g.get(url); have.Body != "down" {
				t.Errorf("%v, want what the origin says", have)
			}
		})
	}
}

// The request's own choice keeps no error either, and RecomputeExpiry removes one that is not to be kept any more.
func TestErrorIsNotStoredUnderWithExpiry(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, inOrder(reply(401, "renew", "Cache-Control: max-age=0, no-store"), reply(200, "yours")), cache.Options{})
		ctx := cache.WithExpiry(t.Context(), expiry.After(time.Hour))
		for _, want := range []string{"renew", "yours", "yours"} {
			r, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
			if have, _ := g.send(r); have.Body != want {
				t.Errorf("%v, want %s", have, want)
			}
		}
	})
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x"), cache.Options{Expiry: expiry.After(time.Hour)})
		g.origin.answer = func(*http.Request) *http.Response { return reply(401, "renew") }
		r, _ := http.NewRequestWithContext(cache.WithExpiry(t.Context(), expiry.ByStatus(map[int]expiry.Strategy{401: expiry.After(time.Hour)})), "GET", url, nil)
		g.send(r)
		if g.entries() != 1 {
			t.Fatal("the status was named, and its answer is not stored")
		}
		require.NoError(t, g.RecomputeExpiry(t.Context()))
		if g.entries() != 0 {
			t.Error("the cache's own strategy does not name the status, and its answer is still there")
		}
	})
}

// An error never displaces what can still be served: what is fresh, what may be stale while it is refreshed, what may stand in for errors.
func TestErrorKeepsUsableStoredResponse(t *testing.T) {
	const swr, sie = "Cache-Control: max-age=10, stale-while-revalidate=600", "Cache-Control: max-age=10, stale-if-error=600"
	for _, test := range []struct {
		name    string
		good    string
		options cache.Options
		wait    time.Duration
		request string
	}{
		{"fresh, reloaded", "Cache-Control: max-age=600", cache.Options{}, 0, "Cache-Control: no-cache"},
		{"fresh, reloaded with max-age", "Cache-Control: max-age=600", cache.Options{}, time.Second, "Cache-Control: max-age=0"},
		{"stale, refreshed behind", swr, cache.Options{}, 20 * time.Second, "X: y"},
		{"stale, refreshed behind, within both windows", swr + ", stale-if-error=600", cache.Options{}, 20 * time.Second, "X: y"},
		{"stale, refreshed behind, by the cache's windows", "Cache-Control: max-age=10", cache.Options{StaleWhileRevalidate: time.Hour, StaleIfError: time.Hour}, 20 * time.Second, "X: y"},
		{"stale, in front", sie, cache.Options{}, 20 * time.Second, "Cache-Control: no-cache"},
		{"stale, kept for when the origin cannot be reached", "Cache-Control: max-age=10", cache.Options{MaxStaleDisconnected: time.Hour}, 20 * time.Second, "Cache-Control: no-cache"},
		{"stale, in front, by the cache's window", "Cache-Control: max-age=10", cache.Options{StaleIfError: time.Hour}, 20 * time.Second, "Cache-Control: no-cache"},
	} {
		for _, status := range errorStatuses {
			for _, lifetime := range []string{"Cache-Control: max-age=0", "Cache-Control: max-age=60", "Expires: 0", "Cache-Control: no-store", "X: none"} {
				gone := status == 404 || status == 410
				if gone && (lifetime == "Cache-Control: max-age=60" || test.wait > 10*time.Second) {
					continue // the resource is no more
				}
				inBubble(t, func(t *testing.T) {
					o := says("good", test.good, `ETag: "v"`)
					g := newRig(t, o, test.options)
					g.get(url)
					time.Sleep(test.wait)
					o.answer = func(*http.Request) *http.Response { return reply(status, "bad", lifetime) }
					g.get(url, test.request)
					time.Sleep(time.Second)
					synctest.Wait()
					o.answer = func(*http.Request) *http.Response { return reply(503, "down", "Cache-Control: max-age=0") }
					if test.options.MaxStaleDisconnected > 0 {
						o.err = errors.New("down")
					}
					if have, _ := g.get(url); have.Body != "good" {
						t.Errorf("%s, %d with %q: %v", test.name, status, lifetime, have)
					}
				})
			}
		}
	}
}

// A 404 or 410 that can be used later says that the resource is no more; what cannot be served any more gives way to any error.
func TestErrorThatIsTheNewStateReplaces(t *testing.T) {
	for _, test := range []struct {
		status int
		wait   time.Duration
	}{{404, 0}, {410, 0}, {404, time.Hour}, {403, time.Hour}, {503, time.Hour}} {
		inBubble(t, func(t *testing.T) {
			g := newRig(t, inOrder(reply(200, "good", "Cache-Control: max-age=600"), reply(test.status, "bad", "Cache-Control: max-age=60"), reply(200, "next")), cache.Options{})
			g.get(url)
			time.Sleep(test.wait)
			g.get(url, "Cache-Control: no-cache")
			have, _ := g.get(url)
			g.want(have, test.status, "bad", "hit", 2)
		})
	}
}

// An error that does not say what it varies on is no answer to those for whom another variant is stored.
func TestErrorWithoutVaryHidesNoVariant(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := &origin{answer: func(r *http.Request) *http.Response {
			return reply(200, r.Header.Get("X-Lang"), "Cache-Control: max-age=600", "Vary: X-Lang")
		}}
		g := newRig(t, o, cache.Options{})
		g.get(url, "X-Lang: de")
		o.answer = func(*http.Request) *http.Response { return reply(404, "none", "Cache-Control: max-age=60") }
		time.Sleep(time.Second)
		synctest.Wait()
		for lang, want := range map[string]string{"en": "none", "de": "de"} {
			for range 2 {
				if have, _ := g.get(url, "X-Lang: "+lang); have.Body != want {
					t.Errorf("%s gets %v", lang, have)
				}
			}
		}
		if n := len(o.asked); n != 2 {
			t.Error(fmt.Sprint(n, " requests at the origin"))
		}
	})
}

// What has been stored while an error was under way stays.
func TestErrorKeepsResponseStoredMeanwhile(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var asked atomic.Int64
		g := newRig(t, nil, cache.Options{NoCollapse: true})
		g.rt = g.Middleware(roundTripper(func(r *http.Request) (*http.Response, error) {
			asked.Add(1)
			if r.Header.Get("X") != "" {
				time.Sleep(time.Second)
				return reply(503, "down", "Cache-Control: max-age=60"), nil
			}
			time.Sleep(500 * time.Millisecond)
			return reply(200, "good", "Cache-Control: max-age=600"), nil
		}))
		done := make(chan struct{})
		go func() {
			defer close(done)
			g.get(url)
		}()
		time.Sleep(100 * time.Millisecond)
		g.get(url, "X: y")
		<-done
		if have, _ := g.get(url); have != (got{200, "good", "hit"}) || asked.Load() != 2 {
			t.Errorf("%v after %d requests", have, asked.Load())
		}
	})
}
