package plytest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/plytest"
)

type middleware = func(http.RoundTripper) http.RoundTripper

// layer is a correct layer around do, for the tests to break.
type layer struct {
	next http.RoundTripper
	do   func(next http.RoundTripper, req *http.Request) (*http.Response, error)
}

func (l *layer) RoundTrip(req *http.Request) (*http.Response, error) { return l.do(l.next, req) }

func (l *layer) CloseIdleConnections() {
	if c, ok := l.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func layerOf(do func(next http.RoundTripper, req *http.Request) (*http.Response, error)) middleware {
	return func(next http.RoundTripper) http.RoundTripper {
		if next == nil {
			next = http.DefaultTransport
		}
		return &layer{next, do}
	}
}

// onResponse is a layer that does something to each response.
func onResponse(f func(*http.Request, *http.Response)) middleware {
	return layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(req)
		if err == nil {
			f(req, resp)
		}
		return resp, err
	})
}

// recorder is a testing.TB that keeps what a check says.
type recorder struct {
	testing.TB
	mu     sync.Mutex
	errors []string
	logs   []string
}

func (r *recorder) Helper() {}
func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}
func (r *recorder) Logf(format string, args ...any) {
	r.logs = append(r.logs, fmt.Sprintf(format, args...))
}

// rules returns the rules that were reported broken.
func (r *recorder) rules() []plytest.Rule {
	var broken []plytest.Rule
	for _, e := range r.errors {
		name, _, _ := strings.Cut(strings.TrimPrefix(e, "plytest: "), ":")
		if !slices.Contains(broken, plytest.Rule(name)) {
			broken = append(broken, plytest.Rule(name))
		}
	}
	return broken
}

var identity = layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) { return next.RoundTrip(req) })

func addHeader(req *http.Request) *http.Request {
	r := *req
	r.Header = req.Header.Clone()
	r.Header.Set("Authorization", "Bearer x")
	return &r
}

func correctLayers() map[string]middleware {
	return map[string]middleware{
		"identity": identity,
		"next itself": func(next http.RoundTripper) http.RoundTripper {
			if next == nil {
				return http.DefaultTransport
			}
			return next
		},
		"header added": layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			return next.RoundTrip(addHeader(req))
		}),
		"response header added": onResponse(func(_ *http.Request, resp *http.Response) { resp.Header.Set("X-Seen", "1") }),
		"short circuit": layerOf(func(_ http.RoundTripper, req *http.Request) (*http.Response, error) {
			if req.Body != nil {
				req.Body.Close()
			}
			return &http.Response{StatusCode: 503, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
		}),
		"always an error": layerOf(func(_ http.RoundTripper, req *http.Request) (*http.Response, error) {
			if req.Body != nil {
				req.Body.Close()
			}
			return nil, errors.New("closed for today")
		}),
		"retry": layerOf(retry),
		"body wrapped": onResponse(func(_ *http.Request, resp *http.Response) {
			if resp.StatusCode != http.StatusSwitchingProtocols {
				resp.Body = &countedBody{Reader: resp.Body}
				resp.Body = closeBoth{resp.Body, resp.Body.(*countedBody).Reader.(io.Closer)}
			}
		}),
		"panic to error": layerOf(func(next http.RoundTripper, req *http.Request) (resp *http.Response, err error) {
			defer func() {
				if v := recover(); v != nil {
					err = fmt.Errorf("recovered: %v", v)
				}
			}()
			return next.RoundTrip(req)
		}),
		"timeout until the body is closed": layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			if req.Header.Get("Upgrade") != "" {
				return next.RoundTrip(req)
			}
			ctx, cancel := context.WithTimeout(req.Context(), 30*time.Second)
			resp, err := next.RoundTrip(req.WithContext(ctx))
			if err != nil {
				cancel()
				return nil, err
			}
			resp.Body = closeBoth{resp.Body, closeFunc(cancel)}
			return resp, nil
		}),
		"path prefixed": layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			r := req.Clone(req.Context())
			r.URL.Path = "/v1" + r.URL.Path
			return next.RoundTrip(r)
		}),
		"request compressed": layerOf(compressed),
		"request in an envelope": layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			return enveloped(next, req, true)
		}),
		"concurrency limit": limit(2),
		"cache":             func(next http.RoundTripper) http.RoundTripper { return newCache(next) },
	}
}

type closeFunc func()

func (f closeFunc) Close() error { f(); return nil }

type closeBoth struct {
	io.ReadCloser
	also io.Closer
}

func (c closeBoth) Close() error {
	c.also.Close()
	return c.ReadCloser.Close()
}

// compressed sends the content of requests compressed, as it comes.
func compressed(next http.RoundTripper, req *http.Request) (*http.Response, error) {
	if req.Body == nil {
		return next.RoundTrip(req)
	}
	r := req.Clone(req.Context())
	reader, writer := io.Pipe()
	go func() {
		z := gzip.NewWriter(writer)
		_, err := io.Copy(z, req.Body)
		req.Body.Close()
		writer.CloseWithError(errors.Join(err, z.Close()))
	}()
	r.Body, r.GetBody, r.ContentLength = reader, nil, -1
	r.Header.Set("Content-Encoding", "gzip")
	return next.RoundTrip(r)
}

// enveloped sends the content of requests within brackets, whole or with the GetBody of what was within.
func enveloped(next http.RoundTripper, req *http.Request, whole bool) (*http.Response, error) {
	if req.Body == nil {
		return next.RoundTrip(req)
	}
	content, err := io.ReadAll(req.Body)
	req.Body.Close()
	if err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("[" + string(content) + "]")), nil
	}
	r := req.Clone(req.Context())
	r.Body, _ = open()
	r.ContentLength += int64(len("[]"))
	if whole {
		r.GetBody = open
	}
	return next.RoundTrip(r)
}

// retry calls next up to three times.
func retry(next http.RoundTripper, req *http.Request) (*http.Response, error) {
	for n := 1; ; n++ {
		resp, err := next.RoundTrip(req)
		again := err != nil || resp.StatusCode == 503 || resp.StatusCode == 429
		if !again || n == 3 || req.Body != nil && req.GetBody == nil {
			return resp, err
		}
		if resp != nil {
			resp.Body.Close()
		}
		select {
		case <-time.After(time.Second):
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
		if req.GetBody != nil {
			body, err := req.GetBody()
			if err != nil {
				return nil, err
			}
			r := *req
			r.Body = body
			req = &r
		}
	}
}

func limit(n int) middleware {
	return func(next http.RoundTripper) http.RoundTripper {
		slots := make(chan struct{}, n)
		return layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			select {
			case slots <- struct{}{}:
			case <-req.Context().Done():
				if req.Body != nil {
					req.Body.Close()
				}
				return nil, req.Context().Err()
			}
			defer func() { <-slots }()
			return next.RoundTrip(req)
		})(next)
	}
}

// newCache returns a small cache of whole bodies that were read to their end. Its flaws are for the tests to set.
func newCache(next http.RoundTripper) *smallCache {
	if next == nil {
		next = http.DefaultTransport
	}
	c := &smallCache{entries: make(map[string]*http.Response), bodies: make(map[string]string)}
	c.layer = layer{next, c.serve}
	return c
}

type smallCache struct {
	layer
	mu      sync.Mutex
	entries map[string]*http.Response
	bodies  map[string]string

	shareHeader, otherRequest, openBody, storeCut bool
}

func (c *smallCache) serve(next http.RoundTripper, req *http.Request) (*http.Response, error) {
	url := req.URL.String()
	c.mu.Lock()
	e, body := c.entries[url], c.bodies[url]
	c.mu.Unlock()
	if e != nil && req.Method == "GET" && req.Context().Err() == nil {
		if req.Body != nil && !c.openBody {
			req.Body.Close()
		}
		hit := *e
		hit.Body = io.NopCloser(strings.NewReader(body))
		if !c.shareHeader {
			hit.Header = e.Header.Clone()
			hit.Trailer = e.Trailer.Clone()
		}
		if !c.otherRequest {
			hit.Request = req
		}
		return &hit, nil
	}
	resp, err := next.RoundTrip(req)
	if err != nil || req.Method != "GET" || resp.StatusCode != 200 || resp.Header.Get("Cache-Control") != "max-age=600" {
		return resp, err
	}
	stored := *resp
	stored.Header = resp.Header.Clone()
	stored.Trailer = resp.Trailer.Clone()
	resp.Body = &tee{ReadCloser: resp.Body, done: func(text string, err error) {
		if err == io.EOF || c.storeCut {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.entries[url], c.bodies[url] = &stored, text
		}
	}}
	return resp, nil
}

type tee struct {
	io.ReadCloser
	seen bytes.Buffer
	done func(string, error)
}

func (t *tee) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	t.seen.Write(p[:n])
	if err != nil {
		t.done(t.seen.String(), err)
	}
	return n, err
}

func TestCheckMiddlewarePassesCorrectLayers(t *testing.T) {
	for name, m := range correctLayers() {
		t.Run(name, func(t *testing.T) { plytest.CheckMiddleware(t, m) })
		t.Run(name+", in a bubble", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { plytest.CheckMiddleware(t, m) })
		})
	}
}

// A testing.TB that is no *testing.T gets neither subtests nor bubbles.
func TestCheckMiddlewareWithoutABubble(t *testing.T) {
	tb := &recorder{TB: t}
	plytest.CheckMiddleware(tb, onResponse(func(_ *http.Request, resp *http.Response) { resp.Request = nil }))
	if d := cmp.Diff([]plytest.Rule{plytest.ResponseRequestSet}, tb.rules()); d != "" {
		t.Errorf("broken rules (-want +got):\n%s", d)
	}
}

// A program may put another transport into http.DefaultTransport, as some set it up in init and tests put it back.
func TestCheckMiddlewareAfterAnotherDefaultTransport(t *testing.T) {
	plytest.CheckMiddleware(t, identity)
	before := http.DefaultTransport
	defer func() { http.DefaultTransport = before }()
	http.DefaultTransport = &http.Transport{}
	t.Run("another", func(t *testing.T) { plytest.CheckMiddleware(t, identity) })
}

// An Origin promises to keep the contract. As a layer it is one that answers by itself.
func TestOriginKeepsTheContract(t *testing.T) {
	for name, origin := range map[string]func() *plytest.Origin{
		"zero": func() *plytest.Origin { return &plytest.Origin{} },
		"script": func() *plytest.Origin {
			return plytest.NewOrigin(plytest.Text("hello", "X-Plytest", "one"), plytest.Status(204))
		},
		"failures": func() *plytest.Origin {
			return plytest.NewOrigin(plytest.Refuse(), plytest.ResetConnection(), plytest.FailHandshake())
		},
		"handler": func() *plytest.Origin {
			return plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Add("X-Plytest", "one")
				io.Copy(w, r.Body)
			}))
		},
		"handler that does not read": func() *plytest.Origin { return plytest.NewHandlerOrigin(hello) },
	} {
		t.Run(name, func(t *testing.T) {
			plytest.CheckMiddleware(t, func(http.RoundTripper) http.RoundTripper { return origin() },
				plytest.Except(plytest.IdleConnectionsClosed, "has no next"))
		})
	}
}

func TestExceptSkipsARuleAndLogsWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := &recorder{TB: t}
		m := func(next http.RoundTripper) http.RoundTripper {
			return http.RoundTripper(roundTrip(func(req *http.Request) (*http.Response, error) { return identity(next).RoundTrip(req) }))
		}
		plytest.CheckMiddleware(tb, m, plytest.Except(plytest.IdleConnectionsClosed, "a plain function"))
		if len(tb.errors) > 0 || len(tb.logs) != 1 || !strings.Contains(tb.logs[0], "a plain function") {
			t.Errorf("errors %q, logs %q", tb.errors, tb.logs)
		}
	})
}

// The shape that README shows: a function that returns a function, and copies the request.
func TestPlainFunctionPassesInAChain(t *testing.T) {
	plain := func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(req *http.Request) (*http.Response, error) {
			req = req.Clone(req.Context())
			req.Header.Set("Authorization", "Bearer x")
			return next.RoundTrip(req)
		})
	}
	plytest.CheckMiddleware(t, ply.Chain(plain))
	synctest.Test(t, func(t *testing.T) {
		tb := &recorder{TB: t}
		plytest.CheckMiddleware(tb, plain)
		if d := cmp.Diff([]plytest.Rule{plytest.NilNext, plytest.IdleConnectionsClosed}, tb.rules()); d != "" {
			t.Errorf("by itself it breaks (-want +got):\n%s", d)
		}
		for _, e := range tb.errors {
			if !strings.Contains(e, ". Wrap the layer in ply.Chain, or ") {
				t.Errorf("%q does not say what to do", e)
			}
		}
	})
}

// TestFailuresAreReportedAtTheCallersLine runs a check that fails in another process and looks at where its failures are reported.
func TestFailuresAreReportedAtTheCallersLine(t *testing.T) {
	bare := func(http.RoundTripper) http.RoundTripper {
		return roundTrip(func(*http.Request) (*http.Response, error) { return nil, nil })
	}
	if os.Getenv("PLYTEST_FAILS") != "" {
		plytest.CheckMiddleware(t, bare) // THIS LINE
		return
	}
	source, err := os.ReadFile("check_test.go")
	if err != nil {
		t.Fatal(err)
	}
	before, _, _ := strings.Cut(string(source), "// THIS "+"LINE")
	want := fmt.Sprintf("check_test.go:%d: plytest: ", strings.Count(before, "\n")+1)
	cmd := exec.Command(os.Args[0], "-test.run=^TestFailuresAreReportedAtTheCallersLine$")
	cmd.Env = append(os.Environ(), "PLYTEST_FAILS=1")
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("nothing failed:\n%s", out)
	}
	failures := 0
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, ": plytest: ") {
			failures++
			if !strings.Contains(line, want) {
				t.Errorf("reported at another line than %s: %s", want, line)
			}
		}
	}
	if failures < 3 {
		t.Errorf("%d failures:\n%s", failures, out)
	}
}

func TestEachRuleHasARemedy(t *testing.T) {
	source, err := os.ReadFile("remedies.go")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := os.ReadFile("check.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range regexp.MustCompile(`(?m)^\t([A-Z]\w+) Rule = `).FindAllStringSubmatch(string(rules), -1) {
		if !regexp.MustCompile(`(?m)^\t` + rule[1] + `: +"[A-Z]`).Match(source) {
			t.Errorf("%s has none", rule[1])
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// cacheWith is a cache with a flaw.
func cacheWith(flaw func(*smallCache)) middleware {
	return func(next http.RoundTripper) http.RoundTripper {
		c := newCache(next)
		flaw(c)
		return c
	}
}

func TestEachBrokenRuleIsReportedAlone(t *testing.T) {
	release := make(chan struct{})
	var held []*sync.Mutex
	tests := []struct {
		name string
		m    middleware
		want plytest.Rule
	}{
		{"header written into the request", layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			req.Header.Set("Authorization", "x")
			return next.RoundTrip(req)
		}), plytest.RequestUnmodified},
		{"header written and taken back", layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			req.Header.Set("Authorization", "x")
			defer req.Header.Del("Authorization")
			return next.RoundTrip(req)
		}), plytest.RequestUnmodified},
		{"header written into a shallow copy", layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			r := req.WithContext(req.Context())
			r.Header.Set("Authorization", "x")
			return next.RoundTrip(r)
		}), plytest.RequestUnmodified},
		{"header written while the body is read", onResponse(func(req *http.Request, resp *http.Response) {
			if resp.StatusCode != 101 {
				resp.Body = onRead{resp.Body, func() { req.Header.Set("X-Read", "1") }}
			}
		}), plytest.RequestUnmodified},
		{"URL rewritten", layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			req.URL.RawQuery += "&token=x"
			return next.RoundTrip(req)
		}), plytest.RequestUnmodified},
		{"method set", layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			if req.Method == "PUT" {
				req.Method = "POST"
			}
			return next.RoundTrip(req)
		}), plytest.RequestUnmodified},
		{"body replaced in the request", layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			if req.Body != nil {
				req.Body = closeBoth{req.Body, closeFunc(func() {})}
			}
			return next.RoundTrip(req)
		}), plytest.RequestUnmodified},

		{"body closed by the layer, too", layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			if req.Body != nil {
				defer req.Body.Close()
			}
			return next.RoundTrip(req)
		}), plytest.RequestBodyClosed},
		{"body closed by the layer, too, on error only", layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if err != nil && req.Body != nil {
				req.Body.Close()
			}
			return resp, err
		}), plytest.RequestBodyClosed},
		{"body not closed when canceled before", layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			if err := req.Context().Err(); err != nil {
				return nil, err
			}
			return next.RoundTrip(req)
		}), plytest.RequestBodyClosed},
		{"body not closed by a hit", cacheWith(func(c *smallCache) { c.openBody = true }), plytest.RequestBodyClosed},
		{"body hidden from next", layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			if req.Method == "GET" && req.Body != nil {
				r := *req
				r.Body = nil
				return next.RoundTrip(&r)
			}
			return next.RoundTrip(req)
		}), plytest.RequestBodyClosed},
		{"body of the second attempt not closed", layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			if req.GetBody != nil {
				req.GetBody()
			}
			return next.RoundTrip(req)
		}), plytest.RequestBodyClosed},

		{"a 500 becomes an error, with the response", layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if err == nil && resp.StatusCode == 500 {
				err = errors.New("internal server error")
			}
			return resp, err
		}), plytest.ResponseOrError},
		{"a cancellation becomes nothing", layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if errors.Is(err, context.DeadlineExceeded) {
				return nil, nil
			}
			return resp, err
		}), plytest.ResponseOrError},

		{"no body with a 204", onResponse(func(_ *http.Request, resp *http.Response) {
			if resp.StatusCode == 204 {
				resp.Body.Close()
				resp.Body = nil
			}
		}), plytest.ResponseBodySet},
		{"no body with HEAD", onResponse(func(req *http.Request, resp *http.Response) {
			if req.Method == "HEAD" {
				resp.Body.Close()
				resp.Body = nil
			}
		}), plytest.ResponseBodySet},

		{"no request", onResponse(func(_ *http.Request, resp *http.Response) { resp.Request = nil }), plytest.ResponseRequestSet},
		{"a hit has the request of the miss", cacheWith(func(c *smallCache) { c.otherRequest = true }), plytest.ResponseRequestSet},

		{"retried response not closed", layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if err == nil && resp.StatusCode == 503 && req.Body == nil {
				return next.RoundTrip(req)
			}
			return resp, err
		}), plytest.ResponsesClosed},
		{"response replaced by an error not closed", layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if err == nil && resp.StatusCode == 404 {
				return nil, errors.New("not found")
			}
			return resp, err
		}), plytest.ResponsesClosed},
		{"Close does not reach next", onResponse(func(_ *http.Request, resp *http.Response) {
			if resp.StatusCode == 401 {
				resp.Body = io.NopCloser(resp.Body)
			}
		}), plytest.ResponsesClosed},

		{"last byte lost", onResponse(func(_ *http.Request, resp *http.Response) {
			if resp.StatusCode == 200 && resp.ContentLength > 10 {
				resp.Body = limited{io.LimitReader(resp.Body, resp.ContentLength-1), resp.Body}
			}
		}), plytest.BytesUnchanged},
		{"a cut body looks complete", onResponse(func(_ *http.Request, resp *http.Response) {
			if resp.StatusCode == 200 {
				resp.Body = quiet{resp.Body}
			}
		}), plytest.BytesUnchanged},
		{"a cut body is stored", cacheWith(func(c *smallCache) { c.storeCut = true }), plytest.BytesUnchanged},

		{"trailer dropped", onResponse(func(_ *http.Request, resp *http.Response) { resp.Trailer = nil }), plytest.BytesUnchanged},
		{"trailer copied before it is there", onResponse(func(_ *http.Request, resp *http.Response) {
			resp.Trailer = resp.Trailer.Clone()
		}), plytest.BytesUnchanged},

		{"body read before the return", onResponse(func(_ *http.Request, resp *http.Response) {
			if resp.StatusCode == 200 {
				b, err := io.ReadAll(resp.Body)
				resp.Body = limited{io.MultiReader(bytes.NewReader(b), failed{err}), resp.Body}
			}
		}), plytest.BodyStreamed},
		{"an event stream read before the return", onResponse(func(_ *http.Request, resp *http.Response) {
			if resp.Header.Get("Content-Type") == "text/event-stream" {
				b, err := io.ReadAll(resp.Body)
				resp.Body = limited{io.MultiReader(bytes.NewReader(b), failed{err}), resp.Body}
			}
		}), plytest.BodyStreamed},

		{"a hit has the stored header", cacheWith(func(c *smallCache) { c.shareHeader = true }), plytest.HeadersNotShared},
		{"the header of the request in the response", onResponse(func(req *http.Request, resp *http.Response) {
			if resp.StatusCode == 200 {
				h := req.Header
				if v := h.Values("X-Plytest"); len(v) == 2 && resp.Header.Get("X-Plytest") != "" {
					resp.Header = h
				}
			}
		}), plytest.HeadersNotShared},

		{"no header", onResponse(func(_ *http.Request, resp *http.Response) {
			if resp.StatusCode == 200 {
				resp.Header = nil
			}
		}), plytest.HeadersNotShared},

		{"writer lost", onResponse(func(_ *http.Request, resp *http.Response) {
			resp.Body = struct{ io.ReadCloser }{resp.Body}
		}), plytest.UpgradeKept},
		{"101 not closed", onResponse(func(_ *http.Request, resp *http.Response) {
			if rw, ok := resp.Body.(io.ReadWriter); ok {
				resp.Body = rwNopCloser{rw}
			}
		}), plytest.UpgradeKept},

		{"context canceled on return", layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			ctx, cancel := context.WithTimeout(req.Context(), time.Minute)
			defer cancel()
			return next.RoundTrip(req.WithContext(ctx))
		}), plytest.ContextAlive},
		{"context canceled a little later", layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			ctx, cancel := context.WithCancel(req.Context())
			defer func() { go cancel() }()
			return next.RoundTrip(req.WithContext(ctx))
		}), plytest.ContextAlive},

		{"context cut off", layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			return next.RoundTrip(req.WithContext(context.WithoutCancel(req.Context())))
		}), plytest.CancellationHonored},

		{"a pause before next that goes on", layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			return next.RoundTrip(req)
		}), plytest.CancellationHonored},
		{"a pause between attempts that goes on", layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if err == nil && resp.StatusCode == 503 && req.Body == nil {
				resp.Body.Close()
				time.Sleep(100 * time.Millisecond)
				return next.RoundTrip(req)
			}
			return resp, err
		}), plytest.CancellationHonored},

		{"error replaced", layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if err != nil && !errors.Is(err, context.Canceled) {
				err = fmt.Errorf("layer: %v", err)
			}
			return resp, err
		}), plytest.ErrorKept},

		{"slot lost in a panic", func(next http.RoundTripper) http.RoundTripper {
			slots := make(chan struct{}, 3)
			return layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
				select {
				case slots <- struct{}{}:
				case <-release:
				}
				resp, err := next.RoundTrip(req)
				select {
				case <-slots:
				case <-release:
				}
				return resp, err
			})(next)
		}, plytest.PanicPassed},
		{"mutex held in a panic", func(next http.RoundTripper) http.RoundTripper {
			var mu sync.Mutex
			held = append(held, &mu)
			return layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
				if req.Method != "GET" || req.Body != nil {
					return next.RoundTrip(req)
				}
				mu.Lock()
				resp, err := next.RoundTrip(req)
				mu.Unlock()
				return resp, err
			})(next)
		}, plytest.PanicPassed},
		{"a panic becomes a response", layerOf(func(next http.RoundTripper, req *http.Request) (resp *http.Response, err error) {
			defer func() {
				if recover() != nil {
					resp = &http.Response{StatusCode: 500, Header: http.Header{}, Body: http.NoBody, Request: req}
				}
			}()
			return next.RoundTrip(req)
		}), plytest.PanicPassed},

		{"nil next", func(next http.RoundTripper) http.RoundTripper {
			l := identity(next).(*layer)
			l.next = next
			return l
		}, plytest.NilNext},
		{"nil next refused", func(next http.RoundTripper) http.RoundTripper {
			return layerOf(func(_ http.RoundTripper, req *http.Request) (*http.Response, error) {
				if next == nil {
					return nil, errors.New("no next handler")
				}
				return next.RoundTrip(req)
			})(next)
		}, plytest.NilNext},

		{"no CloseIdleConnections", func(next http.RoundTripper) http.RoundTripper { return roundTrip(identity(next).RoundTrip) }, plytest.IdleConnectionsClosed},
		{"CloseIdleConnections goes nowhere", func(next http.RoundTripper) http.RoundTripper { return deadEnd{identity(next)} }, plytest.IdleConnectionsClosed},

		{"the request in a field of the layer", func(next http.RoundTripper) http.RoundTripper {
			var current atomic.Pointer[http.Request]
			return layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
				if req.Body != nil || req.Method != "GET" {
					return next.RoundTrip(req)
				}
				current.Store(req)
				time.Sleep(time.Millisecond)
				resp, err := next.RoundTrip(current.Load().WithContext(req.Context()))
				return resp, err
			})(next)
		}, plytest.ConcurrentUse},

		{"request body read and not put back", layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			if req.Body != nil {
				io.ReadAll(req.Body)
			}
			return next.RoundTrip(req)
		}), plytest.ConcurrentUse},
		{"request body replaced without GetBody", layerOf(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			return enveloped(next, req, false)
		}), plytest.ConcurrentUse},

		{"goroutine left", onResponse(func(*http.Request, *http.Response) {
			go func() { <-release }()
		}), plytest.NoGoroutineLeft},
		{"goroutine left by a reader that leaves", onResponse(func(_ *http.Request, resp *http.Response) {
			if resp.StatusCode != 200 {
				return
			}
			finished := make(chan struct{})
			finish := sync.OnceFunc(func() { close(finished) })
			resp.Body = &tee{ReadCloser: resp.Body, done: func(string, error) { finish() }}
			go func() {
				select {
				case <-finished:
				case <-release:
				}
			}()
		}), plytest.NoGoroutineLeft},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			release = make(chan struct{})
			synctest.Test(t, func(t *testing.T) {
				release := renew(&release)
				tb := &recorder{TB: t}
				plytest.CheckMiddleware(tb, tt.m)
				close(release)
				for _, mu := range held {
					mu.TryLock()
					mu.Unlock()
				}
				held = nil
				if d := cmp.Diff([]plytest.Rule{tt.want}, tb.rules()); d != "" {
					t.Errorf("broken rules (-want +got):\n%s\n%s", d, strings.Join(tb.errors, "\n"))
				}
				for _, e := range tb.errors {
					if strings.Contains(e, ": panic: ") { // of the check, since no layer here panics
						t.Errorf("does not say what is wrong: %s", e)
					}
				}
			})
		})
	}
}

// renew makes the channel anew, in the bubble that is to use it.
func renew(ch *chan struct{}) chan struct{} {
	*ch = make(chan struct{})
	return *ch
}

type onRead struct {
	io.ReadCloser
	f func()
}

func (o onRead) Read(p []byte) (int, error) {
	o.f()
	return o.ReadCloser.Read(p)
}

type limited struct {
	io.Reader
	io.Closer
}

type quiet struct{ io.ReadCloser }

func (q quiet) Read(p []byte) (int, error) {
	n, err := q.ReadCloser.Read(p)
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	return n, err
}

type failed struct{ err error }

func (f failed) Read([]byte) (int, error) {
	if f.err == nil {
		return 0, io.EOF
	}
	return 0, f.err
}

type rwNopCloser struct{ io.ReadWriter }

func (rwNopCloser) Close() error { return nil }

type deadEnd struct{ http.RoundTripper }

func (deadEnd) CloseIdleConnections() {}
