package cache_test

import (
	"fmt"
	"io"
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
)

func TestCollapseSendsOneRequest(t *testing.T) {
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
			t.Errorf("took %v: one caller waited for another", took)
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
func TestCollapseWaitersReadDuringDownload(t *testing.T) {
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

// Each variant is fetched once; those who want another one than the first do not wait for it one after the other.
func TestCollapseFetchesEachVariantOnce(t *testing.T) {
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

// No caller gets what was made for another.
func TestCollapseSharesNothingBetweenPrincipals(t *testing.T) {
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
func TestCollapseSendsOneValidation(t *testing.T) {
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

// Readers in whatever order, with whatever buffers, with conditions and ranges of their own.
func TestCollapseReadersWithConditionsAndRanges(t *testing.T) {
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
func TestCollapseTrailersReachEachReader(t *testing.T) {
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

// A refresh behind the callers' backs and a caller who asks are one exchange; Close ends it for the refresh alone.
func TestCollapseSharesARefresh(t *testing.T) {
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
func TestCollapseWithRequestContent(t *testing.T) {
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

// The answer on its way is for another language: requests that come now share a fetch for their own.
func TestCollapseLateRequestsForAnotherVariantShareOneFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			return slowly(r, sealed(r.Header.Get("Accept-Language"), n, 100), "Cache-Control: max-age=60", "Vary: Accept-Language"), nil
		}}
		_, rt := newBusy(t, o, cache.Options{})
		var wg sync.WaitGroup
		wg.Go(func() { reads(rt, ask(t, t.Context(), "Accept-Language: en"), "en") })
		time.Sleep(50 * time.Millisecond)
		for _, language := range []string{"de", "en"} {
			wg.Go(func() {
				errs, _ := herd(t, 100, rt, func(int) *http.Request { return ask(t, t.Context(), "Accept-Language: "+language) }, same(language))
				if failures(t, errs) > 0 {
					t.Errorf("%d of the requests for %q failed", failures(t, errs), language)
				}
			})
		}
		wg.Wait()
		if o.asked.Load() != 2 {
			t.Errorf("%d requests, want one for each language", o.asked.Load())
		}
	})
}

// Once an answer has said on what it varies, a request waits for no fetch whose request has other values there, even if nothing has come of that yet.
func TestCollapseRequestWaitsForNoFetchOfAnotherVariant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			language := r.Header.Get("Accept-Language")
			if language == "de" {
				time.Sleep(time.Second)
			}
			return slowly(r, sealed(language, n, 100), "Cache-Control: max-age=60", "Vary: Accept-Language"), nil
		}}
		_, rt := newBusy(t, o, cache.Options{})
		var wg sync.WaitGroup
		for _, language := range []string{"en", "de"} {
			wg.Go(func() { reads(rt, ask(t, t.Context(), "Accept-Language: "+language), language) })
			time.Sleep(50 * time.Millisecond)
		}
		start := time.Now()
		readAll(roundTrip(t, rt, ask(t, t.Context(), "Accept-Language: fr")))
		if took := time.Since(start); took >= 1200*time.Millisecond || o.asked.Load() != 3 {
			t.Errorf("the third variant took %v, %d requests", took, o.asked.Load())
		}
		wg.Wait()
	})
}
