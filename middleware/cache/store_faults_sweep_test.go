package cache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// story is some requests that use all that a store is for. The origin counts up its state with each POST.
func story(t *testing.T, g *rig, state *int, wrong func(format string, args ...any)) {
	t.Helper()
	check := func(have got) {
		t.Helper()
		body, number, _ := strings.Cut(have.Body, "#")
		if number != fmt.Sprint(*state) || strings.Count(body, "x") != len(body) {
			wrong("%d: %d bytes, number %q, want %d", have.Status, len(have.Body), number, *state)
		}
	}
	for i := range 2 {
		for _, path := range []string{"/small", "/large"} {
			have, _ := g.get("http://h" + path)
			check(have)
			have, _ = g.get("http://h"+path, "Accept-Language: fr")
			check(have)
		}
		time.Sleep(20 * time.Second)
		have, _ := g.get("http://h/small")
		check(have)
		if i == 0 {
			g.do("POST", "http://h/small")
			g.do("POST", "http://h/large")
		}
	}
}

func storyOrigin(state *int) *origin {
	return &origin{answer: func(r *http.Request) *http.Response {
		if r.Method == "POST" {
			*state++
			return reply(200, "", "Location: /small", "Content-Location: /large")
		}
		body := strings.Repeat("x", map[string]int{"/small": 10, "/large": 270_000}[r.URL.Path]) + fmt.Sprint("#", *state)
		tag := fmt.Sprintf(`"%s %d"`, r.URL.Path, *state)
		if r.Header.Get("If-None-Match") == tag {
			return reply(304, "", "Etag: "+tag, "Cache-Control: max-age=10")
		}
		return reply(200, body, "Cache-Control: max-age=10", "Vary: Accept-Language", "Etag: "+tag)
	}}
}

// Whichever call of the store fails, and in whichever way: each answer is right and in time, and the next requests work.
func TestStoreFaultAtEachCall(t *testing.T) {
	hang := make(chan struct{})
	faults := map[string]func(context.Context) error{
		"error":                   func(context.Context) error { return errors.New("broken") },
		"panic":                   func(context.Context) error { panic("broken") },
		"conflict":                func(context.Context) error { return store.ErrConflict },
		"hangs until it is told":  func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"hangs for a second":      func(context.Context) error { time.Sleep(time.Second); return nil },
		"hangs whatever is said":  func(context.Context) error { <-hang; return errors.New("woken") },
		"done, and then it fails": nil,
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			calls, step := int64(1), int64(1)
			if name != "error" {
				step = 7
			}
			for k := int64(1); k <= calls; k += step {
				inFreshBubble(t, func(t *testing.T) {
					hang = make(chan struct{})
					s := &faulty{Map: storetest.NewMap(1 << 24)}
					var over atomic.Bool
					s.fault = func(ctx context.Context, n int64) error {
						if n == k && fault != nil && !over.Load() {
							return fault(ctx)
						}
						return nil
					}
					state := 0
					var used store.Store = s
					if fault == nil {
						used = &lateFault{faulty: s, at: k}
					}
					g := newRig(t, storyOrigin(&state), cache.Options{Store: used, StoreTimeout: 50 * time.Millisecond})
					begun := time.Now()
					story(t, g, &state, func(format string, args ...any) { t.Errorf("call %d: "+format, append([]any{k}, args...)...) })
					if waited := time.Since(begun) - 40*time.Second; waited > 150*time.Millisecond {
						t.Errorf("call %d: the requests waited %v together", k, waited)
					}
					calls = max(calls, min(s.calls.Load(), 200))
					close(hang)
					time.Sleep(2 * time.Second)
					over.Store(true)
					g.get("http://h/small")
					synctest.Wait()
					if have, _ := g.get("http://h/small"); have.Outcome != "hit" {
						t.Errorf("call %d: %s afterwards", k, have.Outcome)
					}
					require.NoError(t, g.Close())
				})
				if t.Failed() {
					return
				}
			}
			if calls < 30 {
				t.Errorf("only %d calls", calls)
			}
		})
	}
}

// lateFault does a change and then says that it has failed.
type lateFault struct {
	*faulty
	at int64
}

func (l *lateFault) Put(ctx context.Context, key string, r store.Record) error {
	err := l.faulty.Put(ctx, key, r)
	if err == nil && l.calls.Load() == l.at {
		err = errors.New("broken")
	}
	return err
}

// Whatever a store makes of the bytes: each answer is right.
func TestStoreReturnsDamagedBytes(t *testing.T) {
	var kept sync.Map
	for name, tamper := range map[string]func(string, store.Record) store.Record{
		"truncates": func(_ string, r store.Record) store.Record {
			r.Data = r.Data[:rand.IntN(len(r.Data))]
			return r
		},
		"flips a bit": func(_ string, r store.Record) store.Record {
			r.Data[rand.IntN(len(r.Data))] ^= 1 << rand.IntN(8)
			return r
		},
		"adds": func(_ string, r store.Record) store.Record {
			r.Data = append(r.Data, 0)
			return r
		},
		"says four gigabytes": func(_ string, r store.Record) store.Record {
			at := rand.IntN(max(len(r.Data)-4, 1))
			copy(r.Data[at:], "\xff\xff\xff\xff")
			return r
		},
		"returns zeros": func(_ string, r store.Record) store.Record {
			clear(r.Data)
			return r
		},
		"has no data": func(_ string, r store.Record) store.Record {
			r.Data = nil
			return r
		},
		"returns another key's": func(key string, r store.Record) store.Record {
			own := r
			own.Data = bytes.Clone(r.Data)
			kept.Store(key[:2], own)
			if other, ok := kept.Load([]string{"e1", "b1", "m1"}[rand.IntN(3)]); ok {
				r.Data = bytes.Clone(other.(store.Record).Data)
			}
			return r
		},
		"returns what was there before": func(key string, r store.Record) store.Record {
			own := r
			own.Data = bytes.Clone(r.Data)
			first, _ := kept.LoadOrStore(key, own)
			old := first.(store.Record)
			old.Data = bytes.Clone(old.Data)
			if strings.HasPrefix(key, "m1") {
				return r // a generation of before is an invalidation that has not been heard of
			}
			return old
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range 5 {
				inFreshBubble(t, func(t *testing.T) {
					kept.Clear()
					s := &faulty{Map: storetest.NewMap(1 << 24)}
					s.tamper = func(key string, r store.Record) store.Record {
						if r.Version == "" {
							return r
						}
						return tamper(key, r)
					}
					state := 0
					g := newRig(t, storyOrigin(&state), cache.Options{Store: s})
					story(t, g, &state, t.Errorf)
					require.NoError(t, g.Close())
				})
			}
		})
	}
}
