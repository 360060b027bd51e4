package cache

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/plyhttp/ply/internal/body"
	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/middleware/cache/internal/stream"
)

// WithoutCollapsing returns a context for requests that share no exchange with others: each that the store cannot answer goes to the origin by itself.
// It is never sent to the server.
func WithoutCollapsing(ctx context.Context) context.Context {
	return choosing(ctx, func(c *choices) { c.noCollapse = true })
}

// maxRounds bounds how often a request waits for the fetch of another that turns out not to be for it. Then it asks by itself.
const maxRounds = 4

// mayCollapse reports whether a request may share a fetch with others at all.
func (x *exchange) mayCollapse() bool {
	return !x.cache.noCollapse && endsByContext(x.request) && x.parsed.Bypass == "" && x.ownKey != "" && !choicesOf(x.request.Context()).noCollapse && (x.mayLead() || x.mayShare())
}

// endsByContext reports whether a caller can end its request by the context. One that can only do so by the field Cancel does not wait for others.
func endsByContext(r *http.Request) bool {
	//lint:ignore SA1019 there may be callers of before Go 1.7
	return r.Cancel == nil || r.Context().Done() != nil
}

// withoutCancel takes the field Cancel from a request that does not end with its caller's. An http.Client with a Timeout sets it beside a deadline.
func withoutCancel(r *http.Request) {
	//lint:ignore SA1019 net/http still obeys it
	r.Cancel = nil
}

// mayLead reports whether others can wait for the answer to this request. They cannot if the answer is about a part or a copy that only its caller has,
// or is not to be stored.
func (x *exchange) mayLead() bool {
	a := x.parsed
	return !a.Head && !a.Conditional() && len(a.Ranges) == 0 && a.Mode != rfc9111.ModeReadOnly && stream.Replayable(x.request)
}

// mayShare reports whether the answer to an earlier request can be the answer to this one. It cannot if the caller demands one from the origin.
func (x *exchange) mayShare() bool {
	a := x.parsed
	return a.Mode != rfc9111.ModeReload && a.Mode != rfc9111.ModeNoCache && !a.Directives.NoCache && !a.Pragma && !(a.Directives.MaxAge.Set && a.Directives.MaxAge.Value == 0)
}

// step says how a request goes on that has led a fetch, or waited for one.
type step uint8

const (
	answered   step = iota // it has its answer, or its error
	fetchAlone             // it asks the origin by itself, at once and together with all who have waited: waiting again would gain nothing
	joinAgain              // it joins or leads the next fetch
)

// collapse answers a request by a fetch that others may share.
// It runs on the caller's goroutine, without a lock, and blocks until the answer, an error, or the end of the caller's context.
func (x *exchange) collapse(d rfc9111.Decision) (*http.Response, error) {
	// A request that asks by itself as a probe counts until it has its answer, also if a layer below panics.
	defer x.cache.fetches.probed(x)
	// In each round it owns at most one reference, and lead or share has given that back or passed it on when they return.
	for next, round := joinAgain, 0; next == joinAgain && round < maxRounds; round++ {
		var resp *http.Response
		var err error
		switch f, as := x.cache.fetches.join(x); as {
		case leads:
			resp, next, err = x.lead(f, d)
		case shares: // f may be of any leader: each of its fields that share reads is set before ready is closed
			resp, next, err = x.share(f, d)
			x.unshared = next == fetchAlone
		default:
			next = fetchAlone
		}
		if next == answered {
			return resp, err
		}
	}
	return x.fetch(d)
}

// lead begins a fetch and waits for it, as the waiters do. The fetch runs on a goroutine of its own, for the caller may leave while others still wait;
// a caller whose context has no end cannot, and carries it out itself.
// The caller owns the leader's reference. It blocks until the fetch is published or the caller's context ends.
func (x *exchange) lead(f *inflightFetch, d rfc9111.Decision) (*http.Response, step, error) {
	// f is in the table already. begin either starts run or publishes f empty, so those who have joined are released in any case.
	resp, begun := x.begin(f, d)
	switch {
	case resp != nil:
		return resp, answered, nil
	case !begun:
		return nil, fetchAlone, nil
	}
	// From here on the leader is a waiter like the others, with one reference. It may leave first:
	//	leader: leaves, others still wait   the fetch: goes on for the others   the last one: leaves, and ends it
	ctx := x.request.Context()
	select {
	case <-f.ready:
		resp, err := x.deliver(f, d)
		return resp, answered, err
	case <-ctx.Done():
	}
	left := f.leave(ctx, true)
	// The answer came first. A caller whose context has ended gets it all the same: its reader sees the end of the context by itself.
	if left == tooLate { // published in between: the reference is still ours, and the body that comes with it
		resp, err := x.deliver(f, d)
		return resp, answered, err
	}
	resp, err := x.departed(f, d, left)
	return resp, answered, err
}

// begin starts a fetch, unless the store has the answer by now, or the request cannot be repeated. If it does not start one, for whatever reason,
// a panic in a callback of the user's included, it releases those who have joined.
func (x *exchange) begin(f *inflightFetch, d rfc9111.Decision) (resp *http.Response, begun bool) {
	defer func() {
		if !begun {
			f.publish()
		}
	}()
	if x.cache.fetches.storedSince(x.ownKey, x.now) {
		// Another fetch may have ended between our lookup and our turn here:
		//	we: look up, find nothing
		//	                            they: store, leave the table
		//	we: find no fetch, so lead
		if resp = x.lookAgain(); resp != nil {
			return resp, false
		}
	}
	if x.request.Context().Err() != nil {
		return nil, false // a canceled caller must not lead; it gets what the layers below make of its request
	}
	// The fetch works on a copy of the exchange. This one goes on with the caller, who may leave before the fetch ends.
	f.lead = x.copied()
	f.lead.request, f.lead.inflight = f.request, f
	// Two bodies: the fetch sends one of its own, and the caller's is closed, as a transport closes what it has sent.
	if stream.Rewind(f.request) != nil {
		return nil, false
	}
	x.closeRequest()
	begun = true // before run, which publishes: it may not return here if a layer below calls runtime.Goexit
	if x.request.Context().Done() == nil {
		f.run(d) // the caller cannot leave before the answer; those who join wait for f.ready in any case
	} else {
		go f.runApart(d)
	}
	return nil, true
}

// lookAgain answers from the store if it can by now.
// It blocks in the store, so no lock is held. x has what was found afterwards, whether or not that is an answer.
func (x *exchange) lookAgain() *http.Response {
	d := x.relookup(x.request)
	if d.Action != rfc9111.Serve {
		return nil
	}
	return x.serve(x.parsed, x.selected, x.request, x.now, d.Detail)
}

// departed answers a caller that has left a fetch: with a stale response if its deadline has passed, and else with an error.
// The caller has given its reference back.
func (x *exchange) departed(f *inflightFetch, d rfc9111.Decision, left leaveResult) (*http.Response, error) {
	// The fetch may go on for others. This caller has what is stored at the moment, or its own context's error.
	if stale := x.insteadAfterDeadline(d); stale != nil {
		return stale, nil
	}
	if left == leftLast {
		return nil, x.canceledError(f)
	}
	x.cache.stats.errors.Add(1)
	return nil, context.Cause(x.request.Context())
}

// canceledError waits for the end of a fetch that was canceled because its last waiter has left, and returns its error: what the layers below make
// of the cancellation is what the caller would see without a cache. It does not wait long.
// Only the last waiter calls it: the fetch was canceled on its behalf, so the error, or the panic, is its own. It blocks for DrainTime at most.
func (x *exchange) canceledError(f *inflightFetch) error {
	ctx := x.request.Context()
	slow := time.NewTimer(stream.DrainTime)
	defer slow.Stop()
	select {
	case <-f.ready:
	case <-slow.C:
		x.cache.stats.errors.Add(1)
		return context.Cause(ctx)
	}
	if f.panicked != nil {
		f.panicked.Again()
	}
	x.cache.stats.errors.Add(1)
	if f.err != nil && (errors.Is(f.err, ctx.Err()) || errors.Is(f.err, context.Cause(ctx))) {
		return f.err
	}
	return context.Cause(ctx)
}

// deliver gives the leader what came of its fetch, and reports that.
// Only the leader calls it, once, after ready is closed. It still has its reference: the reader takes it over, or drop gives it back.
func (x *exchange) deliver(f *inflightFetch, d rfc9111.Decision) (*http.Response, error) {
	// A panic of the layers below belongs to the request that was sent for the leader, so it goes on in the leader only.
	if f.panicked != nil {
		f.panicked.Again()
	}
	// Another process has said that answers for this key are not for several requests, so nothing was sent for this one yet.
	if f.err == errNotShareable {
		return x.sendAgain(d)
	}
	if f.err != nil {
		f.account.report(x)
		return nil, f.err
	}
	resp := f.response
	// Only the leader is left to read response; publish does so only if the leader has left.
	f.response = nil // the only reference: a body that the caller drops can be collected while the fetch goes on
	resp.Request = x.request
	switch {
	case f.body != nil:
		reader := &f.body.leader
		reader.init(x, f, resp)
		if f.body.Attach(&reader.Reader, 0, -1) == nil {
			// The others have read on so far that the beginning is gone, before this goroutine had its turn.
			f.drop()
			return x.sendAgain(rfc9111.Decision{Action: rfc9111.Fetch, Fwd: cachestatus.FwdMiss})
		}
		resp.Body = &reader.Reader
	case resp.StatusCode == http.StatusSwitchingProtocols: // the body is the connection, and no one else reads it
	case f.entry != nil || resp.Body == http.NoBody || fromStore(resp.Body):
		x.resumable(resp, x.request) // it was made for the request of the fetch, which ends here
		f.cancel(nil)
	default:
		resp.Body = f.live(x.request.Context(), resp.Body)
	}
	handOver(resp, func() { f.account.report(x) })
	return resp, nil
}

// fromStore reports whether a body is a stored one, which stands in for an answer that has failed.
func fromStore(rc io.ReadCloser) bool {
	switch rc.(type) {
	case stored.Narrower, *stream.Paced:
		return true
	}
	return false
}

// handOver does the last that is to be done before a caller gets a response. If that is a hook which panics, it closes the body: no caller will.
func handOver(resp *http.Response, last func()) {
	// Not by recover: the panic goes on to the caller unchanged.
	handed := false
	defer func() {
		if !handed {
			resp.Body.Close()
		}
	}()
	last()
	handed = true
}

// live is the body of an answer that only the leader gets: the fetch ends with the body, or with the caller's context.
func (f *inflightFetch) live(ctx context.Context, rc io.ReadCloser) io.ReadCloser {
	// Whichever comes first ends the fetch. To end it again does nothing.
	// The caller may leave without closing the body. Then its context ends the fetch, on a goroutine of the AfterFunc.
	if ctx.Done() != nil {
		f.unwatch = context.AfterFunc(ctx, func() { f.end(ctx) })
	}
	return body.WatchBy(rc, f, nil)
}

// BodyRead is called for each read of a live body.
func (f *inflightFetch) BodyRead(_ int, err error) error { return err }

// BodyDone is called when a live body has ended, or is closed.
func (f *inflightFetch) BodyDone(error) {
	if f.unwatch != nil {
		f.unwatch()
	}
	f.cancel(nil)
}

// sendAgain sends by itself a request whose body has been closed.
// It is a second exchange for one request, without others: the reference to the fetch has been given back, or there is none.
func (x *exchange) sendAgain(d rfc9111.Decision) (*http.Response, error) {
	// The copy takes the new body. The response names the caller's own request, as that of a transport does.
	caller := x.request
	r := *caller
	x.request = &r
	if err := stream.Rewind(&r); err != nil {
		return nil, err
	}
	resp, err := x.fetch(d)
	if resp != nil {
		resp.Request = caller
	}
	return resp, err
}
