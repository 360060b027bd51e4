package cache

import (
	"math/rand/v2"
	"sync/atomic"
)

// tally is a counter that many cores use at once. It is striped over cells in cache lines of their own, so that the cores do not contend for one.
type tally struct {
	cells [16]struct {
		atomic.Int64
		_ [120]byte // two lines: processors fetch them in pairs
	}
}

// cell returns any one of the cells, to count in.
func (t *tally) cell() *atomic.Int64 { return &t.cells[rand.Uint32()%uint32(len(t.cells))].Int64 }

// Load returns the sum.
func (t *tally) Load() (sum int64) {
	for i := range t.cells {
		sum += t.cells[i].Load()
	}
	return sum
}
