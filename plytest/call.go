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
	"time"
)

// call is one request in progress.
type call struct {
	req   *http.Request
	ctx   context.Context
	rec   *record
	body  *onceCloser
	trace *httptrace.ClientTrace
	wait  time.Duration

	unwatch func() bool // stops recording that the context is done
}

// failed records why there is no response, or no more of its body. The first reason counts: of a handler's panic the caller gets an EOF only.
func (c *call) failed(err error) error {
	c.rec.note(func(x *Exchange) {
		if x.Err == nil {
			x.Err = err
		}
		x.Canceled = x.Canceled || c.ctx.Err() != nil
	})
	return err
}

// check rejects what http.Transport rejects.
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

// interim calls the hooks for a 1xx response.
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

// upload reads the request body. A client that expects 100 (Continue) does not send it if the response is a refusal.
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
