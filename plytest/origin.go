package plytest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"time"
)

// Origin is a server in memory and the transport to reach it, whatever host a request names.
//
// The zero value answers every request with an empty 200. Set the fields before the first request and leave them then;
// everything else is safe for concurrent use. An Origin keeps the contract of [http.RoundTripper]:
// it leaves the request alone, closes its body once, honours its context, and calls the hooks of [httptrace].
// It starts a goroutine for a request body, a Handler and an upgrade, each of which ends with its exchange.
//
// It speaks HTTP/1.1, does not decompress, follows no redirect, and closes no connection for being idle.
type Origin struct {
	// Script holds replies to be played in order, whatever is asked. The last one repeats.
	Script []Reply

	// Paths holds a script of its own for some paths, preferred to Script.
	Paths map[string][]Reply

	// Handler answers what no script covers, streaming as a server does. Nil means an empty 200.
	Handler http.Handler

	// Latency passes before each answer. Zero means none.
	Latency time.Duration

	journal journal
}

// NewOrigin returns an origin that plays replies in order and repeats the last one.
func NewOrigin(replies ...Reply) *Origin { return &Origin{Script: replies} }

// NewHandlerOrigin returns an origin that runs a handler as [http.Server] would: it streams and flushes; interim responses, trailers,
// [http.Hijacker] and [http.ErrAbortHandler] work; Content-Length, Content-Type and Date are added where they are missing.
// Of an answer that nobody reads 64 KiB are buffered, as a socket would; then Write blocks.
func NewHandlerOrigin(h http.Handler) *Origin { return &Origin{Handler: h} }

// Exchanges returns what the origin saw, in the order of arrival.
func (o *Origin) Exchanges() []Exchange { return o.journal.exchanges() }

// Count returns how many requests have arrived, those that failed on the way included.
func (o *Origin) Count() int { return o.journal.count() }

func (o *Origin) reply(req *http.Request) *Reply {
	if script := o.Paths[req.URL.Path]; len(script) > 0 {
		return o.journal.next(req.URL.Path, script)
	}
	if len(o.Script) > 0 {
		return o.journal.next("", o.Script)
	}
	return &Reply{Handler: o.Handler}
}

// RoundTrip implements [http.RoundTripper].
func (o *Origin) RoundTrip(req *http.Request) (*http.Response, error) {
	rec := newRecord(req)
	o.journal.add(rec)
	c := &call{
		req:   req,
		ctx:   req.Context(),
		rec:   rec,
		body:  &onceCloser{rc: req.Body},
		trace: httptrace.ContextClientTrace(req.Context()),
	}
	if c.trace == nil {
		c.trace = &httptrace.ClientTrace{}
	}
	c.unwatch = rec.watch(c.ctx)
	resp, err := o.answer(c)
	if err != nil {
		c.unwatch()
		c.body.Close()
		return nil, c.failed(err)
	}
	rec.note(func(x *Exchange) { x.Status = resp.StatusCode })
	resp.Request = req
	if resp.StatusCode != http.StatusSwitchingProtocols {
		resp.Body = &loggedBody{ReadCloser: resp.Body, call: c}
	}
	return resp, nil
}

func (o *Origin) answer(c *call) (*http.Response, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	reply := o.reply(c.req)
	c.wait = o.Latency + reply.Wait
	if f := reply.failure; f != nil && !f.sent {
		return c.fail(f)
	}
	c.connected()
	if reply.Handler != nil {
		return c.handle(reply.Handler)
	}
	return c.play(reply)
}

// call is one request on its way.
type call struct {
	req   *http.Request
	ctx   context.Context
	rec   *record
	body  *onceCloser
	trace *httptrace.ClientTrace
	wait  time.Duration

	unwatch func() bool // stops noting that the context is done
}

// failed notes why there is no answer, or no more of it.
func (c *call) failed(err error) error {
	c.rec.note(func(x *Exchange) {
		x.Err = err
		x.Canceled = x.Canceled || c.ctx.Err() != nil
	})
	return err
}

// check refuses what http.Transport refuses.
func (c *call) check() error {
	switch {
	case c.req.URL == nil:
		return errors.New("http: nil Request.URL")
	case c.req.Header == nil:
		return errors.New("http: nil Request.Header")
	case c.req.URL.Host == "":
		return errors.New("http: no Host in request URL")
	case c.ctx.Err() != nil:
		return context.Cause(c.ctx)
	}
	if c.trace.GetConn != nil {
		c.trace.GetConn(net.JoinHostPort(c.req.URL.Hostname(), port(c.req.URL)))
	}
	return nil
}

func (c *call) fail(f *failure) (*http.Response, error) {
	if err := sleep(c.ctx, c.wait); err != nil {
		return nil, err
	}
	err := f.err(c.req)
	if f.trace != nil {
		f.trace(c.trace, c.req, err)
	}
	return nil, err
}

func (c *call) connected() {
	if c.trace.GotConn != nil {
		c.trace.GotConn(httptrace.GotConnInfo{Conn: wire{remote: addr(c.req.URL)}})
	}
	if c.trace.WroteHeaders != nil {
		c.trace.WroteHeaders()
	}
	if c.expectsContinue() && c.trace.Wait100Continue != nil {
		c.trace.Wait100Continue()
	}
}

func (c *call) hasBody() bool { return c.req.Body != nil && c.req.Body != http.NoBody }

func (c *call) expectsContinue() bool {
	return c.hasBody() && strings.EqualFold(c.req.Header.Get("Expect"), "100-continue")
}

func (c *call) wroteRequest(err error) {
	if c.trace.WroteRequest != nil {
		c.trace.WroteRequest(httptrace.WroteRequestInfo{Err: err})
	}
}

// interim tells the caller of a 1xx response.
func (c *call) interim(status int, h http.Header) error {
	if status == http.StatusContinue && c.trace.Got100Continue != nil {
		c.trace.Got100Continue()
	}
	if c.trace.Got1xxResponse != nil {
		return c.trace.Got1xxResponse(status, textproto.MIMEHeader(h.Clone()))
	}
	return nil
}

func (c *call) firstByte() {
	if c.trace.GotFirstResponseByte != nil {
		c.trace.GotFirstResponseByte()
	}
}

// play answers with a scripted reply.
func (c *call) play(r *Reply) (*http.Response, error) {
	if err := c.upload(r); err != nil {
		return nil, err
	}
	if r.never {
		<-c.ctx.Done()
		return nil, context.Cause(c.ctx)
	}
	if r.failure != nil {
		return c.fail(r.failure)
	}
	for i := range r.Info {
		info := &r.Info[i]
		if err := sleep(c.ctx, info.Wait); err != nil {
			return nil, err
		}
		c.firstByte()
		if err := c.interim(info.status(), info.Header); err != nil {
			return nil, err
		}
	}
	if err := sleep(c.ctx, c.wait); err != nil {
		return nil, err
	}
	c.firstByte()
	switch {
	case r.Raw != "":
		return c.parse(r)
	case r.Upgrade != nil:
		return c.upgrade(r)
	}
	return c.respond(r), nil
}

// upload takes in the request body. A client that expects 100 (Continue) keeps it when the answer is a refusal.
func (c *call) upload(r *Reply) error {
	if !c.hasBody() {
		c.body.Close()
		c.wroteRequest(nil)
		return nil
	}
	if c.expectsContinue() {
		if r.status() >= 300 {
			c.body.Close()
			return nil
		}
		if err := c.interim(http.StatusContinue, nil); err != nil {
			return err
		}
	}
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(c.rec, c.body)
		c.body.Close()
		c.wroteRequest(err)
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-c.ctx.Done():
		return context.Cause(c.ctx)
	}
}

func (c *call) respond(r *Reply) *http.Response {
	resp := newResponse(r.status(), r.header(time.Now()))
	resp.Body = http.NoBody
	if resp.StatusCode == http.StatusNoContent {
		return resp
	}
	if r.chunked() {
		resp.ContentLength = -1
		resp.TransferEncoding = []string{"chunked"}
	} else if resp.StatusCode != http.StatusNotModified {
		resp.ContentLength = int64(len(r.Body))
		resp.Header.Set("Content-Length", fmt.Sprint(len(r.Body)))
	}
	if !bodyAllowed(c.req.Method, resp.StatusCode) {
		resp.TransferEncoding = nil
		return resp
	}
	b := &replay{ctx: c.ctx, data: r.Body[:r.Fault.sent(len(r.Body))], fault: r.Fault, closed: make(chan struct{})}
	if len(r.Trailer) > 0 {
		resp.Trailer = make(http.Header)
		for name := range r.Trailer {
			resp.Trailer[name] = nil
		}
		b.ended = func() { copyFields(resp.Trailer, r.Trailer) }
	}
	resp.Body = b
	return resp
}

// parse reads a raw answer as http.Transport would.
func (c *call) parse(r *Reply) (*http.Response, error) {
	line := &replay{ctx: c.ctx, data: r.Raw[:r.Fault.sent(len(r.Raw))], fault: r.Fault, closed: make(chan struct{})}
	br := bufio.NewReader(line)
	for {
		resp, err := http.ReadResponse(br, c.req)
		if err != nil {
			return nil, fmt.Errorf("net/http: HTTP/1.x transport connection broken: %w", err)
		}
		if resp.StatusCode/100 != 1 || resp.StatusCode == http.StatusSwitchingProtocols {
			resp.Body = &parsedBody{ReadCloser: resp.Body, wire: line}
			return resp, nil
		}
		if err := c.interim(resp.StatusCode, resp.Header); err != nil {
			return nil, err
		}
	}
}

func (c *call) upgrade(r *Reply) (*http.Response, error) {
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		r.Upgrade(server)
	}()
	resp := newResponse(http.StatusSwitchingProtocols, r.header(time.Now()))
	stop := context.AfterFunc(c.ctx, func() { client.Close() })
	resp.Body = c.duplex(client, client, stop)
	return resp, nil
}

// duplex is the body of a 101: the connection itself.
func (c *call) duplex(conn net.Conn, r io.Reader, stop func() bool) io.ReadWriteCloser {
	return &duplexBody{Conn: conn, reader: r, rec: c.rec, ended: func() bool { c.unwatch(); return stop() }}
}

func newResponse(status int, h http.Header) *http.Response {
	return &http.Response{
		Status:     fmt.Sprintf("%03d %s", status, http.StatusText(status)),
		StatusCode: status,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h,
	}
}

func copyFields(dst, src http.Header) {
	for name, values := range src {
		dst[name] = append([]string(nil), values...)
	}
}

// sleep waits, unless the context is done first.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// onceCloser closes a request body once, however many paths lead there. A nil body is an empty one.
type onceCloser struct {
	rc   io.ReadCloser
	once sync.Once
	err  error
}

func (o *onceCloser) Read(p []byte) (int, error) {
	if o.rc == nil {
		return 0, io.EOF
	}
	return o.rc.Read(p)
}

func (o *onceCloser) Close() error {
	o.once.Do(func() {
		if o.rc != nil {
			o.err = o.rc.Close()
		}
	})
	return o.err
}

var errReadAfterClose = errors.New("http: read on closed response body")

// replay is a scripted body.
type replay struct {
	ctx    context.Context
	data   string
	fault  Fault
	ended  func()
	once   sync.Once
	closed chan struct{}
}

func (b *replay) Read(p []byte) (int, error) {
	select {
	case <-b.closed:
		return 0, errReadAfterClose
	case <-b.ctx.Done():
		return 0, context.Cause(b.ctx)
	default:
	}
	if len(p) == 0 {
		return 0, nil
	}
	if b.data != "" {
		n := copy(p, b.data)
		b.data = b.data[n:]
		return n, nil
	}
	return 0, b.end()
}

func (b *replay) end() error {
	switch b.fault.kind {
	case faultReset:
		return resetError()
	case faultCut, faultUnterminated:
		return io.ErrUnexpectedEOF
	case faultStall:
		return b.stall()
	}
	if b.ended != nil {
		b.ended()
		b.ended = nil
	}
	return io.EOF
}

func (b *replay) stall() error {
	select {
	case <-b.closed:
		return errReadAfterClose
	case <-b.ctx.Done():
		return context.Cause(b.ctx)
	}
}

func (b *replay) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

// parsedBody lets go of the wire beneath a parsed body first: closing a parsed one drains it.
type parsedBody struct {
	io.ReadCloser
	wire *replay
}

func (b *parsedBody) Close() error {
	b.wire.Close()
	return nil
}

// loggedBody notes what becomes of a response body.
type loggedBody struct {
	io.ReadCloser
	call *call
}

func (b *loggedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == io.EOF:
		b.call.unwatch()
		b.call.rec.note(func(x *Exchange) { x.BodyRead = true })
	case err != nil && err != errReadAfterClose:
		b.call.failed(err)
	}
	return n, err
}

func (b *loggedBody) Close() error {
	b.call.unwatch()
	b.call.rec.note(func(x *Exchange) { x.BodyClosed = true })
	return b.ReadCloser.Close()
}

// duplexBody is an upgraded connection. Its reader may have read ahead.
type duplexBody struct {
	net.Conn
	reader io.Reader
	rec    *record
	ended  func() bool
}

func (d *duplexBody) Read(p []byte) (int, error) { return d.reader.Read(p) }

func (d *duplexBody) Close() error {
	d.ended()
	d.rec.note(func(x *Exchange) { x.BodyClosed = true })
	return d.Conn.Close()
}

// wire stands for the connection in httptrace.GotConnInfo. Only its addresses mean anything.
type wire struct {
	remote net.Addr
}

func (w wire) Read([]byte) (int, error)         { return 0, net.ErrClosed }
func (w wire) Write([]byte) (int, error)        { return 0, net.ErrClosed }
func (w wire) Close() error                     { return nil }
func (w wire) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2)} }
func (w wire) RemoteAddr() net.Addr             { return w.remote }
func (w wire) SetDeadline(time.Time) error      { return nil }
func (w wire) SetReadDeadline(time.Time) error  { return nil }
func (w wire) SetWriteDeadline(time.Time) error { return nil }
