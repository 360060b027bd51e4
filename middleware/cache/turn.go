package cache

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// skipTime is for how long a process leaves a refresh to another one before it looks whether that is still at it.
const skipTime = 250 * time.Millisecond

var (
	errElsewhere = errors.New("another process asks the origin")
	errNoUse     = errors.New("what the origin answers is not for several requests")
	errOverdue   = errors.New("another process has not got an answer in time")
)

// underLease asks the origin, unless another process does so already: then it answers from what that one stores.
func (x *exchange) underLease(d decision) (*http.Response, error) {
	l := x.cache.leases
	if l == nil || x.cache.closed.Load() || !x.mayShare() || x.seen == nil || l.durable.guard.failing() {
		return x.alone(d)
	}
	ctx, cancel := undated(x.request.Context())
	defer cancel()
	resp, d, err := x.awaitTurn(ctx, d)
	switch {
	case resp != nil:
		return resp, nil
	case x.request.Context().Err() != nil:
		x.closeRequest()
		return x.failed(d, context.Cause(x.request.Context()))
	case err == errElsewhere, err == errNoUse:
		x.closeRequest()
		return nil, err
	}
	return x.alone(d)
}

// undated returns a context that ends when ctx is canceled, and knows of no deadline: that of a flight is put off when others join it,
// and who relies on it, as package context does, sets no timer of its own.
func undated(ctx context.Context) (context.Context, context.CancelFunc) {
	undated, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	return undated, func() { stop(); cancel(nil) }
}

// awaitTurn returns the answer that another process has stored, or what to ask the origin now: under a lease of our own, or without one.
func (x *exchange) awaitTurn(ctx context.Context, d decision) (resp *http.Response, next decision, err error) {
	l, before := x.cache.leases, x.selected
	over := time.NewTimer(l.lasts) // for everything: one who dies after the other costs no more
	defer over.Stop()
	waited := false
	for range maxAttempts {
		mine, other, err := l.take(ctx, x)
		switch {
		case err != nil:
			x.cache.fault(ctx, "lease", err)
			return nil, d, err
		case other == nil:
			// Between our look into the store and our lease, another process may have given its own back:
			//	we: nothing stored   they: store, give back   we: take
			x.flight.lease = mine // which gives it back, also if a callback panics
			if resp, d = x.elsewhere(ctx, d, before, waited); resp != nil {
				mine.end(inTurn)
			}
			return resp, d, nil
		case other.parting == each && !x.hasStandIn():
			return nil, d, errNoUse
		case other.parting != inTurn: // without a lease; if something could stand in for an error, with those of this process who wait
			return nil, d, nil
		case x.behind:
			return nil, d, errElsewhere
		}
		err = l.await(ctx, other, over.C)
		if err != nil && err != errOverdue {
			x.cache.fault(ctx, "lease", err)
			return nil, d, err
		}
		waited = true
		if resp, d = x.elsewhere(ctx, d, before, waited); resp != nil || err != nil {
			return resp, d, err
		}
	}
	return nil, d, errContended
}

// elsewhere answers from what another process has stored meanwhile, and else returns what to ask the origin now.
// One who has waited takes what was fetched meanwhile even if it is fresh no more: it is no older than what it would have got by itself.
func (x *exchange) elsewhere(ctx context.Context, d decision, before *Entry, waited bool) (*http.Response, decision) {
	c, now := x.cache, time.Now()
	c.durable.near.distrust(c.durable.place(x.own), c.durable.place(x.foundIn))
	var f found
	c.find(&f, &x.ask, []byte(x.own), x.request.WithContext(ctx), now)
	x.set, x.selected, x.seen, x.now = f.set, f.entry, f.seen, now
	x.lies(f.key)
	next, e := decide(&x.ask, &f, now), f.entry
	switch {
	case next.action == serve:
		return x.answerWith(e, d, next.detail, waited), d
	case waited && e.since(before) && e.part == nil && e.suitsAll() && x.ask.unacceptable(e, e.age(now), e.left(now), e.left(now) > 0) == "":
		return x.answerWith(e, d, "", true), d
	case next.action == serveStale && !e.hasValidator():
		next.action = fetch
	case next.action == serveStale:
		next.action = validate
	}
	if next.fwd == "" {
		next.fwd = d.fwd
	}
	return nil, next
}

// since tells whether a stored response is another one than that of before.
func (e *Entry) since(before *Entry) bool {
	return e != nil && (before == nil || !e.received.Equal(before.received))
}

// answerWith answers from the store, for all who share the exchange.
func (x *exchange) answerWith(e *Entry, d decision, detail string, waited bool) *http.Response {
	c, now := x.cache, time.Now()
	x.closeRequest()
	x.flight.entry = e
	t := told{counter: c.stats.hits.cell(), status: Status{Hit: true, TTL: e.ttl(now), HasTTL: true, Detail: detail}}
	if t.stale = t.status.TTL <= 0; waited {
		t.counter, t.collapsed, t.stale = &c.stats.misses, true, false
		t.status.Hit, t.status.Fwd, t.status.Collapsed = false, d.fwd, true
		t.status.Detail = joined(d.detail, "fetched by another process")
	}
	x.report(t)
	return answer(&x.ask, e, x.request, now, t.status.String())
}

// skip keeps a refresh that is left to another process from being tried again at once.
func (l *leases) skip(ctx context.Context) {
	pause := time.NewTimer(min(skipTime, l.lasts))
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
	}
}
