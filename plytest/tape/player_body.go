package tape

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// httpResponse returns the response with a body that comes as the chunks did, counted from now.
func (a answer) httpResponse(r *http.Request) *http.Response {
	recorded := a.response
	proto := cmp.Or(recorded.Proto, "HTTP/1.1")
	major, minor, _ := http.ParseHTTPVersion(proto)
	header := recorded.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	resp := &http.Response{
		Status: fmt.Sprintf("%d %s", recorded.Status, cmp.Or(recorded.Reason, http.StatusText(recorded.Status))), StatusCode: recorded.Status,
		Proto: proto, ProtoMajor: major, ProtoMinor: minor,
		Header: header, ContentLength: recorded.Length, Uncompressed: recorded.Uncompressed, Request: r,
	}
	if len(recorded.Trailer) > 0 {
		resp.Trailer = http.Header{}
		for name := range recorded.Trailer {
			resp.Trailer[name] = nil
		}
	}
	switch nothing := a.failure == nil && len(recorded.Chunks) == 0 && len(recorded.Trailer) == 0; {
	case recorded.Status == http.StatusSwitchingProtocols:
		resp.Body = switched{}
	case nothing && (recorded.Length == 0 || !hasBody(r.Method, recorded.Status)):
		resp.Body = http.NoBody
	default:
		resp.Body = &playedBody{ctx: r.Context(), began: time.Now(), answer: a, trailer: resp.Trailer, closed: make(chan struct{})}
	}
	return resp
}

// playedBody gives each chunk once its time has come.
type playedBody struct {
	ctx     context.Context
	began   time.Time // when the header came
	answer  answer
	trailer http.Header // of the response, as the caller got it

	mu     sync.Mutex
	next   int           // the chunk that comes next
	rest   bytes.Reader  // of the one before
	closed chan struct{} // closed by Close, under mu
}

// Read waits for the next chunk without the lock, so that Close does not wait for it, but ends it.
func (b *playedBody) Read(p []byte) (int, error) {
	for {
		n, at, err := b.take(p)
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
		if err := b.wait(at); err != nil {
			return 0, err
		}
		b.advance()
	}
}

// take reads what is there of the chunk that came last. If that is nothing, it returns when more comes, or the failure, or the end.
func (b *playedBody) take(p []byte) (n int, at time.Duration, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-b.closed:
		return 0, 0, http.ErrBodyReadAfterClose
	default:
	}
	if b.rest.Len() > 0 {
		n, err = b.rest.Read(p)
		return n, 0, err
	}
	switch chunks := b.answer.response.Chunks; {
	case b.next < len(chunks):
		return 0, chunks[b.next].At, nil
	case b.next == len(chunks) && b.answer.failure != nil:
		return 0, b.answer.failure.At, nil
	case b.next == len(chunks):
		return 0, 0, nil
	case b.answer.failure != nil:
		return 0, 0, b.answer.failure.Err(true)
	}
	return 0, 0, io.EOF
}

// advance goes to the next chunk, whose time has come, or beyond the last one.
func (b *playedBody) advance() {
	b.mu.Lock()
	defer b.mu.Unlock()
	chunks := b.answer.response.Chunks
	switch {
	case b.rest.Len() > 0 || b.next > len(chunks): // another Read was faster
		return
	case b.next < len(chunks):
		b.rest.Reset(chunks[b.next].Data)
	case b.answer.failure == nil:
		for name, lines := range b.answer.response.Trailer {
			b.trailer[name] = slices.Clone(lines)
		}
	}
	b.next++
}

// wait waits until a time after the header, the end of the request's context, or Close.
func (b *playedBody) wait(at time.Duration) error {
	at -= time.Since(b.began)
	if at <= 0 {
		return context.Cause(b.ctx)
	}
	t := time.NewTimer(at)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-b.ctx.Done():
		return context.Cause(b.ctx)
	case <-b.closed:
		return http.ErrBodyReadAfterClose
	}
}

func (b *playedBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-b.closed:
	default:
		close(b.closed)
	}
	return nil
}

// switched is the connection after a 101 (RFC 9110 §15.2.2). What is said on it is no HTTP, and not on the tape.
type switched struct{}

var errSwitched = &replayedError{"tape: what follows a 101 (Switching Protocols) is not on a tape, for it is no HTTP", ErrClosed}

func (switched) Read([]byte) (int, error)  { return 0, errSwitched }
func (switched) Write([]byte) (int, error) { return 0, errSwitched }
func (switched) Close() error              { return nil }
