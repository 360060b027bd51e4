package cache

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A spill is the copy of a large body that goes into a store while it is being read, instead of into memory.
// Its pieces are stored behind the reader's back, a few at a time. A reader that is faster than the store waits for it, but not for long:
// then the copy is dropped.
type spill struct {
	shelf
	slots chan struct{} // one for each piece that is being stored

	mu        sync.Mutex // guards the fields below
	failed    bool
	given     bool // finished, or aborted
	patience  time.Duration
	submitted sync.WaitGroup
}

const (
	// spillAt is how large a body becomes in memory before it goes into the store.
	spillAt = 1 << 20

	// spillAhead is how many pieces are stored at a time.
	spillAhead = 4

	// spillPace is how long a reader may be held for each piece, on the average: a store that takes less than 50 MB in a second is too slow for a faster reader.
	spillPace = 5 * time.Millisecond
)

// errSlow is why a copy is dropped that the store does not take as fast as it is read.
const errSlow = "the store does not keep up with the body"

// newSpill begins the copy of a body that will be e's.
func (d *durable) newSpill(at place, e *Entry) *spill {
	now := time.Now()
	return &spill{
		shelf: *d.newShelf(at, later(d.until(e, now), now.Add(pieceLife))),
		slots: make(chan struct{}, spillAhead), patience: d.guard.timeout,
	}
}

// write takes more bytes. It is false if they, or those before, could not be stored.
func (s *spill) write(p []byte) bool {
	for len(p) > 0 {
		if s.piece == nil {
			s.begin(s.size / pieceBytes)
		}
		n := min(len(p), cap(s.piece)-len(s.piece))
		s.piece, p = append(s.piece, p[:n]...), p[n:]
		if s.size += int64(n); len(s.piece) == cap(s.piece) && !s.submit() {
			return false
		}
	}
	return true
}

// submit has the present piece stored.
func (s *spill) submit() bool {
	if s.piece == nil {
		return true
	}
	if !s.wait() {
		return false
	}
	key, record := s.sealed()
	s.submitted.Add(1)
	started := s.from.behind.start(func(ctx context.Context) {
		defer s.done()
		if s.from.guard.put(ctx, key, record) != nil {
			s.fail()
		}
	})
	if !started {
		s.done()
		s.fail()
	}
	return started
}

func (s *spill) done() {
	<-s.slots
	s.submitted.Done()
}

func (s *spill) fail() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = true
}

// wait waits for a slot, within the patience that is left.
func (s *spill) wait() bool {
	s.mu.Lock()
	failed, patience := s.failed || s.given, s.patience+spillPace
	s.patience = patience
	s.mu.Unlock()
	if failed {
		return false
	}
	select {
	case s.slots <- struct{}{}:
		return true
	default:
	}
	begun := time.Now()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case s.slots <- struct{}{}:
		s.mu.Lock()
		s.patience -= time.Since(begun)
		s.mu.Unlock()
		return true
	case <-timer.C:
		s.fail()
		return false
	}
}

// finish stores the rest and returns where the body is.
func (s *spill) finish() (*pieces, error) {
	if !s.submit() {
		return nil, errSpill
	}
	s.submitted.Wait() // no longer than a call of the store may take
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed || s.given {
		return nil, errSpill
	}
	s.given = true
	p := s.pieces
	p.fresh = true
	return &p, nil
}

var errSpill = errors.New("the store has not taken the body")

// abort removes what has been stored.
func (s *spill) abort() {
	s.mu.Lock()
	again := s.given
	s.given = true
	s.mu.Unlock()
	if again {
		return
	}
	s.from.behind.start(func(ctx context.Context) {
		s.submitted.Wait()
		s.from.remove(ctx, &s.pieces)
	})
}

// move takes more of the body, and tells what becomes of the copy.
func (s *spill) move(d *draft, p []byte, err error) outcome {
	o := d.judge(s.size+int64(len(p)), err)
	if o.reason == "" && !s.write(p) {
		o = outcome{reason: errSlow}
	}
	if o.complete {
		if o.stored, err = s.finish(); err != nil {
			o = outcome{reason: errSpill.Error()}
		}
	}
	if o.reason != "" {
		s.abort()
	}
	return o
}

// spills tells whether the copy is to go into a store, now that n more bytes have come.
func (d *draft) spills(n int) bool {
	return d.spiller != nil && !d.settled && len(d.body)+n > spillAt && int64(len(d.body)+n) <= d.limit
}
