package plytest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing/iotest"
	"time"
)

func (c *check) wholeTour() { c.tour(tourist{}) }

// snapshot is a request as it was.
type snapshot struct {
	req     http.Request
	ctx     context.Context
	url     string
	header  http.Header
	trailer http.Header
	coding  []string
}

func take(req *http.Request) *snapshot {
	return &snapshot{
		req:     *req,
		ctx:     req.Context(),
		url:     fmt.Sprintf("%#v", *req.URL),
		header:  req.Header.Clone(),
		trailer: req.Trailer.Clone(),
		coding:  slices.Clone(req.TransferEncoding),
	}
}

// changed names a field of the request that is not what it was.
func (s *snapshot) changed(req *http.Request) string {
	switch {
	case req.Context() != s.ctx:
		return "its context"
	case fmt.Sprintf("%#v", *req.URL) != s.url:
		return "URL"
	case !reflect.DeepEqual(req.Header, s.header):
		return "Header"
	case !reflect.DeepEqual(req.Trailer, s.trailer):
		return "Trailer"
	case !slices.Equal(req.TransferEncoding, s.coding):
		return "TransferEncoding"
	}
	was, is := reflect.ValueOf(&s.req).Elem(), reflect.ValueOf(req).Elem()
	for i := range was.NumField() {
		field := was.Type().Field(i)
		if field.IsExported() && !same(was.Field(i), is.Field(i)) {
			return field.Name
		}
	}
	return ""
}

// same compares what a field holds itself: the pointer, not what it points to.
func same(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Map, reflect.Slice, reflect.Func, reflect.Pointer, reflect.Chan:
		return a.Pointer() == b.Pointer()
	}
	return a.Interface() == b.Interface()
}

func (c *check) requestUnmodified() {
	c.tour(tourist{during: func(t *trip) {
		if field := t.snapshot.changed(t.req); field != "" {
			c.errorf("%s: the layer changed %s of the request", t.what, field)
		}
	}})
}

func (c *check) requestBodyClosed() {
	c.tour(tourist{after: func(t *trip) {
		c.eventually(func() bool {
			least, _ := t.bodies.closed()
			return least > 0 || t.req.Body == nil
		})
		least, greatest := t.bodies.closed()
		switch {
		case len(t.bodies.all) > 0 && least == 0:
			c.errorf("%s: a body was not closed", t.what)
		case greatest > 1:
			c.errorf("%s: a body was closed %d times", t.what, greatest)
		}
	}})
}

func (c *check) responsesClosed() {
	c.tour(tourist{after: func(t *trip) {
		if !c.eventually(func() bool { return t.next.open() == 0 }) {
			c.errorf("%s: %d responses of next were not closed", t.what, t.next.open())
		}
	}})
}

func (c *check) noGoroutineLeft() {
	for _, stacks := range c.leaks {
		c.errorf("left behind:\n%s", stacks)
	}
	c.tour(tourist{})
	for _, leave := range []func(cancel func(), body io.Closer){
		func(_ func(), body io.Closer) { body.Close() },
		func(cancel func(), body io.Closer) { cancel(); body.Close() },
	} {
		ctx, cancel := context.WithCancel(context.Background())
		h := c.layer(&transport{answer: func(req *http.Request, _ int) (*http.Response, error) {
			consume(req)
			resp := answer(http.StatusOK, "", "Cache-Control", "max-age=600")
			resp.Body, resp.ContentLength = newSlowBody(req.Context(), c.giveUp(), "hello"), -1
			return resp, nil
		}})
		if resp, err := c.do(h, newRequest(ctx, http.MethodGet, newURL(), nil)); err == nil {
			resp.Body.Read(make([]byte, 5))
			leave(cancel, resp.Body)
		}
		cancel()
	}
}

// slowBody hangs after its text, until it is closed, the context is done or the time is up.
type slowBody struct {
	io.Reader
	ctx    context.Context
	limit  time.Duration
	once   sync.Once
	closed chan struct{}
	late   atomic.Bool // the time was up
}

func newSlowBody(ctx context.Context, limit time.Duration, text string) *slowBody {
	return &slowBody{Reader: strings.NewReader(text), ctx: ctx, limit: limit, closed: make(chan struct{})}
}

func (b *slowBody) Read(p []byte) (int, error) {
	if n, _ := b.Reader.Read(p); n > 0 {
		return n, nil
	}
	timer := time.NewTimer(b.limit)
	defer timer.Stop()
	select {
	case <-b.ctx.Done():
		return 0, b.ctx.Err()
	case <-b.closed:
		return 0, errReadAfterClose
	case <-timer.C:
		b.late.Store(true)
		return 0, io.EOF
	}
}

func (b *slowBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

func randomText(n int) string {
	random := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return string(b)
}

func (c *check) bytesUnchanged() {
	large, small := randomText(256<<10+17), randomText(700)
	kinds := []struct {
		what   string
		text   string
		source func(string) io.Reader
		read   func(io.Reader) (string, error)
		sized  bool
	}{
		{"with Content-Length", large, newReader, readAll, true},
		{"without Content-Length", large, newReader, readAll, false},
		{"arriving byte by byte", small, func(s string) io.Reader { return iotest.OneByteReader(newReader(s)) }, readAll, true},
		{"read byte by byte", small, newReader, func(r io.Reader) (string, error) { return readAll(iotest.OneByteReader(r)) }, true},
		{"ending with its last bytes", small, func(s string) io.Reader { return iotest.DataErrReader(newReader(s)) }, readAll, true},
		{"copied", large, newReader, copyAll, true},
		{"empty", "", newReader, readAll, true},
	}
	for _, k := range kinds {
		for _, directive := range []string{"max-age=600", "no-store"} {
			c.compareBytes("a body "+k.what, k.text, directive, k.sized, k.source, k.read)
		}
	}
	for _, directive := range []string{"max-age=600", "no-store"} {
		c.truncated(large, directive, true)
		c.truncated(large, directive, false)
	}
}

func newReader(s string) io.Reader { return strings.NewReader(s) }

func readAll(r io.Reader) (string, error) {
	b, err := io.ReadAll(r)
	return string(b), err
}

func copyAll(r io.Reader) (string, error) {
	var b bytes.Buffer
	_, err := io.Copy(&b, r)
	return b.String(), err
}

func bodyResponse(r io.Reader, length int64, directive string) *http.Response {
	resp := answer(http.StatusOK, "", "Content-Type", "application/octet-stream", "Cache-Control", directive)
	resp.Body = io.NopCloser(r)
	resp.ContentLength = length
	if length >= 0 {
		resp.Header.Set("Content-Length", fmt.Sprint(length))
	}
	return resp
}

func (c *check) compareBytes(what, text, directive string, sized bool, source func(string) io.Reader, read func(io.Reader) (string, error)) {
	length := int64(-1)
	if sized {
		length = int64(len(text))
	}
	next := &transport{answer: func(req *http.Request, _ int) (*http.Response, error) {
		consume(req)
		return bodyResponse(source(text), length, directive), nil
	}}
	h, url := c.layer(next), newURL()
	for range 2 {
		resp, err := c.do(h, newRequest(context.Background(), http.MethodGet, url, nil))
		if err != nil || !next.called() {
			return
		}
		got, err := read(resp.Body)
		resp.Body.Close()
		c.settle()
		switch {
		case err != nil:
			c.breach(BytesUnchanged, "%s (%s): reading it failed: %v", what, directive, err)
		case got != text:
			c.breach(BytesUnchanged, "%s (%s): of %d bytes %d came, %d of them right", what, directive, len(text), len(got), common(got, text))
		case resp.ContentLength >= 0 && resp.ContentLength != int64(len(text)):
			c.breach(BytesUnchanged, "%s (%s): ContentLength is %d, the body has %d bytes", what, directive, resp.ContentLength, len(text))
		}
	}
}

func common(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// truncated sends half a body. A layer that gets the rest by other means may return it whole.
func (c *check) truncated(text, directive string, sized bool) {
	length := int64(-1)
	if sized {
		length = int64(len(text))
	}
	half := len(text) / 2
	next := &transport{answer: func(req *http.Request, _ int) (*http.Response, error) {
		consume(req)
		return bodyResponse(io.MultiReader(newReader(text[:half]), brokenReader{}), length, directive), nil
	}}
	h, url := c.layer(next), newURL()
	for range 2 {
		resp, err := c.do(h, newRequest(context.Background(), http.MethodGet, url, nil))
		if err != nil || !next.called() || resp.StatusCode != http.StatusOK {
			continue
		}
		got, err := readAll(resp.Body)
		resp.Body.Close()
		c.settle()
		if err == nil && got != text {
			c.breach(BytesUnchanged, "a body cut short (%s): %d of %d bytes look complete", directive, len(got), len(text))
		}
	}
}

// eventBody has its second event only when the first has arrived.
type eventBody struct {
	c       *check
	events  []string
	arrived chan struct{}
	early   *atomic.Bool
	once    sync.Once
	closed  chan struct{}
	sent    int
}

func (b *eventBody) Read(p []byte) (int, error) {
	if b.sent == len(b.events) {
		return 0, io.EOF
	}
	if b.sent > 0 {
		b.await()
	}
	n := copy(p, b.events[b.sent])
	if b.events[b.sent] = b.events[b.sent][n:]; b.events[b.sent] == "" {
		b.sent++
	}
	return n, nil
}

func (b *eventBody) await() {
	timer := time.NewTimer(b.c.giveUp())
	defer timer.Stop()
	select {
	case <-b.arrived:
	case <-b.closed:
	case <-timer.C:
		b.early.Store(true)
	}
}

func (b *eventBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

func (c *check) bodyStreamed() {
	for _, header := range [][]string{
		{"Content-Type", "text/event-stream", "Cache-Control", "no-store"},
		{"Content-Type", "text/plain", "Cache-Control", "max-age=600"},
	} {
		arrived, early := make(chan struct{}), &atomic.Bool{}
		next := &transport{answer: func(req *http.Request, _ int) (*http.Response, error) {
			consume(req)
			resp := answer(http.StatusOK, "", header...)
			resp.ContentLength = -1
			resp.Body = &eventBody{c: c, events: []string{"data: 1\n\n", "data: 2\n\n"}, arrived: arrived, early: early, closed: make(chan struct{})}
			return resp, nil
		}}
		resp, err := c.do(c.layer(next), newRequest(context.Background(), http.MethodGet, newURL(), nil))
		if err == nil {
			resp.Body.Read(make([]byte, 64))
			close(arrived)
			drain(resp)
		}
		if early.Load() {
			c.errorf("%s: the first part of a body does not arrive before the server sends the second", header[1])
		}
	}
}

func (c *check) headersNotShared() {
	for _, directive := range []string{"max-age=600", "no-store"} {
		c.poison(directive)
	}
}

// poison changes the headers of responses at several moments and looks for the traces in others.
func (c *check) poison(directive string) {
	h := c.layer(&transport{answer: func(req *http.Request, _ int) (*http.Response, error) {
		consume(req)
		resp := answer(http.StatusOK, "hello", "Cache-Control", directive, "X-Plytest", "one", "X-Plytest", "two")
		resp.Trailer = http.Header{"X-Plytest": {"one", "two"}}
		return resp, nil
	}})
	url := newURL()
	get := func() *http.Response {
		req := newRequest(context.Background(), http.MethodGet, url, nil)
		resp, err := c.do(h, req)
		if err != nil {
			return answer(http.StatusOK, "")
		}
		if poisoned(resp) {
			c.errorf("%s: a change to the header of one response shows in another", directive)
		}
		resp.Header.Set("X-Mine", "1")
		if req.Header.Get("X-Mine") != "" {
			c.errorf("%s: a change to the header of a response shows in the request", directive)
		}
		return resp
	}
	spoil := func(resp *http.Response) {
		for _, h := range []http.Header{resp.Header, resp.Trailer} {
			if values := h["X-Plytest"]; len(values) > 0 {
				values[0] = "poison"
			}
			if h != nil {
				h.Set("X-Poison", "1")
			}
		}
	}
	first, second := get(), get()
	spoil(first)
	if poisoned(second) {
		c.errorf("%s: a change to the header of one response shows in another", directive)
	}
	drain(first)
	drain(second)
	c.settle()
	third := get()
	drain(third)
	spoil(third)
	c.settle()
	fourth := get()
	spoil(fourth)
	drain(fourth)
	c.settle()
	drain(get())
	if len(c.failures) == 0 {
		c.writeTogether(h, url)
	}
}

// writeTogether lets callers change their headers at the same time, for the race detector to look at.
func (c *check) writeTogether(h http.RoundTripper, url string) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			defer c.recover()
			resp, err := c.do(h, newRequest(context.Background(), http.MethodGet, url, nil))
			if err != nil {
				return
			}
			resp.Header.Set("X-Mine", "1")
			drain(resp)
			resp.Header.Add("X-Plytest", "three")
		})
	}
	wg.Wait()
}

func poisoned(resp *http.Response) bool {
	for _, h := range []http.Header{resp.Header, resp.Trailer} {
		if h.Get("X-Poison") != "" || h.Get("X-Plytest") == "poison" {
			return true
		}
	}
	return false
}

func (c *check) upgradeKept() {
	client, server := net.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		io.Copy(server, server)
		server.Close()
	}()
	next := &transport{answer: func(req *http.Request, _ int) (*http.Response, error) {
		consume(req)
		resp := answer(http.StatusSwitchingProtocols, "", "Connection", "Upgrade", "Upgrade", "echo")
		resp.Body = client
		return resp, nil
	}}
	defer client.Close()
	req := newRequest(context.Background(), http.MethodGet, newURL(), nil)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	resp, err := c.do(c.layer(next), req)
	if err != nil || !next.called() {
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		c.errorf("a 101 became a %d", resp.StatusCode)
		return
	}
	w, ok := resp.Body.(io.Writer)
	if !ok {
		c.errorf("the body of a 101 (%T) is no io.Writer", resp.Body)
		return
	}
	got := make([]byte, 4)
	go io.WriteString(w, "ping")
	if n, err := io.ReadFull(resp.Body, got); string(got) != "ping" {
		c.errorf("bytes do not go both ways: wrote ping, read %q, %v", got[:n], err)
	}
	resp.Body.Close()
	if !c.eventually(func() bool { return isClosed(ended) }) {
		c.errorf("closing the body of a 101 does not close the connection")
	}
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// leased fails when the context of the request that it answers is done.
type leased struct {
	io.Reader
	ctx context.Context
}

func (l *leased) Read(p []byte) (int, error) {
	if err := l.ctx.Err(); err != nil {
		return 0, err
	}
	return l.Reader.Read(p)
}

func (l *leased) Close() error { return nil }

func (c *check) contextAlive() {
	text := randomText(256 << 10)
	for _, failFirst := range []bool{false, true} {
		for _, directive := range []string{"max-age=600", "no-store"} {
			next := &transport{answer: func(req *http.Request, n int) (*http.Response, error) {
				consume(req)
				if failFirst && n == 1 {
					return answer(http.StatusServiceUnavailable, "later"), nil
				}
				resp := bodyResponse(nil, int64(len(text)), directive)
				resp.Body = &leased{newReader(text), req.Context()}
				return resp, nil
			}}
			c.readSlowly(next, text)
		}
	}
}

func (c *check) readSlowly(next *transport, text string) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	resp, err := c.do(c.layer(next), newRequest(ctx, http.MethodGet, newURL(), nil))
	if err != nil || !next.called() || resp.StatusCode != http.StatusOK {
		if err == nil {
			drain(resp)
		}
		return
	}
	defer resp.Body.Close()
	c.settle()
	part, total := make([]byte, len(text)/4), 0
	for range 4 {
		n, err := io.ReadFull(resp.Body, part)
		total += n
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			c.errorf("the request's context was canceled after %d of %d bytes", total, len(text))
			return
		}
		c.settle()
	}
}

func (c *check) cancellationHonored() {
	c.cancelWaiting()
	c.cancelReading()
}

func (c *check) cancelWaiting() {
	next := &transport{answer: func(req *http.Request, _ int) (*http.Response, error) {
		consume(req)
		return c.hang(req)
	}}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var err error
	var late bool
	h, start := c.layer(next), time.Now()
	time.AfterFunc(c.giveUp()/4, cancel)
	resp, err := c.do(h, newRequest(ctx, http.MethodGet, newURL(), nil))
	late = time.Since(start) >= c.giveUp()
	if resp != nil {
		drain(resp)
	}
	switch {
	case !next.called() || ctx.Err() == nil:
	case late:
		c.errorf("a call that waits for next does not return when its context is canceled")
	case err != nil && !errors.Is(err, context.Canceled):
		c.errorf("errors.Is does not find context.Canceled in %q", err)
	}
}

func (c *check) cancelReading() {
	var body *slowBody
	next := &transport{answer: func(req *http.Request, _ int) (*http.Response, error) {
		consume(req)
		resp := answer(http.StatusOK, "", "Content-Type", "text/event-stream")
		body = newSlowBody(req.Context(), c.giveUp(), "hello")
		resp.Body, resp.ContentLength = body, -1
		return resp, nil
	}}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	h, start := c.layer(next), time.Now()
	time.AfterFunc(c.giveUp()/4, cancel)
	resp, err := c.do(h, newRequest(ctx, http.MethodGet, newURL(), nil))
	if err != nil || !next.called() {
		return
	}
	drain(resp)
	if time.Since(start) >= c.giveUp() {
		c.errorf("reading a body does not end when the context is canceled")
	}
}

func (c *check) errorKept() {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		next := &transport{answer: func(req *http.Request, _ int) (*http.Response, error) {
			consume(req)
			return nil, errBelow
		}}
		var body io.Reader
		if method == http.MethodPost {
			body = strings.NewReader("content")
		}
		resp, err := c.do(c.layer(next), newRequest(context.Background(), method, newURL(), body))
		switch {
		case err == nil:
			drain(resp)
		case next.called() && err != errNothing && !errors.Is(err, errBelow):
			c.errorf("%s: errors.Is does not find the error of next in %q", method, err)
		}
	}
}

func (c *check) panicPassed() {
	var calm atomic.Bool
	next := &transport{answer: func(req *http.Request, _ int) (*http.Response, error) {
		consume(req)
		if !calm.Load() {
			panic(errBelow)
		}
		return answer(http.StatusOK, "hello"), nil
	}}
	h, url := c.layer(next), newURL()
	const enough = 100 // more than a layer has slots
	for range enough {
		swallowed := false
		if !c.returns(func() { swallowed = c.swallows(h, url) }) {
			c.errorf("after a panic of next, calls do not return")
			return
		}
		if swallowed && next.called() {
			c.errorf("a panic of next became a response")
			return
		}
	}
	calm.Store(true)
	for _, url := range []string{url, newURL()} {
		if !c.returns(func() { c.swallows(h, url) }) {
			c.errorf("after a panic of next, calls do not return")
			return
		}
	}
}

// swallows reports whether a call returns a response.
func (c *check) swallows(h http.RoundTripper, url string) (answered bool) {
	defer func() { recover() }()
	resp, err := c.do(h, newRequest(context.Background(), http.MethodGet, url, nil))
	if err != nil {
		return false
	}
	drain(resp)
	return true
}

func (c *check) idleConnectionsClosed() {
	next := &transport{answer: func(req *http.Request, _ int) (*http.Response, error) {
		consume(req)
		return answer(http.StatusOK, "hello"), nil
	}}
	h, ok := c.layer(next).(interface{ CloseIdleConnections() })
	if !ok {
		c.errorf("the handler has no method CloseIdleConnections")
		return
	}
	if h.CloseIdleConnections(); next.idle.Load() == 0 {
		c.errorf("CloseIdleConnections does not reach next")
	}
}

const nilScheme = "plytest"

var nilTransport struct {
	mu       sync.Mutex // held while http.DefaultTransport is replaced
	register sync.Once
}

// nilNext gives http.DefaultTransport a scheme of its own to serve, so that no network is needed and the variable stays as it is,
// unless something else is in it already.
func (c *check) nilNext() {
	below := &transport{answer: func(req *http.Request, _ int) (*http.Response, error) {
		consume(req)
		return answer(http.StatusOK, "default"), nil
	}}
	if t, ok := http.DefaultTransport.(*http.Transport); ok {
		nilTransport.register.Do(func() { t.RegisterProtocol(nilScheme, below) })
	} else {
		nilTransport.mu.Lock()
		defer nilTransport.mu.Unlock()
		before := http.DefaultTransport
		http.DefaultTransport = below
		defer func() { http.DefaultTransport = before }()
	}
	url := strings.Replace(newURL(), "https", nilScheme, 1)
	explicit := &transport{answer: below.answer}
	want := c.fetch(c.layer(explicit), url)
	if want != "default" {
		return // the layer answers by itself, or not for this scheme
	}
	url = strings.Replace(newURL(), "https", nilScheme, 1)
	if got := c.fetchNil(url); got != want {
		c.errorf("with a nil next, %s", got)
	}
}

// fetchNil makes a request through a layer that has nothing below.
func (c *check) fetchNil(url string) (got string) {
	defer func() {
		if v := recover(); v != nil {
			got = fmt.Sprintf("the layer panics: %v", v)
		}
	}()
	return c.fetch(c.layerOver(nil), url)
}

func (c *check) fetch(h http.RoundTripper, url string) string {
	if h == nil {
		return "the handler is nil"
	}
	resp, err := c.do(h, newRequest(context.Background(), http.MethodGet, url, nil))
	if err != nil {
		return fmt.Sprintf("a call fails: %v", err)
	}
	text, _ := drain(resp)
	return text
}

// proof is what the answer to a request must be, so that mixing two up shows.
func proof(path, body string) string {
	return fmt.Sprintf("%20s %x", path, sha256.Sum256([]byte(path+body)))
}

func (c *check) concurrentUse() {
	next := &transport{answer: func(req *http.Request, n int) (*http.Response, error) {
		body := consume(req)
		c.pause(n)
		resp := answer(http.StatusOK, proof(req.URL.Path, body), "Cache-Control", "max-age=600", "X-Path", req.URL.Path)
		return resp, nil
	}}
	h, shared := c.layer(next), newURL()
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			defer c.recover()
			c.exchange(h, http.MethodPost, newURL(), strings.Repeat(fmt.Sprint(i), 1000+i))
			c.exchange(h, http.MethodGet, newURL(), "")
			c.exchange(h, http.MethodGet, shared, "")
		})
	}
	wg.Wait()
	c.reuse(h)
}

// pause lets other calls come in between.
func (c *check) pause(n int) {
	if c.bubbled {
		time.Sleep(time.Duration(1+n%5) * time.Millisecond)
	}
	runtime.Gosched()
}

func (c *check) exchange(h http.RoundTripper, method, url, text string) {
	var body io.Reader
	if text != "" {
		body = strings.NewReader(text)
	}
	c.verify(h, newRequest(context.Background(), method, url, body), text)
}

func (c *check) verify(h http.RoundTripper, req *http.Request, text string) {
	resp, err := c.do(h, req)
	if err != nil {
		return
	}
	want := proof(req.URL.Path, text)
	path := resp.Header.Get("X-Path")
	got, err := drain(resp)
	if err != nil || path == "" || len(got) != len(want) {
		return // an answer of the layer's own, or another rule's matter
	}
	if got != want || path != req.URL.Path {
		c.errorf("a call got the answer of another: %s %s has %.40q", req.Method, req.URL.Path, got)
	}
}

// reuse sends one request again and again, as a caller may once the response has been closed.
func (c *check) reuse(h http.RoundTripper) {
	const text = "content"
	req := newRequest(context.Background(), http.MethodPut, newURL(), strings.NewReader(text))
	for range 3 {
		req.Body, _ = req.GetBody()
		c.verify(h, req, text)
		c.settle()
	}
}
