package logging

import (
	"sync"
	"time"
)

// Routine reports whether the call succeeded at once: it did not fail, was not slow, was not sent again, and its body was closed.
func (o Outcome) Routine() bool {
	return o.ErrorType() == "" && !o.Slow && o.Resends == 0 && !o.NeverClosed
}

// sampler chooses the records that are written.
type sampler struct {
	Sample

	mu         sync.Mutex // guards the fields below
	suppressed int        // since the last record
	seen       int
	tokens     float64
	last       time.Time
}

// take reports whether to write a record, and how many were left out before it.
func (s *sampler) take(routine bool, now time.Time) (suppressed int, ok bool) {
	if s.Every <= 1 && s.PerSecond <= 0 {
		return 0, true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if routine && !s.chosen(now) {
		s.suppressed++
		return 0, false
	}
	suppressed, s.suppressed = s.suppressed, 0
	return suppressed, true
}

// chosen applies both bounds. mu is held.
func (s *sampler) chosen(now time.Time) bool {
	turn := s.seen
	s.seen++
	if s.Every > 1 && turn%s.Every != 0 {
		return false
	}
	if s.PerSecond <= 0 {
		return true
	}
	full := max(1, s.PerSecond)
	if s.last.IsZero() {
		s.tokens = full
	} else {
		s.tokens = min(full, s.tokens+now.Sub(s.last).Seconds()*s.PerSecond)
	}
	s.last = now
	if s.tokens < 1 {
		return false
	}
	s.tokens--
	return true
}
