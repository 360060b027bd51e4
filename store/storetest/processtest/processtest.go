// Package processtest checks what a [store.Store] does for several real processes. Those who write a store run it from a test:
//
//	func TestLeases(t *testing.T) {
//		processtest.RunLeases(t, func(t *testing.T) string { return startServer(t).URL })
//	}
//
// The processes are the test binary, started again with only the calling test to run. Each opens the store by its URL, so the store's package must have
// registered its scheme (see [store.Register]).
//
//	processtest.go   what is checked, in the process that runs the tests
//	child.go         what the other processes do
//	process.go       starting, commanding and killing them
//	origin.go        the origin that they ask
package processtest

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

const (
	processes = 4
	callers   = 5 // of each process, for each URL
	urls      = 8
	lease     = 2 * time.Second  // of the process that is killed
	slack     = 10 * time.Second // what a busy machine may take beside
)

// RunLeases checks that processes that share a store, each with a cache with [cache.Options.Lease], ask the origin once for what none of them has,
// and that a process that is killed while it asks costs the others its lease and no more.
//
// start returns the URL of a store that nothing else uses, such as that of a server which ends with t. It runs in the process of the tests alone: the other processes
// come to the call of RunLeases again, and play their part there. So the test must do nothing before the call, and a TestMain nothing that they need not have; see [Child].
// A machine that other tests use, too, is slow: if the store has a timeout of its own, the URL should set it to some seconds.
//
// [cache.Options.Lease]: https://pkg.go.dev/github.com/plyhttp/ply/middleware/cache#Options
func RunLeases(t *testing.T, start func(t *testing.T) (url string)) {
	t.Helper()
	if p, ok := thePart(); ok {
		p.play(t)
		return
	}
	name := t.Name()
	t.Run("one fetch for each cold key", func(t *testing.T) { oneFetch(t, name, start(t)) })
	t.Run("a killed holder costs its lease", func(t *testing.T) { killedHolder(t, name, start(t)) })
}

// oneFetch has all processes ask for the same at once. The origin answers none of them before all have begun.
func oneFetch(t *testing.T, test, url string) {
	begun := make(chan struct{})
	release := sync.OnceFunc(func() { close(begun) })
	defer release() // also if the test fails before: the origin ends after its requests
	o := newOrigin(t, func(int) { <-begun })
	p := part{Store: url, Lease: 2 * time.Minute}
	for i := range urls {
		p.URLs = append(p.URLs, fmt.Sprint(o.URL, "/", i))
	}
	var all []*process
	for range processes {
		all = append(all, startProcess(t, test, p))
	}
	for _, c := range all {
		c.expect(t, ready)
	}
	for _, c := range all {
		c.begin(t)
	}
	for _, c := range all {
		c.expect(t, asking)
	}
	release()
	for _, c := range all {
		c.expect(t, done)
	}
	for path, n := range o.asked() {
		if n != 1 {
			t.Errorf("the origin was asked for %s %d times by %d processes, want once", path, n, processes)
		}
	}
	if n := len(o.asked()); n != urls {
		t.Errorf("the origin was asked for %d URLs, want %d", n, urls)
	}
}

// killedHolder kills a process while the origin has its request. The others wait for it, for as long as its lease lasts.
func killedHolder(t *testing.T, test, url string) {
	held, dead := make(chan struct{}), make(chan struct{})
	defer close(dead)
	o := newOrigin(t, func(n int) {
		if n == 1 {
			close(held)
			<-dead
		}
	})
	p := part{Store: url, Lease: lease, URLs: []string{o.URL + "/a"}}
	var all []*process
	for range processes {
		c := startProcess(t, test, p)
		c.expect(t, ready)
		all = append(all, c)
	}
	holder, others := all[0], all[1:]
	holder.begin(t)
	within(t, "the first request at the origin", held)
	began := time.Now() // the lease has been put before
	for _, c := range others {
		c.begin(t)
		c.expect(t, asking)
	}
	holder.kill(t)
	for _, c := range others {
		c.expect(t, done)
	}
	took := time.Since(began)
	if took > lease+slack {
		t.Errorf("the processes that waited had their answer after %v, want the lease of %v at most, and a little", took, lease)
	}
	if n := o.asked()["/a"]; n < 2 || n > processes {
		t.Errorf("the origin was asked %d times, want once by the process that was killed, and once by each of the others at most", n)
	}
	if early := o.second("/a").Sub(began); early < lease/2 {
		t.Errorf("the origin was asked again %v after the first request, want that the others wait for the lease of %v", early, lease)
	}
}

func within(t *testing.T, what string, happened <-chan struct{}) {
	t.Helper()
	select {
	case <-happened:
	case <-time.After(patience):
		t.Fatalf("%s: not after %v", what, patience)
	}
}
