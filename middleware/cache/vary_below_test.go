package cache_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
)

// settingBelow is an origin below a layer that sets the field name to the signer of the context, if there is one. The response names the request that was sent.
func settingBelow(name string, o *origin) *origin {
	return &origin{answer: func(r *http.Request) *http.Response {
		sent := r.Clone(r.Context())
		if who, ok := r.Context().Value(signer{}).(string); ok {
			sent.Header.Set(name, who)
		}
		resp := o.answer(sent)
		resp.Request = sent
		return resp
	}}
}

// echoing answers with the value of a field that it varies on.
func echoing(name string, fields ...string) *origin {
	return &origin{answer: func(r *http.Request) *http.Response {
		if r.Header.Get("If-None-Match") != "" {
			return reply(304, "", append(fields, "Vary: "+name)...)
		}
		return reply(200, name+" is "+r.Header.Get(name), append(fields, "Vary: "+name)...)
	}}
}

// What varies on a field that is set below the cache is for its caller alone, and says so.
func TestVaryOnFieldSetBelow(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		for _, options := range []cache.Options{{}, {Shared: true}} {
			g := newRig(t, settingBelow("X-User", echoing("X-User", "Cache-Control: public, max-age=60")), options)
			var reason string
			trace := cache.WithTrace(t.Context(), &cache.Trace{NotStored: func(_ *http.Request, why string) { reason = why }})
			for i, who := range []string{"alice", "bob", "alice"} {
				r, err := http.NewRequestWithContext(context.WithValue(trace, signer{}, who), "GET", "http://h/a", nil)
				require.NoError(t, err)
				have, resp := g.send(r)
				g.want(have, 200, "X-User is "+who, "miss", i+1)
				const want = "a field that Vary names was set below the cache: X-User"
				s, _ := cache.StatusOf(resp)
				if s.Stored || s.Detail != "not stored: "+want || reason != want {
					t.Errorf("%v, and the trace says %q", s, reason)
				}
				if reasons := s.Reasons(); len(reasons) == 0 || reasons[len(reasons)-1].Source != "RFC 9111 §4.1" {
					t.Errorf("%v", reasons)
				}
			}
			// The cache sees what is set above it.
			for i, outcome := range []string{"miss", "hit"} {
				have, _ := g.get("http://h/b", "X-User: carol")
				g.want(have, 200, "X-User is carol", outcome, 4)
				if i == 1 && g.entries() != 1 {
					t.Errorf("%d entries", g.entries())
				}
			}
			// What is set below to the value that was seen is no other.
			r, err := http.NewRequestWithContext(context.WithValue(t.Context(), signer{}, "dora"), "GET", "http://h/c", nil)
			require.NoError(t, err)
			r.Header.Set("X-User", "dora")
			g.send(r)
			have, _ := g.send(r)
			g.want(have, 200, "X-User is dora", "hit", 5)
		}
	})
}

// The program may say who asks, or that all that is below is one principal's.
func TestVaryOnFieldSetBelowForNamedPrincipal(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, settingBelow("X-User", echoing("X-User", "Cache-Control: max-age=60")), cache.Options{})
		for i, who := range []string{"alice", "bob", "alice", "bob"} {
			r, err := http.NewRequestWithContext(cache.WithPrincipal(context.WithValue(t.Context(), signer{}, who), who), "GET", "http://h/a", nil)
			require.NoError(t, err)
			have, _ := g.send(r)
			g.want(have, 200, "X-User is "+who, []string{"miss", "miss", "hit", "hit"}[i], min(i+1, 2))
		}
		g = newRig(t, settingBelow("Api-Version", echoing("Api-Version", "Cache-Control: max-age=60")), cache.Options{OneIdentityBelow: true})
		for _, outcome := range []string{"miss", "hit"} {
			have, _ := g.signedBy("2", "GET", "http://h/a")
			g.want(have, 200, "Api-Version is 2", outcome, 1)
		}
	})
}

// A layer that sets what a whole program sends does not cost the hits.
func TestVaryOnConstantFieldSetBelow(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		for _, name := range []string{"User-Agent", "Accept", "Accept-Encoding", "Host", "Content-Length", "Range", "Origin", "Traceparent, User-Agent"} {
			o := echoing(name, "Cache-Control: max-age=60")
			below := settingBelow(name, o)
			if strings.Contains(name, ",") { // a field that Vary names and that nothing sets
				below = settingBelow("X-Other", o)
			}
			g := newRig(t, below, cache.Options{})
			g.signedBy("v", "GET", "http://h/a")
			if have, _ := g.signedBy("v", "GET", "http://h/a"); have.Outcome != "hit" {
				t.Errorf("%s: %+v", name, have)
			}
		}
	})
}

// Those who wait for an answer that turns out to vary on what is set below ask for themselves, and so do those who come later,
// though the layer changes the request in place, which none should.
func TestVaryOnFieldSetBelowIsNotCollapsed(t *testing.T) {
	for _, inPlace := range []bool{false, true} {
		for _, options := range []cache.Options{{}, {NoCollapse: true}} {
			synctest.Test(t, func(t *testing.T) {
				c, err := cache.New(options)
				require.NoError(t, err)
				defer c.Close()
				origin := echoing("X-User", "Cache-Control: max-age=60")
				below := settingBelow("X-User", origin)
				rt := c.Middleware(roundTripper(func(r *http.Request) (*http.Response, error) {
					time.Sleep(time.Second)
					if !inPlace {
						return below.answer(r), nil
					}
					r.Header.Set("X-User", r.Context().Value(signer{}).(string))
					resp := origin.answer(r)
					resp.Request = r
					return resp, nil
				}))
				ask := func(who string) {
					r, _ := http.NewRequestWithContext(context.WithValue(t.Context(), signer{}, who), "GET", "http://h/a", nil)
					resp, err := rt.RoundTrip(r)
					if err != nil {
						t.Error(err)
						return
					}
					body, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if string(body) != "X-User is "+who || err != nil {
						t.Errorf("in place %t: %s got %q, %v", inPlace, who, body, err)
					}
				}
				for range 2 {
					var wg sync.WaitGroup
					for _, who := range []string{"alice", "bob", "carol"} {
						wg.Go(func() { ask(who) })
					}
					wg.Wait()
					ask("alice")
					ask("dora")
				}
				if s := c.Stats(); s.Hits != 0 || s.Collapsed != 0 {
					t.Errorf("in place %t: %+v", inPlace, s)
				}
			})
		}
	}
}

// A 304 for one says nothing of what is stored for others.
func TestVaryOnFieldSetBelow304ConfirmsNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, settingBelow("X-User", echoing("X-User", "Cache-Control: max-age=60", `Etag: "1"`)), cache.Options{})
		have, _ := g.get("http://h/a")
		g.want(have, 200, "X-User is ", "miss", 1)
		time.Sleep(2 * time.Minute)
		have, s := g.signedBy("alice", "GET", "http://h/a")
		if have.Body != "X-User is alice" || s.Stored {
			t.Errorf("%+v, %v", have, s)
		}
		have, _ = g.get("http://h/a")
		g.want(have, 200, "X-User is ", "revalidated", 4)
	})
}
