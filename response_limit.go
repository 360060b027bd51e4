package ply

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
)

// DefaultBodyLimit is how many bytes of a body [JSON], [Decode], [Bytes] and [Text] read unless [WithBodyLimit] says otherwise: 10 MiB.
const DefaultBodyLimit int64 = 10 << 20

// maxTrustedLength is the largest announced length for which memory is allocated before the body has arrived.
const maxTrustedLength = 1 << 20

type bodyLimitKey struct{}

// WithBodyLimit returns a context for requests of whose responses [JSON], [Text] and the other functions that read a body read at most n bytes.
// A negative n is no limit, and 0 stands for [DefaultBodyLimit].
// The limit counts bytes after decompression by the transport.
//
//	report, err := ply.Bytes(client.Get(ply.WithBodyLimit(ctx, 100<<20), "/report"))
func WithBodyLimit(ctx context.Context, n int64) context.Context {
	return context.WithValue(ctx, bodyLimitKey{}, n)
}

// MaxResponseBody is [WithBodyLimit] as an option: of one request, for which it counts before that of the context,
// or, in [Options.Defaults], of all requests of a client, for which that of the context counts before it.
// It bounds [CopyTo] and [Save], which have no limit otherwise; of a file that would be too large nothing remains.
// n is a number of bytes, and negative for no limit; zero says nothing.
//
//	n, err := ply.Save("image.iso")(client.Get(ctx, "/image.iso", ply.MaxResponseBody(4<<30)))
//
// A body that is read as a stream, from Response.Body, has no limit.
func MaxResponseBody(n int64) RequestOption {
	return RequestOption{func(d *draft) error {
		d.settings.bodyLimit = n
		return nil
	}}
}

// bodyLimit returns the limit that the caller chose for resp, or else unchosen. A negative limit is none.
func bodyLimit(resp *http.Response, unchosen int64) int64 {
	if resp.Request == nil {
		return unchosen
	}
	s := settingsOf(resp.Request.Context())
	if s == nil {
		s = &settings{}
	}
	n, _ := resp.Request.Context().Value(bodyLimitKey{}).(int64)
	return cmp.Or(s.bodyLimit, n, s.bodyDefault, unchosen)
}

// BodyLimitError says that a body is larger than its reader accepts. The body has been closed, and its connection with it.
type BodyLimitError struct {
	// Limit is the number of bytes that were allowed.
	Limit int64
}

func (e *BodyLimitError) Error() string {
	return fmt.Sprintf("body exceeds the limit of %d bytes: raise it with ply.WithBodyLimit or ply.MaxResponseBody, or read resp.Body as a stream", e.Limit)
}

// readAll reads up to limit bytes of r. length is the announced number, or -1.
// Its buffer always has room for one more byte, so that a read can find the end of r.
func readAll(r io.Reader, limit, length int64) ([]byte, error) {
	buf := make([]byte, 0, initialCapacity(length))
	for idle := 0; idle < maxIdleReads; {
		n, err := r.Read(buf[len(buf) : len(buf)+capped(cap(buf)-len(buf), limit, len(buf))])
		buf = buf[:len(buf)+n]
		switch {
		case limit >= 0 && int64(len(buf)) > limit:
			return nil, &BodyLimitError{limit}
		case err == io.EOF:
			return buf, nil
		case err != nil:
			return nil, err
		case n == 0:
			idle++
			continue
		}
		idle = 0
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, growth(len(buf), limit, length))
		}
	}
	return nil, io.ErrNoProgress
}

// maxIdleReads is how often in a row a reader may return 0, nil.
const maxIdleReads = 100

// initialCapacity returns the first capacity of a buffer. It trusts a small length; for a large one, which may be a lie, the buffer grows as bytes arrive.
func initialCapacity(length int64) int64 {
	switch {
	case length < 0:
		return 512
	case length > maxTrustedLength:
		return 64 << 10
	}
	return length + 1
}

// growth returns by how much a buffer with n bytes grows: it doubles, up to the announced length and the limit.
func growth(n int, limit, length int64) int {
	room := capped(max(n, 512), limit, n)
	if length >= int64(n) {
		room = capped(room, length, n)
	}
	return room
}

// capped returns room, or less if n bytes leave less under the limit, plus one byte. A negative limit is none.
func capped(room int, limit int64, n int) int {
	if left := limit - int64(n); limit >= 0 && int64(room) > left {
		return int(left) + 1
	}
	return room
}

// lengthOf returns the announced length of the body of resp, or -1. The Content-Length of a response to HEAD, or of a 304, describes a body that is not sent.
func lengthOf(resp *http.Response) int64 {
	switch {
	case resp.Body == http.NoBody, resp.Request != nil && resp.Request.Method == http.MethodHead:
		return -1
	case resp.StatusCode == http.StatusNotModified:
		return -1
	}
	return resp.ContentLength
}

// limitedReader fails when it reads a byte past the limit, and does not return that byte.
type limitedReader struct {
	r           io.Reader
	limit, left int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	// Ask for one byte more than is left, to see whether there is one.
	n, err := l.r.Read(p[:capped(len(p), l.left, 0)])
	if int64(n) > l.left {
		n, err = int(l.left), &BodyLimitError{l.limit}
	}
	l.left -= int64(n)
	return n, err
}
