package cache

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// flight is one exchange with the origin for one key, on which several requests may wait. It belongs to none of them:
// it ends when the last one has left.
type flight struct {
	table   *flights
	next    *flight // of the same key; the table's
	key     string
	request *http.Request // of the one who leads it, in the flight's own context
	lead    exchange      // the same, as it is sent
	url     url.URL
	context flightContext
	values  detached
	cancel  context.CancelCauseFunc
	lease   *lease // of the exchange, or nil
	began   moment // in the history of invalidations
	seen    *sight // what other processes had invalidated by then
	started time.Time
	doubted bool // answers for the key could not be shared until the origin was in trouble: this one is not waited for as long as others

	probes atomic.Int32 // requests that have gone on by themselves because the origin is in trouble

	ready chan struct{} // closed when the fields below are written; they are only read after that
	landing

	mu       sync.Mutex // guards the fields below
	landed   bool
	refs     int  // who waits for ready
	unled    bool // the one who led it has left
	late     bool
	forever  bool      // somebody waits without a deadline
	deadline time.Time // the latest of those who wait
	ended    error     // what the context says when it is canceled
}

// landing is what came of an exchange, for those who share it.
type landing struct {
	entry  *Entry // what can be shared: it is stored, or will be, or nil
	spool  *spool // its body, if that is still on its way
	status int    // that the origin answered with, or 0
	lent   bool   // entry is an answer of an origin in trouble: for those who wait, and not to be stored

	misattributed bool // what was sent had credentials that the key knows nothing of
	apart         bool // the answer is for its leader alone: its connection was another one than those of the others may be

	response *http.Response // for the one who led
	err      error          // for the same, if there is no response
	failed   error          // why there was no answer, even if the leader got one from the store
	raised   *raised
	told     told
}

// told is how an exchange was counted and reported, for the one who led it.
type told struct {
	counter   *atomic.Int64
	stale     bool
	collapsed bool   // another process has fetched it
	status    Status // the zero Status for an error, and for what the cache keeps out of
}

// detached is a context without its end. It does what context.WithoutCancel does, without an allocation for each value that is looked up.
type detached struct{ context.Context }

func (*detached) Deadline() (deadline time.Time, ok bool) { return }
func (*detached) Done() <-chan struct{}                   { return nil }
func (*detached) Err() error                              { return nil }

// flightContext is the context of a flight: the values are those of the request that leads it. It has the latest of the deadlines of those who wait,
// for layers that plan ahead; it ends when the last of them has left.
type flightContext struct {
	context.Context
	flight *flight
}

func (c *flightContext) Deadline() (time.Time, bool) {
	c.flight.mu.Lock()
	defer c.flight.mu.Unlock()
	return c.flight.deadline, !c.flight.forever
}

func (c *flightContext) Err() error {
	err := c.Context.Err()
	if err != nil {
		c.flight.mu.Lock()
		defer c.flight.mu.Unlock()
		if c.flight.ended != nil {
			return c.flight.ended
		}
	}
	return err
}

// end cancels the exchange for what ended the last request.
func (f *flight) end(ctx context.Context) {
	f.mu.Lock()
	if f.ended == nil {
		f.ended = ctx.Err()
	}
	f.mu.Unlock()
	f.cancel(context.Cause(ctx))
}

// endFor cancels the exchange when the last reader of its body has left.
func (f *flight) endFor(cause error) {
	if errors.Is(cause, http.ErrBodyReadAfterClose) || cause == io.EOF {
		cause = context.Canceled
	}
	f.cancel(cause)
}

// expect takes down how long a request will wait. The lock is held.
func (f *flight) expect(ctx context.Context) {
	deadline, ok := ctx.Deadline()
	switch {
	case !ok:
		f.forever = true
	case deadline.After(f.deadline):
		f.deadline = deadline
	}
}

// run does the exchange and publishes what came of it.
func (f *flight) run(d decision) {
	returned := false
	defer func() {
		if !returned {
			value := recover()
			f.raised = &raised{value: value, exited: value == nil}
			f.entry, f.spool = nil, nil
		}
		f.unleased()
		f.publish()
	}()
	f.response, f.err = f.lead.underLease(d)
	returned = true
}

// publish lets those who wait see what came of the exchange.
func (f *flight) publish() {
	if f.spool == nil || f.lent {
		f.table.remove(f) // before anybody who is released looks for a flight again
	}
	switch {
	case f.missed():
		f.table.missOn(f.key, true)
	case f.failed != nil, f.troubled():
		f.table.doubt(f.key)
	}
	f.mu.Lock()
	f.landed = true
	refs, unled := f.refs, f.unled
	if f.spool != nil {
		f.spool.refs = refs
	}
	f.mu.Unlock()
	close(f.ready)
	switch {
	case f.spool != nil && refs == 0:
		aside(func() { f.spool.finish(context.Canceled) })
	case f.spool == nil && unled:
		aside(func() { closeBody(f.response) })
		f.cancel(nil)
	}
}

// missed tells that requests for the key had better not wait for one another: what the origin answered is not for several of them.
// An error of the origin says nothing about that.
func (f *flight) missed() bool {
	switch {
	case f.misattributed, f.err == errNoUse, f.apart:
		return true
	case f.troubled():
		return false
	case f.entry != nil:
		return !f.entry.suitsAll()
	case f.failed != nil, f.raised != nil, f.status == 0:
		return false
	}
	return true
}

// stay is what comes of a request's wish to wait no longer.
type stay uint8

const (
	left     stay = iota // others still wait
	leftLast             // the exchange has been canceled
	tooLate              // the flight has landed, and the request has its part in that
)

// leave takes back the wait of a request.
func (f *flight) leave(ctx context.Context, led bool) stay {
	f.mu.Lock()
	if f.landed {
		f.mu.Unlock()
		<-f.ready
		return tooLate
	}
	f.refs--
	f.unled = f.unled || led
	f.late = f.late || errors.Is(ctx.Err(), context.DeadlineExceeded)
	last := f.refs == 0
	f.mu.Unlock()
	if !last {
		return left
	}
	f.table.remove(f)
	f.end(ctx)
	return leftLast
}

// drop gives back the reference of a request that the landing is not for.
func (f *flight) drop() {
	if f.spool != nil {
		f.spool.leave(context.Canceled)
	}
}

// join adds a request that waits, or will share what is there. The table's lock is held.
func (f *flight) join(x *exchange) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.landed && (f.entry == nil || f.spool == nil || !f.spool.join(x.now)):
		return false
	case !f.landed && (f.refs == 0 || f.late || x.now.Sub(f.started) > staleFlight):
		return false
	case !f.landed:
		f.refs++
	}
	f.expect(x.request.Context())
	return true
}

// staleFlight is how long nothing may have come of an exchange before further requests do without it: its connection may be dead.
const staleFlight = 30 * time.Second

// flights are the exchanges that are under way, by key, and the refreshes behind the callers' backs: one for each key, and a bounded number of them.
type flights struct {
	ctx    context.Context // done when the cache is closed
	cancel context.CancelFunc
	wg     sync.WaitGroup
	epoch  time.Time
	seed   maphash.Seed
	landed [256]atomic.Int64 // when something was last put into the store for keys with this hash, since epoch

	mu        sync.Mutex         // guards the fields below
	keys      map[string]*flight // the first; the others are behind it
	count     int
	refreshes map[string]struct{}
	probing   map[string]int // requests that have an exchange of their own, by key, where something stale could stand in for an error
	misses    [hitForMissKeys]hitForMiss
	closed    bool
}

const (
	// maxRefreshes bounds the refreshes that run at one time. Beyond it, a stale response is served and left as it is.
	maxRefreshes = 64

	// maxFlights bounds the exchanges that others can share. Beyond it, each request has its own.
	maxFlights = 1 << 14

	// hitForMissKeys bounds the keys that are known to have answers which cannot be shared. A key that finds its place taken takes it.
	hitForMissKeys = 1024

	// hitForMissTime is for how long that is known.
	hitForMissTime = 10 * time.Second
)

// hitForMiss says until when requests for a key do not wait for one another.
type hitForMiss struct {
	hash    uint64
	until   time.Time
	doubted time.Time // until when that would be known if the origin had not been in trouble since
	heard   time.Time // when one who has asked an origin in trouble by itself got an answer
}

func (t *flights) init() {
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.keys, t.refreshes, t.probing = make(map[string]*flight), make(map[string]struct{}), make(map[string]int)
	t.epoch, t.seed = time.Now(), maphash.MakeSeed()
}

// role is what a request is to an exchange that others may share.
type role uint8

const (
	alone  role = iota // it has an exchange that nobody shares
	leads              // it begins one
	shares             // it shares one
)

// join finds a flight for a request, or begins one.
func (t *flights) join(x *exchange) (*flight, role) {
	if !x.cache.wholeURI {
		x.knownTags() // asks the strategy, which must not be under the lock
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if x.mayShare() {
		if f := t.find(x); f != nil {
			return f, shares
		}
	}
	hash := maphash.String(t.seed, x.own)
	miss := &t.misses[hash%hitForMissKeys]
	if !x.mayLead() || t.closed || t.count >= maxFlights || t.keys[x.own].several() {
		return nil, alone
	}
	if miss.hash == hash && x.now.Before(miss.until) && t.probe(x) {
		x.unshared = true
		return nil, alone
	}
	f := newFlight(x)
	f.doubted = miss.hash == hash && x.now.Before(miss.doubted)
	f.next, t.keys[x.own] = t.keys[x.own], f
	t.count++
	return f, leads
}

// find returns a flight whose answer is for this request, as far as that can be told, or nil.
func (t *flights) find(x *exchange) *flight {
	first := t.keys[x.own]
	if first == nil {
		return nil
	}
	names := x.selecting()
	for f := first; f != nil; f = f.next {
		if f.isLanded() {
			names = append(names, f.entry.selectors...)
		}
	}
	for f := first; f != nil; f = f.next {
		switch {
		case x.cache.events.since(f.began, x.knownTags()), x.cache.events.sifted(f.began, f.request, f.started), f.seen.overtakenBy(x.seen, x.knownTags()):
			// a request that was made after an invalidation gets an answer that was, too
		case f.isLanded() && f.outdated(&x.cache.events):
		case f.isLanded() && (!selects(f.entry, x.request, x.cache.secret()) || !x.suits(f.entry, time.Now())):
		case !f.isLanded() && !x.selectsLike(f.request, names):
		case f.join(x):
			return f
		}
	}
	return nil
}

// outdated tells whether a group has been invalidated meanwhile that the answer belongs to, as it turned out when it came.
func (f *flight) outdated(events *history) bool {
	if len(f.entry.tags) <= 1 {
		return false
	}
	own := uriTags(f.request)
	groups := slices.DeleteFunc(slices.Clone(f.entry.tags), func(t tag) bool { return slices.Contains(own, t) })
	return len(groups) > 0 && events.since(f.began, groups)
}

func (f *flight) isLanded() bool {
	select {
	case <-f.ready:
		return f.entry != nil
	default:
		return false
	}
}

// newFlight prepares the exchange of the request that leads it. The request gets a copy that is the flight's own: its caller may be gone before it.
func newFlight(x *exchange) *flight {
	f := &flight{table: &x.cache.flights, key: x.own, ready: make(chan struct{}), refs: 1, started: time.Now(), seen: x.seen, began: x.cache.events.now()}
	f.values.Context = x.request.Context()
	ctx, cancel := context.WithCancelCause(&f.values)
	f.cancel = cancel
	f.expect(x.request.Context())
	f.context = flightContext{ctx, f}
	f.request = x.request.WithContext(&f.context)
	f.request.Header = x.request.Header.Clone()
	withoutCancel(f.request)
	f.url = *x.request.URL
	f.request.URL = &f.url
	return f
}

// remove takes a flight from the table.
func (t *flights) remove(f *flight) {
	t.mu.Lock()
	defer t.mu.Unlock()
	first := t.keys[f.key]
	switch {
	case first == f && f.next == nil:
		delete(t.keys, f.key)
	case first == f:
		t.keys[f.key] = f.next
	default:
		for first != nil && first.next != f {
			first = first.next
		}
		if first == nil {
			return // it has been removed before
		}
		first.next = f.next
	}
	f.next = nil
	t.count--
}

// several tells whether as many flights of one key are under way as a store would keep variants of.
func (f *flight) several() bool {
	n := 0
	for ; f != nil; f = f.next {
		n++
	}
	return n >= maxVariants
}

// landedSince tells whether something may have been put into the store for a key since then.
func (t *flights) landedSince(key string, then time.Time) bool {
	return t.landed[maphash.String(t.seed, key)%uint64(len(t.landed))].Load() > int64(then.Sub(t.epoch))
}

// land notes that something has been put into the store.
func (t *flights) land(key string) {
	t.landed[maphash.String(t.seed, key)%uint64(len(t.landed))].Store(int64(time.Since(t.epoch)) + 1)
}

// missOn remembers that answers for a key cannot be shared, or that they can.
func (t *flights) missOn(key string, missed bool) {
	hash := maphash.String(t.seed, key)
	t.mu.Lock()
	defer t.mu.Unlock()
	switch miss := &t.misses[hash%hitForMissKeys]; {
	case missed:
		*miss = hitForMiss{hash: hash, until: time.Now().Add(hitForMissTime), heard: miss.heardOf(hash)}
	case miss.hash == hash:
		*miss = hitForMiss{}
	}
}

// start runs refresh on a goroutine of its own unless one for this key is under way, or a caller asks the origin at the moment.
// It tells whether it has.
func (t *flights) start(own, key string, refresh func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, busy := t.refreshes[key]; busy || t.closed || len(t.refreshes) >= maxRefreshes || t.underWay(own) {
		return false
	}
	t.refreshes[key] = struct{}{}
	t.wg.Go(func() {
		defer t.done(key)
		refresh()
	})
	return true
}

// underWay tells whether a request for a key has not been answered yet, and is not overdue.
func (t *flights) underWay(key string) bool {
	for f := t.keys[key]; f != nil; f = f.next {
		if time.Since(f.started) <= staleFlight {
			return true
		}
	}
	return false
}

func (t *flights) done(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.refreshes, key)
}

func (t *flights) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.cancel()
	t.wg.Wait()
}
