package cache_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store/storetest"
)

// What a cache has stored another one finds, after a restart or in another process, whatever it varies on.
func TestSharedStoreServesOtherCaches(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := storetest.NewMap(1 << 24)
		o := says(strings.Repeat("x", 100_000), "Cache-Control: max-age=60", "Vary: X-Token, Accept", "Etag: \"a\"")
		first := newRig(t, o, cache.Options{Store: m})
		first.get(url, "X-Token: secret", "Accept: a")
		require.NoError(t, first.Close())
		second := newRig(t, o, cache.Options{Store: m.Open()})
		have, resp := second.get(url, "X-Token: secret", "Accept: a")
		second.want(have, 200, strings.Repeat("x", 100_000), "hit", 1)
		if resp.Header.Get("Etag") != `"a"` {
			t.Errorf("header %v", resp.Header)
		}
		have, _ = second.get(url, "X-Token: another", "Accept: a")
		if have.Outcome != "miss" {
			t.Errorf("another token: %v", have.Outcome)
		}
		shared := newRig(t, o, cache.Options{Store: m.Open(), Shared: true})
		if have, _ = shared.get(url, "X-Token: secret", "Accept: a"); have.Outcome != "miss" {
			t.Errorf("a shared cache has found what a private one stored: %v", have.Outcome)
		}
	})
}

// A request that is made after another process has invalidated something does not share an exchange from before that, though its body is still coming in.
func TestSharedStoreInvalidationEndsJoining(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := storetest.NewMap(1 << 24)
		asked := 0
		o := &origin{answer: func(r *http.Request) *http.Response {
			if r.Method == "POST" {
				return reply(204, "")
			}
			asked++
			resp := reply(200, "", "Cache-Control: max-age=60")
			body, end := io.Pipe()
			resp.Body, resp.ContentLength = body, -1
			go func(n int) {
				time.Sleep(time.Second)
				fmt.Fprint(end, n)
				end.Close()
			}(asked)
			return resp
		}}
		here, there := newRig(t, o, cache.Options{Store: m}), newRig(t, o, cache.Options{Store: m.Open()})
		get := func() *http.Response {
			r, err := http.NewRequest("GET", url, nil)
			require.NoError(t, err)
			return roundTrip(t, here.rt, r)
		}
		first := get()
		synctest.Wait()
		joined := get()
		there.do("POST", url)
		later := get()
		for want, resp := range map[string]*http.Response{"1": first, "1 ": joined, "2": later} {
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || string(body) != strings.TrimSpace(want) {
				t.Errorf("%q, %v; want %q", body, err, want)
			}
		}
		if asked != 2 {
			t.Errorf("the origin was asked %d times", asked)
		}
	})
}

// gate is an origin that holds its answers back until it is told.
type gate struct {
	answer func(*http.Request) *http.Response
	asked  chan *http.Request
	open   chan struct{}
}

func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	resp := g.answer(r)
	g.asked <- r
	<-g.open
	return resp, nil
}

// A response that was asked for before another process invalidated it is never served, whichever process is faster.
func TestSharedStoreInvalidationOvertakesInFlightResponse(t *testing.T) {
	for _, warm := range []bool{false, true} {
		for _, group := range []bool{false, true} {
			t.Run(fmt.Sprintf("warm %t, group %t", warm, group), func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					m := storetest.NewMap(1 << 24)
					state := "old"
					answer := func(r *http.Request) *http.Response {
						if r.Method == "POST" {
							return reply(200, "", `Cache-Group-Invalidation: "g"`)
						}
						if !group {
							return reply(200, state, "Cache-Control: max-age=600")
						}
						return reply(200, state, "Cache-Control: max-age=600", `Cache-Groups: "g"`)
					}
					a := &gate{answer: answer, asked: make(chan *http.Request, 10), open: make(chan struct{})}
					ca, err := cache.New(cache.Options{Store: m.Open()})
					require.NoError(t, err)
					b := newRig(t, &origin{answer: answer}, cache.Options{Store: m.Open()})
					if warm {
						b.get(url)
						b.DeleteURL(t.Context(), url)
						time.Sleep(time.Minute)
						b.get(url)
						require.NoError(t, b.Delete(t.Context(), must(http.NewRequest("GET", url, nil))))
					}
					done := make(chan struct{})
					go func() {
						defer close(done)
						r, _ := http.NewRequest("GET", url, nil)
						resp, err := ca.Middleware(a).RoundTrip(r)
						if err != nil {
							t.Error(err)
							return
						}
						readAll(resp)
					}()
					<-a.asked
					state = "new"
					posted := url
					if group {
						posted = "http://example.com/other"
					}
					b.do("POST", posted)
					close(a.open)
					<-done
					synctest.Wait()
					for _, g := range []*rig{b, newRig(t, &origin{answer: answer}, cache.Options{Store: m.Open()})} {
						if have, _ := g.get(url); have.Body != "new" {
							t.Errorf("%v after it was invalidated", have)
						}
					}
					require.NoError(t, ca.Close())
				})
			})
		}
	}
}

// What one process invalidates the others do not serve.
func TestSharedStoreInvalidationReachesAllProcesses(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := storetest.NewMap(1 << 24)
		o := says("x", "Cache-Control: max-age=600", `Cache-Groups: "g"`)
		a, b := newRig(t, o, cache.Options{Store: m.Open()}), newRig(t, o, cache.Options{Store: m.Open()})
		n := 0
		fill := func() {
			t.Helper()
			a.get(url)
			have, _ := b.get(url)
			n++
			b.want(have, 200, "x", "hit", n)
		}
		fill()
		require.NoError(t, b.DeleteURL(t.Context(), url))
		fill()
		require.NoError(t, a.DeleteGroup(t.Context(), url, "g"))
		time.Sleep(6 * time.Second) // the clocks of processes may be apart
		fill()
		b.do("DELETE", url)
		n++
		fill()
		require.NoError(t, a.Clear(t.Context()))
		fill()
	})
}

// Callers who write variants of one URL at one time, in several processes, lose none.
func TestSharedStoreKeepsVariantsOfConcurrentWriters(t *testing.T) {
	m := storetest.NewMap(1 << 24)
	const processes, each = 4, 8
	var wg sync.WaitGroup
	for p := range processes {
		c, err := cache.New(cache.Options{Store: m.Open(), StoreTimeout: 10 * time.Second})
		require.NoError(t, err)
		defer c.Close()
		rt := c.Middleware(roundTripper(func(r *http.Request) (*http.Response, error) {
			return reply(200, r.Header.Get("X-V"), "Cache-Control: max-age=600", "Vary: X-V"), nil
		}))
		for i := range each {
			wg.Go(func() {
				r, _ := http.NewRequest("GET", url, nil)
				r.Header.Set("X-V", fmt.Sprint(p, " ", i))
				resp, err := rt.RoundTrip(r)
				if err != nil {
					t.Error(err)
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			})
		}
	}
	wg.Wait()
	c, err := cache.New(cache.Options{Store: m})
	require.NoError(t, err)
	deadline := time.Now().Add(20 * time.Second)
	for n := 0; n != processes*each; {
		n = 0
		for range c.Entries(t.Context()) {
			n++
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d variants, want %d", n, processes*each)
		}
	}
	require.NoError(t, c.Close())
}
