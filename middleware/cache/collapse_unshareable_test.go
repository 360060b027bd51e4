package cache_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
)

// What cannot be shared delays no caller: the first answer tells, and from then on none waits.
func TestCollapseUnshareableResponseReleasesWaiters(t *testing.T) {
	for name, fields := range map[string][]string{
		"no-store":    {"Cache-Control: no-store"},
		"vary *":      {"Cache-Control: max-age=60", "Vary: *"},
		"no-cache":    {"Cache-Control: no-cache", `Etag: "1"`},
		"max-age=0":   {"Cache-Control: max-age=0", `Etag: "1"`},
		"no lifetime": {`Etag: "1"`},
		"a stream":    {"Cache-Control: max-age=60", "Content-Type: text/event-stream"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
					time.Sleep(100 * time.Millisecond)
					return sends(sealed("k", n, 1<<10), fields...), nil
				}}
				c, rt := newBusy(t, o, cache.Options{})
				request := func(int) *http.Request { return ask(t, t.Context()) }
				for round, want := range []time.Duration{200 * time.Millisecond, 100 * time.Millisecond, 100 * time.Millisecond} {
					o.asked.Store(0)
					start := time.Now()
					errs, shared := herd(t, 500, rt, request, same("k"))
					if failures(t, errs) > 0 || o.asked.Load() != 500 || shared != 0 {
						t.Errorf("round %d: %d requests, %d shared", round, o.asked.Load(), shared)
					}
					if took := time.Since(start); took != want {
						t.Errorf("round %d took %v, want %v", round, took, want)
					}
				}
				if c.Stats().Collapsed != 0 || o.leftOpen() != 0 {
					t.Errorf("%+v, %d left open", c.Stats(), o.leftOpen())
				}
			})
		})
	}
}

// A key that becomes shareable is shared again.
func TestCollapseResumesWhenShareableAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		control := "no-store"
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			c := control
			time.Sleep(100 * time.Millisecond)
			return sends(sealed("k", n, 10), "Cache-Control: "+c), nil
		}}
		_, rt := newBusy(t, o, cache.Options{})
		request := func(int) *http.Request { return ask(t, t.Context()) }
		herd(t, 5, rt, request, same("k"))
		control = "max-age=1"
		herd(t, 5, rt, request, same("k"))
		time.Sleep(2 * time.Second)
		o.asked.Store(0)
		herd(t, 5, rt, request, same("k"))
		if n := o.asked.Load(); n != 1 {
			t.Errorf("%d requests once it can be stored, want 1", n)
		}
	})
}

// Requests that want to hear from the origin do, and none that cannot be shared is waited for.
func TestCollapseSharingByRequestDirective(t *testing.T) {
	mode := func(m cache.Mode) func(*http.Request) *http.Request {
		return func(r *http.Request) *http.Request { return r.WithContext(cache.WithMode(r.Context(), m)) }
	}
	field := func(name, value string) func(*http.Request) *http.Request {
		return func(r *http.Request) *http.Request { r.Header.Set(name, value); return r }
	}
	for name, test := range map[string]struct {
		change func(*http.Request) *http.Request
		joins  bool // an exchange that is under way
		leads  bool // one that others join
	}{
		"plain":           {func(r *http.Request) *http.Request { return r }, true, true},
		"reload":          {mode(cache.ModeReload), false, true},
		"no-cache":        {mode(cache.ModeNoCache), false, true},
		"no-store":        {mode(cache.ModeNoStore), false, false},
		"read-only":       {mode(cache.ModeReadOnly), true, false},
		"force-cache":     {mode(cache.ModeForceCache), true, true},
		"disabled":        {func(r *http.Request) *http.Request { return r.WithContext(cache.Disable(r.Context())) }, false, false},
		"not collapsing":  {func(r *http.Request) *http.Request { return r.WithContext(cache.WithoutCollapsing(r.Context())) }, false, false},
		"CC no-cache":     {field("Cache-Control", "no-cache"), false, true},
		"CC max-age=0":    {field("Cache-Control", "max-age=0"), false, true},
		"CC no-store":     {field("Cache-Control", "no-store"), false, false},
		"CC max-age=9":    {field("Cache-Control", "max-age=9"), true, true},
		"CC min-fresh=99": {field("Cache-Control", "min-fresh=99"), false, true},
		"pragma":          {field("Pragma", "no-cache"), false, true},
		"a range":         {field("Range", "bytes=0-3"), true, false},
		"a condition":     {field("If-None-Match", `"7"`), true, false},
		"a precondition":  {field("If-Match", `"7"`), false, false},
		"HEAD":            {func(r *http.Request) *http.Request { r.Method = "HEAD"; return r }, true, false},
		"POST":            {func(r *http.Request) *http.Request { r.Method = "POST"; return r }, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, first := range []bool{true, false} {
				synctest.Test(t, func(t *testing.T) {
					o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
						time.Sleep(100 * time.Millisecond)
						return slowly(r, sealed("k", n, 100), "Cache-Control: max-age=60"), nil
					}}
					_, rt := newBusy(t, o, cache.Options{})
					special, plain := test.change(ask(t, t.Context())), ask(t, t.Context())
					one, other, shared := plain, special, test.joins
					if first {
						one, other, shared = special, plain, test.leads
					}
					var wg sync.WaitGroup
					wg.Go(func() { readAll(roundTrip(t, rt, one)) })
					time.Sleep(50 * time.Millisecond)
					wg.Go(func() { readAll(roundTrip(t, rt, other)) })
					wg.Wait()
					if (o.asked.Load() == 1) != shared {
						t.Errorf("first %v: %d requests, shared %v", first, o.asked.Load(), shared)
					}
				})
			}
		})
	}
}

// What is remembered of keys that cannot be shared has a bound, and one key more costs no more than a wait.
func TestCollapseUnshareableKeysAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const keys = 1500 // of 1,024 that are remembered
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			time.Sleep(time.Millisecond)
			return sends(sealed("k", n, 10), "Cache-Control: no-store"), nil
		}}
		_, rt := newBusy(t, o, cache.Options{})
		two := func(i int) time.Duration {
			start := time.Now()
			errs, _ := herd(t, 2, rt, func(int) *http.Request {
				r := ask(t, t.Context())
				r.URL.Path = fmt.Sprint("/", i)
				return r
			}, same("k"))
			if failures(t, errs) > 0 {
				t.Error("failed")
			}
			return time.Since(start)
		}
		for i := range keys {
			two(i)
		}
		remembered := 0
		for i := keys - 1; i >= 0; i-- {
			if two(i) == time.Millisecond {
				remembered++
			}
		}
		if remembered == 0 || remembered > 1024 {
			t.Errorf("%d keys are remembered, want 1024 at most", remembered)
		}
		time.Sleep(11 * time.Second)
		if took := two(0); took != 2*time.Millisecond {
			t.Errorf("after eleven seconds: %v, want the wait of one who does not know", took)
		}
	})
}
