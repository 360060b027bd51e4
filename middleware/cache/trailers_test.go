package cache_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
)

func TestTrailersChangedByCallerAreNotStored(t *testing.T) {
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

// An answer without content has no trailers, and a part has not those of the whole.
func TestTrailersOnlyWithWholeBodies(t *testing.T) {
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
