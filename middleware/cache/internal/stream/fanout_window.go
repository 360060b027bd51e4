package stream

import "slices"

// windowStep is how much is read at a time when the copy has been dropped.
const windowStep = 32 << 10

// slide returns room behind the body once the copy is no longer kept: the bytes that all readers have read go, and so do the slowest readers
// if there would be too much between them and the fastest. The lock is held.
//
// Readers look at the array of the copy without the lock, so it is never written to again; at those that are made here they look under the lock.
func (s *FanOut) slide() []byte {
	s.forget(s.slowest())
	if s.array != nil && cap(s.body)-len(s.body) >= windowStep {
		return s.body[len(s.body):cap(s.body)]
	}
	if most := max(s.Limit, 2*windowStep); int64(len(s.body))+windowStep > most {
		s.forget(min(s.base+int64(len(s.body))+windowStep-most, s.size))
	}
	if kept := len(s.body); s.array != nil && cap(s.array)-kept >= windowStep {
		copy(s.array[:kept], s.body)
		s.body = s.array[:kept]
		return s.array[kept:cap(s.array)]
	}
	// A new array: readers may still look at the old one without the lock if it was the copy's. What the budget has lent for the old one goes back first.
	room := int64(windowStep)
	s.Claim.release()
	if len(s.body) > 0 {
		room = min(2*(int64(len(s.body))+windowStep), max(s.Limit, 2*windowStep))
		if !s.Claim.raise(room) {
			s.forget(s.size)
			room = windowStep + int64(len(s.body))
		}
	}
	s.array = make([]byte, room)
	s.body = s.array[:copy(s.array, s.body)]
	return s.array[len(s.body):]
}

// slowest is the offset of the reader that is furthest behind. Waiters that may become readers count as being at the beginning. The lock is held.
func (s *FanOut) slowest() int64 {
	// A reference may be one that only keeps the source open (AddRef); that cannot be told from a waiter here.
	// To keep a little too much is safe, to forget what a waiter still needs is not.
	if s.Refs > len(s.readers) {
		return s.base
	}
	slowest := s.size
	for _, t := range s.readers {
		slowest = min(slowest, t.off)
	}
	return slowest
}

// forget drops the bytes before an offset, and cuts off the readers that still need them. Unless a strong tag can prove it, what they have read is hashed,
// so that another answer can be shown to begin with the same bytes. The lock is held.
func (s *FanOut) forget(to int64) {
	if to <= s.base {
		return
	}
	if s.base == 0 && s.Refs > 1 && !s.Tagged {
		s.prefix = NewProof()
	}
	if s.Refs <= 1 {
		s.prefix = nil // the only reader is never cut off
	}
	// Those that still need a byte before to. They are taken in the order of their offsets, so that the hash goes over the bytes once,
	// and each gets its state at the very byte at which it stopped.
	behind := make([]*Reader, 0, 4)
	for _, t := range s.readers {
		if t.off < to {
			behind = append(behind, t)
		}
	}
	slices.SortFunc(behind, func(a, b *Reader) int { return int(a.off - b.off) })
	at := s.base
	hashUpTo := func(off int64) {
		if s.prefix != nil {
			s.prefix.Write(s.body[at-s.base : off-s.base])
		}
		at = off
	}
	for _, t := range behind {
		hashUpTo(max(t.off, s.base))
		if s.prefix != nil {
			t.proof = cloned(s.prefix)
		}
		t.cut = true
		s.remove(t)
	}
	hashUpTo(to)
	s.body, s.base = s.body[to-s.base:], to
	if len(behind) > 0 {
		s.wake() // one of them may wait for bytes that it will not get here
	}
}
