package hedge

import (
	"math"
	"slices"
	"sync"
	"time"
)

// samples is how many of the last requests of a key are kept.
const samples = 128

// latency is what the last requests of a key have taken.
type latency struct {
	mu    sync.Mutex // guards the fields below
	took  [samples]time.Duration
	n     int // how many were added
	fresh int // how many since value was computed
	value time.Duration
}

// add takes in one duration.
func (l *latency) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.took[l.n%samples] = d
	l.n++
	l.fresh++
}

// quantile returns the duration that a share q of the requests has not exceeded, and false before there were at least so many. It is computed anew for each 16 requests.
func (l *latency) quantile(q float64, least int) (time.Duration, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n < least {
		return 0, false
	}
	if l.value == 0 || l.fresh >= 16 {
		l.fresh, l.value = 0, quantile(l.took[:min(l.n, samples)], q)
	}
	return l.value, true
}

func quantile(took []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(took))
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}
