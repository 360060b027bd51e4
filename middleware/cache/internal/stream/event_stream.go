package stream

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/plyhttp/ply/internal/eventstream"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// An EventStream is the body of an event stream on its way from the origin. It passes on what each read brings, at once, and takes down when that came.
type EventStream struct {
	io.ReadCloser
	began time.Time

	mu     sync.Mutex // guards what follows; not held over a read
	ending eventstream.Ending
	pieces []piece
	apart  time.Duration // pieces that come closer together are one
}

// piece is what came together.
type piece struct {
	size        int64
	first, last time.Duration // when it came, since the header
}

// NewEventStream returns the body of a response whose header came at a time.
func NewEventStream(body io.ReadCloser, began time.Time) *EventStream {
	return &EventStream{ReadCloser: body, began: began, apart: time.Millisecond}
}

func (s *EventStream) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if n > 0 && n <= len(p) {
		s.came(p[:n])
	}
	return n, err
}

func (s *EventStream) came(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ending.Write(p)
	at := max(time.Since(s.began), 0)
	if last := len(s.pieces) - 1; last >= 0 && at-s.pieces[last].first < s.apart {
		s.pieces[last].size += int64(len(p))
		s.pieces[last].last = at
		return
	}
	if len(s.pieces) == stored.MaxPieces {
		s.thin()
	}
	s.pieces = append(s.pieces, piece{int64(len(p)), at, at})
}

// thin makes one piece of each two. A piece counts as come when the last of it did: a replay is never ahead of what it repeats.
func (s *EventStream) thin() {
	for i := range len(s.pieces) / 2 {
		a, b := s.pieces[2*i], s.pieces[2*i+1]
		s.pieces[i] = piece{a.size + b.size, a.first, b.last}
	}
	s.pieces = s.pieces[:len(s.pieces)/2]
	s.apart *= 2
}

// Incomplete returns why the stream is not whole, now that its body has ended; see [eventstream.Ending.Incomplete].
func (s *EventStream) Incomplete() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ending.Incomplete()
}

// Pacing returns when the pieces of the stream came. That of nil is empty.
func (s *EventStream) Pacing() stored.Pacing {
	if s == nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var pacing []byte
	before := time.Duration(0)
	for _, p := range s.pieces {
		at := p.last.Truncate(time.Millisecond)
		pacing = stored.AppendPiece(pacing, p.size, at-before)
		before = at
	}
	return stored.Pacing(pacing)
}

// NewPaced returns a body whose bytes come when the pacing says, counted from now on. A read waits for the next ones until ctx ends or the body is closed.
func NewPaced(ctx context.Context, body io.ReadCloser, pacing stored.Pacing) *Paced {
	return &Paced{ReadCloser: body, ctx: ctx, began: time.Now(), rest: pacing, closed: make(chan struct{})}
}

// Paced is an event stream that is replayed with its pacing. It has no goroutine: a Read that comes early waits. One goroutine reads; Close may come from another one meanwhile.
type Paced struct {
	io.ReadCloser
	ctx   context.Context // of the request that the stream is read for
	began time.Time

	rest stored.Pacing // the pieces that have not begun
	due  time.Duration // when the latest that has begun came
	left int64         // bytes that may be read

	close  sync.Once
	closed chan struct{}
}

// ReadFor has the stream read for another request. It must not be called after the first Read.
func (b *Paced) ReadFor(ctx context.Context) { b.ctx = ctx }

// AtOnce has the stream replayed without pauses. It must not be called after the first Read.
func (b *Paced) AtOnce() { b.rest = "" }

func (b *Paced) Read(p []byte) (int, error) {
	for b.left == 0 && b.rest != "" && len(p) > 0 {
		b.wait()
		if err := b.ended(); err != nil {
			return 0, err
		}
		b.begin()
	}
	if err := b.ended(); err != nil {
		return 0, err
	}
	if b.left == 0 { // behind the last piece there is only the end
		return b.ReadCloser.Read(p)
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// wait waits until the next piece is due, or the reader leaves.
func (b *Paced) wait() {
	_, after, _, ok := b.rest.Next()
	pause := b.due + after - time.Since(b.began)
	if !ok || pause <= 0 {
		return
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-b.ctx.Done():
	case <-b.closed:
	}
}

// begin begins the pieces that are due.
func (b *Paced) begin() {
	for passed := time.Since(b.began); ; {
		size, after, rest, ok := b.rest.Next()
		if !ok || b.due+after > passed {
			return
		}
		b.left, b.due, b.rest = b.left+size, b.due+after, rest
	}
}

// ended returns why no more is to be read.
func (b *Paced) ended() error {
	select {
	case <-b.closed:
		return http.ErrBodyReadAfterClose
	default:
	}
	if b.ctx.Err() != nil {
		return context.Cause(b.ctx)
	}
	return nil
}

// Close ends a Read that waits.
func (b *Paced) Close() error {
	b.close.Do(func() { close(b.closed) })
	return b.ReadCloser.Close()
}
