//go:build unix

package survival

import (
	"sync/atomic"
	"testing"
	"time"
)

// delays notes how late this process comes to what is due, on a machine that may have other things to do.
type delays struct{ worst atomic.Int64 }

// watchDelays has a goroutine wait for a timer again and again until the test ends.
func watchDelays(t *testing.T) *delays {
	const every = 5 * time.Millisecond
	var d delays
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			began := time.Now()
			select {
			case <-stop:
				return
			case <-time.After(every):
			}
			d.worst.Store(max(d.worst.Load(), int64(time.Since(began)-every)))
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-stopped
	})
	return &d
}

// allowed is what a call may take beyond its time: two seconds, and more where a timer was late. A call waits for several goroutines, and each may come as late.
func (d *delays) allowed() time.Duration {
	if *exact {
		return 20 * time.Millisecond
	}
	return 2*time.Second + 4*time.Duration(d.worst.Load())
}
