package cache_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/middleware/cache"
)

// countsOf is how often requests ended in each way, by the counts of a cache.
func countsOf(s cache.Stats) map[string]int64 {
	return map[string]int64{"hit": s.Hits - s.Stale, "stale": s.Stale, "revalidated": s.Revalidated, "bypassed": s.Bypassed, "miss": s.Misses, "error": s.Errors}
}

// The answer's status, the counts and the reader that records and logs use say the same of each request, and Trace.NotStored hears of each answer that is not stored.
func TestOutcomeIsTheSameInStatusStatsAndTrace(t *testing.T) {
	const etag = `Etag: "a"`
	mode := func(m cache.Mode) func(context.Context) context.Context {
		return func(ctx context.Context) context.Context { return cache.WithMode(ctx, m) }
	}
	plain := func(ctx context.Context) context.Context { return ctx }
	for _, test := range []struct {
		name      string
		first     []string // fields of what is stored; nil for nothing
		wait      time.Duration
		method    string
		context   func(context.Context) context.Context
		request   string
		answer    *http.Response
		want      string
		notStored []string
	}{
		{"nothing stored", nil, 0, "GET", plain, "X: y", reply(200, "x", "Cache-Control: max-age=60"), "miss", nil},
		{"nothing stored, and not to be", nil, 0, "GET", plain, "X: y", reply(200, "x", "Cache-Control: no-store"), "miss", []string{"no-store"}},
		{"request no-store", []string{"Cache-Control: max-age=60"}, 0, "GET", plain, "Cache-Control: no-store", reply(200, "x", "Cache-Control: max-age=60"), "bypassed", []string{"request no-store"}},
		{"mode no-store", []string{"Cache-Control: max-age=60"}, 0, "GET", mode(cache.ModeNoStore), "X: y", reply(200, "x"), "bypassed", []string{"mode no-store"}},
		{"disabled", []string{"Cache-Control: max-age=60"}, 0, "GET", cache.Disable, "X: y", reply(200, "x"), "bypassed", []string{"disabled"}},
		{"a precondition", []string{"Cache-Control: max-age=60"}, 0, "GET", plain, `If-Match: "a"`, reply(200, "x"), "bypassed", []string{"precondition for the origin"}},
		{"another method", nil, 0, "PUT", plain, "X: y", reply(200, "x"), "bypassed", []string{"method"}},
		{"an upgrade", nil, 0, "GET", plain, "Upgrade: x", reply(101, ""), "", []string{"status not final"}},
		{"reload of nothing", nil, 0, "GET", mode(cache.ModeReload), "X: y", reply(200, "x", "Cache-Control: max-age=60"), "miss", nil},
		{"reload", []string{"Cache-Control: max-age=60"}, 0, "GET", mode(cache.ModeReload), "X: y", reply(200, "x", "Cache-Control: max-age=60"), "refreshed", nil},
		{"reload of another variant", []string{"Cache-Control: max-age=60", "Vary: X"}, 0, "GET", mode(cache.ModeReload), "X: y", reply(200, "x", "Cache-Control: max-age=60", "Vary: X"), "miss", nil},
		{"no-cache of nothing", nil, 0, "GET", mode(cache.ModeNoCache), "X: y", reply(200, "x", "Cache-Control: max-age=60"), "miss", nil},
		{"read-only", nil, 0, "GET", mode(cache.ModeReadOnly), "X: y", reply(200, "x", "Cache-Control: max-age=60"), "miss", []string{"mode read-only"}},
		{"read-only, confirmed", []string{"Cache-Control: max-age=1", etag}, time.Minute, "GET", mode(cache.ModeReadOnly), "X: y", reply(304, "", etag), "revalidated", []string{"mode read-only"}},
		{"hit", []string{"Cache-Control: max-age=60"}, 0, "GET", plain, "X: y", nil, "hit", nil},
		{"hit of a lifetime that has just ended", []string{"Cache-Control: max-age=60"}, time.Minute, "GET", plain, "Cache-Control: max-stale", nil, "stale", nil},
		{"stale", []string{"Cache-Control: max-age=1"}, time.Minute, "GET", mode(cache.ModeForceCache), "X: y", nil, "stale", nil},
		{"a part", []string{"Cache-Control: max-age=60"}, 0, "GET", plain, "Range: bytes=0-0", nil, "hit", nil},
		{"confirmed", []string{"Cache-Control: max-age=1", etag}, time.Minute, "GET", plain, "X: y", reply(304, "", etag), "revalidated", nil},
		{"confirmed, and not to be stored any more", []string{"Cache-Control: max-age=1", etag}, time.Minute, "GET", plain, "X: y", reply(304, "", etag, "Cache-Control: no-store"), "revalidated", []string{"no-store"}},
		{"another variant confirmed", []string{"Cache-Control: max-age=60", etag, "Vary: X"}, 0, "GET", plain, "X: y", reply(304, "", etag, "Vary: X"), "revalidated", nil},
		{"the caller's copy confirmed", []string{"Cache-Control: max-age=1", etag}, time.Minute, "GET", plain, `If-None-Match: "b"`, reply(304, "", `Etag: "b"`), "revalidated", []string{"304 answers the caller's condition"}},
		{"the caller's copy confirmed, and nothing stored", nil, 0, "GET", plain, `If-None-Match: "b"`, reply(304, "", `Etag: "b"`), "miss", []string{"304 answers the caller's condition"}},
		{"replaced", []string{"Cache-Control: max-age=1", etag}, time.Minute, "GET", plain, "X: y", reply(200, "y", "Cache-Control: max-age=60"), "refreshed", nil},
		{"instead of an error", []string{"Cache-Control: max-age=1, stale-if-error=600"}, time.Minute, "GET", plain, "X: y", reply(503, ""), "stale", []string{"an error, and what is stored stands in for it"}},
		{"fresh instead of an error", []string{"Cache-Control: max-age=600"}, time.Minute, "GET", plain, "Cache-Control: min-fresh=1, stale-if-error=60, max-age=1", reply(503, ""), "hit", []string{"an error, and what is stored stands in for it"}},
		{"refused", nil, 0, "GET", mode(cache.ModeOnlyIfCached), "X: y", nil, "refused", nil},
		{"HEAD of nothing", nil, 0, "HEAD", plain, "X: y", reply(200, ""), "miss", []string{"an answer to HEAD has no content"}},
		{"an error under a lifetime of one's own", nil, 0, "GET", func(ctx context.Context) context.Context { return cache.WithExpiry(ctx, expiry.After(time.Hour)) }, "X: y", reply(503, "x"), "miss", []string{"status not cacheable by default"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				var notStored []string
				o := says("x", test.first...)
				g := newRig(t, o, cache.Options{Trace: &cache.Trace{NotStored: func(_ *http.Request, reason string) { notStored = append(notStored, reason) }}})
				if test.first != nil {
					g.get(url, "X: first")
				}
				time.Sleep(test.wait)
				before := countsOf(g.Stats())
				o.answer = func(*http.Request) *http.Response {
					resp := *test.answer
					resp.Header = resp.Header.Clone()
					return &resp
				}
				r, _ := http.NewRequestWithContext(test.context(t.Context()), test.method, url, nil)
				name, value, _ := strings.Cut(test.request, ": ")
				r.Header.Set(name, value)
				resp := roundTrip(t, g.rt, r)
				readAll(resp)
				s, _ := cache.StatusOf(resp)
				word, _ := cachestatus.Of(resp.Header)
				if test.want != "" && s.Outcome() != test.want || word != test.want {
					t.Errorf("%s: the status says %q, its reader %q, want %q", resp.Header["Cache-Status"], s.Outcome(), word, test.want)
				}
				want := before
				switch test.want {
				case "":
					want["bypassed"]++
				case "refreshed", "refused":
					want["miss"]++
				default:
					want[test.want]++
				}
				if diff := cmp.Diff(want, countsOf(g.Stats())); diff != "" {
					t.Errorf("counts (-want +got)\n%s", diff)
				}
				if !slices.Equal(notStored, test.notStored) {
					t.Errorf("not stored: %q, want %q", notStored, test.notStored)
				}
			})
		})
	}
}
