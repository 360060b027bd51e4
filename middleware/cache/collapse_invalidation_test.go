package cache_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
)

// An answer on its way may belong to a group. When that is invalidated, requests that are made later get another one.
func TestCollapseNoJoinAfterGroupInvalidation(t *testing.T) {
	for _, headers := range []time.Duration{0, 300 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
				if r.Method == "POST" {
					return reply(204, "", `Cache-Group-Invalidation: "g"`), nil
				}
				time.Sleep(headers)
				return slowly(r, sealed("k", n, 100), "Cache-Control: max-age=60", `Cache-Groups: "g"`), nil
			}}
			_, rt := newBusy(t, o, cache.Options{})
			var wg sync.WaitGroup
			wg.Go(func() { reads(rt, ask(t, t.Context()), "k") })
			time.Sleep(50 * time.Millisecond)
			r, _ := http.NewRequest("POST", "http://example.com/other", strings.NewReader(""))
			r.URL.Host = ask(t, t.Context()).URL.Host
			r.URL.Scheme = ask(t, t.Context()).URL.Scheme
			readAll(roundTrip(t, rt, r))
			before := int(o.asked.Load())
			answer, _, err := reads(rt, ask(t, t.Context()), "k")
			wg.Wait()
			if err != nil || answer <= before {
				t.Errorf("headers after %v: answer %d of %d, %v", headers, answer, o.asked.Load(), err)
			}
		})
	}
}

// A request that was made after an invalidation does not get an answer to one that was made before it.
func TestCollapseNoJoinAfterInvalidation(t *testing.T) {
	for name, invalidate := range map[string]func(c *cache.Cache, rt http.RoundTripper){
		"POST": func(_ *cache.Cache, rt http.RoundTripper) {
			r, _ := http.NewRequest("POST", url, nil)
			if resp, err := rt.RoundTrip(r); err == nil {
				readAll(resp)
			}
		},
		"DeleteURL": func(c *cache.Cache, _ http.RoundTripper) { c.DeleteURL(context.Background(), url) },
		"Clear":     func(c *cache.Cache, _ http.RoundTripper) { c.Clear(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, headers := range []time.Duration{0, 300 * time.Millisecond} {
				synctest.Test(t, func(t *testing.T) {
					o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
						if r.Method != "GET" {
							return reply(204, ""), nil
						}
						time.Sleep(headers)
						return slowly(r, sealed("k", n, 100), "Cache-Control: max-age=60"), nil
					}}
					c, rt := newBusy(t, o, cache.Options{})
					var wg sync.WaitGroup
					wg.Go(func() { reads(rt, ask(t, t.Context()), "k") })
					time.Sleep(50 * time.Millisecond)
					invalidate(c, rt)
					before := int(o.asked.Load())
					answer, _, err := reads(rt, ask(t, t.Context()), "k")
					wg.Wait()
					if err != nil || answer <= before {
						t.Errorf("answer %d of %d, %v", answer, o.asked.Load(), err)
					}
				})
			}
		})
	}
}

// Requests that come after the invalidation of a group share one new fetch, although the table still has the old one: that is no reason for each to ask.
func TestCollapseRequestsAfterGroupInvalidationShareANewFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			if r.Method == "POST" {
				return reply(204, "", `Cache-Group-Invalidation: "g"`), nil
			}
			return slowly(r, sealed("k", n, 100), "Cache-Control: max-age=60", `Cache-Groups: "g"`), nil
		}}
		_, rt := newBusy(t, o, cache.Options{})
		var wg sync.WaitGroup
		wg.Go(func() { reads(rt, ask(t, t.Context()), "k") })
		time.Sleep(50 * time.Millisecond)
		r := ask(t, t.Context())
		r.Method, r.URL.Path = "POST", "/other"
		readAll(roundTrip(t, rt, r))
		errs, shared := herd(t, 100, rt, func(int) *http.Request { return ask(t, t.Context()) }, same("k"))
		wg.Wait()
		if failures(t, errs) > 0 || o.asked.Load() != 3 || shared != 99 {
			t.Errorf("%d requests and %d shared, want the POST, two fetches and 99", o.asked.Load(), shared)
		}
	})
}
