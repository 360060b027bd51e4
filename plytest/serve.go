package plytest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	heldBack     = 2 << 10   // bytes of a response that are held back, to learn its length
	socketBuffer = 64 << 10  // bytes of a response that may be unread
	maxDrain     = 256 << 10 // bytes of a request body that are read on behalf of a handler that did not
)

// handle answers with a handler, in a goroutine that ends with the handler.
func (c *call) handle(h http.Handler) (*http.Response, error) {
	if err := sleep(c.ctx, c.wait); err != nil {
		return nil, err
	}
	if !c.hasBody() {
		c.body.Close()
		c.wroteRequest(nil)
	}
	ctx, cancel := context.WithCancelCause(c.ctx)
	w := &responseWriter{call: c, header: make(http.Header), length: -1, cancel: cancel, ready: make(chan struct{})}
	w.pipe.cond.L = &w.pipe.mu
	w.unwatch = context.AfterFunc(c.ctx, func() {
		w.pipe.abort(context.Cause(c.ctx))
		c.body.Close()
	})
	go w.run(h, c.serverRequest(ctx))
	select {
	case <-w.ready:
		if w.err != nil {
			return nil, w.err
		}
		c.firstByte()
		return w.resp, nil
	case <-c.ctx.Done():
		return nil, context.Cause(c.ctx)
	}
}

// serverRequest is the request as the server sees it.
func (c *call) serverRequest(ctx context.Context) *http.Request {
	r := c.req.Clone(context.WithoutCancel(ctx)).WithContext(ctx)
	r.Header = c.rec.snapshot().Header
	r.Method = c.rec.x.Method
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.1", 1, 1
	r.Host = c.rec.x.Host
	r.RequestURI = c.req.URL.RequestURI()
	r.RemoteAddr = "192.0.2.2:1234"
	r.URL.Scheme, r.URL.Host, r.URL.User = "", "", nil
	if u := c.req.URL.User; u != nil && r.Header.Get("Authorization") == "" {
		password, _ := u.Password()
		r.SetBasicAuth(u.Username(), password)
	}
	r.GetBody, r.Response = nil, nil
	r.Body = http.NoBody
	if c.hasBody() {
		r.Body = &arriving{call: c}
		if r.ContentLength == 0 {
			r.ContentLength = -1
		}
	}
	return r
}

// arriving is a request body as a handler reads it.
type arriving struct {
	call     *call
	once     sync.Once
	finished sync.Once
}

func (a *arriving) Read(p []byte) (int, error) {
	if a.call.expectsContinue() {
		a.once.Do(func() { a.call.interim(http.StatusContinue, nil) })
	}
	n, err := a.call.body.Read(p)
	a.call.rec.Write(p[:n])
	if err != nil {
		a.finish(err)
	}
	return n, err
}

func (a *arriving) finish(err error) {
	a.finished.Do(func() {
		a.call.body.Close()
		if err == io.EOF {
			err = nil
		}
		a.call.wroteRequest(err)
	})
}

// Close does nothing: the server closes the body, as in net/http.
func (a *arriving) Close() error { return nil }

// responseWriter is what a handler writes to. Only the handler's goroutine uses it until ready is closed;
// after that resp and err belong to the caller.
type responseWriter struct {
	call   *call
	header http.Header
	cancel context.CancelCauseFunc // ends the handler's context

	status   int
	sent     http.Header // the header as it was when the status was written
	held     []byte      // not sent yet, because the length may still become known
	length   int64       // announced; -1 if not
	written  int64
	sending  bool
	hijacked bool

	pipe    pipe
	unwatch func() bool // stops watching the request's context, when the response has been read or closed
	late    []string    // announced trailers
	ready   chan struct{}
	resp    *http.Response
	err     error
}

func (w *responseWriter) run(h http.Handler, r *http.Request) {
	defer func() {
		v := recover()
		switch {
		case w.hijacked:
		case v != nil:
			w.abort(v)
		default:
			w.finish(r)
		}
		w.cancel(context.Canceled)
	}()
	h.ServeHTTP(w, r)
}

// abort ends the connection, for a handler that panicked.
func (w *responseWriter) abort(v any) {
	w.call.body.Close()
	if v != http.ErrAbortHandler {
		w.call.failed(fmt.Errorf("plytest: handler panicked: %v", v))
	}
	if w.sending {
		w.pipe.end(io.ErrUnexpectedEOF)
		return
	}
	w.err = io.EOF
	close(w.ready)
}

func (w *responseWriter) finish(r *http.Request) {
	if a, ok := r.Body.(*arriving); ok {
		if !w.call.expectsContinue() {
			io.CopyN(io.Discard, a, maxDrain)
		}
		a.finish(nil)
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !w.sending {
		w.send(true)
	}
	end := io.EOF
	if w.length >= 0 && w.written < w.length && bodyAllowed(w.call.req.Method, w.status) {
		end = io.ErrUnexpectedEOF
	}
	w.trailers()
	w.pipe.end(end)
}

func (w *responseWriter) Header() http.Header { return w.header }

func (w *responseWriter) WriteHeader(status int) {
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		w.call.interim(status, w.header)
		return
	}
	if w.status != 0 || w.hijacked {
		return
	}
	w.status = status
	w.sent = w.header.Clone()
	if n, err := strconv.ParseInt(w.sent.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
		w.length = n
	}
}

func (w *responseWriter) Write(p []byte) (int, error) {
	if w.hijacked {
		return 0, http.ErrHijacked
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.call.req.Method == http.MethodHead {
		w.written += int64(len(p))
		return len(p), nil
	}
	if !bodyAllowed(w.call.req.Method, w.status) {
		return 0, http.ErrBodyNotAllowed
	}
	if w.length >= 0 && w.written+int64(len(p)) > w.length {
		return 0, http.ErrContentLength
	}
	w.written += int64(len(p))
	if !w.sending && len(w.held)+len(p) <= heldBack {
		w.held = append(w.held, p...)
		return len(p), nil
	}
	if !w.sending {
		w.send(false)
	}
	return w.pipe.write(p)
}

func (w *responseWriter) Flush() { w.FlushError() }

func (w *responseWriter) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !w.sending {
		w.send(false)
	}
	return w.pipe.broken()
}

// EnableFullDuplex does nothing: a handler can always read the request while it answers.
func (w *responseWriter) EnableFullDuplex() error { return nil }

// send gives the header to the caller. The length of a complete response is known.
func (w *responseWriter) send(complete bool) {
	w.sending = true
	h := w.sent
	stamp(h, time.Now())
	resp := newResponse(w.status, h)
	allowed := bodyAllowed(w.call.req.Method, w.status)
	if complete && w.length < 0 && (allowed || w.written > 0) && h.Get("Trailer") == "" {
		w.length = w.written
		h.Set("Content-Length", strconv.FormatInt(w.length, 10))
	}
	if _, set := h["Content-Type"]; !set && len(w.held) > 0 && h.Get("Content-Encoding") == "" {
		h.Set("Content-Type", http.DetectContentType(w.held))
	}
	resp.ContentLength = w.length
	resp.Body = http.NoBody
	switch {
	case allowed:
		if w.length < 0 {
			resp.TransferEncoding = []string{"chunked"}
		}
		resp.Body = &pipeReader{w}
		resp.Trailer = announced(h)
		w.late = slices.Collect(maps.Keys(resp.Trailer))
	case w.status == http.StatusNoContent || w.status == http.StatusNotModified && w.length < 0:
		resp.ContentLength = 0
	}
	w.pipe.buf = append(w.pipe.buf, w.held...)
	w.held = nil
	w.resp = resp
	close(w.ready)
}

// announced removes the Trailer field from a header and returns the names in it.
func announced(h http.Header) http.Header {
	var t http.Header
	for _, line := range h["Trailer"] {
		for name := range strings.SplitSeq(line, ",") {
			if t == nil {
				t = make(http.Header)
			}
			t[http.CanonicalHeaderKey(strings.TrimSpace(name))] = nil
		}
	}
	delete(h, "Trailer")
	for name := range h {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			delete(h, name)
		}
	}
	return t
}

// trailers passes on the trailers that the handler set, for the end of the body.
func (w *responseWriter) trailers() {
	late := make(http.Header)
	for _, name := range w.late {
		if values, ok := w.header[name]; ok {
			late[name] = values
		}
	}
	for name, values := range w.header {
		if bare, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
			late[http.CanonicalHeaderKey(bare)] = values
		}
	}
	w.pipe.late = late.Clone()
}

// Hijack gives the handler the connection. What it writes there is parsed as the answer.
func (w *responseWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if w.sending || w.hijacked {
		return nil, nil, errors.New("plytest: Hijack after the answer has begun")
	}
	w.hijacked = true
	client, server := net.Pipe()
	go w.readHijacked(client)
	return server, bufio.NewReadWriter(bufio.NewReader(server), bufio.NewWriter(server)), nil
}

func (w *responseWriter) readHijacked(client net.Conn) {
	defer close(w.ready)
	w.unwatch()
	stop := context.AfterFunc(w.call.ctx, func() { client.Close() })
	br := bufio.NewReader(client)
	resp, err := http.ReadResponse(br, w.call.req)
	if err != nil {
		stop()
		client.Close()
		w.err = fmt.Errorf("net/http: HTTP/1.x transport connection broken: %w", err)
		return
	}
	w.resp = resp
	if resp.StatusCode == http.StatusSwitchingProtocols {
		resp.Body = w.call.duplex(client, br, stop)
		return
	}
	resp.Body = &hijackedBody{ReadCloser: resp.Body, conn: client}
}

type hijackedBody struct {
	io.ReadCloser
	conn net.Conn
}

func (b *hijackedBody) Close() error { return b.conn.Close() }

// pipe carries a response from the handler to the reader through a small buffer.
type pipe struct {
	mu   sync.Mutex // guards the fields below
	cond sync.Cond
	buf  []byte
	err  error // what the reader gets after buf
	gone error // why the reader has stopped; nil while it reads
	late http.Header
}

func (p *pipe) write(b []byte) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(b) > 0 {
		for len(p.buf) >= socketBuffer && p.gone == nil {
			p.cond.Wait()
		}
		if p.gone != nil {
			return n, p.gone
		}
		m := min(len(b), socketBuffer-len(p.buf))
		p.buf = append(p.buf, b[:m]...)
		b, n = b[m:], n+m
		p.cond.Broadcast()
	}
	return n, nil
}

func (p *pipe) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.buf) == 0 && p.err == nil && p.gone == nil && len(b) > 0 {
		p.cond.Wait()
	}
	if p.gone != nil {
		return 0, p.gone
	}
	if len(p.buf) == 0 {
		return 0, p.err
	}
	n := copy(b, p.buf)
	p.buf = append(p.buf[:0], p.buf[n:]...)
	p.cond.Broadcast()
	return n, nil
}

// end gives err to the reader after what was written.
func (p *pipe) end(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
	p.cond.Broadcast()
}

// abort ends both sides, unless the response was complete.
func (p *pipe) abort(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone == nil {
		p.gone = err
	}
	p.cond.Broadcast()
}

func (p *pipe) broken() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gone
}

// pipeReader is the body of a handler's response.
type pipeReader struct {
	w *responseWriter
}

func (r *pipeReader) Read(b []byte) (int, error) {
	n, err := r.w.pipe.read(b)
	if err == io.EOF {
		r.w.unwatch()
	}
	if err == io.EOF && len(r.w.pipe.late) > 0 {
		if r.w.resp.Trailer == nil {
			r.w.resp.Trailer = make(http.Header)
		}
		copyFields(r.w.resp.Trailer, r.w.pipe.late)
	}
	return n, err
}

func (r *pipeReader) Close() error {
	r.w.unwatch()
	r.w.pipe.abort(errReadAfterClose)
	r.w.call.body.Close()
	r.w.cancel(context.Canceled)
	return nil
}
