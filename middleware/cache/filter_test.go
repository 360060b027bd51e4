package cache_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
)

func TestNoGraphQLErrorsFilter(t *testing.T) {
	zipped := func(s string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		io.WriteString(w, s)
		w.Close()
		return b.String()
	}
	const failed = `{"data":null,"errors":[{"message":"x"}]}`
	for _, test := range []struct {
		name, mediaType, coding, body string
		want                          bool
	}{
		{"data", "application/json", "", `{"data":{"errors":[1]}}`, true},
		{"errors", "application/json", "", failed, false},
		{"errors, in the type of GraphQL", "application/graphql-response+json; charset=utf-8", "", failed, false},
		{"errors under another type", "text/plain", "", failed, false},
		{"errors under no type", "", "", failed, false},
		{"errors before data", "application/json", "", `{"errors":[{"message":"x"}],"data":{}}`, false},
		{"errors with an escape in the name", "application/json", "", `{"\u0065rrors":[{}]}`, false},
		{"errors twice", "application/json", "", `{"errors":[{}],"errors":null}`, false},
		{"errors in a batch", "application/json", "", `[{"data":1},` + failed + `]`, false},
		{"a batch", "application/json", "", ` [{"data":1},{"data":2}] `, true},
		{"errors of null", "application/json", "", `{"errors":null}`, true},
		{"no errors in the list", "application/json", "", `{"errors":[ ]}`, true},
		{"errors that are no list", "application/json", "", `{"errors":"x"}`, false},
		{"errors compressed", "application/json", "gzip", zipped(failed), false},
		{"data compressed", "application/json", "gzip", zipped(`{"data":1}`), true},
		{"what cannot be decompressed", "application/json", "br", "x", false},
		{"what claims to be compressed", "application/json", "gzip", `{"data":1}`, false},
		{"an image", "image/png", "br", "x", true},
		{"a page", "text/html", "", "<p>", true},
		{"several parts", "multipart/mixed; boundary=x", "", "--x", false},
		{"malformed", "application/json", "", `{"data":`, false},
		{"two values", "application/json", "", `{"data":1}{}`, false},
		{"nothing", "application/json", "", "", false},
		{"nothing of no type", "", "", "", true},
		{"a number", "application/json", "", "1", true},
		{"deep", "application/json", "", `{"data":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			resp := &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {test.mediaType}}}
			if test.coding != "" {
				resp.Header.Set("Content-Encoding", test.coding)
			}
			if got := cache.NoGraphQLErrors(nil, resp, []byte(test.body)); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}

// graphQL is a cache for queries over POST.
var graphQL = cache.Options{Methods: []string{"GET", "POST"}, Key: keying.New(keying.Body(keying.BodyOptions{Format: keying.FormatGraphQL})), FilterBody: cache.NoGraphQLErrors}

func TestGraphQLErrorsAreNotStored(t *testing.T) {
	const query = `{"query":"{ me { name } }"}`
	post := func(g *rig) got {
		r, err := http.NewRequestWithContext(g.Context(), "POST", url, strings.NewReader(query))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		resp := roundTrip(t, g.rt, r)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		resp.Body.Close()
		s, _ := cache.StatusOf(resp)
		return got{resp.StatusCode, string(body), s.Outcome()}
	}
	for _, declared := range []bool{true, false} {
		for _, alone := range []bool{false, true} {
			inBubble(t, func(t *testing.T) {
				fields := []string{"Cache-Control: max-age=60", "Content-Type: application/json"}
				failed, good := reply(200, `{"errors":[{"message":"busy"}]}`, fields...), reply(200, `{"data":1}`, fields...)
				if !declared {
					failed.ContentLength, good.ContentLength = -1, -1
				}
				options := graphQL
				options.NoCollapse = alone
				var reasons []string
				options.Trace = &cache.Trace{NotStored: func(_ *http.Request, reason string) { reasons = append(reasons, reason) }}
				g := newRig(t, inOrder(failed, good), options)
				for i, want := range []got{{200, `{"errors":[{"message":"busy"}]}`, "miss"}, {200, `{"data":1}`, "miss"}, {200, `{"data":1}`, "hit"}} {
					if have := post(g); have != want {
						t.Errorf("request %d: %v, want %v", i, have, want)
					}
				}
				if len(reasons) != 1 {
					t.Errorf("not stored: %q", reasons)
				}
			})
		}
	}
}

// The caller reads the body as it comes, and so do those who share it; the filter is asked once all of it is there.
func TestBodyFilterDelaysNoReader(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		asked := 0
		source, sink := io.Pipe()
		o := &origin{answer: func(*http.Request) *http.Response {
			resp := reply(200, "", "Cache-Control: max-age=60")
			resp.Body, resp.ContentLength = source, -1
			return resp
		}}
		g := newRig(t, o, cache.Options{FilterBody: func(_ *http.Request, resp *http.Response, body []byte) bool {
			if asked++; string(body) != "first last" || resp.ContentLength != int64(len(body)) {
				t.Errorf("asked about %q", body)
			}
			return false
		}})
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				r, _ := http.NewRequestWithContext(t.Context(), "GET", url, nil)
				resp := roundTrip(t, g.rt, r)
				p := make([]byte, 6)
				if _, err := io.ReadFull(resp.Body, p); err != nil || string(p) != "first " || asked != 0 {
					t.Errorf("%q, %v, asked %d", p, err, asked)
				}
				rest, _ := io.ReadAll(resp.Body)
				if resp.Body.Close(); string(rest) != "last" {
					t.Errorf("rest %q", rest)
				}
			})
		}
		synctest.Wait()
		io.WriteString(sink, "first ")
		time.Sleep(time.Second)
		io.WriteString(sink, "last")
		sink.Close()
		all.Wait()
		if asked != 1 || len(o.asked) != 1 || g.entries() != 0 {
			t.Errorf("the filter was asked %d times, the origin %d times; %d entries", asked, len(o.asked), g.entries())
		}
		if flights, bytes := g.InFlight(); flights != 0 || bytes != 0 {
			t.Errorf("%d flights, %d bytes are left", flights, bytes)
		}
	})
}

// What the filter cannot be shown is not stored, and what has none is shown as empty. A filter that panics keeps nothing, and no caller waits for it.
func TestBodyFilterSeesTheWholeBody(t *testing.T) {
	for name, test := range map[string]struct {
		size   int
		length bool
		filter func([]byte) bool
		want   string
	}{
		"small":                     {10, true, func([]byte) bool { return true }, "hit"},
		"empty":                     {0, true, func(b []byte) bool { return len(b) > 0 }, "miss"},
		"large, of a known length":  {1<<20 + 1, true, func([]byte) bool { return true }, "miss"},
		"large, of unknown length":  {1<<20 + 1, false, func([]byte) bool { return true }, "miss"},
		"as large as may be":        {1 << 20, false, func([]byte) bool { return true }, "hit"},
		"a panic":                   {10, true, func([]byte) bool { panic("filter") }, "miss"},
		"an empty body and a panic": {0, true, func([]byte) bool { panic("filter") }, "miss"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				o := &origin{answer: func(*http.Request) *http.Response {
					resp := reply(200, strings.Repeat("x", test.size), "Cache-Control: max-age=60")
					if !test.length {
						resp.ContentLength = -1
					}
					if test.size == 0 {
						resp.Body = http.NoBody
					}
					return resp
				}}
				g := newRig(t, o, cache.Options{FilterBody: func(_ *http.Request, _ *http.Response, body []byte) bool { return test.filter(body) }})
				get := func() (s cache.Status, err error) {
					defer func() {
						if recover() != nil {
							err = errors.New("panicked")
						}
					}()
					r, _ := http.NewRequestWithContext(t.Context(), "GET", url, nil)
					resp := roundTrip(t, g.rt, r)
					defer resp.Body.Close()
					n, err := io.Copy(io.Discard, resp.Body)
					if s, _ = cache.StatusOf(resp); err == nil && n != int64(test.size) {
						t.Errorf("%d bytes, want %d", n, test.size)
					}
					return s, err
				}
				get()
				s, err := get()
				if panics := strings.Contains(name, "panic"); err == nil && panics || !panics && s.Outcome() != test.want {
					t.Errorf("%v, %v, want %s", s, err, test.want)
				}
				synctest.Wait()
				if flights, _ := g.InFlight(); flights != 0 {
					t.Errorf("%d flights are left", flights)
				}
			})
		})
	}
}
