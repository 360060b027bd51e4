package cache

import (
	"io"
	"net/http"
	"sync"
)

// recorder is a response body that is copied as the caller reads it. The copy is handed over once the body is provably complete:
// after a clean end, or after as many bytes as were declared. Whatever else happens, the copy is dropped and the caller sees what the origin sent.
type recorder struct {
	io.ReadCloser
	limit  int64
	length int64             // declared, or -1
	commit func(body []byte) // called at most once, without the lock

	trailers bool // trailers are announced: they come with the end, not with the last byte

	mu   sync.Mutex // guards the fields below: Close may come while Read runs
	copy []byte
	over bool // nothing is recorded any more
}

// maxPrealloc bounds what a declared length may allocate in advance.
const maxPrealloc = 1 << 20

func newRecorder(body io.ReadCloser, length, limit int64, commit func([]byte)) *recorder {
	r := &recorder{ReadCloser: body, limit: limit, length: length, commit: commit}
	if length > 0 {
		r.copy = make([]byte, 0, min(length, limit, maxPrealloc))
	}
	return r
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if body, ok := r.record(p[:n], err); ok {
		r.commit(body)
	}
	return n, err
}

// record takes what was read. It returns the body when that is complete.
func (r *recorder) record(p []byte, err error) ([]byte, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return nil, false
	}
	size := int64(len(r.copy) + len(p))
	if size > r.limit || err != nil && err != io.EOF || r.length >= 0 && size > r.length {
		r.drop()
		return nil, false
	}
	r.copy = append(r.copy, p...)
	switch {
	case r.length >= 0 && size == r.length && (err == io.EOF || !r.trailers), r.length < 0 && err == io.EOF:
		r.over = true
		return r.copy, true
	case err == io.EOF:
		r.drop() // fewer bytes than declared
	}
	return nil, false
}

func (r *recorder) drop() {
	r.over, r.copy = true, nil
}

func (r *recorder) Close() error {
	r.mu.Lock()
	if !r.over {
		r.drop()
	}
	r.mu.Unlock()
	return r.ReadCloser.Close()
}

// drainLimit bounds what is read from a response that is dropped, so that its connection can be used again.
const drainLimit = 64 << 10

// discard drops the body of a response. A body that may be long, or without end, is closed as it is.
func discard(resp *http.Response) {
	if resp.ContentLength >= 0 && resp.ContentLength <= drainLimit {
		io.CopyN(io.Discard, resp.Body, drainLimit)
	}
	resp.Body.Close()
}
