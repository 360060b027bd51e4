package cache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	neturl "net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// inBubble runs a test with virtual time.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// echo answers with the values of these request fields, which it varies on.
func echo(fields ...string) *origin {
	return &origin{answer: func(r *http.Request) *http.Response {
		var body []string
		for _, name := range fields {
			body = append(body, r.Header.Get(name))
		}
		return reply(200, strings.Join(body, ","), "Cache-Control: max-age=60", "Vary: "+strings.Join(fields, ", "))
	}}
}

func TestSeveralVariantsAreKept(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, echo("A"), cache.Options{})
		for round := range 2 {
			for i, value := range []string{"x", "y", "z"} {
				have, _ := g.get(url, "A: "+value)
				if round == 0 {
					g.want(have, 200, value, "miss", i+1)
				} else {
					g.want(have, 200, value, "hit", 3)
				}
			}
		}
	})
}

func TestVariantsAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, echo("A"), cache.Options{})
		for i := range 64 {
			g.get(url, fmt.Sprint("A: ", i))
			time.Sleep(time.Millisecond)
		}
		g.get(url, "A: 0") // now 1 is the one that was used longest ago
		time.Sleep(time.Millisecond)
		more := 3000
		if onBytes {
			more = 100
		}
		for i := range more {
			g.get(url, fmt.Sprint("A: more", i))
			if i == 0 && !onBytes { // a byte store is not told of each use
				have, _ := g.get(url, "A: 0")
				g.want(have, 200, "0", "hit", 65)
				have, _ = g.get(url, "A: 1")
				g.want(have, 200, "1", "miss", 66)
			}
		}
		if n := g.entries(); n != 64 {
			t.Errorf("%d variants, want 64", n)
		}
	})
}

func TestVariantsOfOnePrincipalLeaveTheOthersAlone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("hello", "Cache-Control: max-age=60"), cache.Options{})
		for i := range 1000 {
			g.get(url, fmt.Sprint("Authorization: ", i))
		}
		for i := range 1000 {
			have, _ := g.get(url, fmt.Sprint("Authorization: ", i))
			g.want(have, 200, "hello", "hit", 1000)
		}
		g.do("DELETE", url)
		if n := g.entries(); n != 0 {
			t.Errorf("%d copies left after an invalidation of the URL, want none", n)
		}
	})
}

// versions answers with the current version and its tag, and 304 to a request that lists that tag.
func versions(version *string, fields ...string) *origin {
	return &origin{answer: func(r *http.Request) *http.Response {
		tag := `"` + *version + `"`
		lines := append([]string{"Etag: " + tag, "Cache-Control: max-age=10"}, fields...)
		for _, listed := range strings.Split(r.Header.Get("If-None-Match"), ", ") {
			if listed == tag {
				return reply(304, "", lines...)
			}
		}
		return reply(200, *version, lines...)
	}}
}

func TestAllVariantsAreOfferedAndTheRightOneIsFreshened(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		version := "1"
		g := newRig(t, versions(&version, "Vary: A"), cache.Options{})
		g.get(url, "A: x")
		version = "2"
		g.get(url, "A: y")
		time.Sleep(11 * time.Second)
		version = "1"
		have, _ := g.get(url, "A: y") // the origin now has for y what it had for x
		g.want(have, 200, "1", "revalidated", 3)
		if tags := g.origin.asked[2].Header.Get("If-None-Match"); tags != `"1", "2"` {
			t.Errorf("offered tags %s", tags)
		}
		have, _ = g.get(url, "A: y")
		g.want(have, 200, "1", "hit", 3)
		have, _ = g.get(url, "A: z") // fits no variant: they are offered all the same
		g.want(have, 200, "1", "revalidated", 4)
	})
}

func TestA304ForAnotherTagMeansFetchAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := &origin{answer: func(r *http.Request) *http.Response {
			if r.Header.Get("If-None-Match") != "" {
				return reply(304, "", `Etag: "other"`)
			}
			return reply(200, "body", `Etag: "a"`, "Cache-Control: max-age=1")
		}}
		g := newRig(t, o, cache.Options{})
		g.get(url)
		time.Sleep(2 * time.Second)
		have, _ := g.get(url)
		g.want(have, 200, "body", "refreshed", 3)
	})
}

func TestA304WithNoStoreIsServedOnceAndForgotten(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := &origin{answer: func(r *http.Request) *http.Response {
			if r.Header.Get("If-None-Match") != "" {
				return reply(304, "", `Etag: "a"`, "Cache-Control: no-store")
			}
			return reply(200, "body", `Etag: "a"`, "Cache-Control: max-age=1")
		}}
		g := newRig(t, o, cache.Options{})
		g.get(url)
		time.Sleep(2 * time.Second)
		have, _ := g.get(url)
		g.want(have, 200, "body", "revalidated", 2)
		have, _ = g.get(url)
		g.want(have, 200, "body", "miss", 3)
	})
}

func TestUnsolicited304IsPassedOnAndNotStored(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		version := "1"
		g := newRig(t, versions(&version), cache.Options{})
		have, _ := g.get(url, `If-None-Match: "1"`)
		g.want(have, 304, "", "miss", 1)
		have, _ = g.get(url)
		g.want(have, 200, "1", "miss", 2)
	})
}

func TestTheCallersConditionIsAnsweredFromTheStore(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		version := "1"
		g := newRig(t, versions(&version), cache.Options{})
		g.get(url)
		have, resp := g.get(url, `If-None-Match: "0", W/"1"`)
		g.want(have, 304, "", "hit", 1)
		if resp.Header.Get("Etag") != `"1"` || resp.ContentLength != 0 || resp.Header.Get("Date") == "" {
			t.Errorf("304 with %v", resp.Header)
		}
		have, _ = g.get(url, `If-None-Match: "0"`)
		g.want(have, 200, "1", "hit", 1)
		time.Sleep(11 * time.Second)
		have, _ = g.get(url, `If-None-Match: "1"`)
		g.want(have, 304, "", "revalidated", 2)
		time.Sleep(11 * time.Second)
		version = "2"
		have, _ = g.get(url, `If-None-Match: "2"`) // the caller has what the store does not
		g.want(have, 304, "", "revalidated", 3)
		have, _ = g.get(url)
		g.want(have, 200, "2", "refreshed", 4)
	})
}

func TestHeadIsAnsweredFromAStoredGet(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("hello", "Cache-Control: max-age=60", "Content-Length: 5"), cache.Options{})
		have, _ := g.do("HEAD", url)
		g.want(have, 200, "hello", "miss", 1) // this origin sends content, which a transport would not
		g.get(url)
		have, resp := g.do("HEAD", url)
		g.want(have, 200, "", "hit", 2)
		if resp.ContentLength != 5 || resp.Header.Get("Content-Length") != "5" {
			t.Errorf("length %d, header %v", resp.ContentLength, resp.Header)
		}
	})
}

// RFC 9111 §4.3.5.
func TestHeadFreshensOrInvalidates(t *testing.T) {
	for _, test := range []struct {
		name, head, outcome string
	}{
		{"same", "X-A: 2", "hit"},
		{"other tag", `Etag: "b"`, "miss"},
		{"other length", "Content-Length: 6", "miss"},
		{"other date", "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT", "miss"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				o := &origin{answer: func(r *http.Request) *http.Response {
					if r.Method == "HEAD" {
						resp := reply(200, "", "Cache-Control: max-age=60", test.head)
						resp.ContentLength = -1
						return resp
					}
					return reply(200, "hello", "Cache-Control: max-age=60", `X-A: 1`)
				}}
				g := newRig(t, o, cache.Options{})
				g.get(url)
				time.Sleep(50 * time.Second)
				r, _ := http.NewRequestWithContext(cache.WithMode(t.Context(), cache.ModeReload), "HEAD", url, nil)
				g.send(r)
				time.Sleep(50 * time.Second)
				have, resp := g.get(url)
				if have.Outcome != test.outcome {
					t.Errorf("outcome %s, want %s", have.Outcome, test.outcome)
				}
				if test.outcome == "hit" && resp.Header.Get("X-A") != "2" {
					t.Errorf("header %v", resp.Header)
				}
			})
		})
	}
}

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

func TestRangesAreServedFromAWhole(t *testing.T) {
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

func TestPartsAreStoredJoinedAndCompleted(t *testing.T) {
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

func TestAPartOfAnOlderVersionIsNeverCompleted(t *testing.T) {
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

func TestAPartWithoutAStrongTagIsNeverCompleted(t *testing.T) {
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

func TestBrokenCompletionsAreNotStored(t *testing.T) {
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

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// RFC 10008 §2.7.
func TestQueryIsKeyedByItsContent(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := &origin{}
		o.answer = func(r *http.Request) *http.Response { return reply(200, r.Method, "Cache-Control: max-age=60") }
		g := newRig(t, o, cache.Options{})
		query := func(content, mediaType string) got {
			r, _ := http.NewRequest("QUERY", url, strings.NewReader(content))
			r.Header.Set("Content-Type", mediaType)
			have, _ := g.send(r)
			return have
		}
		g.want(query("a", "text/plain"), 200, "QUERY", "miss", 1)
		g.want(query("a", "text/plain"), 200, "QUERY", "hit", 1)
		g.want(query("b", "text/plain"), 200, "QUERY", "miss", 2)
		g.want(query("a", "text/html"), 200, "QUERY", "miss", 3)
		have, _ := g.get(url)
		g.want(have, 200, "GET", "miss", 4)
		g.do("POST", url)
		g.want(query("a", "text/plain"), 200, "QUERY", "miss", 6)
		stream, _ := http.NewRequest("QUERY", url, io.MultiReader(strings.NewReader("a")))
		have, _ = g.send(stream)
		g.want(have, 200, "QUERY", "bypassed", 7)
	})
}

// RFC 9875.
func TestCacheGroups(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := &origin{answer: func(r *http.Request) *http.Response {
			if r.Method == "POST" {
				return reply(200, "", `Cache-Group-Invalidation: "blog"`)
			}
			return reply(200, "x", "Cache-Control: max-age=60", `Cache-Groups: "news", "blog"`, `Cache-Group-Invalidation: "news"`)
		}}
		g := newRig(t, o, cache.Options{})
		g.get("http://h/a")
		g.get("http://h/b")
		g.get("http://other/a")
		have, _ := g.get("http://h/a") // a safe request invalidates nothing
		g.want(have, 200, "x", "hit", 3)
		g.do("POST", "http://h/c")
		have, _ = g.get("http://h/a")
		g.want(have, 200, "x", "miss", 5)
		have, _ = g.get("http://h/b")
		g.want(have, 200, "x", "miss", 6)
		have, _ = g.get("http://other/a") // a group of the same name, of another origin
		g.want(have, 200, "x", "hit", 6)
		require.NoError(t, g.DeleteGroup(t.Context(), "http://h/", "news"))
		have, _ = g.get("http://h/a")
		g.want(have, 200, "x", "miss", 7)
	})
}

// What names more groups than are looked at is about all groups of its origin, and about nothing that has none.
func TestManyCacheGroups(t *testing.T) {
	for name, store := range map[string]store.Store{"memory": nil, "store": storetest.NewMap(1 << 20)} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				ended := 128
				o := &origin{answer: func(r *http.Request) *http.Response {
					switch {
					case r.Method == "POST":
						return reply(200, "", "Cache-Group-Invalidation: "+cache.Numbered(`"g%d"`, ended))
					case r.URL.Path == "/none":
						return reply(200, "x", "Cache-Control: max-age=60")
					}
					return reply(200, "x", "Cache-Control: max-age=60", `Cache-Groups: "other"`)
				}}
				g := newRig(t, o, cache.Options{Store: store})
				for _, url := range []string{"http://h/a", "http://h/none", "http://elsewhere/a"} {
					g.get(url)
					synctest.Wait()
				}
				g.do("POST", "http://h/c")
				have, _ := g.get("http://h/a")
				g.want(have, 200, "x", "hit", 4)
				ended = 129
				g.do("POST", "http://h/c")
				have, _ = g.get("http://h/none")
				g.want(have, 200, "x", "hit", 5)
				have, _ = g.get("http://elsewhere/a")
				g.want(have, 200, "x", "hit", 5)
				have, _ = g.get("http://h/a")
				g.want(have, 200, "x", "miss", 6)
			})
		})
	}
}

func TestNoVarySearchAnswersOtherQueries(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60", `No-Vary-Search: params=("utm")`), cache.Options{})
		g.get("http://h/?a=1&utm=2")
		have, _ := g.get("http://h/?a=1&utm=3")
		g.want(have, 200, "x", "hit", 1)
		have, _ = g.get("http://h/?a=2&utm=3")
		g.want(have, 200, "x", "miss", 2)
		have, _ = g.get("http://h/?a=1")
		g.want(have, 200, "x", "hit", 2)
		have, _ = g.get("http://h/?a=1", "Authorization: x")
		g.want(have, 200, "x", "miss", 3)
		time.Sleep(61 * time.Second)
		have, _ = g.get("http://h/?a=1&utm=9")
		g.want(have, 200, "x", "refreshed", 4)
		have, _ = g.get("http://h/?a=1&utm=10")
		g.want(have, 200, "x", "hit", 4)
		g.do("POST", "http://h/?a=1")
		have, _ = g.get("http://h/?a=1&utm=10")
		g.want(have, 200, "x", "miss", 6)
	})
}

// RFC 9213.
func TestTargetedFields(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("x", "Cache-Control: no-store", "CDN-Cache-Control: max-age=60")
		g := newRig(t, o, cache.Options{Shared: true, TargetedFields: []string{"CDN-Cache-Control"}})
		g.get(url)
		have, _ := g.get(url)
		g.want(have, 200, "x", "hit", 1)
		plain := newRig(t, says("x", "Cache-Control: no-store", "CDN-Cache-Control: max-age=60"), cache.Options{Shared: true})
		plain.get(url)
		have, _ = plain.get(url)
		plain.want(have, 200, "x", "miss", 2)
	})
}

func TestModes(t *testing.T) {
	for _, test := range []struct {
		mode                cache.Mode
		empty, fresh, stale string
	}{
		{cache.ModeDefault, "miss", "hit", "refreshed"},
		{cache.ModeNoStore, "bypassed", "bypassed", "bypassed"},
		{cache.ModeReload, "miss", "refreshed", "refreshed"},
		{cache.ModeNoCache, "miss", "refreshed", "refreshed"},
		{cache.ModeForceCache, "miss", "hit", "stale"},
		{cache.ModeOnlyIfCached, "refused", "hit", "stale"},
		{cache.ModeReadOnly, "miss", "hit", "refreshed"},
	} {
		t.Run(test.mode.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{})
				in, _ := http.NewRequestWithContext(cache.WithMode(t.Context(), test.mode), "GET", url, nil)
				have, resp := g.send(in)
				if have.Outcome != test.empty || (have.Status == 504) != (test.empty == "refused") {
					t.Errorf("empty: %v, want %s", have, test.empty)
				}
				_ = resp
				require.NoError(t, g.Clear(t.Context()))
				g.get(url)
				if have, _ := g.send(in); have.Outcome != test.fresh {
					t.Errorf("fresh: %v, want %s", have, test.fresh)
				}
				time.Sleep(61 * time.Second)
				if have, _ := g.send(in); have.Outcome != test.stale {
					t.Errorf("stale: %v, want %s", have, test.stale)
				}
				for _, asked := range g.origin.asked {
					if len(asked.Header) != 0 {
						t.Errorf("a mode reached the origin: %v", asked.Header)
					}
				}
			})
		})
	}
}

func TestReadOnlyWritesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{})
		in, _ := http.NewRequestWithContext(cache.WithMode(t.Context(), cache.ModeReadOnly), "GET", url, nil)
		g.send(in)
		have, _ := g.send(in)
		g.want(have, 200, "x", "miss", 2)
	})
}

func TestScopesNestAndLeakNowhere(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{})
		on := t.Context()
		off := cache.Disable(on)
		outcome := func(ctx context.Context) string {
			r, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
			have, _ := g.send(r)
			return have.Outcome
		}
		outcome(on)
		var got []string
		for _, ctx := range []context.Context{on, off, cache.Enable(off), cache.Disable(cache.Enable(off)), on} {
			got = append(got, outcome(ctx))
		}
		if diff := cmp.Diff([]string{"hit", "bypassed", "hit", "bypassed", "hit"}, got); diff != "" {
			t.Errorf("outcomes (-want +got)\n%s", diff)
		}
		post, _ := http.NewRequestWithContext(off, "POST", url, nil)
		g.send(post)
		if got := outcome(on); got != "hit" {
			t.Errorf("after an unsafe request in a disabled scope: %s, want hit", got)
		}
		g.SetEnabled(false)
		if got := outcome(on); got != "bypassed" || g.Enabled() {
			t.Errorf("switched off: %s", got)
		}
		g.SetEnabled(true)
		if got := outcome(on); got != "hit" {
			t.Errorf("switched on again: %s", got)
		}
	})
}

func TestExpiryPerRequest(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: no-store"), cache.Options{})
		hour := cache.WithExpiry(t.Context(), expiry.After(time.Hour))
		r, _ := http.NewRequestWithContext(hour, "GET", url, nil)
		g.send(r)
		time.Sleep(59 * time.Minute)
		have, _ := g.get(url)
		g.want(have, 200, "x", "hit", 1)
		time.Sleep(2 * time.Minute)
		have, _ = g.send(r)
		g.want(have, 200, "x", "refreshed", 2)
	})
}

func TestSlidingExpiryBeginsAnewWithEachUse(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x"), cache.Options{Expiry: expiry.Sliding(expiry.After(10 * time.Second))})
		g.get(url)
		for range 5 {
			time.Sleep(9 * time.Second)
			have, _ := g.get(url)
			g.want(have, 200, "x", "hit", 1)
		}
		time.Sleep(11 * time.Second)
		have, _ := g.get(url)
		g.want(have, 200, "x", "refreshed", 2)
	})
}

func TestSettings(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Statuses: []int{404}})
		g.get(url)
		have, _ := g.get(url)
		g.want(have, 200, "x", "miss", 2)

		allowed := true
		g = newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Filter: func(*http.Request, *http.Response) bool { return allowed }})
		g.get(url)
		have, _ = g.get(url)
		g.want(have, 200, "x", "hit", 1)
		allowed = false // counts for what is stored already, too
		have, _ = g.get(url)
		g.want(have, 200, "x", "miss", 2)

		g = newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Methods: []string{"GET", "POST"}, Key: keying.New(keying.Body(keying.BodyOptions{}))})
		post := func(content string) got {
			r, _ := http.NewRequest("POST", url, strings.NewReader(content))
			r.Header.Set("Content-Type", "application/json")
			have, _ := g.send(r)
			return have
		}
		g.want(post(`{"a":1}`), 200, "x", "miss", 1)
		g.want(post(`{ "a": 1 }`), 200, "x", "hit", 1)
		g.want(post(`{"a":2}`), 200, "x", "miss", 2)
	})
}

func TestBadOptionsAreNamed(t *testing.T) {
	for name, o := range map[string]cache.Options{
		"StaleWhileRevalidate": {StaleWhileRevalidate: -1},
		"StaleIfError":         {StaleIfError: -1},
		"MaxStaleDisconnected": {MaxStaleDisconnected: -1},
		"RefreshTimeout":       {RefreshTimeout: -1},
		"StoreTimeout":         {StoreTimeout: -1},
		"L1TTL":                {L1TTL: -1},
		"Lease":                {Lease: -1},
		`give "GET"`:           {Methods: []string{"get"}},
		`give "POST"`:          {Methods: []string{"GET", "Post"}},
	} {
		if _, err := cache.New(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want an error with %s", err, name)
		}
	}
}

func TestBadOptionsAreErrors(t *testing.T) {
	for _, o := range []cache.Options{{MaxEntryBytes: -1}, {StaleIfError: -1}, {StaleWhileRevalidate: -1}, {MaxStaleDisconnected: -1}, {RefreshTimeout: -1},
		{Methods: []string{"G T"}}, {Statuses: []int{100}}, {Statuses: []int{600}}, {TargetedFields: []string{""}}} {
		if _, err := cache.New(o); err == nil || !strings.HasPrefix(err.Error(), "cache: ") {
			t.Errorf("%+v: error %v", o, err)
		}
	}
}

func TestMaintenance(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		ctx := t.Context()
		o := &origin{answer: func(r *http.Request) *http.Response {
			return reply(200, "x", "Cache-Control: max-age="+r.URL.Query().Get("age"))
		}}
		g := newRig(t, o, cache.Options{})
		urls := []string{"http://h/a?age=1", "http://h/b?age=100", "http://i/c?age=100"}
		for _, u := range urls {
			g.get(u)
		}
		g.get(urls[1], "Authorization: x")
		contains := func(u string) bool {
			r, _ := http.NewRequestWithContext(ctx, "GET", u, nil)
			return g.Contains(r)
		}
		shown := urls
		if onBytes {
			shown = []string{"http://h/a?age=REDACTED", "http://h/b?age=REDACTED", "http://i/c?age=REDACTED"}
		}
		if got := slices.Sorted(g.URLs(ctx)); !slices.Equal(got, shown) {
			t.Errorf("URLs %v", got)
		}
		time.Sleep(2 * time.Second)
		n, err := g.DeleteExpired(ctx)
		if n != 1 || err != nil || contains(urls[0]) || !contains(urls[1]) {
			t.Errorf("DeleteExpired: %d, %v", n, err)
		}
		n, err = g.DeletePattern(ctx, "i/**")
		if n != 1 || err != nil || contains(urls[2]) {
			t.Errorf("DeletePattern: %d, %v", n, err)
		}
		if _, err := g.DeletePattern(ctx, "a*b"); err == nil {
			t.Error("a bad pattern must be an error")
		}
		require.NoError(t, g.DeleteURL(ctx, urls[1]))
		if n := g.entries(); n != 0 {
			t.Errorf("%d entries after DeleteURL, want none", n)
		}
		g.get(urls[1])
		r, _ := http.NewRequest("GET", urls[1], nil)
		require.NoError(t, g.Delete(ctx, r))
		if contains(urls[1]) {
			t.Error("Delete left it")
		}
		g.get(urls[1])
		time.Sleep(10 * time.Second)
		g.get(urls[2])
		n, err = g.DeleteOlderThan(ctx, 5*time.Second)
		if n != 1 || err != nil || contains(urls[1]) || !contains(urls[2]) {
			t.Errorf("DeleteOlderThan: %d, %v", n, err)
		}
		require.NoError(t, g.Clear(ctx))
		if s := g.Stats(); s.Entries != 0 || s.Bytes != 0 {
			t.Errorf("after Clear: %+v", s)
		}
	})
}

func TestRecomputeExpiry(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		lifetime := time.Minute
		s := expiry.Func(func(*http.Request, *http.Response, time.Time) expiry.Verdict { return expiry.Lifetime(lifetime) })
		g := newRig(t, says("x"), cache.Options{Expiry: s})
		g.get(url)
		lifetime = time.Second
		time.Sleep(2 * time.Second)
		have, _ := g.get(url)
		g.want(have, 200, "x", "hit", 1)
		require.NoError(t, g.RecomputeExpiry(t.Context()))
		have, _ = g.get(url)
		g.want(have, 200, "x", "refreshed", 2)
	})
}

func TestTraceAndStats(t *testing.T) {
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

func TestAHitIsAGenuineResponse(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := &origin{answer: func(*http.Request) *http.Response {
			resp := reply(203, "hello", "Cache-Control: max-age=60", "X-A: 1", "X-A: 2", "Content-Length: 5")
			resp.Status, resp.Proto, resp.ProtoMajor, resp.ProtoMinor = "203 Fine", "HTTP/2.0", 2, 0
			resp.Trailer = http.Header{"X-Sum": {"1"}}
			return resp
		}}
		g := newRig(t, o, cache.Options{})
		_, miss := g.get(url)
		_, hit := g.get(url)
		for _, resp := range []*http.Response{miss, hit} {
			resp.Header.Del("Cache-Status")
			resp.Header.Del("Age")
			resp.Body, resp.Request = nil, nil
		}
		if diff := cmp.Diff(miss, hit, cmp.Comparer(func(a, b *http.Request) bool { return true })); diff != "" {
			t.Errorf("response (-miss +hit)\n%s", diff)
		}
	})
}

// Whatever a caller does to what it was given, the store and other callers do not see it.
func TestHitsShareNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("hello", "Cache-Control: max-age=60", "X-A: 1", `Etag: "a"`), cache.Options{})
		spoil := func(resp *http.Response) {
			for name, values := range resp.Header {
				for i := range values {
					values[i] = "spoiled"
				}
				resp.Header[name] = append(values, "spoiled")
			}
			resp.Header.Set("X-B", "spoiled")
			delete(resp.Header, "Cache-Control")
			resp.Request.Header.Set("X-C", "spoiled")
		}
		r, _ := http.NewRequest("GET", url, nil)
		resp, err := g.rt.RoundTrip(r)
		require.NoError(t, err)
		spoil(resp) // before the body has been read
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		for range 2 {
			have, resp := g.get(url)
			g.want(have, 200, "hello", "hit", 1)
			if resp.Header.Get("X-A") != "1" || len(resp.Header["X-A"]) != 1 || resp.Header.Get("X-B") != "" || resp.Header.Get("Cache-Control") != "max-age=60" {
				t.Errorf("header %v", resp.Header)
			}
			spoil(resp)
		}
	})
}

func TestBodiesOfHits(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("hello", "Cache-Control: max-age=60"), cache.Options{})
		g.get(url)
		r, _ := http.NewRequest("GET", url, nil)
		resp, _ := g.rt.RoundTrip(r)
		var b bytes.Buffer
		one := make([]byte, 1)
		for range 2 {
			n, err := resp.Body.Read(one)
			require.NoError(t, err)
			b.Write(one[:n])
		}
		n, err := resp.Body.(io.WriterTo).WriteTo(&b)
		if n != 3 || err != nil || b.String() != "hello" {
			t.Errorf("%d bytes, %v: %q", n, err, b.String())
		}
		if n, err := resp.Body.Read(one); n != 0 || err != io.EOF {
			t.Errorf("after the end: %d, %v", n, err)
		}
		require.NoError(t, resp.Body.Close())
		require.NoError(t, resp.Body.Close())
		if _, err := resp.Body.Read(one); err != http.ErrBodyReadAfterClose {
			t.Errorf("after Close: %v", err)
		}
	})
}

// closes counts how often a request body is closed.
type closes struct {
	io.Reader
	n *int
}

func (c closes) Close() error { *c.n++; return nil }

func TestRequestBodiesAreClosedOnceOnEveryPath(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("x", "Cache-Control: max-age=60")
		g := newRig(t, o, cache.Options{})
		for _, test := range []struct {
			method string
			ctx    context.Context
		}{
			{"GET", t.Context()}, {"GET", t.Context()}, {"POST", t.Context()}, {"QUERY", t.Context()}, {"QUERY", t.Context()},
			{"QUERY", cache.WithMode(t.Context(), cache.ModeOnlyIfCached)}, {"GET", cache.Disable(t.Context())},
		} {
			n := 0
			r, _ := http.NewRequestWithContext(test.ctx, test.method, url, closes{strings.NewReader("content"), &n})
			r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("content")), nil }
			resp, err := g.rt.RoundTrip(r)
			require.NoError(t, err)
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if n != 1 {
				t.Errorf("%s: body closed %d times", test.method, n)
			}
		}
	})
}

func TestARedirectFollowedBelowIsNotStored(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := &origin{answer: func(*http.Request) *http.Response {
			resp := reply(200, "elsewhere", "Cache-Control: max-age=60")
			resp.Request, _ = http.NewRequest("GET", "http://elsewhere/", nil)
			resp.Request.Response = reply(302, "")
			return resp
		}}
		g := newRig(t, o, cache.Options{})
		g.get(url)
		have, _ := g.get(url)
		g.want(have, 200, "elsewhere", "miss", 2)
	})
}

// A response that was requested before an invalidation is not stored after it.
func TestInvalidationReachesResponsesUnderWay(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("old", "Cache-Control: max-age=60"), cache.Options{})
		r, _ := http.NewRequest("GET", url, nil)
		resp, err := g.rt.RoundTrip(r)
		require.NoError(t, err)
		g.do("PUT", url)
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		have, _ := g.get(url)
		g.want(have, 200, "old", "miss", 3)
	})
}

func TestRefreshesOutliveTheCallerAndEndWithTheCache(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("x", "Cache-Control: max-age=1, stale-while-revalidate=600")
		g := newRig(t, o, cache.Options{})
		g.get(url)
		time.Sleep(2 * time.Second)
		o.delay = 10 * time.Second
		ctx, cancel := context.WithCancel(t.Context())
		r, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
		g.send(r)
		cancel()
		synctest.Wait()
		if err := o.asked[1].Context().Err(); err != nil {
			t.Errorf("the caller's cancellation ended the refresh: %v", err)
		}
		g.Close()
		if err := o.asked[1].Context().Err(); err == nil {
			t.Error("Close left the refresh running")
		}
		have, _ := g.get(url)
		g.want(have, 200, "x", "bypassed", 3)
	})
}

func TestErrorsOfTheOriginAreTheCallers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		oops := errors.New("oops")
		o := says("x")
		o.err = oops
		g := newRig(t, o, cache.Options{})
		r, _ := http.NewRequest("GET", url, nil)
		if resp, err := g.rt.RoundTrip(r); resp != nil || !errors.Is(err, oops) {
			t.Errorf("%v, %v", resp, err)
		}
		c, _ := cache.New(cache.Options{})
		nothing := c.Middleware(roundTripper(func(*http.Request) (*http.Response, error) { return nil, nil }))
		if resp, err := nothing.RoundTrip(r); resp != nil || err == nil {
			t.Errorf("neither response nor error: %v, %v", resp, err)
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// brokenStore fails always.
type brokenStore struct{}

func (brokenStore) Get(context.Context, string) (store.Record, error) {
	return store.Record{}, errors.New("down")
}
func (brokenStore) Put(context.Context, string, store.Record) error { return errors.New("down") }
func (brokenStore) Delete(context.Context, string, string) error    { return errors.New("down") }

func TestAStoreThatFailsIsAMiss(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var faults []string
		trace := &cache.Trace{Fault: func(operation string, err error) { faults = append(faults, operation+": "+err.Error()) }}
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Store: brokenStore{}, Trace: trace})
		g.get(url)
		have, _ := g.get(url)
		g.want(have, 200, "x", "miss", 2)
		synctest.Wait() // a probe finds the store down: then it is left alone
		g.do("POST", url)
		if owed := g.Stats().Owed; owed != 1 {
			t.Errorf("%d invalidations are owed, want the POST's", owed)
		}
		want := []string{"get: down", "update: down", "get: down", "update: down"}
		if diff := cmp.Diff(want, faults); diff != "" {
			t.Errorf("faults (-want +got)\n%s", diff)
		}
		if err := g.Clear(t.Context()); err == nil {
			t.Error("Clear of a store that cannot must be an error")
		}
	})
}

func TestSecretsDoNotReachTheStore(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		memory := cache.NewMemory(cache.MemoryOptions{})
		g := newRig(t, says("x", "Cache-Control: max-age=60", "Vary: Authorization, Cookie"), cache.Options{Store: memory})
		g.get("http://user:canary1@h/a#canary2", "Authorization: Bearer canary3", "Cookie: s=canary4")
		n := 0
		for e := range g.Entries(t.Context()) {
			n++
			if all := fmt.Sprintf("%q %+v", e.URL(), reflect.ValueOf(e).Elem()); strings.Contains(all, "canary") {
				t.Errorf("a secret in the store: %s", all)
			}
		}
		if n != 1 {
			t.Errorf("%d entries, want 1", n)
		}
	})
}

// RFC 9110 §9.3.3.
func TestAPostThatSaysWhereItIsAnswersGet(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60", "Content-Location: /a"), cache.Options{})
		g.do("POST", url)
		have, _ := g.get(url)
		g.want(have, 200, "x", "hit", 1)
	})
}

func TestResponsesWithoutAHeaderAreNoTrouble(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c, err := cache.New(cache.Options{Expiry: expiry.After(time.Hour)})
		require.NoError(t, err)
		rt := c.Middleware(roundTripper(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Request: r}, nil
		}))
		for range 2 {
			r, _ := http.NewRequest("GET", url, nil)
			resp, err := rt.RoundTrip(r)
			require.NoError(t, err)
			readAll(resp)
		}
		if c.Stats().Hits != 1 {
			t.Errorf("stats %+v", c.Stats())
		}
	})
}

// Whatever breaks a body off, the caller sees it and nothing is stored.
func TestBodiesThatBreakOff(t *testing.T) {
	reset := errors.New("connection reset")
	for _, test := range []struct {
		name   string
		body   func() io.Reader
		length int64
		close  bool // the connection ends with the body
		read   int  // bytes that the caller reads, -1 for all
		err    error
		stored bool
	}{
		{"complete", func() io.Reader { return strings.NewReader("hello") }, 5, false, -1, nil, true},
		{"complete, read no further", func() io.Reader { return strings.NewReader("hello") }, 5, false, 5, nil, true},
		{"complete, without a length", func() io.Reader { return strings.NewReader("hello") }, -1, false, -1, nil, true},
		{"reset", func() io.Reader { return io.MultiReader(strings.NewReader("hel"), failing{reset}) }, 5, false, -1, reset, false},
		{"reset, without a length", func() io.Reader { return io.MultiReader(strings.NewReader("hel"), failing{reset}) }, -1, false, -1, reset, false},
		{"short", func() io.Reader { return strings.NewReader("hel") }, 5, false, -1, nil, false},
		{"long", func() io.Reader { return strings.NewReader("hello world") }, 5, false, -1, nil, false},
		{"closed early, the rest is at hand", func() io.Reader { return strings.NewReader("hello") }, 5, false, 3, nil, true},
		{"never read, all is at hand", func() io.Reader { return strings.NewReader("hello") }, 5, false, 0, nil, true},
		{"closed early, the rest is broken", func() io.Reader { return io.MultiReader(strings.NewReader("hel"), failing{reset}) }, 5, false, 3, nil, false},
		{"closed early, too much is missing", func() io.Reader { return iotest.OneByteReader(strings.NewReader(strings.Repeat("x", 70<<10))) }, 70 << 10, false, 3, nil, false},
		{"ended by the connection", func() io.Reader { return strings.NewReader("hello") }, -1, true, -1, nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				o := &origin{answer: func(*http.Request) *http.Response {
					resp := reply(200, "", "Cache-Control: max-age=60")
					resp.Body, resp.ContentLength, resp.Close = io.NopCloser(test.body()), test.length, test.close
					return resp
				}}
				g := newRig(t, o, cache.Options{})
				r, _ := http.NewRequest("GET", url, nil)
				resp, err := g.rt.RoundTrip(r)
				require.NoError(t, err)
				if test.read < 0 {
					_, err = io.ReadAll(resp.Body)
				} else {
					_, err = io.ReadFull(resp.Body, make([]byte, test.read))
				}
				if !errors.Is(err, test.err) {
					t.Errorf("error %v, want %v", err, test.err)
				}
				resp.Body.Close()
				if got := g.entries() == 1; got != test.stored {
					t.Errorf("stored = %v, want %v", got, test.stored)
				}
			})
		})
	}
}

// RFC 9111 §4.3.3: what has been replaced is not served again, though what replaces it may not be stored.
func TestWhatHasBeenReplacedIsForgotten(t *testing.T) {
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

// However often a response is used, its age is the time since it was generated.
func TestAgeNeverInflates(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=600", "Age: 30"), cache.Options{})
		start := time.Now()
		g.get(url)
		for range 20 {
			time.Sleep(1100 * time.Millisecond)
			_, resp := g.get(url)
			if want := fmt.Sprint(30 + int(time.Since(start)/time.Second)); resp.Header.Get("Age") != want || len(resp.Header["Age"]) != 1 {
				t.Errorf("Age %q, want %s", resp.Header["Age"], want)
			}
		}
	})
}

// A response that net/http has decompressed stays marked as such.
func TestDecompressedResponses(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := &origin{answer: func(*http.Request) *http.Response {
			resp := reply(200, "hello", "Cache-Control: max-age=60")
			resp.Uncompressed, resp.ContentLength = true, -1
			return resp
		}}
		g := newRig(t, o, cache.Options{})
		g.get(url)
		have, resp := g.get(url)
		g.want(have, 200, "hello", "hit", 1)
		if !resp.Uncompressed || resp.ContentLength != -1 {
			t.Errorf("Uncompressed %v, ContentLength %d", resp.Uncompressed, resp.ContentLength)
		}
	})
}

func TestA304OfAnotherURIConfirmsNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := &origin{answer: func(r *http.Request) *http.Response {
			if r.Header.Get("If-None-Match") == "" {
				return reply(200, "body", `Etag: "a"`, "Cache-Control: max-age=1")
			}
			resp := reply(304, "", `Etag: "a"`)
			resp.Request, _ = http.NewRequest("GET", "http://elsewhere/", nil)
			resp.Request.Response = reply(302, "")
			return resp
		}}
		g := newRig(t, o, cache.Options{})
		g.get(url)
		time.Sleep(2 * time.Second)
		have, _ := g.get(url)
		g.want(have, 200, "body", "refreshed", 3)
	})
}

// A request made by hand may have no method, no header and no body.
func TestBareRequests(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("x", "Cache-Control: max-age=1, stale-while-revalidate=1", `Etag: "a"`, "Vary: A")
		g := newRig(t, o, cache.Options{})
		u, _ := neturl.Parse(url)
		for _, want := range []string{"miss", "hit", "stale", "refreshed"} {
			if have, _ := g.send(&http.Request{URL: u}); have.Outcome != want {
				t.Errorf("%v, want %s", have, want)
			}
			switch want {
			case "hit":
				time.Sleep(1500 * time.Millisecond)
			case "stale":
				time.Sleep(5 * time.Second)
			}
		}
		synctest.Wait()
	})
}

func TestReadOnlyDoesNotRefresh(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=1, stale-while-revalidate=60"), cache.Options{})
		g.get(url)
		time.Sleep(2 * time.Second)
		r, _ := http.NewRequestWithContext(cache.WithMode(t.Context(), cache.ModeReadOnly), "GET", url, nil)
		have, _ := g.send(r)
		synctest.Wait()
		g.want(have, 200, "x", "stale", 1)
	})
}

// A handler that makes its responses by hand may leave out the length.
func TestResponsesWithoutALength(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := &origin{answer: func(*http.Request) *http.Response {
			return &http.Response{StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=60"}}, Body: io.NopCloser(strings.NewReader("hello"))}
		}}
		g := newRig(t, o, cache.Options{})
		g.get(url)
		have, _ := g.get(url)
		g.want(have, 200, "hello", "hit", 1)
	})
}
