package cache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// outcomes collects what the hooks are told about the store.
func outcomes(into *[]string) *cache.Trace {
	return &cache.Trace{
		Stored:    func(*cache.Entry) { *into = append(*into, "stored") },
		NotStored: func(_ *http.Request, reason string) { *into = append(*into, reason) },
	}
}

func TestHooksHearWhatBecomesOfEachBody(t *testing.T) {
	read := func(resp *http.Response) { readAll(resp) }
	short := func(resp *http.Response) { resp.Body.Read(make([]byte, 2)); resp.Body.Close() }
	for _, test := range []struct {
		name   string
		body   io.Reader
		length int64
		use    func(*http.Response)
		want   string
	}{
		{"whole", strings.NewReader("12345678"), 8, read, "stored"},
		{"exactly at the limit, length unknown", strings.NewReader("12345678"), -1, read, "stored"},
		{"one byte at a time", iotest.OneByteReader(strings.NewReader("12345678")), -1, read, "stored"},
		{"one over the limit", strings.NewReader("123456789"), -1, read, "body exceeds MaxEntryBytes"},
		{"one over the limit, and declared", strings.NewReader("123456789"), 9, read, "body exceeds MaxEntryBytes"},
		{"cut", strings.NewReader("1234567"), 8, read, "the body is shorter than declared"},
		{"too long", strings.NewReader("12345678"), 7, read, "the body is longer than declared"},
		{"empty", strings.NewReader(""), 0, read, "stored"},
		{"error after data", iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("12345678"))), -1, read, "the body broke off"},
		{"closed early", strings.NewReader("12345678"), -1, short, "stored"},
		{"closed early, and the rest is broken", iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("12345678"))), 8, func(resp *http.Response) { resp.Body.Read(make([]byte, 1)); resp.Body.Close() }, "the body broke off"},
		{"closed unread", strings.NewReader("12345678"), 8, func(resp *http.Response) { resp.Body.Close(); resp.Body.Close(); readAll(resp) }, "stored"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				var heard []string
				o := &origin{answer: func(*http.Request) *http.Response {
					resp := reply(200, "", "Cache-Control: max-age=60")
					resp.Body, resp.ContentLength = io.NopCloser(test.body), test.length
					return resp
				}}
				g := newRig(t, o, cache.Options{MaxEntryBytes: 8, Trace: outcomes(&heard)})
				r, _ := http.NewRequestWithContext(t.Context(), "GET", url, nil)
				resp, err := g.rt.RoundTrip(r)
				require.NoError(t, err)
				test.use(resp)
				if diff := cmp.Diff([]string{test.want}, heard); diff != "" {
					t.Errorf("told (-want +got)\n%s", diff)
				}
				if stored := g.entries(); (stored == 1) != (test.want == "stored") || g.Stats().Stored != int64(stored) {
					t.Errorf("%d entries, %+v", stored, g.Stats())
				}
			})
		})
	}
}

func TestWhatIsInvalidatedMeanwhileIsNotSaidToBeStored(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var heard []string
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Trace: outcomes(&heard)})
		r, _ := http.NewRequestWithContext(t.Context(), "GET", url, nil)
		resp, err := g.rt.RoundTrip(r)
		require.NoError(t, err)
		require.NoError(t, g.DeleteURL(t.Context(), url))
		readAll(resp)
		if g.Stats().Stored != 0 || slices.Contains(heard, "stored") || len(heard) != 1 {
			t.Errorf("%d stored, told %q", g.Stats().Stored, heard)
		}
	})
}

// The answer to a POST may be stored although the POST itself makes the URI invalid; not so if something else has done that meanwhile.
func TestAnInvalidationDuringAPostCounts(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("x", "Cache-Control: max-age=60", "Content-Location: "+url)
		g := newRig(t, o, cache.Options{})
		answer := o.answer
		o.answer = func(r *http.Request) *http.Response {
			if len(o.asked) == 1 {
				g.DeleteURL(t.Context(), url)
			}
			return answer(r)
		}
		g.do("POST", url)
		have, _ := g.get(url)
		g.want(have, 200, "x", "miss", 2)
	})
}

func TestWhatACallerDoesToItsTrailersIsNotStored(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := &origin{}
		o.answer = func(*http.Request) *http.Response {
			resp := reply(200, "", "Cache-Control: max-age=60")
			resp.ContentLength, resp.Trailer = -1, http.Header{"X-Sum": nil}
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("body"), atEnd(func() { resp.Trailer["X-Sum"] = []string{"1"} })))
			return resp
		}
		g := newRig(t, o, cache.Options{})
		r, _ := http.NewRequestWithContext(t.Context(), "GET", url, nil)
		resp, err := g.rt.RoundTrip(r)
		require.NoError(t, err)
		resp.Trailer["X-Forged"] = []string{"1"}
		resp.Header["X-Forged"] = []string{"1"}
		readAll(resp)
		if diff := cmp.Diff(http.Header{"X-Sum": {"1"}, "X-Forged": {"1"}}, resp.Trailer); diff != "" {
			t.Errorf("the caller's trailers (-want +got)\n%s", diff)
		}
		resp.Trailer["X-Sum"][0] = "2"
		_, hit := g.get(url)
		if diff := cmp.Diff(http.Header{"X-Sum": {"1"}}, hit.Trailer); diff != "" || hit.Header["X-Forged"] != nil {
			t.Errorf("trailers of a hit (-want +got)\n%s", diff)
		}
	})
}

// atEnd runs when it is read, and ends.
type atEnd func()

func (f atEnd) Read([]byte) (int, error) { f(); return 0, io.EOF }

// The bytes that complete a part are counted: a whole that lacks some would look whole.
func TestACompletionIsAsLongAsItSays(t *testing.T) {
	for _, test := range []struct {
		rest string
		err  error
	}{{"456789", nil}, {"4567", io.ErrUnexpectedEOF}, {"456789 and more", nil}} {
		inBubble(t, func(t *testing.T) {
			o := &origin{answer: func(r *http.Request) *http.Response {
				if r.Header.Get("Range") == "bytes=0-3" {
					return reply(206, "0123", "Cache-Control: max-age=60", `Etag: "a"`, "Content-Range: bytes 0-3/10")
				}
				resp := reply(206, test.rest, "Cache-Control: max-age=60", `Etag: "a"`, "Content-Range: bytes 4-9/10")
				resp.ContentLength, resp.TransferEncoding = -1, []string{"chunked"}
				return resp
			}}
			g := newRig(t, o, cache.Options{})
			g.get(url, "Range: bytes=0-3")
			r, _ := http.NewRequestWithContext(t.Context(), "GET", url, nil)
			resp, err := g.rt.RoundTrip(r)
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			if !errors.Is(err, test.err) || !strings.HasPrefix("0123456789", string(body)) {
				t.Errorf("%q, %v", body, err)
			}
		})
	}
}

// A refresh has no caller whom a panic could reach.
func TestAPanicBehindTheCallersBackIsAnErrorOfTheRefresh(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var refreshed error
		panics := true
		trace := &cache.Trace{Refreshed: func(_ *http.Request, err error) {
			refreshed = err
			if panics {
				panic("and again")
			}
		}}
		o := says("x", "Cache-Control: max-age=1, stale-while-revalidate=60")
		g := newRig(t, o, cache.Options{Trace: trace})
		g.get(url)
		time.Sleep(2 * time.Second)
		answer := o.answer
		o.answer = func(*http.Request) *http.Response { panic("broken handler") }
		have, _ := g.get(url)
		synctest.Wait()
		g.want(have, 200, "x", "stale", 2)
		if refreshed == nil {
			t.Error("the refresh is said to have gone well")
		}
		panics, o.answer = false, answer
		g.get(url)
		synctest.Wait()
		have, _ = g.get(url)
		g.want(have, 200, "x", "hit", 3)
		require.NoError(t, refreshed)
	})
}

func TestARefreshDoesNotWaitForWhatIsNotStored(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		done := false
		o := says("x", "Cache-Control: max-age=1, stale-while-revalidate=60")
		g := newRig(t, o, cache.Options{Trace: &cache.Trace{Refreshed: func(*http.Request, error) { done = true }}})
		g.get(url)
		time.Sleep(2 * time.Second)
		stream, w := io.Pipe()
		defer w.Close()
		o.answer = func(*http.Request) *http.Response {
			resp := reply(200, "", "Content-Type: text/event-stream")
			resp.Body, resp.ContentLength = stream, -1
			return resp
		}
		g.get(url)
		synctest.Wait()
		if !done {
			t.Error("the refresh reads a stream without end")
		}
	})
}

// A failing origin that does not even send its error page holds nobody up who can be served something else.
func TestADroppedBodyIsNotWaitedFor(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("x", "Cache-Control: max-age=1, stale-if-error=60")
		g := newRig(t, o, cache.Options{})
		g.get(url)
		time.Sleep(2 * time.Second)
		stalled, w := io.Pipe()
		defer w.Close()
		o.answer = func(*http.Request) *http.Response {
			resp := reply(503, "", "Content-Length: 10")
			resp.Body, resp.ContentLength = stalled, 10
			return resp
		}
		before := time.Now()
		have, _ := g.get(url)
		g.want(have, 200, "x", "stale", 2)
		if waited := time.Since(before); waited > 100*time.Millisecond {
			t.Errorf("waited %v", waited)
		}
		if _, err := w.Write([]byte("x")); err == nil {
			t.Error("the body is not closed")
		}
	})
}

// closing counts how often a body is closed.
func closing(resp *http.Response, n *int) *http.Response {
	resp.Body = closes{resp.Body, n}
	return resp
}

func TestAPanicInACallbackClosesTheResponse(t *testing.T) {
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

// Content that cannot be sent twice is sent once, whatever is stored.
func TestAStreamIsNeverValidatedWith(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("x", "Cache-Control: no-cache", `Etag: "a"`)
		key := keying.New(keying.PartFunc(func(dst []byte, _ *http.Request) ([]byte, error) { return dst, nil }))
		g := newRig(t, o, cache.Options{Methods: []string{"SEARCH"}, Key: contentless{key}})
		for n := range 2 {
			if n == 1 {
				o.answer = func(r *http.Request) *http.Response {
					if r.Header.Get("If-None-Match") != "" {
						return reply(304, "", `Etag: "another"`)
					}
					return reply(200, "y")
				}
			}
			r, _ := http.NewRequestWithContext(t.Context(), "SEARCH", url, io.NopCloser(strings.NewReader("stream")))
			have, _ := g.send(r)
			if want := [...]string{"x", "y"}[n]; have.Body != want {
				t.Errorf("request %d: %v", n, have)
			}
		}
	})
}

// contentless is a strategy that has seen to the content: it does not count.
type contentless struct{ keying.Strategy }

func (contentless) KeysContent() bool { return true }

func TestEachRequestCountsOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("x", "Cache-Control: max-age=1, stale-if-error=60", `Etag: "a"`)
		g := newRig(t, o, cache.Options{})
		answer := o.answer
		n := int64(0)
		call := func(ctx context.Context, method string) {
			n++
			r, _ := http.NewRequestWithContext(ctx, method, url, nil)
			if resp, err := g.rt.RoundTrip(r); err == nil {
				readAll(resp)
			}
		}
		call(t.Context(), "GET")
		call(t.Context(), "GET")
		time.Sleep(2 * time.Second)
		o.answer = func(*http.Request) *http.Response { return reply(304, "", `Etag: "a"`) }
		call(t.Context(), "GET")
		time.Sleep(2 * time.Second)
		o.err = errors.New("down")
		call(t.Context(), "GET")
		call(cache.Disable(t.Context()), "GET")
		call(t.Context(), "PUT")
		o.err, o.answer = nil, answer
		call(t.Context(), "PUT")
		call(cache.WithMode(t.Context(), cache.ModeOnlyIfCached), "GET")
		o.answer = func(*http.Request) *http.Response { return reply(101, "") }
		call(t.Context(), "GET")
		s := g.Stats()
		if sum := s.Hits + s.Misses + s.Revalidated + s.Bypassed + s.Errors; sum != n || s.Stale > s.Hits {
			t.Errorf("%d requests, %d counted: %+v", n, sum, s)
		}
	})
}

// What is under way when an operator switches the cache off leaves the store as it is.
func TestWhatIsSwitchedOffWritesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{})
		r, _ := http.NewRequestWithContext(t.Context(), "GET", url, nil)
		resp, err := g.rt.RoundTrip(r)
		require.NoError(t, err)
		g.SetEnabled(false)
		readAll(resp)
		if n := g.entries(); n != 0 {
			t.Errorf("%d entries", n)
		}
	})
}

// Two requests that overtake each other: what was asked for later is what stays.
func TestALateAnswerDoesNotReplaceALaterOne(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("old", "Cache-Control: max-age=60")
		g := newRig(t, o, cache.Options{NoCollapse: true})
		r, _ := http.NewRequestWithContext(t.Context(), "GET", url, nil)
		slow, err := g.rt.RoundTrip(r)
		require.NoError(t, err)
		time.Sleep(time.Second)
		o.answer = says("new", "Cache-Control: max-age=60").answer
		g.get(url)
		readAll(slow)
		have, _ := g.get(url)
		g.want(have, 200, "new", "hit", 2)
	})
}

func TestA101SaysNothingInThisCachesName(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, &origin{answer: func(*http.Request) *http.Response { return reply(101, "", "Cache-Status: ply; hit") }}, cache.Options{})
		r, _ := http.NewRequestWithContext(t.Context(), "GET", url, nil)
		r.Header.Set("Upgrade", "x")
		resp, err := g.rt.RoundTrip(r)
		require.NoError(t, err)
		if s, ok := cache.StatusOf(resp); ok {
			t.Errorf("the origin speaks for this cache: %+v", s)
		}
	})
}

// Callbacks of maintenance may use the cache, and are asked about each response once.
func TestMaintenanceHoldsNoLockOverItsCallbacks(t *testing.T) {
	g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Store: cache.NewMemory(cache.MemoryOptions{MaxEntries: 10})})
	g.get(url)
	g.get(url + "/2")
	asked := 0
	n, err := g.DeleteFunc(t.Context(), func(e *cache.Entry) bool {
		asked++
		r, _ := http.NewRequest("GET", e.URL(), nil)
		return g.Contains(r) && strings.HasSuffix(e.URL(), "2") // this would wait for ever
	})
	require.NoError(t, err)
	if n != 1 || asked != 2 || g.Stats().Entries != 1 {
		t.Errorf("%d deleted, asked %d times, %d left", n, asked, g.Stats().Entries)
	}
}

func TestDeleteForgetsWhatAnswersTheRequest(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60", "No-Vary-Search: params=(\"a\")"), cache.Options{})
		g.get(url + "?a=1")
		r, _ := http.NewRequestWithContext(t.Context(), "GET", url+"?a=2", nil)
		if !g.Contains(r) {
			t.Fatal("not stored")
		}
		require.NoError(t, g.Delete(t.Context(), r))
		if g.Contains(r) {
			t.Error("it is still there")
		}
	})
}

func TestErrorsOfMaintenanceShowNoSecrets(t *testing.T) {
	c, err := cache.New(cache.Options{})
	require.NoError(t, err)
	defer c.Close()
	for _, bad := range []string{"http://user:s3cret@h/%zz?token=s3cret", "http://user:s3cret@h:port/"} {
		for _, err := range []error{c.DeleteURL(t.Context(), bad), c.DeleteGroup(t.Context(), bad, "g")} {
			if err == nil || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%v", err)
			}
		}
	}
}

// A request that a caller gives up on is no fault of the store.
func TestACallerWhoHasGoneIsNoFault(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Store: obedient{storetest.NewMap(1 << 20)}})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
		if resp, err := g.rt.RoundTrip(r); err == nil {
			readAll(resp)
		}
		if n := g.Stats().StoreErrors; n != 0 {
			t.Errorf("%d faults", n)
		}
	})
}

// obedient is a store that heeds its context.
type obedient struct{ store.Store }

func (o obedient) Get(ctx context.Context, key string) (store.Record, error) {
	if err := ctx.Err(); err != nil {
		return store.Record{}, err
	}
	return o.Store.Get(ctx, key)
}

// Hits do not notice that their entry is brought up to date, and what callers do to them stays theirs.
func TestFreshenedWhileHitsAreRead(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789"), 1000)
	n := 0
	o := &origin{answer: func(r *http.Request) *http.Response {
		n++
		if r.Header.Get("If-None-Match") != "" {
			return reply(304, "", `Etag: "a"`, "X-N: fresh", "Cache-Control: max-age=60")
		}
		return reply(200, string(body), `Etag: "a"`, "Cache-Control: max-age=60", "X-N: first")
	}}
	var lock = make(chan struct{}, 1)
	c, err := cache.New(cache.Options{})
	require.NoError(t, err)
	defer c.Close()
	rt := c.Middleware(roundTripper(func(r *http.Request) (*http.Response, error) {
		lock <- struct{}{}
		defer func() { <-lock }()
		return o.RoundTrip(r)
	}))
	done := make(chan struct{})
	for worker := range 8 {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range 100 {
				ctx := context.Background()
				if (i+worker)%5 == 0 {
					ctx = cache.WithMode(ctx, cache.ModeNoCache)
				}
				r, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
				resp, err := rt.RoundTrip(r)
				if err != nil {
					t.Error(err)
					return
				}
				for name, values := range resp.Header {
					for i := range values {
						values[i] = "forged"
					}
					resp.Header[name] = append(values, "more")
				}
				r.Header.Set("X", "y")
				got, err := io.ReadAll(iotest.HalfReader(resp.Body))
				resp.Body.Close()
				if err != nil || !bytes.Equal(got, body) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
				clear(got)
			}
		}()
	}
	for range 8 {
		<-done
	}
}

// badStore is a store that misbehaves in one way.
type badStore struct {
	store.Store
	misbehave func(context.Context) error
	lie       func(key string) string
	mended    atomic.Bool // misbehave is over: the cache may call at any moment, to pay what it owes
}

func (b *badStore) call(ctx context.Context, call func() error) error {
	if b.misbehave != nil && !b.mended.Load() {
		return b.misbehave(ctx)
	}
	return call()
}

func (b *badStore) Get(ctx context.Context, key string) (r store.Record, err error) {
	if b.lie != nil {
		key = b.lie(key)
	}
	err = b.call(ctx, func() error { r, err = b.Store.Get(ctx, key); return err })
	return r, err
}

func (b *badStore) Put(ctx context.Context, key string, r store.Record) error {
	if b.lie != nil {
		key = b.lie(key)
	}
	return b.call(ctx, func() error { return b.Store.Put(ctx, key, r) })
}

func (b *badStore) Delete(ctx context.Context, key, version string) error {
	if b.lie != nil {
		key = b.lie(key)
	}
	return b.call(ctx, func() error { return b.Store.Delete(ctx, key, version) })
}

// Whatever a store does, each request gets the origin's answer, in time, and the cache recovers with the store.
func TestNoStoreCanHurtARequest(t *testing.T) {
	hang := make(chan struct{})
	for name, misbehave := range map[string]func(context.Context) error{
		"errors":                     func(context.Context) error { return errors.New("down") },
		"panics":                     func(context.Context) error { panic("broken store") },
		"hangs until it is told":     func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"hangs whatever it is told":  func(context.Context) error { <-hang; return nil },
		"answers nothing and no set": func(context.Context) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				hang = make(chan struct{})
				store := &badStore{Store: storetest.NewMap(1 << 20), misbehave: misbehave}
				g := newRig(t, says("x", "Cache-Control: max-age=600", `Cache-Group-Invalidation: "a", "b", "c"`), cache.Options{Store: store, StoreTimeout: 50 * time.Millisecond})
				for i, method := range []string{"GET", "GET", "POST", "HEAD"} {
					before := time.Now()
					have, _ := g.do(method, url)
					if have.Status != 200 || have.Body != "x" && method != "HEAD" || len(g.origin.asked) != i+1 {
						t.Errorf("%s: %v, asked %d times", method, have, len(g.origin.asked))
					}
					if waited := time.Since(before); waited > 100*time.Millisecond {
						t.Errorf("%s waited %v", method, waited)
					}
				}
				if faults := g.Stats().StoreErrors; (faults == 0) != strings.Contains(name, "no set") {
					t.Errorf("%d faults", faults)
				}
				close(hang)
				synctest.Wait()
				store.mended.Store(true)
				time.Sleep(time.Second)
				g.get(url) // has the store probed, and told of the POST that it has missed
				synctest.Wait()
				g.get(url)
				have, _ := g.get(url)
				g.want(have, 200, "x", "hit", len(g.origin.asked))
			})
		})
	}
}

func TestCallsOfAHangingStoreAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		hang := make(chan struct{})
		defer close(hang)
		var calls atomic.Int64
		store := &badStore{Store: storetest.NewMap(1 << 20), misbehave: func(context.Context) error { calls.Add(1); <-hang; return nil }}
		g := newRig(t, says("x"), cache.Options{Store: store})
		for range 3000 {
			g.get(url)
		}
		if n := calls.Load(); n > 1024 {
			t.Errorf("%d calls hang", n)
		}
	})
}

// A store that mixes its keys up has nothing.
func TestAStoreThatMixesKeysUpHasNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		store := &badStore{Store: storetest.NewMap(1 << 20), lie: func(string) string { return "one for all" }}
		o := &origin{answer: func(r *http.Request) *http.Response {
			return reply(200, r.URL.Path+r.Header.Get("Authorization"), "Cache-Control: max-age=600")
		}}
		g := newRig(t, o, cache.Options{Store: store})
		for _, path := range []string{"/a", "/b", "/a"} {
			for _, user := range []string{"A", "B"} {
				if have, _ := g.get("http://h"+path, "Authorization: "+user); have.Body != path+user {
					t.Errorf("%s for %s: %v", path, user, have)
				}
			}
		}
		have, _ := g.get("http://h/a", "Authorization: B")
		g.want(have, 200, "/aB", "miss", 7)
	})
}

// Small bodies with many fields cost more than their bytes, and are charged for it.
func TestManyFieldsStayWithinTheLimit(t *testing.T) {
	const limit = 4 << 20
	fields := []string{"Cache-Control: max-age=60"}
	for i := range 22 {
		fields = append(fields, fmt.Sprintf("X-Field-%d: %d", i, i))
	}
	c, err := cache.New(cache.Options{Store: cache.NewMemory(cache.MemoryOptions{MaxBytes: limit})})
	require.NoError(t, err)
	defer c.Close()
	rt := c.Middleware(roundTripper(func(*http.Request) (*http.Response, error) { return reply(200, "x", fields...), nil }))
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	for i := range 3000 {
		r, _ := http.NewRequest("GET", fmt.Sprintf("http://h/%d", i), nil)
		resp, err := rt.RoundTrip(r)
		require.NoError(t, err)
		readAll(resp)
	}
	if used := heap() - before; used > limit*5/4 {
		t.Errorf("%d bytes of heap for a limit of %d", used, limit)
	}
	if c.Stats().Evicted == 0 {
		t.Error("the test does not press against the bound")
	}
	runtime.KeepAlive(c)
}

// Every copy of a request's content is closed, once, on paths that need several.
func TestEveryCopyOfAContentIsClosedOnce(t *testing.T) {
	for name, second := range map[string]func(*http.Request) (*http.Response, error){
		"confirmed":             func(*http.Request) (*http.Response, error) { return reply(304, "", `Etag: "a"`), nil },
		"confirmed for another": func(*http.Request) (*http.Response, error) { return reply(304, "", `Etag: "b"`), nil },
		"replaced":              func(*http.Request) (*http.Response, error) { return reply(200, "new"), nil },
		"failed":                func(*http.Request) (*http.Response, error) { return reply(503, "down"), nil },
		"unreachable":           func(*http.Request) (*http.Response, error) { return nil, errors.New("reset") },
	} {
		for _, directives := range []string{"max-age=1", "max-age=1, stale-while-revalidate=60", "max-age=1, stale-if-error=60"} {
			t.Run(name+", "+directives, func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					next := func(*http.Request) (*http.Response, error) {
						return reply(200, "old", "Cache-Control: "+directives, `Etag: "a"`), nil
					}
					c, err := cache.New(cache.Options{})
					require.NoError(t, err)
					defer c.Close()
					rt := c.Middleware(roundTripper(func(r *http.Request) (*http.Response, error) {
						r.Body.Close()
						return next(r)
					}))
					for range 2 {
						var copies []*int
						open := func() io.ReadCloser {
							copies = append(copies, new(int))
							return closes{strings.NewReader("q"), copies[len(copies)-1]}
						}
						r, _ := http.NewRequestWithContext(t.Context(), "QUERY", url, open())
						r.GetBody = func() (io.ReadCloser, error) { return open(), nil }
						if resp, err := rt.RoundTrip(r); err == nil {
							readAll(resp)
						}
						synctest.Wait()
						for i, n := range copies {
							if *n != 1 {
								t.Errorf("copy %d of %d was closed %d times", i, len(copies), *n)
							}
						}
						time.Sleep(2 * time.Second)
						next = second
					}
				})
			})
		}
	}
}

// An entry as large as the whole store takes the place of everything else.
func TestAnEntryThatFillsTheStore(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const limit = 2 << 20
		o := &origin{answer: func(r *http.Request) *http.Response {
			n, _ := strconv.Atoi(r.Header.Get("Size"))
			return reply(200, strings.Repeat("x", n), "Cache-Control: max-age=60")
		}}
		g := newRig(t, o, cache.Options{Store: cache.NewMemory(cache.MemoryOptions{MaxBytes: limit})})
		g.get("http://h/filling", "Size: 1000000")
		overhead := g.Stats().Bytes - 1000000
		for i := range 200 {
			g.get(fmt.Sprintf("http://h/%d", i), "Size: 1000")
		}
		size := fmt.Sprintf("Size: %d", limit-overhead)
		g.do("DELETE", "http://h/filling")
		g.get("http://h/filling", size)
		have, _ := g.get("http://h/filling", size)
		if s := g.Stats(); have.Outcome != "hit" || s.Bytes != limit || s.Entries != 1 {
			t.Errorf("%s, %+v", have.Outcome, s)
		}
	})
}

// An answer without content has no trailers, and a part has not those of the whole.
func TestTrailersBelongToWholeBodies(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := &origin{answer: func(*http.Request) *http.Response {
			resp := reply(200, "body", "Cache-Control: max-age=60", `Etag: "a"`)
			resp.ContentLength, resp.Trailer = -1, http.Header{"X-Sum": {"1"}}
			return resp
		}}
		g := newRig(t, o, cache.Options{})
		g.get(url)
		for _, call := range [][]string{{"GET"}, {"HEAD"}, {"GET", `If-None-Match: "a"`}, {"GET", "Range: bytes=0-1"}} {
			_, resp := g.do(call[0], url, call[1:]...)
			if has := resp.Trailer != nil; has != (len(call) == 1 && call[0] == "GET") {
				t.Errorf("%q: trailers %v", call, resp.Trailer)
			}
		}
	})
}

// What a response varies on is kept in clear only where everyone may know it.
func TestSelectingFieldsAreKeptAsHashes(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		names := []string{"Authorization", "Cookie", "X-Api-Key", "X-Signature", "X-Jwt", "Referer", "X-User"}
		memory := cache.NewMemory(cache.MemoryOptions{})
		g := newRig(t, says("x", "Cache-Control: max-age=60", "Vary: "+strings.Join(names, ", ")), cache.Options{Store: memory})
		var fields []string
		for _, name := range names {
			fields = append(fields, name+": s3cret")
		}
		g.get(url, fields...)
		have, _ := g.get(url, fields...)
		g.want(have, 200, "x", "hit", 1)
		fields[6] = "X-User: another"
		have, _ = g.get(url, fields...)
		g.want(have, 200, "x", "miss", 2)
		for e := range g.Entries(t.Context()) {
			if shown := fmt.Sprintf("%+v", reflect.ValueOf(e).Elem()); strings.Contains(shown, "s3cret") {
				t.Errorf("in clear: %s", shown)
			}
		}
	})
}

// Close ends a refresh that reads a body which knows nothing of its request's context.
func TestCloseEndsARefreshThatReads(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("x", "Cache-Control: max-age=1, stale-while-revalidate=60")
		g := newRig(t, o, cache.Options{})
		g.get(url)
		time.Sleep(2 * time.Second)
		stalled, w := io.Pipe()
		defer w.Close()
		o.answer = func(*http.Request) *http.Response {
			resp := reply(200, "", "Cache-Control: max-age=60")
			resp.Body, resp.ContentLength = stalled, -1
			return resp
		}
		g.get(url)
		synctest.Wait()
		require.NoError(t, g.Close())
	})
}
