package benchmarks

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// BenchmarkCounterLine is the price of one cache line to which all cores write, beside that of a line for each of them:
//
//	go test -run '^$' -bench CounterLine -benchtime 30000000x -count 5 ./benchmarks
//
// It says something only where nothing else runs: cores that take turns share no line.
func BenchmarkCounterLine(b *testing.B) {
	type line struct {
		atomic.Int64
		_ [120]byte
	}
	for name, shared := range map[string]bool{"shared": true, "own": false} {
		b.Run(name, func(b *testing.B) {
			lines := make([]line, runtime.GOMAXPROCS(0))
			var wg sync.WaitGroup
			for i := range lines {
				counter := &lines[i].Int64
				if shared {
					counter = &lines[0].Int64
				}
				wg.Go(func() {
					for range b.N {
						counter.Add(1)
					}
				})
			}
			wg.Wait()
		})
	}
}
