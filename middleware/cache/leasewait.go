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

// releaseAfterDrop is what those do who have waited for a body that is not stored.
func releaseAfterDrop(o *stream.Outcome) lease.Release {
	if o.Reason == stream.NotReadToItsEnd {
		return lease.ReleaseInTurn
	}
	return lease.ReleaseOnePerProcess
}

// lease is the lease of an exchange, or nil.
func (x *exchange) lease() *lease.Lease {
	if x.inflight == nil {
		return nil
	}
	return x.inflight.lease
}

// endLease gives the lease of an exchange back, unless the answer is on its way to the store.
func (f *inflightFetch) endLease() {
	switch {
	case f.missed():
		f.lease.End(lease.ReleaseAll)
	case f.entry != nil && !f.unstored: // who stores it gives it back
	case f.failed != nil && !ownError(f.failed), inTrouble(f.status):
		f.lease.End(lease.ReleaseOnePerProcess)
	default:
		f.lease.End(lease.ReleaseInTurn)
	}
}

var (
	errElsewhere    = errors.New("another process asks the origin")
	errNotShareable = errors.New("what the origin answers is not for several requests")
)

// fetchUnderLease asks the origin, unless another process does so already: then it answers from what that one stores.
func (x *exchange) fetchUnderLease(d rfc9111.Decision) (*http.Response, error) {
	l := x.cache.leases
	if l == nil || x.cache.closed.Load() || !x.mayShare() || x.seen == nil || l.Store.Client.Failing() {
		return x.fetch(d)
	}
	ctx, cancel := withoutDeadline(x.request.Context())
	defer cancel()
	resp, d, err := x.waitForLease(ctx, d)
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
	return x.fetch(d)
}

// withoutDeadline returns a context that ends when ctx is canceled, and knows of no deadline: that of a flight is put off when others join it,
// and who relies on it, as package context does, sets no timer of its own.
func withoutDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	undated, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	return undated, func() { stop(); cancel(nil) }
}

// waitForLease returns the answer that another process has stored, or what to ask the origin now: under a lease of our own, or without one.
func (x *exchange) waitForLease(ctx context.Context, d rfc9111.Decision) (resp *http.Response, next rfc9111.Decision, err error) {
	l, before := x.cache.leases, x.selected
	over := time.NewTimer(l.TTL) // for everything: one who dies after the other costs no more
	defer over.Stop()
	waited := false
	for range durable.MaxAttempts {
		mine, other, err := l.Acquire(ctx, x.leaseSubject())
		switch {
		case err != nil:
			x.cache.fault(ctx, "lease", err)
			return nil, d, err
		case other == nil:
			// Between our look into the store and our lease, another process may have given its own back:
			//	we: nothing stored   they: store, give back   we: take
			x.inflight.lease = mine // which gives it back, also if a callback panics
			if resp, d = x.lookUpAgain(ctx, d, before, waited); resp != nil {
				mine.End(lease.ReleaseInTurn)
			}
			return resp, d, nil
		case other.Release == lease.ReleaseAll && !x.hasStandIn():
			return nil, d, errNotShareable
		case other.Release != lease.ReleaseInTurn: // Without a lease; if something could stand in for an error, with those of this process who wait
			return nil, d, nil
		case x.background:
			return nil, d, errElsewhere
		}
		err = l.Wait(ctx, other, over.C)
		if err != nil && err != lease.ErrOverdue {
			x.cache.fault(ctx, "lease", err)
			return nil, d, err
		}
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

// lookUpAgain answers from what another process has stored meanwhile, and else returns what to ask the origin now.
// One who has waited takes what was fetched meanwhile even if it is fresh no more: it is no older than what it would have got by itself.
func (x *exchange) lookUpAgain(ctx context.Context, d rfc9111.Decision, before *stored.Entry, waited bool) (*http.Response, rfc9111.Decision) {
	c, now := x.cache, time.Now()
	c.durable.L1.Recheck(c.durable.RecordKey(x.ownKey), c.durable.RecordKey(x.foundKey))
	var f lookup
	c.find(&f, &x.parsed, []byte(x.ownKey), x.request.WithContext(ctx), now)
	x.variants, x.selected, x.seen, x.now = f.Variants, f.Entry, f.seen, now
	x.setKeys(f.Key)
	next, e := rfc9111.Decide(&x.parsed, &f.Lookup, now), f.Entry
	switch {
	case next.Action == rfc9111.Serve:
		return x.answerFromStore(e, d, next.Detail, waited), d
	case waited && e.FetchedSince(before) && e.Part == nil && e.AnswersWaiters() && x.parsed.Unacceptable(e, e.Age(now), e.FreshFor(now), e.FreshFor(now) > 0) == "":
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

// answerFromStore answers from the store, for all who share the exchange.
func (x *exchange) answerFromStore(e *stored.Entry, d rfc9111.Decision, detail string, waited bool) *http.Response {
	c, now := x.cache, time.Now()
	x.closeRequest()
	x.inflight.entry = e
	t := accounting{counter: c.stats.hits.cell(), status: Status{Hit: true, TTL: e.TTL(now), HasTTL: true, Detail: detail}}
	if t.stale = t.status.TTL <= 0; waited {
		t.counter, t.collapsed, t.stale = &c.stats.misses, true, false
		t.status.Hit, t.status.Fwd, t.status.Collapsed = false, Forward(d.Fwd), true
		t.status.Detail = joined(d.Detail, "fetched by another process")
	}
	x.report(t)
	return answer(&x.parsed, e, x.request, now, t.status.String())
}
