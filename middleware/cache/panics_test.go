package cache_test

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store/storetest"
)

func TestPanicInKeyingStrategyBlocksNoOtherRequest(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		panics := true
		key := keying.Func(func(dst []byte, r *http.Request) ([]byte, error) {
			if panics {
				panic("oops")
			}
			return append(dst, r.URL.Path...), nil
		})
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Key: key})
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic must reach the caller")
				}
			}()
			g.get(url)
		}()
		panics = false
		g.get(url)
		have, _ := g.get(url)
		g.want(have, 200, "x", "hit", 1)
	})
}

// caught tells what f has panicked with.
func caught(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}

// marked reports whether a request is the one that a callback has been told to break on.
func marked(r *http.Request) bool { return r.Header.Get("Mark") != "" }

// A callback that panics for one caller leaves nothing open, and no caller waiting, whether that caller leads an exchange or shares it.
func TestPanicInCallbackReachesOnlyItsCaller(t *testing.T) {
	answered := func(o *cache.Options) {
		o.Trace = &cache.Trace{Answered: func(r *http.Request, _ cache.Status) {
			if marked(r) {
				panic("callback")
			}
		}}
	}
	filter := func(o *cache.Options) {
		o.Filter = func(r *http.Request, resp *http.Response) bool {
			if marked(r) {
				panic("callback")
			}
			return true
		}
	}
	for name, test := range map[string]struct {
		set     func(*cache.Options)
		shares  bool // the one who sees the panic shares the exchange of another
		storing string
	}{
		"Answered, leading":               {answered, false, "max-age=60"},
		"Answered, leading, not storable": {answered, false, "no-store"},
		"Answered, sharing":               {answered, true, "max-age=60"},
		"Filter, leading":                 {filter, false, "max-age=60"},
		"Filter, sharing":                 {filter, true, "max-age=60"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
					time.Sleep(100 * time.Millisecond)
					return slowly(r, sealed("k", n, 200<<10), "Cache-Control: "+test.storing), nil
				}}
				var options cache.Options
				test.set(&options)
				c, rt := newBusy(t, o, options)
				var wg sync.WaitGroup
				var first *http.Response
				if test.shares {
					wg.Go(func() { first = roundTrip(t, rt, ask(t, t.Context())) })
					time.Sleep(time.Millisecond)
				}
				if v := caught(func() { rt.RoundTrip(ask(t, t.Context(), "Mark: yes")) }); v != "callback" {
					t.Errorf("the caller saw %v", v)
				}
				wg.Wait()
				if first != nil {
					first.Body.Close()
				}
				synctest.Wait()
				if flights, bytes := c.InFlight(); flights != 0 || bytes != 0 || o.leftOpen() != 0 {
					t.Errorf("%d exchanges and %d bytes in flight, %d bodies left open", flights, bytes, o.leftOpen())
				}
			})
		})
	}
}

// One who would lead an exchange, but finds the answer when it looks into the store once more, may panic there. No caller waits for it.
func TestPanicBeforeExchangeReleasesTheKey(t *testing.T) {
	for name, upset := range map[string]func(){"panic": func() { panic("callback") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
					time.Sleep(100 * time.Millisecond)
					return sends(sealed("k", n, 10), "Cache-Control: max-age=1"), nil
				}}
				looks := 0
				c, rt := newBusy(t, o, cache.Options{Filter: func(r *http.Request, _ *http.Response) bool {
					if !marked(r) {
						return true
					}
					if looks++; looks > 1 {
						upset()
					}
					time.Sleep(time.Second) // meanwhile the exchange of another begins, and ends
					return true
				}})
				reads(rt, ask(t, t.Context()), "k")
				time.Sleep(2 * time.Second)
				done := make(chan struct{})
				go func() {
					defer close(done)
					caught(func() { rt.RoundTrip(ask(t, t.Context(), "Mark: yes")) })
				}()
				time.Sleep(500 * time.Millisecond)
				reads(rt, ask(t, t.Context()), "k")
				<-done
				if flights, _ := c.InFlight(); looks != 2 || flights != 0 {
					t.Errorf("the store was looked into %d times, %d exchanges in flight", looks, flights)
				}
				time.Sleep(2 * time.Second)
				if _, _, err := reads(rt, ask(t, t.Context()), "k"); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// What panics behind a caller's back, when the caller has gone, hurts no other caller, and all is closed.
func TestPanicAfterCallerLeftClosesEverything(t *testing.T) {
	for name, test := range map[string]struct {
		trace cache.Trace
		body  bool // that panics when it is closed
		leave func(*http.Response, context.CancelFunc)
	}{
		"hook, canceled":  {trace: cache.Trace{NotStored: func(*http.Request, string) { panic("hook") }}, leave: func(_ *http.Response, cancel context.CancelFunc) { cancel() }},
		"hook, closed":    {trace: cache.Trace{NotStored: func(*http.Request, string) { panic("hook") }}, leave: func(r *http.Response, _ context.CancelFunc) { caught(func() { r.Body.Close() }) }},
		"Close, canceled": {body: true, leave: func(_ *http.Response, cancel context.CancelFunc) { cancel() }},
		"Close, closed":   {body: true, leave: func(r *http.Response, _ context.CancelFunc) { caught(func() { r.Body.Close() }) }},
		"Close, while read": {body: true, leave: func(r *http.Response, cancel context.CancelFunc) {
			go caught(func() { r.Body.Read(make([]byte, 1)) })
			synctest.Wait()
			cancel()
		}},
	} {
		for _, kind := range []string{"shared", "alone"} {
			t.Run(name+", "+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var below context.Context
					o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
						below = r.Context()
						resp := slowly(r, sealed("k", n, 200<<10), "Cache-Control: max-age=60")
						if test.body {
							resp.Body = struct {
								io.Reader
								io.Closer
							}{resp.Body, closer(func() { panic("body") })}
						}
						return resp, nil
					}}
					c, rt := newBusy(t, o, cache.Options{Trace: &test.trace})
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					if kind == "alone" {
						ctx = cache.WithoutCollapsing(ctx)
					}
					resp := roundTrip(t, rt, ask(t, ctx))
					test.leave(resp, cancel)
					synctest.Wait()
					caught(func() { resp.Body.Close() })
					if flights, bytes := c.InFlight(); flights != 0 || bytes != 0 || o.leftOpen() != 0 || kind == "shared" && below.Err() == nil {
						t.Errorf("%d exchanges and %d bytes in flight, %d left open, the context below says %v", flights, bytes, o.leftOpen(), below.Err())
					}
				})
			})
		}
	}
}

// A hook that panics when it hears of a stored response does not keep the exchange in the table.
func TestPanicInStoredHookEndsTheExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			return sends(sealed("k", n, 200), "Cache-Control: max-age=60"), nil
		}}
		c, rt := newBusy(t, o, cache.Options{Trace: &cache.Trace{Stored: func(*cache.Entry) { panic("hook") }}})
		if v := caught(func() { reads(rt, ask(t, t.Context()), "k") }); v != "hook" {
			t.Errorf("the caller saw %v", v)
		}
		synctest.Wait()
		if flights, bytes := c.InFlight(); flights != 0 || bytes != 0 || o.leftOpen() != 0 {
			t.Errorf("%d exchanges and %d bytes in flight, %d left open", flights, bytes, o.leftOpen())
		}
	})
}

type boasts int

func (b boasts) Read([]byte) (int, error) { return int(b), nil }

// One who panics when it looks into the store under a lease gives that back: other processes do not wait for its end.
func TestPanicUnderLeaseReleasesTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, looks := storetest.NewMap(1<<20), 0
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			return sends(sealed("k", n, 10), "Cache-Control: max-age=1"), nil
		}}
		_, upset := newBusy(t, o, cache.Options{Store: m.Open(), Lease: time.Hour, Filter: func(r *http.Request, _ *http.Response) bool {
			if marked(r) {
				if looks++; looks > 1 {
					panic("callback")
				}
			}
			return true
		}})
		_, other := newBusy(t, o, cache.Options{Store: m.Open(), Lease: time.Hour})
		reads(upset, ask(t, t.Context()), "k")
		time.Sleep(2 * time.Second)
		if v := caught(func() { upset.RoundTrip(ask(t, t.Context(), "Mark: yes")) }); v != "callback" || looks != 2 {
			t.Errorf("the caller saw %v, looked %d times", v, looks)
		}
		start := time.Now()
		if _, _, err := reads(other, ask(t, t.Context()), "k"); err != nil || time.Since(start) > time.Second {
			t.Errorf("the other process: %v after %v", err, time.Since(start))
		}
	})
}

func TestPanicInCallbackClosesTheResponse(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		n := 0
		o := &origin{answer: func(*http.Request) *http.Response {
			return closing(reply(200, "x", "Cache-Control: max-age=60"), &n)
		}}
		g := newRig(t, o, cache.Options{Filter: func(*http.Request, *http.Response) bool { panic("filter") }})
		r, _ := http.NewRequestWithContext(t.Context(), "GET", url, nil)
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic must reach the caller")
				}
			}()
			g.rt.RoundTrip(r)
		}()
		if n != 1 {
			t.Errorf("the response was closed %d times", n)
		}
	})
}

// A panic below reaches the one whose request it was. One of the others asks in its place, and the key is free again.
func TestPanicBelowReachesTheLeaderOnly(t *testing.T) {
	for _, panics := range []int{1, 2, 1000} {
		synctest.Test(t, func(t *testing.T) {
			o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
				time.Sleep(100 * time.Millisecond)
				if n <= panics {
					panic("broken layer")
				}
				return sends(sealed("k", n, 1<<10), "Cache-Control: max-age=60"), nil
			}}
			_, rt := newBusy(t, o, cache.Options{})
			var wg sync.WaitGroup
			var panicked, failed, fine atomic.Int64
			start := time.Now()
			for range 1000 {
				wg.Go(func() {
					defer func() {
						if v := recover(); v == "broken layer" {
							panicked.Add(1)
						} else if v != nil {
							panic(v)
						}
					}()
					if _, _, err := reads(rt, ask(t, t.Context()), "k"); err != nil {
						failed.Add(1)
					} else {
						fine.Add(1)
					}
				})
			}
			wg.Wait()
			if panicked.Load() != int64(panics) || failed.Load() != 0 || fine.Load() != int64(1000-panics) {
				t.Errorf("%d panics below: %d callers saw one, %d failed, %d fine", panics, panicked.Load(), failed.Load(), fine.Load())
			}
			if want := int64(panics + 1); panics < 3 && o.asked.Load() != want {
				t.Errorf("%d panics below: %d requests, want %d", panics, o.asked.Load(), want)
			}
			if took := time.Since(start); took > 500*time.Millisecond {
				t.Errorf("%d panics below: took %v", panics, took)
			}
		})
	}
}

// A layer that panics because its context has ended: the one caller, who had left, still learns of it, as it would without a cache.
func TestPanicBelowAfterTheOnlyCallerLeftReachesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			<-r.Context().Done()
			panic("broken layer")
		}}
		c, rt := newBusy(t, o, cache.Options{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if v := caught(func() { rt.RoundTrip(ask(t, ctx)) }); v != "broken layer" || c.Stats().Errors != 0 {
			t.Errorf("the caller saw %v, %+v", v, c.Stats())
		}
	})
}

// A panic while the body is read reaches the one who was reading, or is an error.
func TestPanicInBodyReachesTheReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			resp := slowly(r, sealed("k", n, 1<<10), "Cache-Control: max-age=60")
			resp.Body = struct {
				io.Reader
				io.Closer
			}{io.MultiReader(io.LimitReader(resp.Body, 500), panicking{}), resp.Body}
			return resp, nil
		}}
		c, rt := newBusy(t, o, cache.Options{})
		var panicked, failed atomic.Int64
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				defer func() {
					if recover() == "broken body" {
						panicked.Add(1)
					}
				}()
				if _, _, err := reads(rt, ask(t, t.Context()), "k"); err != nil {
					failed.Add(1)
				}
			})
		}
		wg.Wait()
		if panicked.Load() != 1 || failed.Load() != 9 || c.Stats().Entries != 0 || o.leftOpen() != 0 || o.asked.Load() != 1 {
			t.Errorf("%d saw a panic, %d an error, %d left open, %d requests", panicked.Load(), failed.Load(), o.leftOpen(), o.asked.Load())
		}
	})
}

// A handler that ends its goroutine, as a failing test does, ends the caller's, and no other hangs.
func TestGoexitBelowEndsTheCallerOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			time.Sleep(time.Millisecond)
			if n == 1 {
				runtime.Goexit()
			}
			return sends(sealed("k", n, 10), "Cache-Control: max-age=60"), nil
		}}
		_, rt := newBusy(t, o, cache.Options{})
		var returned atomic.Int64
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if _, _, err := reads(rt, ask(t, t.Context()), "k"); err == nil {
					returned.Add(1)
				}
			})
		}
		wg.Wait()
		if returned.Load() != 9 || o.asked.Load() != 2 {
			t.Errorf("%d returned, %d requests", returned.Load(), o.asked.Load())
		}
	})
}
