package decode

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
)

// body is the decoded body of a response. Close may run while a Read does, as with the bodies of net/http.
//
// It must not refer to the response: a body that is never closed is found by the garbage collector, if nothing that outlives the call leads to it.
//
// Its decoders come from pools, and go back when nothing can read from them any more: with the end of the content, or with Close.
// Where a Read is under way, that Read gives them back, not Close. After an error, or a panic of a reader below, they are dropped.
type body struct {
	trailer http.Header // of the response; it has its values at the end
	codings []string
	limits  limits
	pools   pools
	wire    *source // what the layers below send

	mu      sync.Mutex // guards the fields below; not held while reading
	reading bool       // a Read is under way, and has the fields of the last group
	closed  bool

	stages []*stage // innermost first; nil before the first Read and after the end
	err    error    // what every further Read returns
}

func newBody(resp *http.Response, codings []string, l limits, p pools) *body {
	return &body{trailer: resp.Trailer, codings: codings, limits: l, pools: p, wire: &source{r: resp.Body, closer: resp.Body}}
}

var errConcurrentRead = errors.New("decode: two reads of one body at the same time")

func (b *body) Read(p []byte) (int, error) {
	if err := b.begin(); err != nil {
		return 0, err
	}
	n, err := b.read(p)
	b.end(err)
	return n, err
}

// begin claims the decoders for one Read.
func (b *body) begin() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return http.ErrBodyReadAfterClose
	case b.reading:
		return errConcurrentRead
	}
	b.reading = true
	return nil
}

// end gives the decoders back if this was the last Read.
func (b *body) end(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading = false
	if err != nil && err != io.EOF {
		b.stages = nil // in a state that is not worth trusting
	}
	if err != nil || b.closed {
		b.release()
	}
}

// release puts the decoders back into their pools. b.mu is held, and no Read is under way.
func (b *body) release() {
	for _, s := range b.stages {
		s.release()
	}
	b.stages = nil
}

func (b *body) Close() error {
	b.mu.Lock()
	closed := b.closed
	b.closed = true
	b.mu.Unlock()
	if closed {
		return nil
	}
	err := b.wire.closer.Close() // a Read that waits for bytes returns now
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.reading {
		b.release()
	}
	return err
}

func (b *body) read(p []byte) (int, error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	if b.stages == nil {
		if b.err = b.open(); b.err != nil {
			return 0, b.err
		}
	}
	outer := b.stages[len(b.stages)-1]
	n, err := outer.Read(p)
	if err == io.EOF {
		dropDigests(b.trailer)
	}
	b.err = err
	return n, err
}

// open puts the decoders together. It reads nothing.
func (b *body) open() error {
	if len(b.codings) > maxCodings {
		return &ContentError{b.codings[maxCodings], ErrTooManyCodings}
	}
	in := b.wire
	for i := len(b.codings) - 1; i >= 0; i-- { // the coding that was applied last comes off first
		l := limits{maxRatio: b.limits.maxRatio}
		if i == 0 {
			l.maxBytes = b.limits.maxBytes
		}
		s := newStage(b.codings[i], in, b.wire, l, b.pools[b.codings[i]])
		b.stages = append(b.stages, s)
		in = &source{r: s}
	}
	return nil
}

// DecodedFrom returns the codings that are removed, as Content-Encoding named them, and how many encoded bytes have come so far.
// Layers above find it by this method, for logs and records. It can be asked at any time.
func (b *body) DecodedFrom() (codings string, encoded int64) {
	return strings.Join(b.codings, ", "), b.wire.n.Load()
}
