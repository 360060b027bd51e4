package ply

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"strings"
	"sync"
)

type releaseKey struct{}

// takeBodyRelease returns the function that must run when the call of req has ended, or nil: it closes the caller's reader as soon as no attempt
// reads it. The context of the returned request no longer has the function, because layers may send other requests with that context.
func takeBodyRelease(req *http.Request) (*http.Request, func()) {
	release, _ := req.Context().Value(releaseKey{}).(func())
	if release == nil {
		return req, nil
	}
	return req.WithContext(context.WithValue(req.Context(), releaseKey{}, nil)), release
}

// fromReader returns the content that r reads. Errors other than those of r call it name.
func fromReader(r io.Reader, name string) *content {
	if isNil(r) {
		return inMemory(nil, "")
	}
	switch r := r.(type) {
	case *bytes.Buffer:
		return inMemory(r.Bytes(), "")
	case *bytes.Reader:
		start := *r
		return &content{size: int64(r.Len()), open: func() (io.ReadCloser, error) {
			again := start
			return io.NopCloser(&again), nil // net/http knows the type and sends header and body in one packet
		}}
	case *strings.Reader:
		start := *r
		return &content{size: int64(r.Len()), open: func() (io.ReadCloser, error) {
			again := start
			return io.NopCloser(&again), nil
		}}
	}
	if r == http.NoBody {
		return inMemory(nil, "")
	}
	g := &sharedReader{}
	g.closer, _ = r.(io.Closer)
	if at, start, size, ok := sections(r); ok {
		return &content{size: size, discard: g.callDone, open: func() (io.ReadCloser, error) {
			return g.open(exactReader(io.NewSectionReader(at, start, size), size, name))
		}}
	}
	return &content{size: -1, once: true, discard: g.callDone, open: func() (io.ReadCloser, error) {
		rc, err := g.open(r)
		g.callDone()
		return rc, err
	}}
}

// isNil reports whether r is nil, or a nil of a type that cannot be read.
func isNil(r io.Reader) bool {
	if r == nil {
		return true
	}
	switch v := reflect.ValueOf(r); v.Kind() {
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Chan:
		return v.IsNil()
	}
	return false
}

// sections reports whether r can be read at any offset, and returns what is left of it from its current position.
func sections(r io.Reader) (at io.ReaderAt, start, size int64, ok bool) {
	if f, isFile := r.(*os.File); isFile {
		// Seeking in a device reports no error and has no effect.
		if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
			return nil, 0, 0, false
		}
	}
	at, isAt := r.(io.ReaderAt)
	seeker, isSeeker := r.(io.Seeker)
	if !isAt || !isSeeker {
		return nil, 0, 0, false
	}
	start, err := seeker.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, 0, 0, false
	}
	end, err := seeker.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, 0, 0, false
	}
	if _, err := seeker.Seek(start, io.SeekStart); err != nil {
		return nil, 0, 0, false
	}
	if end <= start && !endsAt(at, start) {
		return nil, 0, 0, false // its size is not known: /proc
	}
	return at, start, max(end-start, 0), true
}

// sharedReader is the caller's reader, which several attempts may read at once. It is closed exactly once,
// when no attempt reads it and none will: after callDone, by the call itself or by the last attempt.
type sharedReader struct {
	closer io.Closer // nil if there is nothing to close

	mu       sync.Mutex // guards the fields below
	attempts int        // attempts that have the reader open
	ended    bool       // callDone has run: no further attempt may open it
}

var errCallEnded = errors.New("the reader was closed when its call ended; make a new request")

// open returns a body that reads r and counts as an attempt until it is closed.
func (g *sharedReader) open(r io.Reader) (io.ReadCloser, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended {
		return nil, errCallEnded
	}
	g.attempts++
	return &attemptReader{Reader: r, done: sync.OnceValue(g.attemptDone)}, nil
}

func (g *sharedReader) attemptDone() error {
	g.mu.Lock()
	g.attempts--
	last := g.ended && g.attempts == 0
	g.mu.Unlock()
	if last {
		return g.close()
	}
	return nil
}

func (g *sharedReader) callDone() {
	g.mu.Lock()
	idle := !g.ended && g.attempts == 0
	g.ended = true
	g.mu.Unlock()
	if idle {
		g.close()
	}
}

func (g *sharedReader) close() error {
	if g.closer == nil {
		return nil
	}
	return g.closer.Close()
}

type attemptReader struct {
	io.Reader
	done func() error
}

func (l *attemptReader) Close() error { return l.done() }

// endsAt reports whether r has no byte at offset.
func endsAt(r io.ReaderAt, offset int64) bool {
	n, _ := r.ReadAt(make([]byte, 1), offset)
	return n == 0
}

type sizedBody struct {
	io.Reader
	io.Closer
}

// exactReader reads r to its end and fails if that does not come after size bytes.
// Without the check, a server would take a short body that has no Content-Length for complete.
func exactReader(r io.Reader, size int64, name string) io.Reader {
	return &sizeChecker{r: r, left: size, size: size, name: name}
}

type sizeChecker struct {
	r          io.Reader
	left, size int64
	name       string
}

func (e *sizeChecker) Read(p []byte) (int, error) {
	if e.left == 0 {
		return e.readEnd()
	}
	if int64(len(p)) > e.left {
		p = p[:e.left]
	}
	n, err := e.r.Read(p)
	e.left -= int64(n)
	if err == io.EOF && e.left > 0 {
		err = fmt.Errorf("%s ended %d bytes before the %d announced: %w", e.name, e.left, e.size, io.ErrUnexpectedEOF)
	}
	return n, err
}

func (e *sizeChecker) readEnd() (int, error) {
	var more [1]byte
	n, err := e.r.Read(more[:])
	if n > 0 {
		return 0, fmt.Errorf("%s has more than the %d bytes announced", e.name, e.size)
	}
	return 0, err
}
