package limit

import "time"

// size is how many requests may be under way, found by how the server answers. It is a rule without effects: its gate holds the lock.
type size struct {
	min, max  float64
	tolerance float64

	limit   float64
	latency float64   // to the header of a response, in seconds: about the median of the last answers; zero before the first
	best    float64   // the latency of a server that has not too much to do
	cut     time.Time // when the limit was last decreased
}

const (
	step        = 1.05 // by which one answer moves the latency
	slowWeight  = 0.01 // of the latency in best, while there is room
	slowCut     = 0.9
	overloadCut = 0.7
)

func newSize(o *Options) *size {
	a := o.Adaptive
	return &size{min: float64(a.Min), max: float64(o.InFlight), tolerance: a.Tolerance, limit: float64(a.Initial)}
}

// answered takes in an answer that came after the given time, while so many requests were under way.
func (s *size) answered(now time.Time, took time.Duration, inFlight int) {
	// Half of the answers pull the median up and half down: a few that are very slow do not matter.
	switch latency := took.Seconds(); {
	case s.latency == 0:
		s.latency = latency
	case latency > s.latency:
		s.latency = min(latency, s.latency*step)
	default:
		s.latency = max(latency, s.latency/step)
	}
	used := float64(inFlight)*2 >= s.limit
	switch {
	case s.best == 0, s.limit <= s.min, s.latency < s.best:
		s.best = s.latency // with the fewest requests under way it is the server's own
	case !used:
		s.best += (s.latency - s.best) * slowWeight
	}
	if s.latency > s.tolerance*s.best {
		s.decrease(now, slowCut)
	} else if used {
		s.limit = min(s.max, s.limit+1/s.limit)
	}
}

// overloaded takes in an answer, or a missing one, that says that the server has too much to do.
func (s *size) overloaded(now time.Time) { s.decrease(now, overloadCut) }

// stretch makes room for one more, unless there is the most already, or the server is slow.
func (s *size) stretch() bool {
	if s.limit >= s.max || s.latency > s.tolerance*s.best {
		return false
	}
	s.limit = min(s.max, s.limit+1)
	return true
}

// decrease makes the limit smaller, once for all requests that were under way together.
func (s *size) decrease(now time.Time, factor float64) {
	round := time.Duration(max(s.latency, 0.01) * float64(time.Second))
	if now.Sub(s.cut) < round {
		return
	}
	s.cut = now
	s.limit = max(s.min, s.limit*factor)
}
