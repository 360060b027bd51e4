package cache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// plain hides what a store can do beside its three methods.
type plain struct{ store.Store }

// inFreshBubble is inBubble for a test that has several.
func inFreshBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Run("", func(t *testing.T) { inBubble(t, f) })
}

// all returns the bytes of all records, and their keys and labels.
func all(t *testing.T, m *storetest.Map) string {
	t.Helper()
	var b strings.Builder
	for kind := range store.Kind(8) {
		require.NoError(t, m.Range(t.Context(), kind, func(key string, r store.Record) bool {
			fmt.Fprintf(&b, "%s %s %s %s\n", key, r.Owner, r.Label, r.Data)
			return true
		}))
	}
	return b.String()
}

// keys returns the keys of a kind.
func keys(t *testing.T, s store.Ranger, kind store.Kind) []string {
	t.Helper()
	var keys []string
	require.NoError(t, s.Range(t.Context(), kind, func(key string, _ store.Record) bool {
		keys = append(keys, key)
		return true
	}))
	return keys
}

// What a cache has stored another one finds, after a restart or in another process, whatever it varies on.
func TestAnotherCacheFindsWhatIsStored(t *testing.T) {
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
func TestAnInvalidationByAnotherProcessEndsSharing(t *testing.T) {
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

// No secret of a request stands in a store: neither in keys nor in records, nor in what people are shown.
func TestAStoreHoldsNoSecrets(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := storetest.NewMap(1 << 24)
		g := newRig(t, says(strings.Repeat("x", 70_000), "Cache-Control: max-age=60", `Cache-Groups: "g"`, "Vary: Authorization, Cookie, X-Api-Key"), cache.Options{Store: m, Key: keying.SingleUser()})
		g.get("http://user:canary0@h/a?token=canary1#canary2", "Authorization: Bearer canary3", "Cookie: s=canary4", "X-Api-Key: canary5")
		g.do("POST", "http://user:canary0@h/a?token=canary6", "Authorization: Bearer canary7")
		if stored := all(t, m); strings.Contains(stored, "canary") || !strings.Contains(stored, "http://h/a?token=REDACTED") {
			t.Errorf("in the store: %q", stored)
		}
		for u := range g.URLs(t.Context()) {
			if u != "http://h/a?token=REDACTED" {
				t.Errorf("URL %s", u)
			}
		}
	})
}

// The user's own secret is not in the store, and what varies on credentials is found by all who have the same.
func TestTheUsersOwnSecret(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := storetest.NewMap(1 << 24)
		o := says("x", "Cache-Control: max-age=60", "Vary: X-Token")
		outcome := func(secret string) string {
			g := newRig(t, o, cache.Options{Store: m, VaryHashKey: []byte(secret)})
			have, _ := g.get(url, "X-Token: t")
			return have.Outcome
		}
		got := []string{outcome("sixteen bytes of a"), outcome("sixteen bytes of a"), outcome("sixteen bytes of b")}
		if want := []string{"miss", "hit", "miss"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if setup := keys(t, m, store.KindSetup); len(setup) > 0 {
			t.Errorf("in the store: %v", setup)
		}
		if _, err := cache.New(cache.Options{VaryHashKey: []byte("short")}); err == nil {
			t.Error("a short secret is no error")
		}
	})
}

// Two processes that need a secret at one time end up with one.
func TestOneSecretForAll(t *testing.T) {
	m := storetest.NewMap(1 << 24)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			c, err := cache.New(cache.Options{Store: m.Open()})
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			r, _ := http.NewRequest("GET", url, nil)
			r.Header.Set("X-Token", "t")
			resp, err := c.Middleware(says("x", "Cache-Control: max-age=60", "Vary: X-Token")).RoundTrip(r)
			if err != nil {
				t.Error(err)
				return
			}
			readAll(resp)
		})
	}
	wg.Wait()
	c, err := cache.New(cache.Options{Store: m})
	require.NoError(t, err)
	defer c.Close()
	n := 0
	for range c.Entries(t.Context()) {
		n++
	}
	if n != 1 {
		t.Errorf("%d variants of one response", n)
	}
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

// A response that was asked for before another process invalidated it is never served, whoever is faster.
func TestAnInvalidationElsewhereOvertakesAResponseUnderWay(t *testing.T) {
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

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// What one process invalidates the others do not serve.
func TestAnInvalidationIsForAllProcesses(t *testing.T) {
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

// A store that loses marks loses responses, and never brings invalidated ones back.
func TestLostMarksLoseResponses(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := storetest.NewMap(1 << 24)
		o := says("old", "Cache-Control: max-age=600")
		a := newRig(t, o, cache.Options{Store: m.Open()})
		a.get(url)
		a.do("POST", url)
		for _, key := range keys(t, m, store.KindGeneration) {
			require.NoError(t, m.Delete(t.Context(), key, ""))
		}
		have, _ := a.get(url)
		a.want(have, 200, "old", "miss", 3)
	})
}

// The records of what has been invalidated or replaced go, with the pieces of their bodies.
func TestNothingIsLeftBehind(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := storetest.NewMap(1 << 26)
		n := 0
		o := &origin{answer: func(*http.Request) *http.Response {
			n++
			return reply(200, strings.Repeat("x", 600_000+n), "Cache-Control: max-age=60", fmt.Sprintf(`Etag: "%d"`, n))
		}}
		g := newRig(t, o, cache.Options{Store: m})
		for range 3 {
			g.get(url)
			time.Sleep(2 * time.Minute)
		}
		synctest.Wait()
		if got := keys(t, m, store.KindBody); len(got) != 3 {
			t.Errorf("%d pieces after a body of 3 was replaced twice: %v", len(got), got)
		}
		g.do("POST", url)
		have, _ := g.get(url, "Cache-Control: no-store")
		if have.Status != 200 {
			t.Error(have)
		}
		if ok := g.Contains(must(http.NewRequest("GET", url, nil))); ok {
			t.Error("what was invalidated is there")
		}
		synctest.Wait()
		if got := append(keys(t, m, store.KindBody), keys(t, m, store.KindEntry)...); len(got) != 0 {
			t.Errorf("left behind: %v", got)
		}
		time.Sleep(2 * time.Hour)
		if left := all(t, m); strings.Contains(left, "m1.") {
			t.Errorf("marks of nothing are left: %q", left)
		}
	})
}

// Large bodies are read whole before they are served, up to a bound, so a piece that is missing or damaged is a miss.
func TestAPieceThatIsMissingIsAMiss(t *testing.T) {
	for _, size := range []int{100_000, 1 << 20} {
		for _, harm := range []string{"gone", "damaged", "another's"} {
			t.Run(fmt.Sprint(size, " ", harm), func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					m := storetest.NewMap(1 << 26)
					text := numbers(size)
					o := &origin{answer: func(*http.Request) *http.Response { return reply(200, text, "Cache-Control: max-age=60") }}
					g := newRig(t, o, cache.Options{Store: m})
					g.get(url)
					have, _ := g.get(url)
					g.want(have, 200, text, "hit", 1)
					g.get(url + "/other")
					pieces := keys(t, m, store.KindBody)
					slices.Sort(pieces)
					r := must(m.Get(t.Context(), pieces[0]))
					switch harm {
					case "gone":
						require.NoError(t, m.Delete(t.Context(), pieces[0], ""))
					case "damaged":
						r.Data[len(r.Data)/2] ^= 1
						require.NoError(t, m.Put(t.Context(), pieces[0], r))
					case "another's":
						other := must(m.Get(t.Context(), pieces[len(pieces)-1]))
						r.Data = other.Data
						require.NoError(t, m.Put(t.Context(), pieces[0], r))
					}
					for _, u := range []string{url, url + "/other"} {
						if have, _ := g.get(u); have.Body != text {
							t.Errorf("a body of %d bytes", len(have.Body))
						}
					}
					if fault := g.Stats().StoreErrors > 0; fault != (harm != "gone") {
						t.Errorf("a fault: %t; a store may drop what it likes, and nothing else", fault)
					}
					synctest.Wait()
					have, _ = g.get(url)
					g.want(have, 200, text, "hit", 3)
				})
			})
		}
	}
}

// That a body is gone is no fault of the store's if its response has gone, too, since it was read: another process has replaced or removed it.
func TestABodyWhoseResponseIsReplacedMeanwhile(t *testing.T) {
	for name, change := range map[string]func(other *rig){
		"replaced": func(other *rig) { other.get(url, "Cache-Control: no-cache") },
		"deleted":  func(other *rig) { other.Delete(other.Context(), must(http.NewRequest("GET", url, nil))) },
		"invalidated, and replaced": func(other *rig) {
			other.do("POST", url)
			other.get(url)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				text := numbers(100_000)
				o := &origin{answer: func(*http.Request) *http.Response { return reply(200, text, "Cache-Control: max-age=60") }}
				m := storetest.NewMap(1 << 26)
				other := newRig(t, o, cache.Options{Store: m.Open()})
				other.get(url)
				text = numbers(100_001)
				meanwhile := sync.OnceFunc(func() {
					change(other)
					synctest.Wait()
				})
				g := newRig(t, o, cache.Options{Store: &beforePieces{m.Open(), meanwhile}})
				have, _ := g.get(url)
				if have.Outcome != "miss" || have.Body != text {
					t.Errorf("a %s, %d bytes", have.Outcome, len(have.Body))
				}
				if n := g.Stats().StoreErrors; n != 0 {
					t.Errorf("%d faults", n)
				}
				have, _ = g.get(url)
				g.want(have, 200, text, "hit", len(o.asked))
			})
		})
	}
}

// beforePieces is a store in which something happens before pieces of bodies are read.
type beforePieces struct {
	*storetest.Map
	happens func()
}

func (b *beforePieces) GetMulti(ctx context.Context, keys []string) ([]store.Record, error) {
	if strings.HasPrefix(keys[0], "b1.") {
		b.happens()
	}
	return b.Map.GetMulti(ctx, keys)
}

func (b *beforePieces) Get(ctx context.Context, key string) (store.Record, error) {
	records, err := b.GetMulti(ctx, []string{key})
	if err != nil {
		return store.Record{}, err
	}
	return records[0], nil
}

// faulty is a store whose calls fail in ways that a test chooses.
type faulty struct {
	*storetest.Map
	calls  atomic.Int64
	mu     sync.Mutex                               // guards fault
	fault  func(ctx context.Context, n int64) error // nil for no fault
	tamper func(key string, r store.Record) store.Record
}

func (f *faulty) fail(ctx context.Context) error {
	n := f.calls.Add(1)
	f.mu.Lock()
	fault := f.fault
	f.mu.Unlock()
	if fault == nil {
		return nil
	}
	return fault(ctx, n)
}

func (f *faulty) set(fault func(context.Context, int64) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

func (f *faulty) Get(ctx context.Context, key string) (store.Record, error) {
	if err := f.fail(ctx); err != nil {
		return store.Record{}, err
	}
	r, err := f.Map.Get(ctx, key)
	if f.tamper != nil && err == nil {
		r = f.tamper(key, r)
	}
	return r, err
}

func (f *faulty) GetMulti(ctx context.Context, keys []string) ([]store.Record, error) {
	records := make([]store.Record, len(keys))
	for i, key := range keys {
		var err error
		if records[i], err = f.Get(ctx, key); err != nil {
			return nil, err
		}
	}
	return records, nil
}

func (f *faulty) Put(ctx context.Context, key string, r store.Record) error {
	if err := f.fail(ctx); err != nil {
		return err
	}
	return f.Map.Put(ctx, key, r)
}

func (f *faulty) Delete(ctx context.Context, key, version string) error {
	if err := f.fail(ctx); err != nil {
		return err
	}
	return f.Map.Delete(ctx, key, version)
}

// story is some requests that use all that a store is for. The origin counts up its state with each POST.
func story(t *testing.T, g *rig, state *int, wrong func(format string, args ...any)) {
	t.Helper()
	check := func(have got) {
		t.Helper()
		body, number, _ := strings.Cut(have.Body, "#")
		if number != fmt.Sprint(*state) || strings.Trim(body, "x") != "" {
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
func TestWhicheverCallFails(t *testing.T) {
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
func TestWhateverAStoreReturns(t *testing.T) {
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
				return r // a mark of before is an invalidation that has not been heard of
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

// A store that is down costs nothing after a while, and is found again.
func TestADeadStoreIsLeftAloneUntilItAnswers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &faulty{Map: storetest.NewMap(1 << 24)}
		g := newRig(t, says("x", "Cache-Control: max-age=600"), cache.Options{Store: s})
		g.get(url)
		s.set(func(ctx context.Context, _ int64) error { <-ctx.Done(); return ctx.Err() })
		var waited time.Duration
		for i := range 1000 {
			begun := time.Now()
			if have, _ := g.get(url); have.Body != "x" {
				t.Fatal(have)
			}
			if i > 10 {
				waited = max(waited, time.Since(begun))
			}
			time.Sleep(10 * time.Millisecond)
		}
		if waited > time.Millisecond {
			t.Errorf("a request waited %v for a store that is known to be down", waited)
		}
		if s := g.Stats(); !s.StoreDown || s.StoreSkipped < 900 || s.StoreErrors > 10 {
			t.Errorf("%+v", s)
		}
		s.set(nil)
		revived := time.Now()
		for {
			if have, _ := g.get(url); have.Outcome == "hit" {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if took := time.Since(revived); took > 2*time.Second {
			t.Errorf("found again after %v", took)
		}
	})
}

// A store that is full, or read-only, is as good as none.
func TestAStoreThatTakesNothing(t *testing.T) {
	for _, err := range []error{store.ErrTooLarge, store.ErrConflict, errors.New("read-only")} {
		inFreshBubble(t, func(t *testing.T) {
			s := &refusing{storetest.NewMap(1 << 20), err}
			g := newRig(t, says("x", "Cache-Control: max-age=600"), cache.Options{Store: s})
			for i := range 20 {
				have, _ := g.get(url)
				g.want(have, 200, "x", "miss", i+1)
				time.Sleep(time.Second) // until nothing is on its way into the store
			}
		})
	}
}

type refusing struct {
	*storetest.Map
	err error
}

func (r *refusing) Put(context.Context, string, store.Record) error { return r.err }

// An invalidation that the store did not take is repeated until it has, and until then nothing that it is about is served.
func TestAnInvalidationThatTheStoreMissed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &faulty{Map: storetest.NewMap(1 << 24)}
		state := "old"
		o := &origin{answer: func(r *http.Request) *http.Response {
			if r.Method == "POST" {
				state = "new"
			}
			return reply(200, state, "Cache-Control: max-age=600")
		}}
		g := newRig(t, o, cache.Options{Store: s})
		g.get(url)
		s.set(func(context.Context, int64) error { return errors.New("down") })
		g.do("POST", url)
		s.set(nil)
		have, _ := g.get(url)
		if have.Body != "new" {
			t.Errorf("%v after a POST that the store has not heard of", have)
		}
		time.Sleep(time.Minute)
		g.get(url)
		synctest.Wait()
		other := newRig(t, o, cache.Options{Store: s.Map})
		if have, _ := other.get(url); have.Body != "new" {
			t.Errorf("%v in another process", have)
		}
	})
}

// A clock that was set back makes what is stored stale, not fresh for ever.
func TestAClockThatWasSetBack(t *testing.T) {
	m := storetest.NewMap(1 << 24)
	o := says("x", "Cache-Control: max-age=600", `Etag: "a"`)
	inFreshBubble(t, func(t *testing.T) {
		time.Sleep(24 * time.Hour)
		newRig(t, o, cache.Options{Store: plain{m}}).get(url)
	})
	inFreshBubble(t, func(t *testing.T) { // a day earlier
		g := newRig(t, o, cache.Options{Store: plain{m}})
		have, _ := g.get(url)
		if have.Outcome == "hit" {
			t.Error("a response of tomorrow is fresh")
		}
	})
}

// Callers who write variants of one URL at one time, in several processes, lose none.
func TestVariantsOfSeveralWritersAreAllKept(t *testing.T) {
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

// What a POST makes invalid is told to a store that hangs for as long as one call may take, for all of it together, and that is a fault of the store.
func TestAnInvalidationThatHangsIsAFault(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &faulty{Map: storetest.NewMap(1 << 20)}
		s.set(func(ctx context.Context, _ int64) error { <-ctx.Done(); return ctx.Err() })
		g := newRig(t, says("x", `Cache-Group-Invalidation: "a", "b", "c"`, "Location: /b"), cache.Options{Store: s})
		begun := time.Now()
		g.do("POST", url)
		if took := time.Since(begun); took > 101*time.Millisecond || g.Stats().StoreErrors != 1 {
			t.Errorf("%v, %+v", took, g.Stats())
		}
	})
}
