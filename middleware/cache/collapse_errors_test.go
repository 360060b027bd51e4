package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
)

// An error that everyone would get is everyone's; one that is about a single request is not.
func TestCollapseErrorReachesAllWaiters(t *testing.T) {
	refused := errors.New("connection refused")
	for name, test := range map[string]struct {
		answer func(n int) (*http.Response, error)
		want   int64 // requests
		fails  error
	}{
		"refused": {func(int) (*http.Response, error) { return nil, refused }, 1, refused},
		"a deadline of its own": {func(n int) (*http.Response, error) {
			if n == 1 {
				return nil, context.DeadlineExceeded
			}
			return sends(sealed("k", n, 10), "Cache-Control: max-age=60"), nil
		}, 2, nil},
		"503": {func(int) (*http.Response, error) { return reply(503, "down"), nil }, 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &busy{answer: func(_ *http.Request, n int) (*http.Response, error) {
					time.Sleep(100 * time.Millisecond)
					return test.answer(n)
				}}
				_, rt := newBusy(t, o, cache.Options{})
				start := time.Now()
				var wg sync.WaitGroup
				var failed atomic.Int64
				for range 200 {
					wg.Go(func() {
						resp, err := rt.RoundTrip(ask(t, t.Context()))
						if err != nil {
							failed.Add(1)
							if test.fails != nil && !errors.Is(err, test.fails) {
								t.Errorf("error %v", err)
							}
							return
						}
						readAll(resp)
					})
				}
				wg.Wait()
				if (failed.Load() == 200) != (test.fails != nil) || o.asked.Load() != test.want || time.Since(start) > 200*time.Millisecond {
					t.Errorf("%d failed, %d requests, %v", failed.Load(), o.asked.Load(), time.Since(start))
				}
			})
		})
	}
}

// A caller with a stale answer at hand gets that, whichever request has failed.
func TestCollapseErrorServesStaleToEachWaiter(t *testing.T) {
	for _, down := range []func() (*http.Response, error){
		func() (*http.Response, error) { return nil, errors.New("refused") },
		func() (*http.Response, error) { return reply(503, "down"), nil },
	} {
		synctest.Test(t, func(t *testing.T) {
			o := &busy{answer: func(_ *http.Request, n int) (*http.Response, error) {
				time.Sleep(100 * time.Millisecond)
				if n > 1 {
					return down()
				}
				return sends(sealed("k", n, 10), "Cache-Control: max-age=1, stale-if-error=60"), nil
			}}
			_, rt := newBusy(t, o, cache.Options{})
			reads(rt, ask(t, t.Context()), "k")
			time.Sleep(5 * time.Second)
			errs, _ := herd(t, 100, rt, func(int) *http.Request { return ask(t, t.Context()) }, same("k"))
			if failures(t, errs) > 0 || o.asked.Load() != 2 {
				t.Errorf("%d failed, %d requests", failures(t, errs), o.asked.Load())
			}
		})
	}
}

// Whatever byte a body breaks off at, all readers see the same bytes and the same error.
func TestCollapseBrokenBodyIsTheSameForAll(t *testing.T) {
	body := sealed("k", 1, 50)
	reset := errors.New("reset")
	for cut := range len(body) + 1 {
		for _, declared := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				all := make(chan struct{})
				o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
					resp := sends("", "Cache-Control: max-age=60")
					resp.Body = io.NopCloser(io.MultiReader(after{all}, iotest.OneByteReader(strings.NewReader(body[:cut])), failing{reset}))
					if resp.ContentLength = -1; declared {
						resp.ContentLength = int64(len(body))
					}
					return resp, nil
				}}
				c, rt := newBusy(t, o, cache.Options{})
				var responses []*http.Response
				for range 4 {
					responses = append(responses, roundTrip(t, rt, ask(t, t.Context())))
				}
				close(all)
				for i, resp := range responses {
					got, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if string(got) != body[:cut] || err != reset {
						t.Errorf("cut at %d: reader %d got %d bytes, %v", cut, i, len(got), err)
					}
				}
				if whole := declared && cut == len(body); (c.Stats().Entries == 1) != whole || o.asked.Load() != 1 || o.leftOpen() != 0 {
					t.Errorf("cut at %d: %d stored, %d requests, %d left open", cut, c.Stats().Entries, o.asked.Load(), o.leftOpen())
				}
			})
		}
	}
}

// An error may be about the one who asked: it stays with that person where the key does not tell people apart.
func TestCollapseErrorStaysWithItsPrincipal(t *testing.T) {
	for name, test := range map[string]struct {
		shared bool
		want   int64 // requests for two people with two callers each, and two without credentials
	}{"private": {false, 3}, "shared": {true, 3}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
					time.Sleep(100 * time.Millisecond)
					return nil, fmt.Errorf("refused to %q", r.Header.Get("Authorization"))
				}}
				_, rt := newBusy(t, o, cache.Options{Shared: test.shared})
				var wg sync.WaitGroup
				for _, who := range []string{"", "", "a", "a", "b", "b"} {
					wg.Go(func() {
						r := ask(t, t.Context())
						if who != "" {
							r.Header.Set("Authorization", who)
						}
						if _, err := rt.RoundTrip(r); err == nil || err.Error() != fmt.Sprintf("refused to %q", who) {
							t.Errorf("%q got %v", who, err)
						}
					})
				}
				wg.Wait()
				if n := o.asked.Load(); n < test.want || n > 6 || !test.shared && n != test.want {
					t.Errorf("%d requests", n)
				}
			})
		})
	}
}
