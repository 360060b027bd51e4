package cache_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
)

// ranger serves ranges of a text with a strong tag.
func ranger(text *string) *origin {
	return &origin{answer: func(r *http.Request) *http.Response {
		fields := []string{"Cache-Control: max-age=60", `Etag: "` + *text + `"`}
		var first, last int
		asked := r.Header.Get("Range")
		if tag := r.Header.Get("If-Range"); asked == "" || tag != "" && tag != `"`+*text+`"` {
			return reply(200, *text, fields...)
		}
		if n, _ := fmt.Sscanf(asked, "bytes=%d-%d", &first, &last); n < 2 {
			last = len(*text) - 1
		}
		part := (*text)[first : last+1]
		return reply(206, part, append(fields, fmt.Sprintf("Content-Range: bytes %d-%d/%d", first, last, len(*text)))...)
	}}
}

func TestRangeIsServedFromWholeResponse(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		text := "0123456789"
		g := newRig(t, ranger(&text), cache.Options{})
		g.get(url)
		have, resp := g.get(url, "Range: bytes=2-4")
		g.want(have, 206, "234", "hit", 1)
		if resp.Header.Get("Content-Range") != "bytes 2-4/10" || resp.ContentLength != 3 || resp.Header.Get("Content-Length") != "3" {
			t.Errorf("206 with %v", resp.Header)
		}
		have, resp = g.get(url, "Range: bytes=10-")
		g.want(have, 416, "", "hit", 1)
		if resp.Header.Get("Content-Range") != "bytes */10" {
			t.Errorf("416 with %v", resp.Header)
		}
		have, _ = g.get(url, "Range: bytes=2-4", `If-Range: "old"`)
		g.want(have, 200, text, "hit", 1)
		have, _ = g.do("HEAD", url, "Range: bytes=2-4")
		g.want(have, 200, "", "hit", 1)
	})
}

func TestRangePartsAreStoredCombinedAndCompleted(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		text := "0123456789"
		g := newRig(t, ranger(&text), cache.Options{})
		have, _ := g.get(url, "Range: bytes=0-3")
		g.want(have, 206, "0123", "miss", 1)
		have, _ = g.get(url, "Range: bytes=1-2")
		g.want(have, 206, "12", "hit", 1)
		have, _ = g.get(url, "Range: bytes=3-6") // reaches beyond the part
		g.want(have, 206, "3456", "miss", 2)
		have, _ = g.get(url, "Range: bytes=1-6") // both together
		g.want(have, 206, "123456", "hit", 2)
		have, _ = g.get(url) // the rest
		g.want(have, 200, text, "miss", 3)
		if asked := g.origin.asked[2].Header; asked.Get("Range") != "bytes=7-" || asked.Get("If-Range") != `"0123456789"` {
			t.Errorf("the rest was asked for with %v", asked)
		}
		have, _ = g.get(url)
		g.want(have, 200, text, "hit", 3)
	})
}

func TestRangePartOfOlderVersionIsNotCompleted(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		text := "0123456789"
		g := newRig(t, ranger(&text), cache.Options{})
		g.get(url, "Range: bytes=0-3")
		text = "abcdefghij"
		have, _ := g.get(url)
		g.want(have, 200, text, "miss", 2)
		have, _ = g.get(url)
		g.want(have, 200, text, "hit", 2)
	})
}

func TestRangePartWithoutStrongETagIsNotCompleted(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		text := "0123456789"
		inner := ranger(&text)
		o := &origin{answer: func(r *http.Request) *http.Response {
			resp := inner.answer(r)
			resp.Header.Del("Etag")
			return resp
		}}
		g := newRig(t, o, cache.Options{})
		g.get(url, "Range: bytes=0-3")
		text = "abcdefghij"
		have, _ := g.get(url)
		g.want(have, 200, text, "miss", 3)
	})
}

func TestRangeBrokenCompletionIsNotStored(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		text := "0123456789"
		inner := ranger(&text)
		broken := false
		o := &origin{answer: func(r *http.Request) *http.Response {
			resp := inner.answer(r)
			if broken {
				resp.Body = io.NopCloser(io.MultiReader(io.LimitReader(resp.Body, 2), failing{errors.New("connection reset")}))
			}
			return resp
		}}
		g := newRig(t, o, cache.Options{})
		g.get(url, "Range: bytes=0-3")
		broken = true
		r, _ := http.NewRequest("GET", url, nil)
		resp, err := g.rt.RoundTrip(r)
		require.NoError(t, err)
		if body, err := io.ReadAll(resp.Body); err == nil || string(body) != "012345" {
			t.Errorf("read %q, %v; want what there was and the error", body, err)
		}
		resp.Body.Close()
		broken = false
		have, _ := g.get(url)
		g.want(have, 200, text, "miss", 3)
	})
}

// The bytes that complete a part are counted: a whole that lacks some would look whole.
func TestRangeCompletionShorterThanDeclaredIsAnError(t *testing.T) {
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

// RFC 9110 §13.1.5: If-Range is one validator. A request with two lines gets the whole.
func TestRangeWithTwoIfRangeLinesGetsTheWhole(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		text := "0123456789"
		g := newRig(t, ranger(&text), cache.Options{})
		g.get(url)
		have, _ := g.get(url, "Range: bytes=2-4", `If-Range: "`+text+`"`)
		g.want(have, 206, "234", "hit", 1)
		have, _ = g.get(url, "Range: bytes=2-4", `If-Range: "`+text+`"`, `If-Range: "`+text+`"`)
		g.want(have, 200, text, "hit", 1)
	})
}

// RFC 9111 §5.2.1.7: a stored part is not the whole, and the origin is not asked for the rest.
func TestRangePartWithOnlyIfCachedForTheWholeIs504(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		text := "0123456789"
		g := newRig(t, ranger(&text), cache.Options{})
		g.get(url, "Range: bytes=0-3")
		have, _ := g.get(url, "Cache-Control: only-if-cached")
		if have.Status != 504 || len(g.origin.asked) != 1 {
			t.Errorf("%v, the origin saw %d requests", have, len(g.origin.asked))
		}
		have, _ = g.get(url, "Range: bytes=1-2", "Cache-Control: only-if-cached")
		g.want(have, 206, "12", "hit", 1)
	})
}
