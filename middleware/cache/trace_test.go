package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
)

func TestTraceAndStatsReportEachRequest(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var mu sync.Mutex
		var events []string
		note := func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, fmt.Sprintf(format, args...))
		}
		trace := &cache.Trace{
			Answered:    func(r *http.Request, s cache.Status) { note("%s %s", r.Method, s.Outcome()) },
			Stored:      func(e *cache.Entry) { note("stored %s", e.URL()) },
			NotStored:   func(_ *http.Request, reason string) { note("not stored: %s", reason) },
			Invalidated: func(r *http.Request) { note("invalidated by %s", r.Method) },
			Refreshing:  func(*http.Request) { note("refreshing") },
			Refreshed:   func(_ *http.Request, err error) { note("refreshed: %v", err) },
		}
		g := newRig(t, says("x", "Cache-Control: max-age=1, stale-while-revalidate=60"), cache.Options{Trace: trace})
		g.get(url)
		g.get(url)
		time.Sleep(2 * time.Second)
		g.get(url)
		synctest.Wait()
		r, _ := http.NewRequestWithContext(cache.WithTrace(t.Context(), &cache.Trace{Invalidated: func(*http.Request) { note("told twice") }}), "PUT", url, nil)
		g.send(r)
		want := []string{
			"GET miss", "stored " + url, "GET hit", "refreshing", "GET refreshed", "stored " + url, "refreshed: <nil>", "GET stale",
			"invalidated by PUT", "told twice", "not stored: method", "PUT bypassed",
		}
		slices.Sort(want)
		slices.Sort(events)
		if diff := cmp.Diff(want, events); diff != "" {
			t.Errorf("events (-want +got)\n%s", diff)
		}
		got := g.Stats()
		if got.Hits != 2 || got.Stale != 1 || got.Misses != 2 || got.Stored != 2 || got.Invalidated != 1 || got.Bypassed != 1 {
			t.Errorf("stats %+v", got)
		}
	})
}

// outcomes collects what the hooks are told about the store.
func outcomes(into *[]string) *cache.Trace {
	return &cache.Trace{
		Stored:    func(*cache.Entry) { *into = append(*into, "stored") },
		NotStored: func(_ *http.Request, reason string) { *into = append(*into, reason) },
	}
}

func TestTraceReportsWhatBecomesOfEachBody(t *testing.T) {
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

func TestTraceReportsNoStoreAfterInvalidation(t *testing.T) {
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

func TestStatsCountEachRequestOnce(t *testing.T) {
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
