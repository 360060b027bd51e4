package inspect

import (
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// An Inspector keeps the last calls of the chains that its layer stands in, and shows them. Make one with [New]. It is safe for concurrent use.
//
// It starts no goroutine. [Inspector.Close] ends it.
type Inspector struct {
	o           Options
	instance    string // differs between two runs of a program
	crossOrigin *http.CrossOriginProtection
	server      func() http.Handler

	closed   atomic.Bool
	watching atomic.Int32 // pages that follow; zero spares calls the telling
	looking  atomic.Int32 // requests that look at the cache; at most maxLooks
	bytes    atomic.Int64 // that the calls are charged with
	leaving  atomic.Int64 // of these, what is given back as soon as calls are dropped that are out of the list already: others must not be dropped for it as well

	mu      sync.Mutex // guards the fields below; never held with that of a call, or over I/O
	calls   []*call    // oldest first, by id
	last    int64      // the id of the newest call
	version int64      // of the newest change
	readers map[*reader]struct{}
	seconds *series
	minutes *series
}

// A reader is a page that follows the calls. Its channel holds at most one signal: what has changed is found in the calls, so that a slow page holds nothing up
// and nothing is kept for it.
type reader struct {
	changed chan struct{}
	reset   bool // calls were forgotten; guarded by Inspector.mu
}

// Close forgets all calls, ends the streams of pages that are open, and makes the layer pass requests through. It returns nil. Later calls of it do nothing.
func (in *Inspector) Close() error {
	in.closed.Store(true)
	in.forget() // and wakes the readers
	return nil
}

// ServeHTTP serves the page and what it asks for. Its paths are relative: to serve it below a prefix, use [http.StripPrefix], with a slash at the end of the URL.
func (in *Inspector) ServeHTTP(w http.ResponseWriter, r *http.Request) { in.server().ServeHTTP(w, r) }

// add makes a call known, and drops the oldest beyond what is kept.
func (in *Inspector) add(c *call) {
	in.mu.Lock()
	if in.closed.Load() { // since the layer asked
		in.mu.Unlock()
		c.drop()
		return
	}
	in.last++
	in.version++
	c.id, c.version = in.last, in.version
	in.calls = append(in.calls, c)
	dropped := in.surplus()
	in.signal()
	in.mu.Unlock()
	drop(dropped)
}

// surplus takes the oldest calls away that are beyond what is kept: never the newest. The caller holds mu, and drops them without it.
func (in *Inspector) surplus() []*call {
	n := max(0, len(in.calls)-in.o.Keep)
	over := in.bytes.Load() - in.leaving.Load() - in.o.MaxBytes
	for _, c := range in.calls[:n] {
		over -= c.charged.Load()
	}
	for over > 0 && n < len(in.calls)-1 {
		over -= in.calls[n].charged.Load()
		n++
	}
	if n == 0 {
		return nil
	}
	dropped := slices.Clone(in.calls[:n])
	for _, c := range dropped {
		c.leaving = c.charged.Load()
		in.leaving.Add(c.leaving)
	}
	clear(in.calls[:n])
	in.calls = in.calls[n:]
	return dropped
}

func drop(calls []*call) {
	for _, c := range calls {
		c.drop()
	}
}

// changed gives a call a new version and tells the pages.
func (in *Inspector) changed(c *call) {
	in.mu.Lock()
	in.version++
	c.version = in.version
	in.signal()
	in.mu.Unlock()
	in.trim()
}

// grew is told that a body has passed in part. Pages see it grow; without one, it costs nothing but the look at the budget.
func (in *Inspector) grew(c *call) {
	if in.watching.Load() > 0 {
		in.changed(c) // trims as well
		return
	}
	in.trim()
}

// trim drops the oldest calls while all together take more than is allowed.
func (in *Inspector) trim() {
	if in.bytes.Load() <= in.o.MaxBytes {
		return
	}
	in.mu.Lock()
	dropped := in.surplus()
	in.mu.Unlock()
	drop(dropped)
}

// signal tells each reader, without waiting for one. The caller holds mu.
func (in *Inspector) signal() {
	for r := range in.readers {
		select {
		case r.changed <- struct{}{}:
		default:
		}
	}
}

// forget drops all calls.
func (in *Inspector) forget() {
	in.mu.Lock()
	dropped := in.calls
	in.calls = nil
	in.version++
	for r := range in.readers {
		r.reset = true
	}
	in.signal()
	in.mu.Unlock()
	drop(dropped)
}

// count adds an ended hop to the statistics, which are looked at no more than that.
func (in *Inspector) count(h *hop, now time.Time) {
	word, bytes := outcome(h.seen()), h.received()
	in.mu.Lock()
	first := in.seconds.add(now, word, bytes)
	in.minutes.add(now, word, bytes)
	in.mu.Unlock()
	if first && in.o.Cache != nil { // a second has begun: look at the cache, without the lock
		s := in.o.Cache.Stats()
		in.mu.Lock()
		in.seconds.gauge(now, s.Entries, s.Bytes)
		in.minutes.gauge(now, s.Entries, s.Bytes)
		in.mu.Unlock()
	}
}

// changedSince returns the calls that have changed after a version, in the order of their changes; how far that is; the oldest id kept; and whether the limit left some out.
func (in *Inspector) changedSince(version int64, limit int) (calls []versioned, upTo, oldest int64, more bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, c := range in.calls {
		if c.version > version {
			calls = append(calls, versioned{c, c.version})
		}
	}
	slices.SortFunc(calls, func(a, b versioned) int { return int(a.version - b.version) })
	upTo, oldest = in.version, in.last+1
	if len(in.calls) > 0 {
		oldest = in.calls[0].id
	}
	if limit > 0 && len(calls) > limit {
		calls, more = calls[:limit], true
		upTo = calls[limit-1].version
	}
	return calls, upTo, oldest, more
}

// versioned is a call and its version at a moment.
type versioned struct {
	*call
	version int64
}

// call returns the call with an id and its version, or nil.
func (in *Inspector) call(id int64) (*call, int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	i, found := slices.BinarySearchFunc(in.calls, id, func(c *call, id int64) int { return int(c.id - id) })
	if !found {
		return nil, 0
	}
	return in.calls[i], in.calls[i].version
}
