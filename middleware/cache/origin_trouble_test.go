package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store/storetest"
)

// outcome is what one of a herd has got.
type outcome struct {
	status    int
	body      string
	header    http.Header
	collapsed bool
	err       error
}

// storm sends n requests at once and returns what each has got.
func storm(n int, rt http.RoundTripper, request func(i int) *http.Request) []outcome {
	got := make([]outcome, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			resp, err := rt.RoundTrip(request(i))
			if err != nil {
				got[i] = outcome{err: err}
				return
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			status, _ := cache.StatusOf(resp)
			got[i] = outcome{resp.StatusCode, string(body), resp.Header, status.Collapsed, err}
		})
	}
	wg.Wait()
	return got
}

// kept are the ways to keep responses that a herd may meet.
func kept() map[string]func() cache.Options {
	return map[string]func() cache.Options{
		"memory": func() cache.Options { return cache.Options{} },
		"bytes":  func() cache.Options { return cache.Options{Store: storetest.NewMap(1 << 24)} },
		"tiered": func() cache.Options {
			return cache.Options{Store: cache.Tiered(near(), storetest.NewMap(1<<24)), Lease: 10 * time.Second}
		},
	}
}

// chunks makes the body one without a declared length, which comes in pieces.
func chunks(r *http.Request, resp *http.Response, body string) *http.Response {
	resp.ContentLength, resp.TransferEncoding = -1, []string{"chunked"}
	resp.Header.Del("Content-Length")
	resp.Body = &unhurried{r.Context(), body, 1 + len(body)/3, 10 * time.Millisecond}
	return resp
}

// An origin in trouble is asked by a few, and the others get what these have brought, if that may go to others.
func TestTroubleManyCallersShareFewRequests(t *testing.T) {
	page, wide := strings.Repeat("e", 30_000), strings.Repeat("w", 300_000)
	timeout := fmt.Errorf("no header in time: %w", context.DeadlineExceeded)
	for name, test := range map[string]struct {
		answer func(r *http.Request) (*http.Response, error)
		asks   int64  // requests at the origin, at most
		body   string // of those who share; "" if they get the status alone
		fails  error
	}{
		"503":                   {func(*http.Request) (*http.Response, error) { return reply(503, "busy"), nil }, 1, "busy", nil},
		"503 with a wait":       {func(*http.Request) (*http.Response, error) { return reply(503, "busy", "Retry-After: 3"), nil }, 1, "busy", nil},
		"500 with a page":       {func(*http.Request) (*http.Response, error) { return reply(500, page), nil }, 1, page, nil},
		"502 in pieces":         {func(r *http.Request) (*http.Response, error) { return chunks(r, reply(502, ""), page), nil }, 1, page, nil},
		"504 with no body":      {func(*http.Request) (*http.Response, error) { return reply(504, ""), nil }, 1, "", nil},
		"501":                   {func(*http.Request) (*http.Response, error) { return reply(501, "no"), nil }, 1, "no", nil},
		"429":                   {func(*http.Request) (*http.Response, error) { return reply(429, "slow down"), nil }, 1, "slow down", nil},
		"503 no-store":          {func(*http.Request) (*http.Response, error) { return reply(503, "mine", "Cache-Control: no-store"), nil }, 10, "", nil},
		"503 no-cache":          {func(*http.Request) (*http.Response, error) { return reply(503, "mine", "Cache-Control: no-cache"), nil }, 10, "", nil},
		"500 with a cookie":     {func(*http.Request) (*http.Response, error) { return reply(500, "mine", "Set-Cookie: a=b"), nil }, 10, "", nil},
		"500 that varies":       {func(*http.Request) (*http.Response, error) { return reply(500, "mine", "Vary: *"), nil }, 10, "", nil},
		"500 with a large page": {func(*http.Request) (*http.Response, error) { return reply(500, strings.Repeat("e", 2<<20)), nil }, 10, "", nil},
		"500 of 300 KB, pieces": {func(r *http.Request) (*http.Response, error) { return chunks(r, reply(500, ""), wide), nil }, 1, wide, nil},
		"refused":               {func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }, 1, "", io.ErrUnexpectedEOF},
		"times out":             {func(*http.Request) (*http.Response, error) { return nil, timeout }, 2, "", timeout},
	} {
		for store, options := range kept() {
			t.Run(name+"/"+store, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					crowd := 20 * int(test.asks) // of whom at least nineteen in twenty must share
					if name == "503" {
						crowd = 1000
					}
					o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
						time.Sleep(100 * time.Millisecond)
						return test.answer(r)
					}}
					c, rt := newBusy(t, o, options())
					for round := range 2 {
						o.asked.Store(0)
						own := int64(0)
						for _, g := range storm(crowd, rt, func(int) *http.Request { return ask(t, t.Context()) }) {
							switch {
							case test.fails != nil:
								if !errors.Is(g.err, test.fails) {
									t.Fatalf("%v, want %v", g.err, test.fails)
								}
							case g.err != nil || g.status < 400:
								t.Fatalf("%+v", g)
							case !g.collapsed:
								own++
							case g.body != test.body || g.header.Get("Set-Cookie") != "":
								t.Fatalf("%d bytes and %v, want %d", len(g.body), g.header, len(test.body))
							}
						}
						if n := o.asked.Load(); n > test.asks || test.fails == nil && own != n {
							t.Errorf("round %d: %d requests, want %d at most; %d answers of their own", round, n, test.asks, own)
						}
					}
					if s := c.Stats(); o.leftOpen() != 0 || s.Stored != 0 || s.Misses+s.Errors != int64(2*crowd) {
						t.Errorf("%+v, %d left open", s, o.leftOpen())
					}
				})
			})
		}
	}
}

// A few that meet get each an answer of their own where it may not be shared.
func TestTroubleFewCallersGetTheirOwnAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &busy{answer: func(_ *http.Request, n int) (*http.Response, error) {
			time.Sleep(100 * time.Millisecond)
			return reply(503, fmt.Sprint(n), "Cache-Control: no-store"), nil
		}}
		_, rt := newBusy(t, o, cache.Options{})
		seen := make(map[string]bool)
		for _, g := range storm(10, rt, func(int) *http.Request { return ask(t, t.Context()) }) {
			seen[g.body] = true
		}
		if len(seen) != 10 {
			t.Errorf("%v", seen)
		}
	})
}

// Where something stale may stand in, all get that, whatever the origin wants for each use, and however lately it has said so.
func TestTroubleServesStaleToAll(t *testing.T) {
	for name, test := range map[string]struct {
		fields []string
		pause  time.Duration
		asks   int64
	}{
		"a lifetime":                        {[]string{"Cache-Control: max-age=1, stale-if-error=600"}, 20 * time.Second, 1},
		"validated each time, a moment ago": {[]string{"Cache-Control: max-age=0, stale-if-error=600", `Etag: "1"`}, 0, 5},
		"validated each time, long ago":     {[]string{"Cache-Control: max-age=0, stale-if-error=600", `Etag: "1"`}, time.Minute, 5},
		"no tag":                            {[]string{"Cache-Control: max-age=0, stale-if-error=600", "Last-Modified: Sat, 01 Jan 2000 00:00:00 GMT"}, 0, 5},
		"stale-while-revalidate":            {[]string{"Cache-Control: max-age=1, stale-while-revalidate=600, stale-if-error=600"}, 20 * time.Second, 1},
	} {
		for store, options := range kept() {
			for how, down := range map[string]func() (*http.Response, error){
				"503":          func() (*http.Response, error) { return reply(503, "busy"), nil },
				"503 no-store": func() (*http.Response, error) { return reply(503, "busy", "Cache-Control: no-store"), nil },
				"refused":      func() (*http.Response, error) { return nil, io.ErrUnexpectedEOF },
				"times out":    func() (*http.Response, error) { return nil, context.DeadlineExceeded },
			} {
				t.Run(name+"/"+store+"/"+how, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						failing := false
						o := &busy{answer: func(*http.Request, int) (*http.Response, error) {
							time.Sleep(50 * time.Millisecond)
							if failing {
								return down()
							}
							return sends("good", test.fields...), nil
						}}
						_, rt := newBusy(t, o, options())
						storm(1, rt, func(int) *http.Request { return ask(t, t.Context()) })
						time.Sleep(test.pause)
						failing = true
						o.asked.Store(0)
						for _, g := range storm(200, rt, func(int) *http.Request { return ask(t, t.Context()) }) {
							if g.err != nil || g.body != "good" {
								t.Fatalf("%+v", g)
							}
						}
						synctest.Wait()
						asks := test.asks
						if how == "times out" { // which may have been the first one's own affair
							asks++
						}
						if n := o.asked.Load(); n > asks {
							t.Errorf("%d requests, want %d at most", n, asks)
						}
					})
				})
			}
		}
	}
}

// That the answers of a good day could not be shared does not open the gate to a herd on a bad one: who hears of the trouble closes it.
func TestTroubleLimitsUnshareableKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failing := false
		o := &busy{answer: func(*http.Request, int) (*http.Response, error) {
			time.Sleep(50 * time.Millisecond)
			if failing {
				return reply(503, "busy"), nil
			}
			return sends("mine", "Cache-Control: no-store"), nil
		}}
		_, rt := newBusy(t, o, cache.Options{})
		request := func(int) *http.Request { return ask(t, t.Context()) }
		storm(10, rt, request)
		failing = true
		storm(1, rt, request)
		o.asked.Store(0)
		if storm(1000, rt, request); o.asked.Load() != 1 {
			t.Errorf("%d requests", o.asked.Load())
		}
	})
}

// An error goes to no caller whom it may not be about: another person, or another variant.
func TestTroubleErrorStaysWithPrincipalAndVariant(t *testing.T) {
	for name, test := range map[string]struct {
		options cache.Options
		field   string
		fields  []string
	}{
		"people in a private cache": {cache.Options{}, "Authorization", nil},
		"people in a shared cache":  {cache.Options{Shared: true}, "Authorization", nil},
		"cookies in a shared cache": {cache.Options{Shared: true}, "Cookie", nil},
		"variants":                  {cache.Options{}, "Accept-Language", []string{"Vary: Accept-Language"}},
		"private in a shared cache": {cache.Options{Shared: true}, "X-Any", []string{"Cache-Control: private"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
					time.Sleep(100 * time.Millisecond)
					return reply(500, "for "+r.Header.Get(test.field), test.fields...), nil
				}}
				_, rt := newBusy(t, o, test.options)
				who := func(i int) string { return []string{"a", "b", "c"}[i%3] }
				got := storm(30, rt, func(i int) *http.Request { return ask(t, t.Context(), test.field+": "+who(i)) })
				for i, g := range got {
					if want := "for " + who(i); g.body != want && (g.body != "" || test.field != "X-Any") {
						t.Errorf("%q instead of %q", g.body, want)
					}
				}
			})
		})
	}
}

// One principal's own error is for all of its requests, in a shared cache, too: a service with one token is a herd as any other.
func TestTroubleErrorIsSharedWithinAPrincipal(t *testing.T) {
	for name, fail := range map[string]func() (*http.Response, error){
		"503":     func() (*http.Response, error) { return reply(503, "busy"), nil },
		"refused": func() (*http.Response, error) { return nil, io.ErrUnexpectedEOF },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &busy{answer: func(*http.Request, int) (*http.Response, error) {
					time.Sleep(100 * time.Millisecond)
					return fail()
				}}
				_, rt := newBusy(t, o, cache.Options{Shared: true})
				storm(1000, rt, func(int) *http.Request { return ask(t, t.Context(), "Authorization: Bearer service", "Cookie: a=b") })
				if n := o.asked.Load(); n != 1 {
					t.Errorf("%d requests", n)
				}
			})
		})
	}
}

// A fleet of processes with leases is one herd: each process asks an origin in trouble once, at most.
func TestTroubleFleetSendsOneRequestPerProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := storetest.NewMap(1 << 24)
		o := &busy{answer: func(*http.Request, int) (*http.Response, error) {
			time.Sleep(100 * time.Millisecond)
			return reply(503, "busy"), nil
		}}
		var wg sync.WaitGroup
		for range 5 {
			_, rt := newBusy(t, o, cache.Options{Store: m.Open(), Lease: 10 * time.Second})
			wg.Go(func() {
				for _, g := range storm(1000, rt, func(int) *http.Request { return ask(t, t.Context()) }) {
					if g.body != "busy" {
						t.Errorf("%+v", g)
					}
				}
			})
		}
		wg.Wait()
		if n := o.asked.Load(); n > 5 {
			t.Errorf("%d requests of five processes", n)
		}
	})
}

// A refresh that fails is not tried again by each request that is served something stale.
func TestTroubleFailedRefreshIsNotRepeatedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failing := false
		o := &busy{answer: func(*http.Request, int) (*http.Response, error) {
			if failing {
				return reply(503, "busy"), nil
			}
			return sends("good", "Cache-Control: max-age=1, stale-while-revalidate=600"), nil
		}}
		_, rt := newBusy(t, o, cache.Options{})
		request := func(int) *http.Request { return ask(t, t.Context()) }
		storm(1, rt, request)
		time.Sleep(10 * time.Second)
		failing = true
		o.asked.Store(0)
		for range 1000 {
			storm(1, rt, request)
			time.Sleep(time.Millisecond)
		}
		if n := o.asked.Load(); n > 5 {
			t.Errorf("%d refreshes in a second", n)
		}
		time.Sleep(time.Second)
	})
}

// An origin that fails for some answers the others itself: that it has failed twice is no word about those for whom it works.
func TestTroubleForSomeRequestsSparesOthers(t *testing.T) {
	for name, fields := range map[string][]string{"not to be shared": {"Cache-Control: no-store"}, "fresh": {"Cache-Control: max-age=60"}} {
		t.Run(name, func(t *testing.T) {
			for range 20 {
				synctest.Test(t, func(t *testing.T) {
					o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
						time.Sleep(100 * time.Millisecond)
						if r.Header.Get("X-User") == "bad" {
							time.Sleep(50 * time.Millisecond)
							return reply(503, "not you", "Cache-Control: no-store"), nil
						}
						return sends("good", fields...), nil
					}}
					_, rt := newBusy(t, o, cache.Options{})
					who := func(i int) string { // five are bad, and first if they can: one of the six that are asked for the others is good
						if i < 4 || i == 11 {
							return "bad"
						}
						return "good"
					}
					for i, g := range storm(12, rt, func(i int) *http.Request { return ask(t, t.Context(), "X-User: "+who(i)) }) {
						if who(i) == "good" && g.status != 200 || who(i) == "bad" && g.body != "not you" && g.body != "good" {
							t.Fatalf("%s: %+v", who(i), g)
						}
					}
				})
			}
		})
	}
}

// An origin that answers when there is something to tell is asked by all at once, also after it has failed for one of them.
func TestTroubleLongPollIsNotQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const poll = 20 * time.Second
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			if r.Header.Get("X-Fails") != "" {
				return reply(503, "busy"), nil
			}
			time.Sleep(poll)
			return sends("news", "Cache-Control: no-store"), nil
		}}
		_, rt := newBusy(t, o, cache.Options{})
		request := func(int) *http.Request { return ask(t, t.Context()) }
		storm(10, rt, request) // finds out that the answers cannot be shared
		for round := range 6 {
			most := poll
			if round%2 == 1 {
				most += time.Second
				storm(1, rt, func(int) *http.Request { return ask(t, t.Context(), "X-Fails: 1") })
			}
			begun := time.Now()
			for _, g := range storm(10, rt, request) {
				if g.body != "news" || g.collapsed {
					t.Errorf("%+v", g)
				}
			}
			if took := time.Since(begun); took > most {
				t.Errorf("round %d took %v", round, took)
			}
		}
	})
}
