package plytest

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// onceCloser closes a request body once, however often Close is called. A nil body is an empty one.
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

// parsedBody closes the wire instead of the parsed body, whose Close would drain it.
type parsedBody struct {
	io.ReadCloser
	wire *replay
}

func (b *parsedBody) Close() error {
	b.wire.Close()
	return nil
}

// loggedBody records how a response body ended.
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

// wire is the connection in httptrace.GotConnInfo. Only its addresses are meaningful.
type wire struct {
	remote net.Addr
}

func (w wire) Read([]byte) (int, error) { return 0, net.ErrClosed }

func (w wire) Write([]byte) (int, error) { return 0, net.ErrClosed }

func (w wire) Close() error { return nil }

func (w wire) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2)} }

func (w wire) RemoteAddr() net.Addr { return w.remote }

func (w wire) SetDeadline(time.Time) error { return nil }

func (w wire) SetReadDeadline(time.Time) error { return nil }

func (w wire) SetWriteDeadline(time.Time) error { return nil }
