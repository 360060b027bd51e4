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

// ahead is the largest announced length for which memory is set aside before any of it has arrived.
const maxTrustedLength = 1 << 20

type bodyLimitKey struct{}

// WithBodyLimit sets how many bytes of the body the functions that take a response read, for the requests made with the context:
// at most n, and no limit if n is negative. With 0 it is [DefaultBodyLimit] again.
// The limit is on what the reader of the body gets: a transport that decompresses has done so before.
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

// bodyLimit is the limit that the caller chose for resp, unchosen if there is none. A negative one is no limit.
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

// BodyLimitError says that a body is larger than what its reader accepts. Nothing is left of it, and its connection is closed.
type BodyLimitError struct {
	// Limit is the number of bytes that were allowed.
	Limit int64
}

func (e *BodyLimitError) Error() string {
	return fmt.Sprintf("body exceeds the limit of %d bytes: raise it with ply.WithBodyLimit or ply.MaxResponseBody, or read resp.Body as a stream", e.Limit)
}

// readAll reads up to limit bytes of r; length is how many were announced, or -1.
// It keeps room for one byte more, by which it sees that there is none.
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

// maxIdleReads is how often in a row a reader may return nothing at all.
const maxIdleReads = 100

// firstRoom trusts a small length. A large one may be a lie, and memory for it is had as the bytes arrive.
func initialCapacity(length int64) int64 {
	switch {
	case length < 0:
		return 512
	case length > maxTrustedLength:
		return 64 << 10
	}
	return length + 1
}

// moreRoom doubles the room for n bytes, but not past what was announced, or is allowed.
func growth(n int, limit, length int64) int {
	room := capped(max(n, 512), limit, n)
	if length >= int64(n) {
		room = capped(room, length, n)
	}
	return room
}

// within is room, or as much of it as n bytes leave under the limit and one byte more. A negative limit is none.
func capped(room int, limit int64, n int) int {
	if left := limit - int64(n); limit >= 0 && int64(room) > left {
		return int(left) + 1
	}
	return room
}

// lengthOf is the length of the body that resp announces, or -1. That of an answer to HEAD tells of a body that does not come.
func lengthOf(resp *http.Response) int64 {
	switch {
	case resp.Body == http.NoBody, resp.Request != nil && resp.Request.Method == http.MethodHead:
		return -1
	case resp.StatusCode == http.StatusNotModified:
		return -1
	}
	return resp.ContentLength
}

// limitedReader fails on the first byte past the limit, without giving it out.
type limitedReader struct {
	r           io.Reader
	limit, left int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	// One byte more than is left shows whether there is one.
	n, err := l.r.Read(p[:capped(len(p), l.left, 0)])
	if int64(n) > l.left {
		n, err = int(l.left), &BodyLimitError{l.limit}
	}
	l.left -= int64(n)
	return n, err
}
