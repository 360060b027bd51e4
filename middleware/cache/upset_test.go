package cache_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store/storetest"
)

// caught tells what f has panicked with.
func caught(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}

// marked tells whether a request is the one that a callback has been told to break on.
func marked(r *http.Request) bool { return r.Header.Get("Mark") != "" }

// A callback that panics for one caller leaves nothing open, and nobody waiting, whether that caller leads an exchange or shares it.
func TestAPanicInACallbackIsOneCallersOwn(t *testing.T) {
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

// One who would lead an exchange, but finds the answer when it looks into the store once more, may panic there. Nobody waits for it.
func TestAPanicBeforeAnExchange(t *testing.T) {
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

// What panics behind a caller's back, when the caller has gone, hurts nobody, and all is closed.
func TestAPanicAfterTheCallerHasGone(t *testing.T) {
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
func TestAPanicInStored(t *testing.T) {
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

// A body that says it has read more than there is room for is broken. Nobody hangs on it.
func TestABodyThatReadsTooMuch(t *testing.T) {
	for _, n := range []int{-1, 1 << 30} {
		for _, length := range []int64{-1, 1 << 20} {
			synctest.Test(t, func(t *testing.T) {
				o := &busy{answer: func(r *http.Request, _ int) (*http.Response, error) {
					resp := sends("", "Cache-Control: max-age=60")
					resp.ContentLength, resp.Body = length, io.NopCloser(boasts(n))
					return resp, nil
				}}
				_, rt := newBusy(t, o, cache.Options{})
				for range 2 {
					resp := roundTrip(t, rt, ask(t, t.Context()))
					done := make(chan error, 1)
					go func() {
						defer close(done)
						defer func() { recover() }()
						_, err := resp.Body.Read(make([]byte, 10))
						done <- err
					}()
					select {
					case err := <-done:
						if err == nil {
							t.Error("no error")
						}
					case <-time.After(time.Hour):
						t.Fatal("the reader hangs")
					}
					resp.Body.Close()
				}
			})
		}
	}
}

type boasts int

func (b boasts) Read([]byte) (int, error) { return int(b), nil }

// The timeout of one http.Client ends its own request, not the exchange that others share with it.
func TestATimeoutOfAClientIsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			select {
			//lint:ignore SA1019 net/http still obeys it
			case <-r.Cancel: // as net/http's transport does
				return nil, errors.New("canceled by the field Cancel")
			case <-r.Context().Done():
				return nil, context.Cause(r.Context())
			case <-time.After(2 * time.Second):
			}
			return sends(sealed("k", n, 1<<10), "Cache-Control: max-age=60"), nil
		}}
		_, rt := newBusy(t, o, cache.Options{})
		hasty, patient := http.Client{Transport: rt, Timeout: time.Second}, http.Client{Transport: rt}
		var wg sync.WaitGroup
		wg.Go(func() {
			var timeout interface{ Timeout() bool }
			if _, err := hasty.Get(url); !errors.As(err, &timeout) || !timeout.Timeout() {
				t.Errorf("the hasty one got %v", err)
			}
		})
		time.Sleep(time.Millisecond)
		wg.Go(func() {
			resp, err := patient.Get(url)
			if err != nil {
				t.Errorf("the patient one: %v", err)
				return
			}
			readAll(resp)
		})
		wg.Wait()
		if o.asked.Load() != 1 {
			t.Errorf("%d requests", o.asked.Load())
		}
	})
}

// One who can end a request by nothing but the field Cancel shares no exchange: it ends with that field.
func TestTheFieldCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			select {
			//lint:ignore SA1019 it is what this is about
			case <-r.Cancel:
				return nil, errors.New("canceled")
			case <-time.After(time.Second):
			}
			return sends(sealed("k", n, 1<<10), "Cache-Control: max-age=60"), nil
		}}
		_, rt := newBusy(t, o, cache.Options{})
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				r, gone := ask(t, context.Background()), make(chan struct{})
				//lint:ignore SA1019 it is what this is about
				r.Cancel = gone
				time.AfterFunc(100*time.Millisecond, func() { close(gone) })
				if _, err := rt.RoundTrip(r); err == nil {
					t.Error("the request goes on")
				}
			})
		}
		wg.Wait()
		if o.asked.Load() != 2 {
			t.Errorf("%d requests", o.asked.Load())
		}
	})
}

// An answer on its way may belong to a group. When that is invalidated, requests that are made later get another one.
func TestNobodyJoinsWhatAGroupWasInvalidatedFor(t *testing.T) {
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

// Close ends the Read of a laggard that waits for an exchange of its own.
func TestALaggardThatIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := sealed("k", 1, 1<<20)
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			if n > 1 {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return undeclared(body), nil
		}}
		_, rt := newBusy(t, o, cache.Options{MaxEntryBytes: 64 << 10})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		fast, slow := roundTrip(t, rt, ask(t, t.Context())), roundTrip(t, rt, ask(t, ctx))
		readAll(fast)
		done := make(chan error, 1)
		go func() {
			_, err := slow.Body.Read(make([]byte, 1))
			done <- err
		}()
		synctest.Wait()
		slow.Body.Close()
		select {
		case err := <-done:
			if err != http.ErrBodyReadAfterClose {
				t.Errorf("Read said %v", err)
			}
		case <-time.After(time.Hour):
			t.Error("Read goes on")
		}
	})
}

// A leader who comes too late to its own body asks again. That is one request, and counts as one.
func TestALateLeaderCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := sealed("k", 1, 1<<20)
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			time.Sleep(100 * time.Millisecond)
			return undeclared(body), nil
		}}
		var heard atomic.Int64
		c, rt := newBusy(t, o, cache.Options{MaxEntryBytes: 64 << 10, Trace: &cache.Trace{Answered: func(r *http.Request, _ cache.Status) {
			heard.Add(1)
			if marked(r) {
				time.Sleep(time.Second) // meanwhile another reads on
			}
		}}})
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, _, err := reads(rt, ask(t, t.Context(), "Mark: yes"), "k"); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(time.Millisecond)
		wg.Go(func() {
			if _, _, err := reads(rt, ask(t, t.Context()), "k"); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		if s := c.Stats(); s.Misses+s.Hits+s.Revalidated+s.Bypassed+s.Errors != 2 || heard.Load() != 2 {
			t.Errorf("2 requests, counted as %+v, and %d answers", s, heard.Load())
		}
	})
}

// A stored body that stands in for a failed exchange goes on from the origin, as any other does when the store has lost a piece of it.
func TestABodyThatStandsInGoesOn(t *testing.T) {
	const size = 3 << 20
	for name, ctx := range map[string]func(context.Context) context.Context{
		"shared": func(ctx context.Context) context.Context { return ctx }, "alone": cache.WithoutCollapsing,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				s, o := newTextStore(), texts(size, `Etag: "a"`, "Cache-Control: stale-if-error=600")
				g := newRig(t, o, cache.Options{Store: s})
				readAll(roundTrip(t, g.rt, ask(t, t.Context())))
				time.Sleep(100 * time.Second)
				s.gone = func(key string) bool { return strings.HasSuffix(key, ".7") }
				answer := o.answer
				o.answer = func(r *http.Request) *http.Response {
					if len(o.asked) == 2 {
						return reply(503, "down")
					}
					return answer(r)
				}
				resp := roundTrip(t, g.rt, ask(t, ctx(t.Context())))
				defer resp.Body.Close()
				if err := matches(resp.Body, 0, size); err != nil || len(o.asked) != 3 {
					t.Errorf("%v, asked %d times", err, len(o.asked))
				}
			})
		})
	}
}

// One who has waited long for another's exchange and then leads one begins it then: those who come join it.
func TestAnExchangeBeginsWhenItIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			time.Sleep(20 * time.Second)
			if n <= 2 {
				panic("broken layer")
			}
			return sends(sealed("k", n, 10), "Cache-Control: max-age=60"), nil
		}}
		_, rt := newBusy(t, o, cache.Options{})
		var wg sync.WaitGroup
		for _, after := range []time.Duration{0, 1, 2, 41, 42, 43} {
			wg.Go(func() {
				time.Sleep(after * time.Second)
				caught(func() { reads(rt, ask(t, t.Context()), "k") })
			})
		}
		wg.Wait()
		if o.asked.Load() != 3 {
			t.Errorf("%d requests, want 3", o.asked.Load())
		}
	})
}

// One who panics when it looks into the store under a lease gives that back: other processes do not wait for its end.
func TestAPanicUnderALease(t *testing.T) {
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
