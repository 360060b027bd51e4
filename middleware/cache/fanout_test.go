package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
)

// Close ends the Read of a slow reader that waits for an exchange of its own.
func TestFanoutCloseEndsTheReadOfASlowReader(t *testing.T) {
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

// undeclared is an answer whose length is not declared, so that it turns out to be too large only while it is read.
func undeclared(body string, fields ...string) *http.Response {
	resp := reply(200, body, append(fields, "Cache-Control: max-age=60")...)
	resp.ContentLength = -1
	return resp
}

// ranged answers requests for the end of a body, as far as the tag of If-Range is the one of the body.
func ranged(r *http.Request, tag, body string) *http.Response {
	var first int
	if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &first); n == 1 && r.Header.Get("If-Range") == tag {
		return reply(206, body[first:], "Etag: "+tag, fmt.Sprintf("Content-Range: bytes %d-%d/%d", first, len(body)-1, len(body)))
	}
	if tag == "" {
		return undeclared(body)
	}
	return undeclared(body, "Etag: "+tag)
}

// A body that is too large for the store streams on. Who lags behind further than what is kept goes on with a request of its own,
// if that is provably about the same bytes.
func TestFanoutSlowReaderContinuesWithItsOwnRequest(t *testing.T) {
	body := sealed("k", 1, 2<<20)
	other := sealed("k", 2, 2<<20)
	for name, test := range map[string]struct {
		tag   string
		again func(r *http.Request) (*http.Response, error) // what the slow reader's request is answered with
		rng   bool                                          // it asks for the rest only
		ok    bool
	}{
		"strong tag":            {`"1"`, func(r *http.Request) (*http.Response, error) { return ranged(r, `"1"`, body), nil }, true, true},
		"strong tag, no ranges": {`"1"`, func(*http.Request) (*http.Response, error) { return undeclared(body, `Etag: "1"`), nil }, true, true},
		"strong tag, changed":   {`"1"`, func(r *http.Request) (*http.Response, error) { return ranged(r, `"2"`, other), nil }, true, false},
		"no tag, same bytes":    {"", func(*http.Request) (*http.Response, error) { return undeclared(body), nil }, false, true},
		"no tag, other bytes":   {"", func(*http.Request) (*http.Response, error) { return undeclared(other), nil }, false, false},
		"no tag, too short":     {"", func(*http.Request) (*http.Response, error) { return undeclared(body[:100]), nil }, false, false},
		"no tag, then one":      {"", func(*http.Request) (*http.Response, error) { return undeclared(body, `Etag: "1"`), nil }, false, false},
		"weak tag, same bytes":  {`W/"1"`, func(*http.Request) (*http.Response, error) { return undeclared(body, `Etag: W/"1"`), nil }, false, true},
		"weak tag, changed":     {`W/"1"`, func(*http.Request) (*http.Response, error) { return undeclared(body, `Etag: W/"2"`), nil }, false, false},
		"changed since": {"", func(*http.Request) (*http.Response, error) {
			return undeclared(body, "Last-Modified: Sat, 01 Jan 2000 00:00:00 GMT"), nil
		}, false, false},
		"other coding":   {"", func(*http.Request) (*http.Response, error) { return undeclared(body, "Content-Encoding: br"), nil }, false, false},
		"an error":       {"", func(*http.Request) (*http.Response, error) { return nil, errors.New("refused") }, false, false},
		"another status": {"", func(*http.Request) (*http.Response, error) { return reply(503, body), nil }, false, false},
		"a part without a request for one": {"", func(*http.Request) (*http.Response, error) {
			return reply(206, body, "Content-Range: bytes 0-9/10"), nil
		}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var rng string
				o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
					if n == 1 {
						return ranged(r, test.tag, body), nil
					}
					rng = r.Header.Get("Range")
					return test.again(r)
				}}
				c, rt := newBusy(t, o, cache.Options{MaxEntryBytes: 256 << 10})
				fast, slow := roundTrip(t, rt, ask(t, t.Context())), roundTrip(t, rt, ask(t, t.Context()))
				const read = 100 << 10
				begin := make([]byte, read)
				io.ReadFull(slow.Body, begin)
				whole, err := io.ReadAll(fast.Body)
				if string(whole) != body || err != nil {
					t.Errorf("the fast reader got %d bytes, %v", len(whole), err)
				}
				fast.Body.Close()
				rest, err := io.ReadAll(slow.Body)
				slow.Body.Close()
				got := string(begin) + string(rest)
				switch {
				case test.ok && (got != body || err != nil):
					t.Errorf("the slow reader got %d bytes, %v", len(got), err)
				case !test.ok && (!errors.Is(err, io.ErrUnexpectedEOF) || !strings.HasPrefix(body, got)):
					t.Errorf("the slow reader got %d bytes, %v", len(got), err)
				}
				if o.asked.Load() != 2 || (rng == fmt.Sprintf("bytes=%d-", read)) != test.rng || c.Stats().Entries != 0 || o.leftOpen() != 0 {
					t.Errorf("%d requests, range %q, %d stored, %d left open", o.asked.Load(), rng, c.Stats().Entries, o.leftOpen())
				}
			})
		})
	}
}

// A slow reader's own exchange ends with its context, and with its body.
func TestFanoutSlowReaderMayLeave(t *testing.T) {
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
		why := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, why)
		defer cancel()
		fast, slow, closed := roundTrip(t, rt, ask(t, t.Context())), roundTrip(t, rt, ask(t, ctx)), roundTrip(t, rt, ask(t, t.Context()))
		readAll(fast)
		closed.Body.Close()
		if n, err := closed.Body.Read(make([]byte, 1)); n != 0 || err != http.ErrBodyReadAfterClose {
			t.Errorf("after Close: %d, %v", n, err)
		}
		if _, err := io.ReadAll(slow.Body); !errors.Is(err, why) {
			t.Errorf("error %v, want the cause of the context", err)
		}
		slow.Body.Close()
		if o.leftOpen() != 0 {
			t.Errorf("%d left open", o.leftOpen())
		}
	})
}

// zeros is a body of so many bytes, which takes no memory itself.
type zeros struct{ left int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), z.left))
	clear(p[:n])
	z.left -= int64(n)
	return n, nil
}

func (z *zeros) Close() error { return nil }

// peak returns how much the heap grows while f runs, as seen each time that f asks for it.
func peak(f func(look func())) int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before, most := int64(m.HeapAlloc), int64(0)
	f(func() {
		runtime.GC()
		runtime.ReadMemStats(&m)
		most = max(most, int64(m.HeapAlloc)-before)
	})
	return most
}

// However large a body is, and whichever reader stops, memory is bounded.
func TestFanoutMemoryIsBounded(t *testing.T) {
	const size, limit = 256 << 20, 4 << 20
	for name, others := range map[string]int{"alone": 0, "with one who never reads": 1, "with several who never read": 5} {
		t.Run(name, func(t *testing.T) {
			o := &busy{answer: func(*http.Request, int) (*http.Response, error) {
				resp := undeclared("")
				resp.Body = &zeros{size}
				return resp, nil
			}}
			_, rt := newBusy(t, o, cache.Options{MaxEntryBytes: limit})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			used := peak(func(look func()) {
				resp := roundTrip(t, rt, ask(t, ctx))
				for range others {
					roundTrip(t, rt, ask(t, ctx))
				}
				var read int64
				for buffer := make([]byte, 64<<10); ; {
					n, err := resp.Body.Read(buffer)
					if read += int64(n); err != nil {
						break
					}
					if read%(16<<20) < 64<<10 {
						look()
					}
				}
				if read != size {
					t.Errorf("read %d bytes", read)
				}
				resp.Body.Close()
			})
			if used > limit+4<<20 {
				t.Errorf("%d MiB, want little more than %d", used>>20, limit>>20)
			}
		})
	}
}

// All copies in flight have one budget. What does not fit streams on and is not stored.
func TestFanoutCopiesShareABudget(t *testing.T) {
	const bodies, size, budget = 100, 1 << 20, 16 << 20
	for _, declared := range []bool{true, false} {
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			resp := undeclared("")
			resp.Body = &zeros{size}
			if declared {
				resp.ContentLength = size
			}
			return resp, nil
		}}
		c, rt := newBusy(t, o, cache.Options{MaxInFlightBytes: budget, Store: cache.NewMemory(cache.MemoryOptions{MaxBytes: -1})})
		used := peak(func(look func()) {
			var all []*http.Response
			for i := range bodies {
				r := ask(t, t.Context())
				r.URL.Path = fmt.Sprint("/", i)
				resp := roundTrip(t, rt, r)
				if n, err := io.ReadFull(resp.Body, make([]byte, size-10)); err != nil {
					t.Errorf("%d bytes, %v", n, err)
				}
				all = append(all, resp)
			}
			look()
			for _, resp := range all {
				if rest, err := io.ReadAll(resp.Body); len(rest) != 10 || err != nil {
					t.Errorf("%d bytes of 10, %v", len(rest), err)
				}
				resp.Body.Close()
			}
		})
		if used > budget*5/4+bodies*(64<<10) {
			t.Errorf("declared %v: %d MiB", declared, used>>20)
		}
		if c.Stats().Misses != bodies || o.leftOpen() != 0 {
			t.Errorf("%+v, %d left open", c.Stats(), o.leftOpen())
		}
	}
}

func TestFanoutHugeContentLengthAllocatesNothing(t *testing.T) {
	o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
		resp := undeclared("")
		resp.Body, resp.ContentLength = &zeros{100}, 1<<40
		return resp, nil
	}}
	_, rt := newBusy(t, o, cache.Options{MaxEntryBytes: 1 << 41})
	used := peak(func(look func()) {
		resp := roundTrip(t, rt, ask(t, t.Context()))
		resp.Body.Read(make([]byte, 10))
		look()
		readAll(resp)
	})
	if used > 2<<20 {
		t.Errorf("%d KiB", used>>10)
	}
}

// A decoder stops at the closing brace. What is missing then is read when the body is closed, if it is little and comes soon.
func TestFanoutCloseReadsALittleRest(t *testing.T) {
	for name, test := range map[string]struct {
		body   func(r *http.Request) io.Reader
		length int64
		stored bool
		within time.Duration
	}{
		"a line feed": {func(*http.Request) io.Reader { return iotest.OneByteReader(strings.NewReader("{}\n")) }, -1, true, 0},
		"declared": {func(*http.Request) io.Reader {
			return iotest.OneByteReader(strings.NewReader("{}" + strings.Repeat(" ", 60<<10)))
		}, 2 + 60<<10, true, 0},
		"declared, too much": {func(*http.Request) io.Reader {
			return iotest.OneByteReader(strings.NewReader("{}" + strings.Repeat(" ", 70<<10)))
		}, 2 + 70<<10, false, 0},
		"undeclared, too much": {func(*http.Request) io.Reader { // also after what may have been read ahead
			return iotest.OneByteReader(strings.NewReader("{}" + strings.Repeat(" ", 140<<10)))
		}, -1, false, 0},
		"a stall": {func(r *http.Request) io.Reader {
			return io.MultiReader(strings.NewReader("{}"), &unhurried{r.Context(), "\n", 1, time.Hour})
		}, -1, false, 50 * time.Millisecond},
		"slow": {func(r *http.Request) io.Reader {
			return io.MultiReader(strings.NewReader("{}"), &unhurried{r.Context(), "\n", 1, 20 * time.Millisecond})
		}, -1, true, 20 * time.Millisecond},
		"drop by drop, for ever": {func(r *http.Request) io.Reader {
			return &unhurried{r.Context(), strings.Repeat("{}", 1000), 2, 9 * time.Millisecond}
		}, -1, false, 50 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			for _, collapse := range []bool{true, false} {
				synctest.Test(t, func(t *testing.T) {
					o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
						resp := undeclared("")
						body := test.body(r)
						end, stop := context.WithCancel(r.Context())
						if u, ok := body.(*unhurried); ok {
							u.ctx = end
						}
						resp.Body, resp.ContentLength = struct {
							io.Reader
							io.Closer
						}{body, closer(stop)}, test.length
						return resp, nil
					}}
					c, rt := newBusy(t, o, cache.Options{NoCollapse: !collapse})
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					resp := roundTrip(t, rt, ask(t, ctx))
					io.ReadFull(resp.Body, make([]byte, 2))
					start := time.Now()
					if !collapse && name == "a stall" {
						time.AfterFunc(40*time.Millisecond, cancel) // only the caller's own context can end this exchange
					}
					resp.Body.Close()
					if took := time.Since(start); took > test.within {
						t.Errorf("collapse %v: Close took %v, want %v", collapse, took, test.within)
					}
					synctest.Wait()
					if (c.Stats().Entries == 1) != test.stored || o.leftOpen() != 0 {
						t.Errorf("collapse %v: %d stored, %d left open", collapse, c.Stats().Entries, o.leftOpen())
					}
				})
			}
		})
	}
}

// While the rest is being read for the one who has left, another may join.
func TestFanoutJoinWhileRestIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			resp := undeclared("")
			resp.Body = &unhurried{r.Context(), sealed("k", n, 10), 30, 20 * time.Millisecond}
			return resp, nil
		}}
		_, rt := newBusy(t, o, cache.Options{})
		resp := roundTrip(t, rt, ask(t, t.Context()))
		var wg sync.WaitGroup
		wg.Go(func() { resp.Body.Close() })
		time.Sleep(30 * time.Millisecond)
		if _, shared, err := reads(rt, ask(t, t.Context()), "k"); err != nil || !shared || o.asked.Load() != 1 {
			t.Errorf("shared %v, %v, %d requests", shared, err, o.asked.Load())
		}
		wg.Wait()
	})
}

// A caller who neither reads nor closes costs no goroutine.
func TestFanoutIdleReaderHasNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			return slowly(r, sealed(r.URL.Path, n, 1<<20), "Cache-Control: "+r.Header.Get("X-Control")), nil
		}}
		_, rt := newBusy(t, o, cache.Options{})
		before := bubbleGoroutines()
		for i := range 100 {
			r := ask(t, t.Context(), "X-Control: "+[]string{"max-age=60", "no-store"}[i%2])
			r.URL.Path = fmt.Sprint("/", i/4)
			roundTrip(t, rt, r)
		}
		synctest.Wait()
		if n := bubbleGoroutines(); before == 0 || n > before {
			t.Errorf("%d goroutines, %d before", n, before)
		}
	})
}

// bubbleGoroutines counts the goroutines of the bubble that it is called in. Those of the runtime, which come and go, are in none.
func bubbleGoroutines() int {
	stacks := make([]byte, 1<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), ", synctest bubble ")
}

// Close frees a Read that waits for the origin, and does not wait for it either.
func TestFanoutCloseEndsABlockedRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			resp := undeclared("")
			resp.Body = &unhurried{r.Context(), sealed("k", n, 10), 1, time.Hour}
			return resp, nil
		}}
		_, rt := newBusy(t, o, cache.Options{})
		for range 2 {
			resp := roundTrip(t, rt, ask(t, t.Context()))
			start := time.Now()
			go func() {
				time.Sleep(time.Second)
				resp.Body.Close()
				resp.Body.Close()
			}()
			if _, err := io.ReadAll(resp.Body); err != http.ErrBodyReadAfterClose || time.Since(start) > time.Second {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		}
		synctest.Wait()
		if o.leftOpen() != 0 {
			t.Errorf("%d left open", o.leftOpen())
		}
	})
}

// A body that comes in one piece while there is no room for its copy is read as it is, and not stored.
func TestFanoutCopyBeyondBudgetIsNotStored(t *testing.T) {
	for _, collapse := range []bool{true, false} {
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			resp := sends(sealed(r.URL.Path, 1, map[string]int{"/large": 90_000, "/small": 20_000}[r.URL.Path]), "Cache-Control: max-age=60")
			if r.URL.Path == "/large" {
				resp.Body = io.NopCloser(iotest.HalfReader(resp.Body))
			}
			return resp, nil
		}}
		c, rt := newBusy(t, o, cache.Options{MaxInFlightBytes: 100_000, NoCollapse: !collapse})
		get := func(path string) *http.Response {
			r := ask(t, context.Background()) // read ahead by no exchange
			r.URL.Path = path
			return roundTrip(t, rt, r)
		}
		large, small := get("/large"), get("/small")
		begin := make([]byte, 100)
		io.ReadFull(large.Body, begin)
		for _, resp := range []*http.Response{small, get("/small")} {
			body, err := io.ReadAll(resp.Body)
			if key, _, broken := unsealed(string(body)); err != nil || broken != nil || key != "/small" {
				t.Errorf("collapse %v: %v, %v", collapse, err, broken)
			}
			resp.Body.Close()
		}
		rest, err := io.ReadAll(large.Body)
		if _, _, broken := unsealed(string(begin) + string(rest)); err != nil || broken != nil {
			t.Errorf("collapse %v: %v, %v", collapse, err, broken)
		}
		large.Body.Close()
		if n := c.Stats().Entries; n != 1 {
			t.Errorf("collapse %v: %d stored, want the large one only", collapse, n)
		}
	}
}

// Whatever the size of a body, and the pieces in which it comes and goes, it is stored as it was sent, once it is there.
func TestFanoutStoresBodiesOfAllSizes(t *testing.T) {
	for _, size := range []int{0, 1, 511, 4000, 4 << 10, 5000, 8 << 10, 64 << 10, 300 << 10, 1 << 20, 1<<20 + 1, 3 << 20} {
		body := sealed("k", 1, size)
		for _, declared := range []bool{true, false} {
			for name, pieces := range map[string]func(io.Reader) io.Reader{
				"whole":                func(r io.Reader) io.Reader { return r },
				"data and end at once": iotest.DataErrReader,
				"halves":               iotest.HalfReader,
			} {
				o := &busy{answer: func(*http.Request, int) (*http.Response, error) {
					resp := undeclared("")
					resp.Body = io.NopCloser(pieces(strings.NewReader(body)))
					if declared {
						resp.ContentLength = int64(len(body))
					}
					return resp, nil
				}}
				c, rt := newBusy(t, o, cache.Options{})
				asks := func() *http.Response { return roundTrip(t, rt, ask(t, context.Background())) } // read ahead by no exchange
				first, second := asks(), asks()
				for i, resp := range []*http.Response{first, second, nil} {
					if resp == nil {
						resp = asks()
					}
					got, err := io.ReadAll(resp.Body)
					if string(got) != body || err != nil {
						t.Errorf("%d bytes, declared %v, %s: answer %d has %d, %v", len(body), declared, name, i, len(got), err)
					}
					resp.Body.Close()
				}
				if s := c.Stats(); s.Hits != 1 || s.Stored != 1 || o.asked.Load() != 1 {
					t.Errorf("%d bytes, declared %v, %s: %+v", len(body), declared, name, s)
				}
			}
		}
	}
}
