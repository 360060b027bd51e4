package cache

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/durable"
	"github.com/plyhttp/ply/middleware/cache/internal/lease"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/middleware/cache/internal/stream"
)

var (
	errElsewhere    = errors.New("another process asks the origin")
	errNotShareable = errors.New("what the origin answers is not for several requests")
)

// fetchUnderLease asks the origin, unless another process does so already: then it answers from what that one stores.
// It runs on the goroutine of an in-flight fetch, for all requests of this process that wait for it.
// It is called once, by run. It blocks for the store, the holder of the lease and the origin.
func (x *exchange) fetchUnderLease(d rfc9111.Decision) (*http.Response, error) {
	// The leader's own deadline must not end the wait: those who have joined may have more time.
	if x.wantsLease() {
		ctx, cancel := withoutDeadline(x.request.Context())
		// cancel also stops the AfterFunc, so nothing of the wait outlives the return.
		defer cancel()
		resp, next, err := x.waitForLease(ctx, d)
		d = next
		switch {
		case resp != nil:
			return resp, nil
		case x.request.Context().Err() != nil:
			x.closeRequest()
			return x.failed(d, context.Cause(x.request.Context()))
		case err == errElsewhere, err == errNotShareable:
			x.closeRequest()
			return nil, err
		}
	}
	return x.fetch(d)
}

// wantsLease reports whether the processes that share the store are to share this fetch. They are not while the store fails.
func (x *exchange) wantsLease() bool {
	// What is false here costs one request per process, never a wrong answer.
	l := x.cache.leases
	return l != nil && !x.cache.closed.Load() && x.mayShare() && x.seen != nil && !l.Store.Client.Failing()
}

// withoutDeadline returns a context that ends when ctx is canceled, and has no deadline: that of a fetch is put off when others join it,
// and package context, which would set a timer for the first one, does not hear of that.
// The caller must call the function that it returns.
func withoutDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	// Two contexts with one end: ctx passes its cancellation and its cause on, by the AfterFunc, and nothing else but its values.
	undated, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	return undated, func() { stop(); cancel(nil) }
}

// waitForLease returns the answer that another process has stored, or what to ask the origin now: under a lease of our own, or without one.
// It holds no lock. If it returns with a lease, that is in x.inflight.lease, and endLease, copyDropped or put ends it.
func (x *exchange) waitForLease(ctx context.Context, d rfc9111.Decision) (resp *http.Response, next rfc9111.Decision, err error) {
	// before is what the decision was made on: what is stored then is what the other process has brought.
	l, before := x.cache.leases, x.selected
	over := time.NewTimer(l.TTL) // for everything: holders that die one after the other cost no more than one
	defer over.Stop()
	waited := false
	// Each round ends in one of three ways: with the lease in our hands, with a reason to ask without one, or with a wait for its holder.
	// After a wait the store is read again, because the holder may have stored what we need. The rounds are bounded, so that holders that
	// come and go cannot keep a request from the origin for ever.
	for range durable.MaxAttempts {
		mine, other, err := l.Acquire(ctx, x.leaseSubject())
		switch {
		case err != nil:
			x.cache.fault(ctx, "lease", err)
			return nil, d, err
		case other == nil:
			// Another process may have given its lease back between our lookup and our own lease:
			//	we: look up, find nothing
			//	                            they: store, give back
			//	we: acquire
			x.inflight.lease = mine // from now on the fetch gives it back, also if a callback panics
			if resp, d = x.lookUpAgain(ctx, d, before, waited); resp != nil {
				// Nothing was sent. Those who wait for this lease find the same answer, one after the other.
				mine.End(lease.ReleaseInTurn)
			}
			return resp, d, nil
		case other.Release == lease.ReleaseAll && !x.hasStandIn():
			return nil, d, errNotShareable
		case other.Release != lease.ReleaseInTurn: // without a lease; if something could stand in for an error, together with the waiters of this process
			return nil, d, nil
		case x.background:
			return nil, d, errElsewhere
		}
		// No lease is held here, so a caller that goes away leaves nothing behind that another process would wait for.
		err = l.Wait(ctx, other, over.C)
		if err != nil && err != lease.ErrOverdue {
			x.cache.fault(ctx, "lease", err)
			return nil, d, err
		}
		// The holder has given back, has been replaced, or has taken too long (ErrOverdue). What is stored now decides.
		waited = true
		if resp, d = x.lookUpAgain(ctx, d, before, waited); resp != nil || err != nil {
			return resp, d, err
		}
	}
	return nil, d, durable.ErrContended
}

// leaseSubject is what a lease for this exchange is about.
func (x *exchange) leaseSubject() *lease.Subject {
	s := &lease.Subject{Key: x.ownKey, URL: rfc9111.DisplayURL(x.request), Tags: x.knownTags(), Seen: x.seen}
	// Sorted and without repetitions, so that two processes make the same subject of the same request.
	var names []string
	for _, known := range x.knownSelectors() {
		names = append(names, known.Name)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		value, present := rfc9111.Selecting(x.request, name, x.cache.hashKey())
		s.Selectors = append(s.Selectors, stored.Selector{Name: name, Present: present, Value: value})
	}
	return s
}

// lookUpAgain answers from what another process has stored since, or returns what to ask the origin now.
// A request that has waited takes what was fetched meanwhile even if it is not fresh any more; see acceptsFetched.
// It blocks in the store. Recheck comes first: what memory holds may be older than what the other process has stored.
func (x *exchange) lookUpAgain(ctx context.Context, d rfc9111.Decision, before *stored.Entry, waited bool) (*http.Response, rfc9111.Decision) {
	c := x.cache
	// L1 is this process's own, and hears of what others store only now and then.
	c.durable.L1.Recheck(c.durable.RecordKey(x.ownKey), c.durable.RecordKey(x.foundKey))
	next := x.relookup(x.request.WithContext(ctx))
	e := x.selected
	switch {
	case x.ahead != nil && e != nil && !e.FetchedSince(before):
		return nil, d // it is fresh, and to be refreshed all the same
	case next.Action == rfc9111.Serve:
		return x.answerFromStore(e, d, next.Detail, waited), d
	case waited && e.FetchedSince(before) && e.Part == nil && x.acceptsFetched(e, x.now):
		return x.answerFromStore(e, d, "", true), d
	case next.Action == rfc9111.ServeStale && !e.HasValidator():
		next.Action = rfc9111.Fetch
	case next.Action == rfc9111.ServeStale:
		next.Action = rfc9111.Validate
	}
	if next.Fwd == "" {
		next.Fwd = d.Fwd
	}
	return nil, next
}

// answerFromStore answers from the store, for all who share the fetch.
// It writes the result of the fetch, so it must come before publish.
func (x *exchange) answerFromStore(e *stored.Entry, d rfc9111.Decision, detail string, waited bool) *http.Response {
	c, now := x.cache, time.Now()
	x.closeRequest() // nothing is sent
	x.inflight.entry = e
	a := accounting{counter: c.stats.hits.cell(), status: Status{Hit: true, TTL: e.TTL(now), HasTTL: true, Detail: detail}}
	if a.stale = a.status.TTL <= 0; waited {
		a.counter, a.collapsed, a.stale = &c.stats.misses, true, false
		a.status.Hit, a.status.Fwd, a.status.Collapsed = false, Forward(d.Fwd), true
		a.status.Detail = joined(d.Detail, "fetched by another process")
	}
	x.report(a)
	return x.answer(x.parsed, e, x.request, now, a.status.String())
}

// lease is the lease of the fetch that this exchange is, or nil. A nil lease can be ended.
func (x *exchange) lease() *lease.Lease {
	if x.inflight == nil { // it asks by itself, so no other process waits for it
		return nil
	}
	return x.inflight.lease
}

// endLease gives the lease of a fetch back, exactly once (Lease.End ignores a second call): when its answer is there, unless that is on its way to the store: then put or copyDropped does so.
// f's result is written, and not yet published.
func (f *inflightFetch) endLease() {
	// A waiter of another process that wakes finds, by what release says, whether to ask at once, in turn, or as one of its process.
	switch {
	case f.missed(): // the answer is for one request: each waiter asks for itself
		f.lease.End(lease.ReleaseAll)
	case f.entry != nil && !f.unstored: // a waiter that woke now would read the store before the entry is in it
	case f.failed != nil && !ownError(f.failed), inTrouble(f.status):
		f.lease.End(lease.ReleaseOnePerProcess)
	default:
		f.lease.End(lease.ReleaseInTurn)
	}
}

// releaseAfterDrop says how those go on who have waited for a body that is not stored.
func releaseAfterDrop(o *stream.Outcome) lease.Release {
	// A caller that left early says nothing about the answer: the next waiter may well store it.
	if o.Reason == stream.NotReadToItsEnd {
		return lease.ReleaseInTurn
	}
	return lease.ReleaseOnePerProcess
}

// releaseAfterPut is the same after an attempt to store.
func releaseAfterPut(err error) lease.Release {
	// The answer was for its caller alone, and so will the next ones be: to wait gains nothing.
	if err == errCredentialsBelow {
		return lease.ReleaseAll
	}
	return lease.ReleaseAfter(err)
}
