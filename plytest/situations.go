package plytest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// transport is the handler below a layer under test.
type transport struct {
	answer func(req *http.Request, n int) (*http.Response, error) // n counts calls from 1
	idle   atomic.Int32

	mu     sync.Mutex // guards the fields below
	calls  int
	bodies []*watchedBody // of the responses that it gave
}

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	t.mu.Lock()
	t.calls++
	n := t.calls
	t.mu.Unlock()
	resp, err := t.answer(req, n)
	if err != nil {
		return nil, err
	}
	resp.Request = req
	if resp.StatusCode != http.StatusSwitchingProtocols {
		body := &watchedBody{ReadCloser: resp.Body}
		resp.Body = body
		t.mu.Lock()
		t.bodies = append(t.bodies, body)
		t.mu.Unlock()
	}
	return resp, nil
}

func (t *transport) CloseIdleConnections() { t.idle.Add(1) }

func (t *transport) called() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.calls > 0
}

// open counts the responses that are not closed.
func (t *transport) open() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, b := range t.bodies {
		if b.closed.Load() == 0 {
			n++
		}
	}
	return n
}

// watchedBody counts how often a body is closed.
type watchedBody struct {
	io.ReadCloser
	closed atomic.Int32
}

func (b *watchedBody) Close() error {
	b.closed.Add(1)
	return b.ReadCloser.Close()
}

// consume reads and closes the body of a request, as a transport does.
func consume(req *http.Request) string {
	if req.Body == nil {
		return ""
	}
	defer req.Body.Close()
	b, _ := io.ReadAll(req.Body)
	return string(b)
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

// answer returns a response with a text and header fields.
func answer(status int, text string, header ...string) *http.Response {
	h := fields(header)
	stamp(h, time.Now())
	resp := newResponse(status, h)
	resp.Body = http.NoBody
	if text != "" {
		resp.Body = io.NopCloser(strings.NewReader(text))
		resp.ContentLength = int64(len(text))
		h.Set("Content-Type", "text/plain")
		h.Set("Content-Length", fmt.Sprint(len(text)))
	}
	return resp
}

// drain reads a response to its end and closes it.
func drain(resp *http.Response) (string, error) {
	b, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	return string(b), err
}

// target numbers URLs, so that no two checks share one.
var target atomic.Int64

func newURL() string {
	return fmt.Sprintf("https://layer.test/%d?q=1&r=a%%20b", target.Add(1))
}

func newRequest(ctx context.Context, method, url string, body io.Reader) *http.Request {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		panic(err)
	}
	req.Header.Set("Accept", "text/plain")
	req.Header.Add("X-Plytest", "one")
	req.Header.Add("X-Plytest", "two")
	return req
}

// bodies are the bodies of one request, those from GetBody included.
type bodies struct {
	mu  sync.Mutex // guards the field below
	all []*watchedBody
}

func (s *bodies) open(text string) io.ReadCloser {
	b := &watchedBody{ReadCloser: io.NopCloser(bytes.NewReader([]byte(text)))}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, b)
	return b
}

// closed returns the least and the greatest number of times that a body was closed.
func (s *bodies) closed() (least, greatest int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, b := range s.all {
		n := b.closed.Load()
		if greatest = max(greatest, n); i == 0 || n < least {
			least = n
		}
	}
	return least, greatest
}

// A situation is a way in which the handler below answers, and the caller behaves.
type situation struct {
	name    string
	header  []string // of the request
	times   int      // how often the request is made, each time with a copy of its own; zero means once
	context func(c *check, parent context.Context) (context.Context, context.CancelFunc)
	unread  bool // the caller closes the response without reading it
	answer  func(c *check, req *http.Request, n int) (*http.Response, error)
}

var errBelow = errors.New("plytest: an error of next")

func always200(_ *check, req *http.Request, _ int) (*http.Response, error) {
	consume(req)
	return answer(http.StatusOK, "hello"), nil
}

func alwaysStatus(status int, header ...string) func(*check, *http.Request, int) (*http.Response, error) {
	return func(_ *check, req *http.Request, _ int) (*http.Response, error) {
		consume(req)
		text := "hello"
		if !bodyAllowed(req.Method, status) {
			text = ""
		}
		return answer(status, text, header...), nil
	}
}

func canceled(_ *check, parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	cancel()
	return ctx, cancel
}

func soonDone(_ *check, parent context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(parent, 10*time.Millisecond)
}

var situations = []situation{
	{name: "200", answer: always200},
	{name: "200, closed unread", unread: true, answer: always200},
	{name: "200, twice, cacheable", times: 2, answer: alwaysStatus(http.StatusOK, "Cache-Control", "max-age=600", "Etag", `"v"`)},
	{name: "200, then 304", times: 2, answer: func(c *check, req *http.Request, n int) (*http.Response, error) {
		consume(req)
		if req.Header.Get("If-None-Match") != "" {
			return answer(http.StatusNotModified, "", "Etag", `"v"`), nil
		}
		return answer(http.StatusOK, "hello", "Cache-Control", "max-age=0", "Etag", `"v"`), nil
	}},
	{name: "only-if-cached", header: []string{"Cache-Control", "only-if-cached"}, answer: always200},
	{name: "204", answer: alwaysStatus(http.StatusNoContent)},
	{name: "304", header: []string{"If-None-Match", `"v"`}, answer: alwaysStatus(http.StatusNotModified, "Etag", `"v"`)},
	{name: "307", answer: func(c *check, req *http.Request, n int) (*http.Response, error) {
		consume(req)
		if strings.HasSuffix(req.URL.Path, "/moved") {
			return answer(http.StatusOK, "hello"), nil
		}
		return answer(http.StatusTemporaryRedirect, "there", "Location", req.URL.Path+"/moved"), nil
	}},
	{name: "401", answer: alwaysStatus(http.StatusUnauthorized, "WWW-Authenticate", `Basic realm="plytest"`)},
	{name: "404", answer: alwaysStatus(http.StatusNotFound)},
	{name: "413 before the body is read", answer: func(_ *check, req *http.Request, _ int) (*http.Response, error) {
		closeBody(req)
		return answer(http.StatusRequestEntityTooLarge, "too large"), nil
	}},
	{name: "429, then 200", answer: then200(func() *http.Response { return answer(http.StatusTooManyRequests, "later", "Retry-After", "1") })},
	{name: "503, then 200", answer: then200(func() *http.Response { return answer(http.StatusServiceUnavailable, "later") })},
	{name: "503", answer: alwaysStatus(http.StatusServiceUnavailable)},
	{name: "500", answer: alwaysStatus(http.StatusInternalServerError)},
	{name: "200, then 500", times: 2, answer: func(_ *check, req *http.Request, n int) (*http.Response, error) {
		consume(req)
		if n == 1 {
			return answer(http.StatusOK, "hello", "Cache-Control", "max-age=0, stale-if-error=600", "Etag", `"v"`), nil
		}
		return answer(http.StatusInternalServerError, "broken"), nil
	}},
	{name: "error", answer: func(_ *check, req *http.Request, _ int) (*http.Response, error) {
		consume(req)
		return nil, errBelow
	}},
	{name: "error before the body is read", answer: func(_ *check, req *http.Request, _ int) (*http.Response, error) {
		closeBody(req)
		return nil, errBelow
	}},
	{name: "error, then 200", answer: func(_ *check, req *http.Request, n int) (*http.Response, error) {
		consume(req)
		if n == 1 {
			return nil, io.ErrUnexpectedEOF
		}
		return answer(http.StatusOK, "hello"), nil
	}},
	{name: "broken body", answer: func(_ *check, req *http.Request, _ int) (*http.Response, error) {
		consume(req)
		resp := answer(http.StatusOK, "hello, world", "Cache-Control", "max-age=600")
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("hello"), brokenReader{}))
		return resp, nil
	}},
	{name: "canceled before", context: canceled, answer: func(_ *check, req *http.Request, _ int) (*http.Response, error) {
		closeBody(req)
		if err := req.Context().Err(); err != nil {
			return nil, err
		}
		return answer(http.StatusOK, "hello"), nil
	}},
	{name: "canceled while next is busy", context: soonDone, answer: func(c *check, req *http.Request, _ int) (*http.Response, error) {
		consume(req)
		return c.hang(req)
	}},
	{name: "canceled after a 503", context: soonDone, answer: alwaysStatus(http.StatusServiceUnavailable, "Retry-After", "1")},
	{name: "request body closed late", answer: func(_ *check, req *http.Request, _ int) (*http.Response, error) {
		resp := answer(http.StatusOK, "hello")
		resp.Body = &lateCloser{ReadCloser: resp.Body, close: sync.OnceFunc(func() { consume(req) })}
		return resp, nil
	}},
}

func then200(first func() *http.Response) func(*check, *http.Request, int) (*http.Response, error) {
	return func(_ *check, req *http.Request, n int) (*http.Response, error) {
		consume(req)
		if n == 1 {
			return first(), nil
		}
		return answer(http.StatusOK, "hello"), nil
	}
}

// hang waits for the request's context, but not forever, in case the layer does not pass it on.
func (c *check) hang(req *http.Request) (*http.Response, error) {
	timer := time.NewTimer(c.giveUp())
	defer timer.Stop()
	select {
	case <-req.Context().Done():
		return nil, req.Context().Err()
	case <-timer.C:
		return answer(http.StatusOK, "hello"), nil
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// lateCloser closes the request body only when the response is closed, as a transport may.
type lateCloser struct {
	io.ReadCloser
	close func()
}

func (b *lateCloser) Close() error {
	b.close()
	return b.ReadCloser.Close()
}

// trip is one request in one situation.
type trial struct {
	what     string
	req      *http.Request
	bodies   *bodies
	next     *transport
	snapshot *snapshot
}

// observer is called during and after each trial. Any field may be nil.
type observer struct {
	during func(*trial) // whenever next is called, while its answer's body is read, and after the return
	after  func(*trial) // when the response has been closed
}

// requestKind is a method, with or without content.
type requestKind struct {
	method     string
	body       bool
	replayable bool // the body comes from GetBody, too
}

// runSituations takes requests of several kinds through all situations.
func (c *check) runSituations(look observer) {
	kinds := []requestKind{
		{method: http.MethodGet},
		{method: http.MethodHead},
		{method: http.MethodGet, body: true},
		{method: http.MethodPost, body: true, replayable: true},
		{method: http.MethodPut, body: true},
	}
	for i := range situations {
		for _, kind := range kinds {
			c.runSituation(&situations[i], kind, look)
		}
	}
}

func (c *check) runSituation(s *situation, kind requestKind, look observer) {
	var current atomic.Pointer[trial]
	next := &transport{}
	next.answer = func(req *http.Request, n int) (*http.Response, error) {
		if look.during != nil {
			look.during(current.Load())
		}
		return s.answer(c, req, n)
	}
	h := c.layer(next)
	url := newURL()
	for range max(s.times, 1) {
		ctx, cancel := context.WithValue(context.Background(), contextKey{}, new(int)), context.CancelFunc(func() {})
		if s.context != nil {
			ctx, cancel = s.context(c, ctx)
		}
		t := newTrial(ctx, s, kind, url)
		t.next = next
		current.Store(t)
		c.runTrial(h, t, s.unread, look)
		if look.after != nil {
			look.after(t)
		}
		cancel()
	}
}

func newTrial(ctx context.Context, s *situation, kind requestKind, url string) *trial {
	const text = "some content"
	t := &trial{bodies: &bodies{}, what: kind.method + ", " + s.name}
	t.req = newRequest(ctx, kind.method, url, nil)
	for i := 0; i < len(s.header); i += 2 {
		t.req.Header.Set(s.header[i], s.header[i+1])
	}
	if kind.body {
		t.what = kind.method + " with body, " + s.name
		t.req.Body = t.bodies.open(text)
		t.req.ContentLength = int64(len(text))
	}
	if kind.replayable {
		t.what = kind.method + " with GetBody, " + s.name
		t.req.GetBody = func() (io.ReadCloser, error) { return t.bodies.open(text), nil }
	}
	t.snapshot = take(t.req)
	return t
}

func (c *check) runTrial(h http.RoundTripper, t *trial, unread bool, look observer) {
	observe := func() {
		if look.during != nil {
			look.during(t)
		}
	}
	resp, err := c.do(h, t.req)
	observe()
	if err != nil {
		return
	}
	if !unread {
		resp.Body.Read(make([]byte, 2))
		observe()
		io.Copy(io.Discard, resp.Body)
	}
	resp.Body.Close()
	c.settle()
	observe()
}
