package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// The timeout of one http.Client ends its own request, not the exchange that others share with it.
func TestCollapseClientTimeoutEndsOnlyItsRequest(t *testing.T) {
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
func TestCollapseExcludesRequestsWithCancelField(t *testing.T) {
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

// A leader who comes too late to its own body asks again. That is one request, and counts as one.
func TestCollapseLeaderBehindItsBodyCountsOnce(t *testing.T) {
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

// One who has waited long for another's exchange and then leads one begins it then: those who come join it.
func TestCollapseExchangeIsAsOldAsItsRequest(t *testing.T) {
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

// Whichever caller leaves, the others get their answer, and no request is sent again.
func TestCollapseLeaderMayLeave(t *testing.T) {
	for name, leave := range map[string]func(rt http.RoundTripper, r *http.Request, cancel func()) error{
		"canceled before the header": func(rt http.RoundTripper, r *http.Request, cancel func()) error {
			time.AfterFunc(100*time.Millisecond, cancel)
			_, err := rt.RoundTrip(r)
			return err
		},
		"canceled half-way": func(rt http.RoundTripper, r *http.Request, cancel func()) error {
			resp, err := rt.RoundTrip(r)
			if err != nil {
				return nil
			}
			time.AfterFunc(550*time.Millisecond, cancel)
			_, err = io.ReadAll(resp.Body)
			return err
		},
		"closed half-way": func(rt http.RoundTripper, r *http.Request, cancel func()) error {
			resp, err := rt.RoundTrip(r)
			if err != nil {
				return nil
			}
			io.ReadFull(resp.Body, make([]byte, 1<<8))
			resp.Body.Close()
			return context.Canceled
		},
		"never reads": func(rt http.RoundTripper, r *http.Request, cancel func()) error {
			rt.RoundTrip(r)
			return context.Canceled
		},
		"panics while it reads": func(rt http.RoundTripper, r *http.Request, cancel func()) error {
			defer func() { recover() }()
			resp, err := rt.RoundTrip(r)
			if err != nil {
				return nil
			}
			io.ReadFull(resp.Body, make([]byte, 1<<8))
			panic("a bug of the caller")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
					time.Sleep(200 * time.Millisecond)
					return slowly(r, sealed("k", n, 4<<10), "Cache-Control: max-age=60"), nil
				}}
				c, rt := newBusy(t, o, cache.Options{})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var wg sync.WaitGroup
				wg.Go(func() {
					if err := leave(rt, ask(t, ctx), cancel); err != nil && !errors.Is(err, context.Canceled) {
						t.Errorf("the one who left got %v", err)
					}
				})
				time.Sleep(time.Millisecond)
				errs, shared := herd(t, crowd/50, rt, func(int) *http.Request { return ask(t, t.Context()) }, same("k"))
				wg.Wait()
				if n := failures(t, errs); n > 0 || o.asked.Load() != 1 || shared != crowd/50 {
					t.Errorf("%d failed, %d requests, %d shared", n, o.asked.Load(), shared)
				}
				if c.Stats().Entries != 1 || o.leftOpen() != 0 {
					t.Errorf("%d stored, %d bodies left open", c.Stats().Entries, o.leftOpen())
				}
			})
		})
	}
}

// The last one who leaves ends the exchange, at once, and learns what it would have learnt without a cache.
func TestCollapseLastWaiterEndsTheExchange(t *testing.T) {
	why := errors.New("enough")
	for _, n := range []int{1, 2, 10} {
		for _, reading := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				var ended time.Time
				o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
					if reading {
						context.AfterFunc(r.Context(), func() { ended = time.Now() })
						return slowly(r, sealed("k", n, 1<<20), "Cache-Control: max-age=60"), nil
					}
					<-r.Context().Done()
					ended = time.Now()
					return nil, fmt.Errorf("below: %w", context.Cause(r.Context()))
				}}
				c, rt := newBusy(t, o, cache.Options{})
				start := time.Now()
				var wg sync.WaitGroup
				for i := range n {
					ctx, cancel := context.WithTimeoutCause(t.Context(), time.Duration(50*(i+1))*time.Millisecond, why)
					defer cancel()
					wg.Go(func() {
						_, _, err := reads(rt, ask(t, ctx), "k")
						if !errors.Is(err, why) {
							t.Errorf("%d: %v, want the cause of its context", i, err)
						}
						if n == 1 && !reading && err.Error() != "below: enough" {
							t.Errorf("alone: %q, want what the layer below says", err)
						}
						if took := time.Since(start); took != time.Duration(50*(i+1))*time.Millisecond {
							t.Errorf("%d: freed after %v", i, took)
						}
					})
				}
				wg.Wait()
				synctest.Wait()
				if at := ended.Sub(start); at != time.Duration(50*n)*time.Millisecond || o.asked.Load() != 1 {
					t.Errorf("%d callers: the exchange ended after %v, %d requests", n, at, o.asked.Load())
				}
				if s := c.Stats(); o.leftOpen() != 0 || s.Entries != 0 || s.Errors+s.Misses != int64(n) {
					t.Errorf("%d bodies left open, %+v", o.leftOpen(), s)
				}
			})
		}
	}
}

// A layer below that does not heed its context holds up no caller.
func TestCollapseLayerIgnoringContextDelaysNoWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			time.Sleep(time.Hour)
			return sends(sealed("k", n, 10), "Cache-Control: max-age=60"), nil
		}}
		_, rt := newBusy(t, o, cache.Options{})
		for _, n := range []int{1, 3} {
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			errs, _ := herd(t, n, rt, func(int) *http.Request { return ask(t, ctx) }, same("k"))
			cancel()
			for _, err := range errs {
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error %v", err)
				}
			}
			if took := time.Since(start); took > time.Second+50*time.Millisecond {
				t.Errorf("freed after %v", took)
			}
		}
		time.Sleep(2 * time.Hour)
		if o.leftOpen() != 0 {
			t.Error("an answer without a waiter was not closed")
		}
	})
}

// An exchange of which nothing comes is not joined for ever: a connection may be dead without a sign.
func TestCollapseHangingExchangeIsNotJoinedForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			if n == 1 {
				<-r.Context().Done()
				return nil, context.Cause(r.Context())
			}
			return sends(sealed("k", n, 10), "Cache-Control: max-age=60"), nil
		}}
		_, rt := newBusy(t, o, cache.Options{})
		patient, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { reads(rt, ask(t, patient), "k") })
		time.Sleep(time.Second)
		hasty, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := reads(rt, ask(t, hasty), "k"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if _, _, err := reads(rt, ask(t, t.Context()), "k"); err != nil || o.asked.Load() != 2 {
			t.Errorf("after a deadline has passed: %v, %d requests", err, o.asked.Load())
		}
		stop()
		wg.Wait()
	})
}

// The cache may be closed at any time: who has been promised an answer gets it, and nothing is stored any more.
func TestCollapseCloseKeepsPromisedResponses(t *testing.T) {
	for _, after := range []time.Duration{50 * time.Millisecond, 500 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
				time.Sleep(100 * time.Millisecond)
				return slowly(r, sealed("k", n, 1<<10), "Cache-Control: max-age=60"), nil
			}}
			c, rt := newBusy(t, o, cache.Options{})
			var wg sync.WaitGroup
			wg.Go(func() {
				errs, _ := herd(t, 100, rt, func(int) *http.Request { return ask(t, t.Context()) }, same("k"))
				if failures(t, errs) > 0 || o.asked.Load() != 1 {
					t.Errorf("%d failed, %d requests", failures(t, errs), o.asked.Load())
				}
			})
			time.Sleep(after)
			start := time.Now()
			c.Close()
			if took := time.Since(start); took > 0 {
				t.Errorf("Close took %v", took)
			}
			wg.Wait()
			if c.Stats().Entries != 0 || o.leftOpen() != 0 {
				t.Errorf("%d stored, %d left open", c.Stats().Entries, o.leftOpen())
			}
		})
	}
}

// The context that layers below get ends once: a caller whose deadline passes while it closes the body does not change the error that they have seen.
func TestCollapseContextKeepsItsError(t *testing.T) {
	for range 300 { // each time, the scheduler chooses who is first
		synctest.Test(t, func(t *testing.T) {
			o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
				context.AfterFunc(r.Context(), func() {
					first := r.Context().Err()
					time.Sleep(time.Second)
					if again := r.Context().Err(); again != first {
						t.Errorf("the context says %v, after %v", again, first)
					}
				})
				return reply(200, "x", "Cache-Control: no-store"), nil
			}}
			_, rt := newBusy(t, o, cache.Options{})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			resp, err := rt.RoundTrip(ask(t, ctx))
			if err != nil {
				t.Fatal(err)
			}
			<-ctx.Done()
			resp.Body.Close()
			time.Sleep(time.Minute)
		})
	}
}

// Layers below see the values of the one who came first, and the latest deadline of those who wait.
func TestCollapseContextHasLeadersValuesAndLatestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		type seen struct {
			value    any
			deadline time.Duration // from now, or 0 for none
		}
		start := time.Now()
		var saw []seen
		look := func(ctx context.Context) {
			s := seen{value: ctx.Value(key{})}
			if deadline, ok := ctx.Deadline(); ok {
				s.deadline = deadline.Sub(start)
			}
			saw = append(saw, s)
		}
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			for range 3 {
				look(r.Context())
				time.Sleep(time.Second)
			}
			child, cancel := context.WithCancelCause(r.Context())
			defer cancel(nil)
			<-child.Done()
			if r.Context().Err() != context.DeadlineExceeded {
				t.Errorf("the context says %v", r.Context().Err())
			}
			return nil, context.Cause(child)
		}}
		_, rt := newBusy(t, o, cache.Options{})
		var wg sync.WaitGroup
		come := func(value string, within time.Duration) {
			ctx := context.WithValue(t.Context(), key{}, value)
			if within > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithDeadline(ctx, start.Add(within))
				defer cancel()
			} else {
				var cancel context.CancelFunc
				ctx, cancel = context.WithCancel(ctx)
				time.AfterFunc(4*time.Second, cancel)
			}
			reads(rt, ask(t, ctx), "k")
		}
		wg.Go(func() { come("first", 5*time.Second) })
		time.Sleep(500 * time.Millisecond)
		wg.Go(func() { come("second", 10*time.Second) })
		time.Sleep(time.Second)
		wg.Go(func() { come("third", 0) })
		wg.Wait()
		want := []seen{{"first", 5 * time.Second}, {"first", 10 * time.Second}, {"first", 0}}
		if fmt.Sprint(saw) != fmt.Sprint(want) {
			t.Errorf("seen %v, want %v", saw, want)
		}
	})
}

// slowToStore is a byte store that takes its time to take something in.
type slowToStore struct{ store.Store }

func (s slowToStore) Put(ctx context.Context, key string, r store.Record) error {
	if r.Kind == store.KindEntry {
		time.Sleep(60 * time.Millisecond)
	}
	return s.Store.Put(ctx, key, r)
}

// Between the end of a body and the moment when a slow store has it, callers still share what was fetched.
func TestCollapseSharesUntilStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			return sends(sealed("k", n, 1000), "Cache-Control: max-age=60"), nil
		}}
		c, rt := newBusy(t, o, cache.Options{Store: slowToStore{storetest.NewMap(0)}})
		for range 20 {
			if _, _, err := reads(rt, ask(t, t.Context()), "k"); err != nil {
				t.Error(err)
			}
			time.Sleep(9 * time.Millisecond)
		}
		if s := c.Stats(); o.asked.Load() != 1 || s.Collapsed == 0 || s.Hits == 0 || o.leftOpen() != 0 {
			t.Errorf("%d requests, %+v, %d left open", o.asked.Load(), s, o.leftOpen())
		}
	})
}

// A body that has stalled until the deadline of one of its readers is not joined any more: its connection may be dead.
// A reader that has closed its body before its deadline says nothing of the kind.
func TestCollapseBodyThatMissedADeadlineIsNotJoined(t *testing.T) {
	for name, test := range map[string]struct {
		leave func(resp *http.Response, cancel func())
		asked int64
	}{
		"deadline while it waits": {func(resp *http.Response, _ func()) { io.ReadAll(resp.Body) }, 2},
		"canceled while it waits": {func(resp *http.Response, cancel func()) {
			time.AfterFunc(time.Second, cancel)
			io.ReadAll(resp.Body)
		}, 1},
		"closed while it waits": {func(resp *http.Response, _ func()) {
			time.AfterFunc(time.Second, func() { resp.Body.Close() })
			io.ReadAll(resp.Body)
		}, 1},
		"closed before it waits":    {func(resp *http.Response, _ func()) { resp.Body.Close() }, 1},
		"deadline and not a reader": {func(*http.Response, func()) {}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
					resp := sends(sealed("k", n, 1<<10), "Cache-Control: max-age=60")
					if n == 1 {
						resp.Body = &unhurried{r.Context(), sealed("k", n, 1<<10), 600, 10 * time.Second}
					}
					return resp, nil
				}}
				_, rt := newBusy(t, o, cache.Options{})
				patient := func() *http.Request { return ask(t, t.Context()) }
				var wg sync.WaitGroup
				wg.Go(func() {
					if _, _, err := reads(rt, patient(), "k"); err != nil {
						t.Errorf("the patient reader got %v", err)
					}
				})
				time.Sleep(time.Second)
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				test.leave(roundTrip(t, rt, ask(t, ctx)), cancel)
				<-ctx.Done()
				synctest.Wait()
				if _, _, err := reads(rt, patient(), "k"); err != nil || o.asked.Load() != test.asked {
					t.Errorf("%v, %d requests, want %d", err, o.asked.Load(), test.asked)
				}
				wg.Wait()
			})
		})
	}
}

// What layers below hang on the context of a fetch is freed when the answer is complete, although its caller's own context goes on.
func TestCollapseContextEndsWithTheAnswer(t *testing.T) {
	for name, second := range map[string]func() (*http.Response, error){
		"a body that is shared":      func() (*http.Response, error) { return sends("new", "Cache-Control: max-age=60"), nil },
		"a body for the caller only": func() (*http.Response, error) { return sends("new", "Cache-Control: no-store"), nil },
		"stored without a body": func() (*http.Response, error) {
			resp := reply(200, "", "Cache-Control: max-age=60")
			resp.Body = http.NoBody
			return resp, nil
		},
		"not stored and without a body": func() (*http.Response, error) { return reply(204, "", "Cache-Control: no-store"), nil },
		"validated":                     func() (*http.Response, error) { return reply(304, "", "Cache-Control: max-age=60", `Etag: "1"`), nil },
		"stale for a 503":               func() (*http.Response, error) { return reply(503, "down"), nil },
		"stale for an error":            func() (*http.Response, error) { return nil, errors.New("connection reset") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var below context.Context
				o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
					below = r.Context()
					if n == 1 {
						return sends("old", "Cache-Control: max-age=1, stale-if-error=60", `Etag: "1"`), nil
					}
					return second()
				}}
				_, rt := newBusy(t, o, cache.Options{})
				readAll(roundTrip(t, rt, ask(t, t.Context())))
				time.Sleep(2 * time.Second)
				resp := roundTrip(t, rt, ask(t, t.Context()))
				readAll(resp)
				synctest.Wait()
				if below.Err() == nil || o.asked.Load() != 2 {
					t.Errorf("after %d requests and an answer %d the context below still goes on", o.asked.Load(), resp.StatusCode)
				}
			})
		})
	}
}

// The same where there is no answer, whose end would be that of the exchange: a caller may wait for its next attempt with the context that it has.
func TestCollapseContextEndsWithAnError(t *testing.T) {
	for name, answer := range map[string]func() (*http.Response, error){
		"an error":    func() (*http.Response, error) { return nil, errors.New("connection reset") },
		"no response": func() (*http.Response, error) { return nil, nil },
		"a panic":     func() (*http.Response, error) { panic("below") },
	} {
		for _, endless := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, endless caller %t", name, endless), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					freed := 0
					o := &busy{answer: func(r *http.Request, _ int) (*http.Response, error) {
						context.AfterFunc(r.Context(), func() { freed++ })
						return answer()
					}}
					_, rt := newBusy(t, o, cache.Options{})
					ctx := t.Context()
					if endless {
						ctx = context.Background()
					}
					func() {
						defer func() { recover() }()
						if _, err := rt.RoundTrip(ask(t, ctx)); err == nil {
							t.Error("an answer")
						}
					}()
					synctest.Wait()
					if freed != 1 {
						t.Errorf("what hangs on the context below was freed %d times", freed)
					}
				})
			})
		}
	}
}
