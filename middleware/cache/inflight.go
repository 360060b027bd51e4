package cache

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/middleware/cache/internal/durable"
	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/lease"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/middleware/cache/internal/stream"
)

// An inflightFetch is one exchange with the origin for one key, for which several requests may wait. It belongs to none of them.
//
// The leader makes it (inflightFetches.join) and starts its goroutine (begin, run). That ends when the next handler has answered. The fetch itself
// goes on with the body, if several read that, and ends
//   - when its last waiter has left before the answer (leave), or its last reader before the end of the body (FanOut.Finish): its context is canceled;
//   - when the answer, or the copy of the body, needs nothing more of the origin, or there is an error: its context is canceled then, too, to free what hangs on it.
//
// It is in the table from join until publish, or, if its body is shared, until that is stored or its copy is dropped.
//
// Two phases, divided by ready: before it is closed, the fields of fetchResult belong to the goroutine of the fetch, and the fields below mu count
// who waits; afterwards fetchResult is read only, and the references are the fan-out's (publish moves them there).
type inflightFetch struct {
	table   *inflightFetches
	next    *inflightFetch // of the same key; guarded by the table's lock
	key     string
	request *http.Request // the leader's, in the fetch's own context: sent
	sent    http.Request
	alike   *http.Request // what others are compared with, if it was known that answers for the key vary; or nil. The layers below do not get it
	lead    exchange      // the leader's, as the goroutine of the fetch carries it out
	url     url.URL
	lines   [10]string  // room for those of the header that is sent
	unwatch func() bool // ends what live has the context of the leader do, or nil
	context inflightContext
	values  detached
	cancel  context.CancelCauseFunc
	lease   *lease.Lease        // set by waitForLease, or nil; given back by endLease, copyDropped or put
	began   invalidation.Moment // in the history of invalidations
	seen    *durable.Snapshot   // what other processes had invalidated by then
	started time.Time
	doubted bool // answers for the key could not be shared until the origin was in trouble: requests wait for this one no longer than doubtTime

	probes atomic.Int32 // requests that have gone on by themselves because the origin is in trouble

	ready chan struct{} // closed by publish
	fetchResult

	// mu may be taken under the table's lock, and the fan-out's lock under mu; never the other way round.
	// It is not held over cancel, whose context asks it for the deadline and the error.
	mu         sync.Mutex // guards the fields below
	published  bool
	refs       int       // waiters, the leader included, until it is published
	leaderless bool      // the leader has left
	joined     bool      // a request has joined, now or before: it may be reading entry, which is not written to any more
	late       bool      // a waiter's deadline has passed
	forever    bool      // one waits without a deadline
	deadline   time.Time // the latest of the waiters'
	endedBy    error     // what the context says when it is canceled
}

// fetchResult is what came of a fetch, for those who share it.
type fetchResult struct {
	entry    *stored.Entry // what can be shared, or nil. It is stored, or will be
	body     *sharedBody   // its body, if that is still on its way
	status   int           // the origin's, or 0 if it did not answer
	unstored bool          // entry is an answer of an origin in trouble: for the waiters, and not to be stored

	misattributed bool // what was sent had credentials that the key does not show
	apart         bool // the answer is for the leader alone: the connections of the others may be other ones

	response *http.Response // for the leader
	err      error          // for the leader, if there is no response
	failed   error          // why there was no answer, even if the leader got a stored one
	panicked *stream.Panic
	account  accounting
}

// detached is a context without its end. It does what context.WithoutCancel does, without an allocation for each value that is looked up.
// Its values stay readable after the leader's request has ended, for as long as the fetch goes on.
type detached struct{ context.Context }

func (*detached) Deadline() (deadline time.Time, ok bool) { return }
func (*detached) Done() <-chan struct{}                   { return nil }
func (*detached) Err() error                              { return nil }

// inflightContext is the context of a fetch. Its values are those of the leader's request. Its deadline is the latest of the waiters', for layers that plan ahead;
// no timer enforces it. It ends when the last waiter has left.
type inflightContext struct {
	context.Context
	fetch *inflightFetch
}

// Deadline changes as requests join: do not set a timer by it. It takes mu, so no caller may hold that.
func (c *inflightContext) Deadline() (time.Time, bool) {
	c.fetch.mu.Lock()
	defer c.fetch.mu.Unlock()
	return c.fetch.deadline, !c.fetch.forever
}

// Err gives the error of the last waiter's context (end). So the layers below can tell a deadline from a cancellation.
// What it has said it keeps: the end of a body may come between the end of that context and the call of end.
func (c *inflightContext) Err() error {
	err := c.Context.Err()
	if err != nil {
		c.fetch.mu.Lock()
		defer c.fetch.mu.Unlock()
		if c.fetch.endedBy == nil {
			c.fetch.endedBy = err
		}
		return c.fetch.endedBy
	}
	return nil
}

// newInflightFetch prepares the fetch of the request that leads it. It sends a copy of the request that is its own: the caller may be gone before it.
// join calls it with the table's lock held, so it does no I/O. The one reference is the leader's.
// If varies is true, answers for the key are known to vary, though not from what x has found in the store.
func newInflightFetch(x *exchange, varies bool) *inflightFetch {
	f := &inflightFetch{table: &x.cache.fetches, key: x.ownKey, ready: make(chan struct{}), refs: 1, started: time.Now(), seen: x.seen, began: x.cache.history.Now()}
	f.values.Context = x.request.Context()
	ctx, cancel := context.WithCancelCause(&f.values)
	f.cancel = cancel
	f.addWaiter(x.request.Context())
	f.context = inflightContext{ctx, f}
	// The header and the URL are copies: a caller that has left may change or reuse its own while the fetch is still being sent.
	f.sent = *x.request.WithContext(&f.context)
	f.request = &f.sent
	f.request.Header = field.Clone(x.request.Header, f.lines[:0])
	withoutCancel(f.request)
	f.url = *x.request.URL
	f.request.URL = &f.url
	if varies || len(x.knownSelectors()) > 0 {
		// A layer that sets a field in place, which none should, does so while others look for a fetch.
		f.alike = f.request.WithContext(&f.context)
		f.alike.Header = field.Clone(x.request.Header, nil)
	}
	return f
}

// end cancels the fetch with the reason for which its last request ended.
// It may be called more than once, and after the fetch has ended: the first reason counts. The caller does not hold mu.
func (f *inflightFetch) end(ctx context.Context) {
	f.mu.Lock()
	if f.endedBy == nil {
		f.endedBy = ctx.Err()
	}
	f.mu.Unlock()
	f.cancel(context.Cause(ctx)) // without the lock, for what it wakes may ask the context
}

// endFor cancels the fetch when the last reader of its body has left.
// FanOut.Finish calls it without the fan-out's lock. The end of a body, and a Close, are no reason that layers below would know.
func (f *inflightFetch) endFor(cause error) {
	if errors.Is(cause, http.ErrBodyReadAfterClose) || cause == io.EOF {
		cause = context.Canceled
	}
	f.cancel(cause)
}

// addWaiter counts in how long a request will wait. f.mu is held, or f is not shared yet.
func (f *inflightFetch) addWaiter(ctx context.Context) {
	// It only grows: a waiter that leaves does not bring it forward, since a layer below may have planned by it.
	deadline, ok := ctx.Deadline()
	switch {
	case !ok:
		f.forever = true
	case deadline.After(f.deadline):
		f.deadline = deadline
	}
}

// runApart is run on a goroutine of its own, which ends with the answer of the next handler, or with a small body; f.cancel hastens that.
func (f *inflightFetch) runApart(d rfc9111.Decision) {
	stream.GrowStack()
	f.run(d)
	// The answer has been published: an origin that sends its header and then waits holds up no caller.
	if f.body != nil {
		f.body.ReadAhead()
	}
}

// run does the exchange and publishes what came of it. A panic below, or a runtime.Goexit, is published too: it happens again in the leader.
// It is called once, after begin has filled lead, and blocks as long as the handlers below do. No lock is held.
func (f *inflightFetch) run(d rfc9111.Decision) {
	// The result is written by this goroutine alone until publish closes ready. The lease goes first: once published, the result must not change.
	returned := false
	defer func() {
		if !returned {
			value := recover()
			f.panicked = &stream.Panic{Value: value, Exited: value == nil}
			// send has closed the body by then, so nothing of it may be shared.
			f.entry, f.body = nil, nil
		}
		f.endLease()
		f.publish()
	}()
	f.response, f.err = f.lead.fetchUnderLease(d)
	returned = true
}

// publish lets the waiters see what came of the fetch. It is called once, by run, or by begin if there is no run.
// It takes the table's lock and mu one after the other. The caller holds neither.
func (f *inflightFetch) publish() {
	// A body on its way can be joined after ready is closed, so its fetch stays in the table until it is stored, or its copy is dropped.
	if f.body == nil || f.unstored {
		f.table.remove(f) // before a request that is released here looks for a fetch again
	}
	switch {
	case f.missed():
		f.table.setHitForMiss(f.key, true)
	case f.failed != nil, f.troubled():
		f.table.noteTrouble(f.key)
	}
	// The references become the fan-out's under the same lock under which leave gives one back and join takes one: each is counted in one place.
	f.mu.Lock()
	f.published = true
	refs, leaderless := f.refs, f.leaderless
	if f.body != nil {
		f.body.Refs = refs
	}
	f.mu.Unlock()
	answered := f.response != nil // read here: deliver takes the response once ready is closed
	close(f.ready)
	switch {
	// All waiters have left before. None is there to become a reader, so the source and the copy end here.
	case f.body != nil && refs == 0:
		stream.WithoutPanic(func() { f.body.Finish(context.Canceled) })
	// Only the leader would have taken the response; deliver will not run.
	case f.body == nil && leaderless:
		stream.WithoutPanic(func() { stream.CloseBody(f.response) })
		f.cancel(nil)
	// An error or a panic, or nothing was sent. No response is there whose end would end the context.
	case !answered:
		f.cancel(nil)
	}
}

// missed reports whether requests for the key had better not wait for one another: what the origin answered is not for several of them.
// An error of the origin says nothing about that.
// endLease and publish call it: the result is written, and ready is not closed yet.
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
	leftOthers leaveResult = iota // others still wait
	leftLast                      // none do: the fetch has been canceled
	tooLate                       // the fetch was published before, and the request still has its reference
)

// leave takes back the wait of a request.
// A waiter calls it once, without a lock. It blocks only for the moment between published and the closing of ready.
func (f *inflightFetch) leave(ctx context.Context, led bool) leaveResult {
	f.mu.Lock()
	if f.published {
		f.mu.Unlock()
		// The result may be read only after ready is closed.
		<-f.ready // it is about to be closed
		return tooLate
	}
	// published is false, so the references are still counted here and not by the fan-out.
	f.refs--
	f.leaderless = f.leaderless || led
	f.late = f.late || errors.Is(ctx.Err(), context.DeadlineExceeded)
	last := f.refs == 0
	f.mu.Unlock()
	if !last {
		return leftOthers
	}
	// Without mu: remove takes the table's lock. A request that finds f before it is removed is refused by join, because refs is zero.
	//	we: refs is zero      they: find f, do not join it      we: remove f, cancel it
	f.table.remove(f)
	f.end(ctx)
	return leftLast
}

// drop gives back the reference of a request that the published result is not for.
// It is called once for a reference, after ready is closed. Without a fan-out there is nothing to give back: the references ended with the wait.
func (f *inflightFetch) drop() {
	if f.body != nil {
		f.body.Leave(context.Canceled)
	}
}

// join adds a request that waits, or that shares what is there. The table's lock is held.
func (f *inflightFetch) join(x *exchange) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	// The fan-out counts this one. Its Join fails if the beginning of the body is gone.
	case f.published && (f.entry == nil || f.body == nil || !f.body.Join(x.now)):
		return false
	// A fetch without references is canceled, or about to be, and one that is late or stalled may never answer.
	case !f.published && (f.refs == 0 || f.late || x.now.Sub(f.started) > stream.StalledAfter):
		return false
	case !f.published:
		f.refs++
	}
	f.joined = true
	f.addWaiter(x.request.Context())
	return true
}

// outdated reports whether a group that the answer belongs to has been invalidated meanwhile: requests learn of its groups only with the answer.
// The caller has seen ready closed and entry set.
func (f *inflightFetch) outdated(history *invalidation.History) bool {
	if len(f.entry.Tags) <= 1 {
		return false
	}
	// Its own URIs were looked at when this request joined (invalidatedSince); here it is about what else the answer belongs to.
	own := rfc9111.URITags(nil, f.request)
	groups := slices.DeleteFunc(slices.Clone(f.entry.Tags), func(t invalidation.Tag) bool { return slices.Contains(own, t) })
	return len(groups) > 0 && history.Since(f.began, groups)
}

// hasAnswer reports whether the answer is there, and can be shared.
// The receive from ready makes entry visible, so no lock is needed to read it.
func (f *inflightFetch) hasAnswer() bool {
	select {
	case <-f.ready:
		return f.entry != nil
	default:
		return false
	}
}
