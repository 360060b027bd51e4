package cache_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// crowd is how many callers come at once.
const crowd = 10_000

// sealed makes a body that says for whom it was made, by which answer, and whether all of it is there.
func sealed(key string, answer, size int) string {
	rng := rand.New(rand.NewPCG(uint64(answer), uint64(size)))
	b, word := make([]byte, size), uint64(0)
	for i := range b {
		if i%8 == 0 {
			word = rng.Uint64()
		}
		b[i] = 'a' + byte(word>>(i%8*8))%26
	}
	content := fmt.Sprintf("%q %d %s", key, answer, b)
	return fmt.Sprintf("%x %s", sha256.Sum256([]byte(content)), content)
}

// unsealed tells for whom a body was made, and by which answer.
func unsealed(body string) (key string, answer int, err error) {
	sum, content, _ := strings.Cut(body, " ")
	if sum != fmt.Sprintf("%x", sha256.Sum256([]byte(content))) {
		return "", 0, fmt.Errorf("%d bytes that are no whole body", len(body))
	}
	_, err = fmt.Sscanf(content, "%q %d", &key, &answer)
	return key, answer, err
}

// busy is an origin that many ask at once.
type busy struct {
	answer func(r *http.Request, n int) (*http.Response, error) // n counts from 1

	asked  atomic.Int64
	mu     sync.Mutex // guards the fields below
	open   int        // bodies that have not been closed
	most   int        // requests at the same time
	active int
}

func (b *busy) RoundTrip(r *http.Request) (*http.Response, error) {
	n := int(b.asked.Add(1))
	b.mu.Lock()
	b.active++
	b.most = max(b.most, b.active)
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.active--
		b.mu.Unlock()
	}()
	if r.Body != nil {
		r.Body.Close()
	}
	resp, err := b.answer(r, n)
	if resp != nil {
		if resp.Header.Get("Date") == "" {
			resp.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
		}
		if resp.Body != http.NoBody {
			b.mu.Lock()
			b.open++
			b.mu.Unlock()
			resp.Body = &counted{ReadCloser: resp.Body, in: b}
		}
	}
	return resp, err
}

// counted notes when a body is closed.
type counted struct {
	io.ReadCloser
	in   *busy
	once sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() {
		c.in.mu.Lock()
		defer c.in.mu.Unlock()
		c.in.open--
	})
	return c.ReadCloser.Close()
}

func (b *busy) leftOpen() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open
}

// sends makes an answer with this body, whose length is declared.
func sends(body string, fields ...string) *http.Response { return reply(200, body, fields...) }

// unhurried is a body that comes in pieces, with a pause before each. It ends with the context.
type unhurried struct {
	ctx   context.Context
	rest  string
	piece int
	pause time.Duration
}

func (u *unhurried) Read(p []byte) (int, error) {
	if u.rest == "" {
		return 0, io.EOF
	}
	select {
	case <-time.After(u.pause):
	case <-u.ctx.Done():
		return 0, context.Cause(u.ctx)
	}
	n := copy(p[:min(len(p), u.piece)], u.rest)
	u.rest = u.rest[n:]
	return n, nil
}

func (u *unhurried) Close() error { return nil }

func slowly(r *http.Request, body string, fields ...string) *http.Response {
	resp := sends(body, fields...)
	resp.Body = &unhurried{r.Context(), body, 1 + len(body)/10, 100 * time.Millisecond}
	return resp
}

func newBusy(t *testing.T, o *busy, options cache.Options) (*cache.Cache, http.RoundTripper) {
	t.Helper()
	c, err := cache.New(options)
	require.NoError(t, err)
	t.Cleanup(func() {
		c.Close()
		nothingInFlight(t, c)
	})
	return c, c.Middleware(o)
}

// nothingInFlight is how a cache is to be left once the contexts of all requests have ended.
func nothingInFlight(t *testing.T, c *cache.Cache) {
	t.Helper()
	flights, bytes := c.InFlight()
	for i := range 1000 {
		if flights == 0 && bytes == 0 {
			return
		}
		if i > 100 {
			runtime.GC() // a body that was never closed gives back what it has when it is collected
		}
		runtime.Gosched()
		flights, bytes = c.InFlight()
	}
	t.Errorf("%d exchanges and %d bytes are left in flight", flights, bytes)
}

func ask(t *testing.T, ctx context.Context, fields ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	require.NoError(t, err)
	for _, line := range fields {
		name, value, _ := strings.Cut(line, ":")
		r.Header.Add(name, strings.TrimSpace(value))
	}
	return r
}

// reads sends a request and checks the body that comes back.
func reads(rt http.RoundTripper, r *http.Request, key string) (answer int, collapsed bool, err error) {
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return 0, false, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, false, err
	}
	whom, answer, err := unsealed(string(body))
	if err == nil && whom != key {
		err = fmt.Errorf("a body for %q, want one for %q", whom, key)
	}
	s, _ := cache.StatusOf(resp)
	return answer, s.Collapsed, err
}

// herd lets n callers loose at once and returns the errors that they got, and how many of them shared.
func herd(t *testing.T, n int, rt http.RoundTripper, request func(i int) *http.Request, key func(i int) string) (errs []error, collapsed int64) {
	t.Helper()
	errs = make([]error, n)
	var shared atomic.Int64
	var wg sync.WaitGroup
	for i := range n {
		r := request(i)
		wg.Go(func() {
			_, c, err := reads(rt, r, key(i))
			if errs[i] = err; c {
				shared.Add(1)
			}
		})
	}
	wg.Wait()
	return errs, shared.Load()
}

func same(key string) func(int) string { return func(int) string { return key } }

// failures counts the errors, and shows the first.
func failures(t *testing.T, errs []error) int {
	t.Helper()
	n := 0
	for _, err := range errs {
		if err != nil {
			if n++; n == 1 {
				t.Logf("first error: %v", err)
			}
		}
	}
	return n
}

func TestAHerdMakesOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			time.Sleep(200 * time.Millisecond)
			return slowly(r, sealed("k", n, 4<<10), "Cache-Control: max-age=60"), nil
		}}
		c, rt := newBusy(t, o, cache.Options{})
		var before, during runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		go func() {
			time.Sleep(100 * time.Millisecond)
			runtime.ReadMemStats(&during)
		}()
		start := time.Now()
		errs, shared := herd(t, crowd, rt, func(int) *http.Request { return ask(t, t.Context()) }, same("k"))
		if failures(t, errs) > 0 || o.asked.Load() != 1 || shared != crowd-1 || o.leftOpen() != 0 {
			t.Errorf("%d failed, %d requests, %d shared, %d bodies left open", failures(t, errs), o.asked.Load(), shared, o.leftOpen())
		}
		if took := time.Since(start); took > 1300*time.Millisecond {
			t.Errorf("took %v: somebody waited for somebody", took)
		}
		if s := c.Stats(); s.Misses != crowd || s.Collapsed != crowd-1 || s.Stored != 1 {
			t.Errorf("stats %+v", s)
		}
		if used := int64(during.HeapInuse+during.StackInuse) - int64(before.HeapInuse+before.StackInuse); used > 200<<20 {
			t.Errorf("%d waiting callers take %d MiB, want 200 at most", crowd, used>>20)
		}
	})
}

// Headers reach everyone at once, and each byte when the origin sends it.
func TestFollowersReadWhileItDownloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := sealed("k", 1, 1<<10)
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			return slowly(r, body, "Cache-Control: max-age=60"), nil
		}}
		_, rt := newBusy(t, o, cache.Options{})
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 250 * time.Millisecond) // some come while it downloads
				resp := roundTrip(t, rt, ask(t, t.Context()))
				defer resp.Body.Close()
				if late := time.Since(start) - time.Duration(i)*250*time.Millisecond; late > 0 {
					t.Errorf("%d: the header came after %v", i, late)
				}
				piece := 1 + len(body)/10
				for n := 1; n <= 10; n++ {
					got := make([]byte, min(piece, len(body)-(n-1)*piece))
					if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != body[(n-1)*piece:min(n*piece, len(body))] {
						t.Errorf("%d: piece %d: %v", i, n, err)
					}
					if due := time.Duration(n) * 100 * time.Millisecond; time.Since(start) > max(due, time.Duration(i)*250*time.Millisecond) {
						t.Errorf("%d: piece %d came after %v, want %v", i, n, time.Since(start), due)
					}
				}
			})
		}
		wg.Wait()
		if o.asked.Load() != 1 {
			t.Errorf("%d requests", o.asked.Load())
		}
	})
}

// Whoever leaves, the others get their answer, and nobody asks again.
func TestTheOneWhoAskedMayLeave(t *testing.T) {
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
				errs, shared := herd(t, crowd/10, rt, func(int) *http.Request { return ask(t, t.Context()) }, same("k"))
				wg.Wait()
				if n := failures(t, errs); n > 0 || o.asked.Load() != 1 || shared != crowd/10 {
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
func TestTheLastOneEndsTheExchange(t *testing.T) {
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

// A layer below that does not care about its context holds nobody.
func TestADeafLayerHoldsNobody(t *testing.T) {
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
			t.Error("an answer that nobody waited for was not closed")
		}
	})
}

// A panic below reaches the one whose request it was. One of the others asks in its place, and the key is free again.
func TestAPanicBelow(t *testing.T) {
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

// A panic while the body is read reaches the one who was reading, or is an error.
func TestAPanicInTheBody(t *testing.T) {
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

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("broken body") }

// A handler that ends its goroutine, as a failing test does, ends the caller's, and nobody hangs.
func TestAGoroutineThatEndsBelow(t *testing.T) {
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

// What cannot be shared holds nobody up: the first answer tells, and from then on nobody waits.
func TestAnswersThatCannotBeShared(t *testing.T) {
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
func TestWhatCouldNotBeSharedOnce(t *testing.T) {
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

// Each variant is fetched once; those who want another one than the first do not wait for it one after the other.
func TestAHerdWithVariants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const languages = 20
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			time.Sleep(100 * time.Millisecond)
			return slowly(r, sealed(r.Header.Get("Accept-Language"), n, 1<<10), "Cache-Control: max-age=60", "Vary: Accept-Language"), nil
		}}
		c, rt := newBusy(t, o, cache.Options{})
		language := func(i int) string { return fmt.Sprint("l", i%languages) }
		start := time.Now()
		errs, _ := herd(t, crowd/5, rt, func(i int) *http.Request { return ask(t, t.Context(), "Accept-Language: "+language(i)) }, language)
		if failures(t, errs) > 0 || o.asked.Load() != languages || c.Stats().Entries != languages {
			t.Errorf("%d requests, %d stored, want %d", o.asked.Load(), c.Stats().Entries, languages)
		}
		if took := time.Since(start); took > 1300*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}

// Nobody gets what was made for another one.
func TestAHerdOfManyPeople(t *testing.T) {
	person := func(i int) string { return fmt.Sprint("p", i%10) }
	for name, test := range map[string]struct {
		options cache.Options
		control string
		want    int64
		key     func(int) string
	}{
		"private cache":                       {cache.Options{}, "max-age=60", 10, person},
		"shared cache":                        {cache.Options{Shared: true}, "max-age=60", 100, person},
		"shared cache, private":               {cache.Options{Shared: true}, "private, max-age=60", 100, person},
		"shared cache, marked as for all":     {cache.Options{Shared: true}, "public, max-age=60", 1, func(int) string { return "all" }},
		"private cache, a cookie for each":    {cache.Options{}, "private, max-age=60", 10, person},
		"nothing is shared":                   {cache.Options{NoCollapse: true}, "max-age=60", 100, person},
		"shared cache, s-maxage, and a start": {cache.Options{Shared: true}, "s-maxage=60", 1, func(int) string { return "all" }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
					time.Sleep(100 * time.Millisecond)
					who := r.Header.Get("Authorization")
					if test.want == 1 {
						who = "all"
					}
					return sends(sealed(who, n, 100), "Cache-Control: "+test.control), nil
				}}
				_, rt := newBusy(t, o, test.options)
				errs, _ := herd(t, 100, rt, func(i int) *http.Request { return ask(t, t.Context(), "Authorization: "+person(i)) }, test.key)
				if failures(t, errs) > 0 || o.asked.Load() != test.want {
					t.Errorf("%d failed, %d requests, want %d", failures(t, errs), o.asked.Load(), test.want)
				}
			})
		})
	}
}

// One conditional request is answered for all who hold the stored response to be stale.
func TestARevalidatingHerd(t *testing.T) {
	for _, status := range []int{200, 304} {
		synctest.Test(t, func(t *testing.T) {
			o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
				time.Sleep(100 * time.Millisecond)
				if status == 304 && r.Header.Get("If-None-Match") == `"1"` {
					return reply(304, "", "Cache-Control: max-age=1", `Etag: "1"`), nil
				}
				return slowly(r, sealed("k", n, 1<<10), "Cache-Control: max-age=1", `Etag: "1"`), nil
			}}
			c, rt := newBusy(t, o, cache.Options{})
			_, _, err := reads(rt, ask(t, t.Context()), "k")
			require.NoError(t, err)
			for round := range 3 {
				time.Sleep(3 * time.Second)
				errs, shared := herd(t, crowd/5, rt, func(int) *http.Request { return ask(t, t.Context()) }, same("k"))
				if failures(t, errs) > 0 || int(o.asked.Load()) != round+2 || shared != crowd/5-1 {
					t.Errorf("%d, round %d: %d failed, %d requests, %d shared", status, round, failures(t, errs), o.asked.Load(), shared)
				}
			}
			if s := c.Stats(); (status == 304) != (s.Revalidated == 3*crowd/5) || s.Entries != 1 || o.leftOpen() != 0 {
				t.Errorf("%+v, %d left open", s, o.leftOpen())
			}
		})
	}
}

// An error that everyone would get is everyone's; one that is about a single request is not.
func TestAFailingHerd(t *testing.T) {
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

// Who has something stale in hand gets that, whoever has asked in vain.
func TestAFailingHerdWithSomethingStale(t *testing.T) {
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
func TestABodyThatBreaksOffForAll(t *testing.T) {
	body := sealed("k", 1, 50)
	reset := errors.New("reset")
	for cut := range len(body) + 1 {
		for _, declared := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
					resp := sends("", "Cache-Control: max-age=60")
					resp.Body = io.NopCloser(io.MultiReader(iotest.OneByteReader(strings.NewReader(body[:cut])), failing{reset}))
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

// Readers in whatever order, with whatever buffers, with conditions and ranges of their own.
func TestReadersOfAllKinds(t *testing.T) {
	body := sealed("k", 1, 20<<10)
	synctest.Test(t, func(t *testing.T) {
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			time.Sleep(100 * time.Millisecond)
			return slowly(r, body, "Cache-Control: max-age=60", `Etag: "1"`, "Last-Modified: Sat, 01 Jan 2000 00:00:00 GMT", "Cache-Status: other; hit"), nil
		}}
		_, rt := newBusy(t, o, cache.Options{})
		want := func(r *http.Request, status int, length int64, text string, wrap func(io.Reader) io.Reader) {
			resp := roundTrip(t, rt, r)
			defer resp.Body.Close()
			got, err := io.ReadAll(wrap(resp.Body))
			if err != nil || string(got) != text || resp.StatusCode != status || resp.ContentLength != length || resp.Request != r {
				t.Errorf("%s %v: %d, length %d, %d bytes, %v", r.Method, r.Header, resp.StatusCode, resp.ContentLength, len(got), err)
			}
			if lines := resp.Header["Cache-Status"]; len(lines) != 2 || lines[0] != "other; hit" {
				t.Errorf("Cache-Status %q", lines)
			}
			if status == 206 && resp.Header.Get("Content-Range") != fmt.Sprintf("bytes 1000-1999/%d", len(body)) {
				t.Errorf("Content-Range %q", resp.Header.Get("Content-Range"))
			}
			resp.Header.Set("X-Mine", "1")
			delete(resp.Header, "Etag")
		}
		plain := func(r io.Reader) io.Reader { return r }
		long := int64(len(body))
		head := ask(t, t.Context())
		head.Method = "HEAD"
		var wg sync.WaitGroup
		wg.Go(func() { want(ask(t, t.Context()), 200, long, body, iotest.OneByteReader) })
		time.Sleep(time.Millisecond)
		for range 2 { // before the header, and while it downloads
			for range 3 {
				wg.Go(func() { want(ask(t, t.Context()), 200, long, body, iotest.OneByteReader) })
				wg.Go(func() { want(ask(t, t.Context()), 200, long, body, iotest.HalfReader) })
				wg.Go(func() {
					want(ask(t, t.Context()), 200, long, body, func(r io.Reader) io.Reader {
						var b strings.Builder
						io.Copy(&b, r) // WriteTo
						return strings.NewReader(b.String())
					})
				})
				wg.Go(func() { want(ask(t, t.Context(), "Range: bytes=1000-1999"), 206, 1000, body[1000:2000], plain) })
				wg.Go(func() { want(ask(t, t.Context(), `If-None-Match: "1"`), 304, 0, "", plain) })
				wg.Go(func() {
					want(ask(t, t.Context(), "If-Modified-Since: Sat, 01 Jan 2000 00:00:00 GMT"), 304, 0, "", plain)
				})
				wg.Go(func() { want(ask(t, t.Context(), "Range: bytes=999999-"), 416, 0, "", plain) })
				wg.Go(func() { want(head, 200, long, "", plain) })
			}
			time.Sleep(500 * time.Millisecond)
		}
		wg.Wait()
		if o.asked.Load() != 1 || o.leftOpen() != 0 {
			t.Errorf("%d requests, %d left open", o.asked.Load(), o.leftOpen())
		}
	})
}

// Trailers come to every reader, in a map of its own.
func TestTrailersForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &busy{answer: func(*http.Request, int) (*http.Response, error) {
			resp := sends("", "Cache-Control: max-age=60")
			resp.ContentLength, resp.Trailer = -1, http.Header{"X-Sum": nil}
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("body"), atEnd(func() { resp.Trailer["X-Sum"] = []string{"1"} })))
			return resp, nil
		}}
		_, rt := newBusy(t, o, cache.Options{})
		var responses []*http.Response
		for range 3 {
			responses = append(responses, roundTrip(t, rt, ask(t, t.Context())))
		}
		responses = append(responses, nil)
		for i, resp := range responses {
			if resp == nil {
				resp = roundTrip(t, rt, ask(t, t.Context()))
			} else if _, announced := resp.Trailer["X-Sum"]; !announced {
				t.Errorf("reader %d: the trailer is not announced", i)
			}
			readAll(resp)
			if resp.Trailer.Get("X-Sum") != "1" {
				t.Errorf("reader %d: trailers %v", i, resp.Trailer)
			}
			resp.Trailer.Set("X-Sum", "forged")
		}
	})
}

// Requests that want to hear from the origin do, and none that cannot be shared is waited for.
func TestWhoSharesAndWhoDoesNot(t *testing.T) {
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

// A request that was made after an invalidation does not get an answer to one that was made before it.
func TestNobodyJoinsWhatWasAskedBeforeAnInvalidation(t *testing.T) {
	for name, invalidate := range map[string]func(c *cache.Cache, rt http.RoundTripper){
		"POST": func(_ *cache.Cache, rt http.RoundTripper) {
			r, _ := http.NewRequest("POST", url, nil)
			if resp, err := rt.RoundTrip(r); err == nil {
				readAll(resp)
			}
		},
		"DeleteURL": func(c *cache.Cache, _ http.RoundTripper) { c.DeleteURL(context.Background(), url) },
		"Clear":     func(c *cache.Cache, _ http.RoundTripper) { c.Clear(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, headers := range []time.Duration{0, 300 * time.Millisecond} {
				synctest.Test(t, func(t *testing.T) {
					o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
						if r.Method != "GET" {
							return reply(204, ""), nil
						}
						time.Sleep(headers)
						return slowly(r, sealed("k", n, 100), "Cache-Control: max-age=60"), nil
					}}
					c, rt := newBusy(t, o, cache.Options{})
					var wg sync.WaitGroup
					wg.Go(func() { reads(rt, ask(t, t.Context()), "k") })
					time.Sleep(50 * time.Millisecond)
					invalidate(c, rt)
					before := int(o.asked.Load())
					answer, _, err := reads(rt, ask(t, t.Context()), "k")
					wg.Wait()
					if err != nil || answer <= before {
						t.Errorf("answer %d of %d, %v", answer, o.asked.Load(), err)
					}
				})
			}
		})
	}
}

// An exchange of which nothing comes is not joined for ever: a connection may be dead and nobody told.
func TestADeadExchangeIsNotJoinedForEver(t *testing.T) {
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
func TestCloseInMidFlight(t *testing.T) {
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

// A refresh behind the callers' backs and a caller who asks are one exchange; Close ends it for the refresh alone.
func TestARefreshIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			time.Sleep(100 * time.Millisecond)
			return slowly(r, sealed("k", n, 1<<10), "Cache-Control: max-age=1, stale-while-revalidate=60", fmt.Sprintf(`Etag: "%d"`, n)), nil
		}}
		c, rt := newBusy(t, o, cache.Options{})
		reads(rt, ask(t, t.Context()), "k")
		time.Sleep(5 * time.Second)
		errs, _ := herd(t, 100, rt, func(int) *http.Request { return ask(t, t.Context()) }, same("k"))
		if failures(t, errs) > 0 {
			t.Error("failed")
		}
		synctest.Wait()
		var wg sync.WaitGroup
		wg.Go(func() { // who demands something fresher joins the refresh
			answer, collapsed, err := reads(rt, ask(t, t.Context(), "Cache-Control: min-fresh=0"), "k")
			if answer != 2 || !collapsed || err != nil {
				t.Errorf("answer %d, shared %v, %v", answer, collapsed, err)
			}
		})
		time.Sleep(10 * time.Millisecond)
		c.Close()
		wg.Wait()
		if o.asked.Load() != 2 || o.leftOpen() != 0 {
			t.Errorf("%d requests, %d left open", o.asked.Load(), o.leftOpen())
		}
	})
}

// Content travels with the request that is sent, and is closed for those that are not.
func TestAHerdWithContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &busy{}
		o.answer = func(r *http.Request, n int) (*http.Response, error) {
			time.Sleep(100 * time.Millisecond)
			return sends(sealed("k", n, 100), "Cache-Control: max-age=60"), nil
		}
		_, rt := newBusy(t, o, cache.Options{})
		var open atomic.Int64
		newBody := func() io.ReadCloser {
			open.Add(1)
			var once sync.Once
			return struct {
				io.Reader
				io.Closer
			}{strings.NewReader("what?"), closer(func() { once.Do(func() { open.Add(-1) }) })}
		}
		errs, _ := herd(t, 100, rt, func(int) *http.Request {
			r, _ := http.NewRequestWithContext(t.Context(), "QUERY", url, nil)
			r.Body, r.ContentLength = newBody(), 5
			r.GetBody = func() (io.ReadCloser, error) { return newBody(), nil }
			return r
		}, same("k"))
		if failures(t, errs) > 0 || o.asked.Load() != 1 || open.Load() != 0 {
			t.Errorf("%d failed, %d requests, %d request bodies left open", failures(t, errs), o.asked.Load(), open.Load())
		}
	})
}

type closer func()

func (c closer) Close() error { c(); return nil }

// Layers below see the values of the one who came first, and the latest deadline of those who wait.
func TestTheContextOfAnExchange(t *testing.T) {
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

// What is remembered of keys that cannot be shared has a bound, and one key more costs no more than a wait.
func TestWhatIsRememberedHasABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const keys = 3000 // of 1,024 that are remembered
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

// An error may be about the one who asked: it stays with that person where the key does not tell people apart.
func TestErrorsStayWithTheirPerson(t *testing.T) {
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

// slowToStore is a byte store that takes its time to take something in.
type slowToStore struct{ store.Store }

func (s slowToStore) Put(ctx context.Context, key string, r store.Record) error {
	if r.Kind == store.KindEntry {
		time.Sleep(60 * time.Millisecond)
	}
	return s.Store.Put(ctx, key, r)
}

// Between the end of a body and the moment when a slow store has it, callers still share what was fetched.
func TestWhatIsOnItsWayIntoTheStoreIsShared(t *testing.T) {
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
