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

	"github.com/plyhttp/ply/middleware/cache/internal/durable"
	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/lease"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/middleware/cache/internal/stream"
)

// inflightFetch is one exchange with the origin for one key, on which several requests may wait. It belongs to none of them:
// it ends when the last one has left.
type inflightFetch struct {
	table   *inflightFetches
	next    *inflightFetch // Generation the same key; the table's
	key     string
	request *http.Request // Generation the one who leads it, in the flight's own context
	lead    exchange      // the same, as it is sent
	url     url.URL
	context inflightContext
	values  detached
	cancel  context.CancelCauseFunc
	lease   *lease.Lease        // Generation the exchange, or nil
	began   invalidation.Moment // in the history of invalidations
	seen    *durable.Snapshot   // what other processes had invalidated by then
	started time.Time
	doubted bool // Answers for the key could not be shared until the origin was in trouble: this one is not waited for as long as others

	probes atomic.Int32 // requests that have gone on by themselves because the origin is in trouble

	ready chan struct{} // closed when the fields below are written; they are only read after that
	fetchResult

	mu         sync.Mutex // guards the fields below
	done       bool
	refs       int  // who waits for ready
	leaderless bool // the one who led it has left
	late       bool
	forever    bool      // somebody waits without a deadline
	deadline   time.Time // the latest of those who wait
	endedBy    error     // what the context says when it is canceled
}

// fetchResult is what came of an exchange, for those who share it.
type fetchResult struct {
	entry    *stored.Entry  // what can be shared: it is stored, or will be, or nil
	fanout   *stream.FanOut // its body, if that is still on its way
	status   int            // that the origin answered with, or 0
	unstored bool           // Entry is an answer of an origin in trouble: for those who wait, and not to be stored

	misattributed bool // what was sent had credentials that the key knows nothing of
	apart         bool // the answer is for its leader alone: its connection was another one than those of the others may be

	response *http.Response // for the one who led
	err      error          // for the same, if there is no response
	failed   error          // Fwd there was no answer, even if the leader got one from the store
	panicked *stream.Panic
	account  accounting
}

// accounting is how an exchange was counted and reported, for the one who led it.
type accounting struct {
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

// inflightContext is the context of a flight: the values are those of the request that leads it. It has the latest of the deadlines of those who wait,
// for layers that plan ahead; it ends when the last of them has left.
type inflightContext struct {
	context.Context
	fetch *inflightFetch
}

func (c *inflightContext) Deadline() (time.Time, bool) {
	c.fetch.mu.Lock()
	defer c.fetch.mu.Unlock()
	return c.fetch.deadline, !c.fetch.forever
}

func (c *inflightContext) Err() error {
	err := c.Context.Err()
	if err != nil {
		c.fetch.mu.Lock()
		defer c.fetch.mu.Unlock()
		if c.fetch.endedBy != nil {
			return c.fetch.endedBy
		}
	}
	return err
}

// end cancels the exchange for what ended the last request.
func (f *inflightFetch) end(ctx context.Context) {
	f.mu.Lock()
	if f.endedBy == nil {
		f.endedBy = ctx.Err()
	}
	f.mu.Unlock()
	f.cancel(context.Cause(ctx))
}

// endFor cancels the exchange when the last reader of its body has left.
func (f *inflightFetch) endFor(cause error) {
	if errors.Is(cause, http.ErrBodyReadAfterClose) || cause == io.EOF {
		cause = context.Canceled
	}
	f.cancel(cause)
}

// addWaiter takes down how long a request will wait. The lock is held.
func (f *inflightFetch) addWaiter(ctx context.Context) {
	deadline, ok := ctx.Deadline()
	switch {
	case !ok:
		f.forever = true
	case deadline.After(f.deadline):
		f.deadline = deadline
	}
}

// run does the exchange and publishes what came of it.
func (f *inflightFetch) run(d rfc9111.Decision) {
	returned := false
	defer func() {
		if !returned {
			value := recover()
			f.panicked = &stream.Panic{Value: value, Exited: value == nil}
			f.entry, f.fanout = nil, nil
		}
		f.endLease()
		f.publish()
	}()
	f.response, f.err = f.lead.fetchUnderLease(d)
	returned = true
}

// publish lets those who wait see what came of the exchange.
func (f *inflightFetch) publish() {
	if f.fanout == nil || f.unstored {
		f.table.remove(f) // before anybody who is released looks for a flight again
	}
	switch {
	case f.missed():
		f.table.setHitForMiss(f.key, true)
	case f.failed != nil, f.troubled():
		f.table.noteTrouble(f.key)
	}
	f.mu.Lock()
	f.done = true
	refs, unled := f.refs, f.leaderless
	if f.fanout != nil {
		f.fanout.Refs = refs
	}
	f.mu.Unlock()
	close(f.ready)
	switch {
	case f.fanout != nil && refs == 0:
		stream.WithoutPanic(func() { f.fanout.Finish(context.Canceled) })
	case f.fanout == nil && unled:
		stream.WithoutPanic(func() { stream.CloseBody(f.response) })
		f.cancel(nil)
	}
}

// missed tells that requests for the key had better not wait for one another: what the origin answered is not for several of them.
// An error of the origin says nothing about that.
func (f *inflightFetch) missed() bool {
	switch {
	case f.misattributed, f.err == errNotShareable, f.apart:
		return true
	case f.troubled():
		return false
	case f.entry != nil:
		return !f.entry.AnswersWaiters()
	case f.failed != nil, f.panicked != nil, f.status == 0:
		return false
	}
	return true
}

// leaveResult is what comes of a request's wish to wait no longer.
type leaveResult uint8

const (
	left     leaveResult = iota // others still wait
	leftLast                    // the exchange has been canceled
	tooLate                     // the flight has landed, and the request has its part in that
)

// leave takes back the wait of a request.
func (f *inflightFetch) leave(ctx context.Context, led bool) leaveResult {
	f.mu.Lock()
	if f.done {
		f.mu.Unlock()
		<-f.ready
		return tooLate
	}
	f.refs--
	f.leaderless = f.leaderless || led
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
func (f *inflightFetch) drop() {
	if f.fanout != nil {
		f.fanout.Leave(context.Canceled)
	}
}

// join adds a request that waits, or will share what is there. The table's lock is held.
func (f *inflightFetch) join(x *exchange) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.done && (f.entry == nil || f.fanout == nil || !f.fanout.Join(x.now)):
		return false
	case !f.done && (f.refs == 0 || f.late || x.now.Sub(f.started) > stream.StalledAfter):
		return false
	case !f.done:
		f.refs++
	}
	f.addWaiter(x.request.Context())
	return true
}

// inflightFetches are the exchanges that are under way, by key, and the refreshes behind the callers' backs: one for each key, and a bounded number of them.
type inflightFetches struct {
	ctx      context.Context // done when the cache is closed
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	epoch    time.Time
	seed     maphash.Seed
	storedAt [256]atomic.Int64 // when something was last put into the store for keys with this hash, since epoch

	mu        sync.Mutex                // guards the fields below
	keys      map[string]*inflightFetch // the first; the others are behind it
	count     int
	refreshes map[string]struct{}
	probing   map[string]int // requests that have an exchange of their own, by key, where something stale could stand in for an error
	misses    [hitForMissKeys]hitForMiss
	closed    bool
}

const (
	// maxRefreshes bounds the refreshes that run at one time. Beyond it, a stale response is served and left as it is.
	maxRefreshes = 64

	// maxInflight bounds the exchanges that others can share. Beyond it, each request has its own.
	maxInflight = 1 << 14

	// hitForMissKeys bounds the keys that are known to have answers which cannot be shared. A key that finds its place taken takes it.
	hitForMissKeys = 1024
)

// hitForMiss says until when requests for a key do not wait for one another.
type hitForMiss struct {
	hash     uint64
	until    time.Time
	doubted  time.Time // Until when that would be known if the origin had not been in trouble since
	answered time.Time // when one who has asked an origin in trouble by itself got an answer
}

func (t *inflightFetches) init() {
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.keys, t.refreshes, t.probing = make(map[string]*inflightFetch), make(map[string]struct{}), make(map[string]int)
	t.epoch, t.seed = time.Now(), maphash.MakeSeed()
}

// role is what a request is to an exchange that others may share.
type role uint8

const (
	byItself role = iota // it has an exchange that nobody shares
	leads                // it begins one
	shares               // it shares one
)

// join finds a flight for a request, or begins one.
func (t *inflightFetches) join(x *exchange) (*inflightFetch, role) {
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
	hash := maphash.String(t.seed, x.ownKey)
	miss := &t.misses[hash%hitForMissKeys]
	if !x.mayLead() || t.closed || t.count >= maxInflight || t.keys[x.ownKey].atVariantLimit() {
		return nil, byItself
	}
	if miss.hash == hash && x.now.Before(miss.until) && t.probe(x) {
		x.unshared = true
		return nil, byItself
	}
	f := newInflightFetch(x)
	f.doubted = miss.hash == hash && x.now.Before(miss.doubted)
	f.next, t.keys[x.ownKey] = t.keys[x.ownKey], f
	t.count++
	return f, leads
}

// find returns a flight whose answer is for this request, as far as that can be told, or nil.
func (t *inflightFetches) find(x *exchange) *inflightFetch {
	first := t.keys[x.ownKey]
	if first == nil {
		return nil
	}
	names := x.knownSelectors()
	for f := first; f != nil; f = f.next {
		if f.hasAnswer() {
			names = append(names, f.entry.Selectors...)
		}
	}
	for f := first; f != nil; f = f.next {
		switch {
		case x.cache.history.Since(f.began, x.knownTags()), x.cache.history.FilteredSince(f.began, func() string { return rfc9111.DisplayURL(f.request) }, f.started), f.seen.OlderThan(x.seen, x.knownTags()):
			// a request that was made after an invalidation gets an answer that was, too
		case f.hasAnswer() && f.outdated(&x.cache.history):
		case f.hasAnswer() && (!rfc9111.Selects(f.entry, x.request, x.cache.hashKey()) || !x.couldUse(f.entry, time.Now())):
		case !f.hasAnswer() && !x.selectsLike(f.request, names):
		case f.join(x):
			return f
		}
	}
	return nil
}

// outdated tells whether a group has been invalidated meanwhile that the answer belongs to, as it turned out when it came.
func (f *inflightFetch) outdated(events *invalidation.History) bool {
	if len(f.entry.Tags) <= 1 {
		return false
	}
	own := rfc9111.URITags(f.request)
	groups := slices.DeleteFunc(slices.Clone(f.entry.Tags), func(t invalidation.Tag) bool { return slices.Contains(own, t) })
	return len(groups) > 0 && events.Since(f.began, groups)
}

func (f *inflightFetch) hasAnswer() bool {
	select {
	case <-f.ready:
		return f.entry != nil
	default:
		return false
	}
}

// newInflightFetch prepares the exchange of the request that leads it. The request gets a copy that is the flight's own: its caller may be gone before it.
func newInflightFetch(x *exchange) *inflightFetch {
	f := &inflightFetch{table: &x.cache.fetches, key: x.ownKey, ready: make(chan struct{}), refs: 1, started: time.Now(), seen: x.seen, began: x.cache.history.Now()}
	f.values.Context = x.request.Context()
	ctx, cancel := context.WithCancelCause(&f.values)
	f.cancel = cancel
	f.addWaiter(x.request.Context())
	f.context = inflightContext{ctx, f}
	f.request = x.request.WithContext(&f.context)
	f.request.Header = x.request.Header.Clone()
	withoutCancel(f.request)
	f.url = *x.request.URL
	f.request.URL = &f.url
	return f
}

// remove takes a flight from the table.
func (t *inflightFetches) remove(f *inflightFetch) {
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

// atVariantLimit tells whether as many flights of one key are under way as a store would keep variants of.
func (f *inflightFetch) atVariantLimit() bool {
	n := 0
	for ; f != nil; f = f.next {
		n++
	}
	return n >= stored.MaxVariants
}

// storedSince tells whether something may have been put into the store for a key since then.
func (t *inflightFetches) storedSince(key string, then time.Time) bool {
	return t.storedAt[maphash.String(t.seed, key)%uint64(len(t.storedAt))].Load() > int64(then.Sub(t.epoch))
}

// noteStored notes that something has been put into the store.
func (t *inflightFetches) noteStored(key string) {
	t.storedAt[maphash.String(t.seed, key)%uint64(len(t.storedAt))].Store(int64(time.Since(t.epoch)) + 1)
}

// setHitForMiss remembers that answers for a key cannot be shared, or that they can.
func (t *inflightFetches) setHitForMiss(key string, missed bool) {
	hash := maphash.String(t.seed, key)
	t.mu.Lock()
	defer t.mu.Unlock()
	switch miss := &t.misses[hash%hitForMissKeys]; {
	case missed:
		*miss = hitForMiss{hash: hash, until: time.Now().Add(lease.HitForMissTime), answered: miss.answeredOf(hash)}
	case miss.hash == hash:
		*miss = hitForMiss{}
	}
}

// startRefresh runs refresh on a goroutine of its own unless one for this key is under way, or a caller asks the origin at the moment.
// It tells whether it has.
func (t *inflightFetches) startRefresh(own, key string, refresh func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, busy := t.refreshes[key]; busy || t.closed || len(t.refreshes) >= maxRefreshes || t.underWay(own) {
		return false
	}
	t.refreshes[key] = struct{}{}
	t.wg.Go(func() {
		defer t.endRefresh(key)
		refresh()
	})
	return true
}

// underWay tells whether a request for a key has not been answered yet, and is not overdue.
func (t *inflightFetches) underWay(key string) bool {
	for f := t.keys[key]; f != nil; f = f.next {
		if time.Since(f.started) <= stream.StalledAfter {
			return true
		}
	}
	return false
}

func (t *inflightFetches) endRefresh(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.refreshes, key)
}

func (t *inflightFetches) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.cancel()
	t.wg.Wait()
}
