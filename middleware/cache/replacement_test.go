package cache_test

import (
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store/storetest"
)

// RFC 9111 §4.3.3: what has been replaced is not served again, though what replaces it may not be stored.
func TestReplacedResponseIsNotServedAgain(t *testing.T) {
	for _, test := range []struct {
		status  int
		outcome string
	}{{200, "refreshed"}, {404, "refreshed"}, {301, "refreshed"}, {403, "stale"}, {429, "stale"}} {
		inBubble(t, func(t *testing.T) {
			o := says("old", "Cache-Control: max-age=1, stale-if-error=600", `Etag: "a"`)
			g := newRig(t, o, cache.Options{})
			g.get(url)
			time.Sleep(2 * time.Second)
			o.answer = func(*http.Request) *http.Response { return reply(test.status, "new", "Cache-Control: no-store") }
			g.get(url)
			o.answer = func(*http.Request) *http.Response { return reply(503, "down") }
			have, _ := g.get(url)
			if replaced := test.outcome == "refreshed"; replaced != (have.Body == "down") {
				t.Errorf("after a %d that is not stored: %v", test.status, have)
			}
		})
	}
}

// RFC 9111 §4.3.3: what has been replaced is gone, though what is in its place is found to be too large while it comes. A body that breaks off replaces nothing.
func TestReplacedResponseIsRemovedThoughTheNewOneIsTooLarge(t *testing.T) {
	for _, test := range []struct {
		name    string
		size    int
		end     error
		want    string
		options cache.Options
	}{
		{"declared to be too large", 100, nil, "next", cache.Options{MaxEntryBytes: 50}},
		{"too large as it comes", -100, nil, "next", cache.Options{MaxEntryBytes: 50}},
		{"alone", -100, nil, "next", cache.Options{MaxEntryBytes: 50, NoCollapse: true}},
		{"too large for the store", -20_000, nil, "next", cache.Options{Store: cache.NewMemory(cache.MemoryOptions{MaxBytes: 16_000})}},
		{"too large for a byte store", -20_000, nil, "next", cache.Options{Store: storetest.NewMap(16_000)}},
		{"broken off", -40, io.ErrUnexpectedEOF, "old", cache.Options{MaxEntryBytes: 50}},
	} {
		inBubble(t, func(t *testing.T) {
			o := says("old", "Cache-Control: max-age=600")
			g := newRig(t, o, test.options)
			g.get(url)
			o.answer = func(r *http.Request) *http.Response {
				resp := reply(200, numbers(max(test.size, -test.size)), "Cache-Control: max-age=600")
				if test.size < 0 {
					resp.ContentLength = -1
				}
				if test.end != nil {
					resp.Body = io.NopCloser(io.MultiReader(resp.Body, failing{test.end}))
				}
				return resp
			}
			again := must(http.NewRequest("GET", url, nil))
			again.Header.Set("Cache-Control", "no-cache")
			readAll(roundTrip(t, g.rt, again))
			time.Sleep(time.Second)
			synctest.Wait()
			o.answer = func(*http.Request) *http.Response { return reply(200, "next") }
			if have, _ := g.get(url); have.Body != test.want {
				t.Errorf("%s: %v, want %s", test.name, have, test.want)
			}
		})
	}
}
