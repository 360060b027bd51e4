package cache_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// closes counts how often a request body is closed.
type closes struct {
	io.Reader
	n *int
}

func (c closes) Close() error { *c.n++; return nil }

func TestRequestBodyIsClosedOnceOnEveryPath(t *testing.T) {
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

// Content that cannot be sent twice is sent once, whatever is stored.
func TestRequestBodyWithoutGetBodyIsSentOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("x", "Cache-Control: no-cache", `Etag: "a"`)
		key := keying.New(keying.PartFunc(func(dst []byte, _ *http.Request) ([]byte, error) { return dst, nil }))
		g := newRig(t, o, cache.Options{Methods: []string{"SEARCH"}, Key: contentless{key}})
		for n := range 2 {
			if n == 1 {
				o.answer = func(r *http.Request) *http.Response {
					if r.Header.Get("If-None-Match") != "" {
						return reply(304, "", `Etag: "another"`)
					}
					return reply(200, "y")
				}
			}
			r, _ := http.NewRequestWithContext(t.Context(), "SEARCH", url, io.NopCloser(strings.NewReader("stream")))
			have, _ := g.send(r)
			if want := [...]string{"x", "y"}[n]; have.Body != want {
				t.Errorf("request %d: %v", n, have)
			}
		}
	})
}

// Every copy of a request's content is closed, once, on paths that need several.
func TestRequestBodyCopiesAreEachClosedOnce(t *testing.T) {
	for name, second := range map[string]func(*http.Request) (*http.Response, error){
		"confirmed":             func(*http.Request) (*http.Response, error) { return reply(304, "", `Etag: "a"`), nil },
		"confirmed for another": func(*http.Request) (*http.Response, error) { return reply(304, "", `Etag: "b"`), nil },
		"replaced":              func(*http.Request) (*http.Response, error) { return reply(200, "new"), nil },
		"failed":                func(*http.Request) (*http.Response, error) { return reply(503, "down"), nil },
		"unreachable":           func(*http.Request) (*http.Response, error) { return nil, errors.New("reset") },
	} {
		for _, directives := range []string{"max-age=1", "max-age=1, stale-while-revalidate=60", "max-age=1, stale-if-error=60"} {
			t.Run(name+", "+directives, func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					next := func(*http.Request) (*http.Response, error) {
						return reply(200, "old", "Cache-Control: "+directives, `Etag: "a"`), nil
					}
					c, err := cache.New(cache.Options{})
					require.NoError(t, err)
					defer c.Close()
					rt := c.Middleware(roundTripper(func(r *http.Request) (*http.Response, error) {
						r.Body.Close()
						return next(r)
					}))
					for range 2 {
						var copies []*int
						open := func() io.ReadCloser {
							copies = append(copies, new(int))
							return closes{strings.NewReader("q"), copies[len(copies)-1]}
						}
						r, _ := http.NewRequestWithContext(t.Context(), "QUERY", url, open())
						r.GetBody = func() (io.ReadCloser, error) { return open(), nil }
						if resp, err := rt.RoundTrip(r); err == nil {
							readAll(resp)
						}
						synctest.Wait()
						for i, n := range copies {
							if *n != 1 {
								t.Errorf("copy %d of %d was closed %d times", i, len(copies), *n)
							}
						}
						time.Sleep(2 * time.Second)
						next = second
					}
				})
			})
		}
	}
}

// A request has waited for another process, whose answer cannot be shared, and its content has been closed by then.
// If GetBody cannot open that again, the caller gets the error, and the origin no request without content.
func TestRequestBodyThatCannotBeOpenedAgainIsAnError(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := &busy{answer: func(*http.Request, int) (*http.Response, error) {
			time.Sleep(2 * time.Second)
			return sends("private", "Cache-Control: no-store"), nil
		}}
		m := storetest.NewMap(1 << 20)
		_, chains := newFleet(t, 2, o, func() store.Store { return m.Open() }, cache.Options{})
		gone := errors.New("the file is gone")
		query := func(opens int) *http.Request {
			r, _ := http.NewRequestWithContext(t.Context(), "QUERY", url, strings.NewReader("what?"))
			open := r.GetBody
			r.GetBody = func() (io.ReadCloser, error) {
				if opens--; opens < 0 {
					return nil, gone
				}
				return open()
			}
			return r
		}
		opened := 0
		counting := query(10)
		open := counting.GetBody
		counting.GetBody = func() (io.ReadCloser, error) { opened++; return open() }
		ask := func(r *http.Request) error {
			go func() { readAll(roundTrip(t, chains[0], query(10))) }()
			time.Sleep(time.Second)
			resp, err := chains[1].RoundTrip(r)
			if err == nil {
				readAll(resp)
			}
			time.Sleep(time.Hour)
			return err
		}
		require.NoError(t, ask(counting))
		require.EqualValues(t, 2, o.asked.Load())
		require.Positive(t, opened, "the request was sent with its first content: this test shows nothing")
		err := ask(query(opened - 1))
		if !errors.Is(err, gone) || o.asked.Load() != 3 {
			t.Errorf("%v, %d requests", err, o.asked.Load())
		}
	})
}
