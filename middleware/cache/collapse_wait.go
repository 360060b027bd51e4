package cache

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/plyhttp/ply/internal/credential"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// share waits for the fetch of another request and answers from it, if the answer is for this request, too.
//
// The table has counted a reference for it (inflightFetch.join). Each path gives that back: leave does while the fetch is under way; afterwards drop,
// or the reader that takes it over (FanOut.Attach).
func (x *exchange) share(f *inflightFetch, d rfc9111.Decision) (*http.Response, step, error) {
	// Once f.ready is closed, the fetch's result never changes, so what follows reads it without a lock.
	// waited matters for what is stale by now: a request that has waited takes it (acceptsFetched), one that comes later does not.
	waited := false
	select {
	case <-f.ready:
	default:
		waited = true
		// A fetch that is published between the end of the wait and leave (tooLate) has an answer after all, and the reference is still ours.
		switch ended, tooLong := f.wait(x.request.Context()); {
		case tooLong && f.leave(x.request.Context(), false) != tooLate: // the fetch goes on for the others; it ends if this was the last
			x.cache.fetches.setHitForMiss(x.ownKey, true)
			return nil, fetchAlone, nil
		case !ended && !tooLong:
			return x.abandon(f, d)
		}
	}
	// From the strictest case to the mildest: who may not see the answer at all comes before what could be made of it.
	switch {
	case f.misattributed: // it was sent with credentials that the key does not show, so the answer is its leader's alone
		f.drop()
		return nil, fetchAlone, nil
	// Such an answer has no fan-out (mayShareUnstored), so there is no reference to give back.
	case f.apart:
		return nil, fetchAlone, nil
	case f.troubled():
		return x.shareTrouble(f, d)
	case f.entry != nil:
		return x.shareEntry(f, d, waited)
	case f.failed != nil:
		return x.shareError(f, d)
	// run has taken the fan-out away, so here, too, no reference is left.
	case f.panicked != nil: // the leader has the panic
		return nil, joinAgain, nil
	case f.status == 0: // the leader has found the answer in the store
		// Looking there beats joining the next fetch, whose leader would find it there, too: that could go on until the rounds are over.
		if resp := x.lookAgain(); resp != nil {
			return resp, answered, nil
		}
		return nil, joinAgain, nil
	}
	return nil, fetchAlone, nil
}

// shareEntry answers from a fetch that has brought a response which can be shared, if it is for this request.
// The caller has a reference if the body is still on its way. Each return gives it back, or has made it a reader's.
func (x *exchange) shareEntry(f *inflightFetch, d rfc9111.Decision, waited bool) (*http.Response, step, error) {
	switch {
	// The answer varies on a field in which the requests differ, which became known only with it. Next time, find compares these fields before it joins:
	//	we: join      they: answer with Vary      we: do not match, remember the fields, join a fetch that matches, or lead
	case !rfc9111.Selects(f.entry, x.request, x.cache.hashKey()):
		x.learned = f.entry.Selectors
		f.drop()
		return nil, joinAgain, nil
	// The history is asked once the answer, and with it its groups, are there: this request may have joined before.
	case f.outdated(&x.cache.history):
		f.drop() // this request may have come after the invalidation, and it did not know the answer's groups when it began to wait
		return nil, joinAgain, nil
	}
	if resp := x.shareAnswer(f, d, waited); resp != nil {
		return resp, answered, nil
	}
	return nil, fetchAlone, nil
}

// shareError answers from a fetch that has failed, unless the error may be due to the request that was sent.
// There is no fan-out, so no reference is left. If the error is the answer, the caller's request is not sent, so its body is closed here.
func (x *exchange) shareError(f *inflightFetch, d rfc9111.Decision) (*http.Response, step, error) {
	// Those who try again do not all send at once: one leads and the others join it. maxRounds bounds how often.
	if x.errorIsPrivate(f) || f.panicked != nil || ownError(f.failed) && x.mayTryAgain() {
		return nil, joinAgain, nil
	}
	// Each waiter looks for a stale response by itself: what may stand in depends on its own directives.
	x.closeRequest()
	resp, err := x.failed(d, f.failed)
	return resp, answered, err
}

// wait waits until a fetch has ended, or is not worth waiting for any longer. ended is true even if the request's context has ended meanwhile.
// It blocks without a lock, and keeps the caller's reference.
func (f *inflightFetch) wait(ctx context.Context) (ended, tooLong bool) {
	// First alone: of two cases that are ready, select would pick either, and an answer that is there counts more than a context that has ended.
	select {
	case <-f.ready:
		return true, false
	default:
	}
	// f.doubted was set before the fetch was in the table. A nil channel never fires.
	var over <-chan time.Time
	if f.doubted {
		timer := time.NewTimer(time.Until(f.started.Add(doubtTime)))
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-f.ready:
		return true, false
	// The answer may be there at the same moment, and select picks either. leave finds that out: it says tooLate.
	case <-ctx.Done():
		return false, false
	case <-over:
		return false, true
	}
}

// abandon ends the wait of a caller that has gone.
// It gives the reference back: leave does, or, if the fetch was published first, drop.
func (x *exchange) abandon(f *inflightFetch, d rfc9111.Decision) (*http.Response, step, error) {
	// The fetch sends the leader's request. This one was never sent, so its body is closed here.
	defer x.closeRequest()
	left := f.leave(x.request.Context(), false)
	if left == tooLate {
		f.drop()
	}
	// departed may wait for the layers below to return, without a reference and without a lock.
	resp, err := x.departed(f, d, left)
	return resp, answered, err
}

// ownError reports whether an error may be due to the request that was sent, rather than to the origin: another request could fare better.
func ownError(err error) bool {
	var unverified *tls.CertificateVerificationError // others may verify it, or not verify at all
	return errors.As(err, &unverified) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// errorIsPrivate reports whether an error must not pass between two requests: where the key does not tell their credentials apart, it may be about one principal.
func (x *exchange) errorIsPrivate(f *inflightFetch) bool {
	if !x.cache.policy.Shared || !x.parsed.Credentials && !f.lead.parsed.Credentials {
		return false
	}
	// f.request is the leader's clone: its header does not change while others read it.
	mine, its := credential.Of(x.request), credential.Of(f.request)
	return !mine.Has(f.request) || !its.Has(x.request)
}

// couldUse reports whether a stored response could answer the request at this moment, without asking the origin.
// find calls it under the table's lock: it only computes.
func (x *exchange) couldUse(e *stored.Entry, now time.Time) bool {
	d := rfc9111.Decide(x.parsed, &rfc9111.Lookup{Entry: e, Variants: &stored.Variants{Entries: []*stored.Entry{e}}}, now)
	return d.Action == rfc9111.Serve || d.Action == rfc9111.ServeStale
}

// acceptsFetched reports whether a request that has waited for an entry takes it, even if it is not fresh any more: it is no older than what
// the request would have got by itself.
func (x *exchange) acceptsFetched(e *stored.Entry, now time.Time) bool {
	left := e.FreshFor(now)
	return e.AnswersWaiters() && x.parsed.Unacceptable(e, e.Age(now), left, left > 0) == ""
}

// shareAnswer answers from what another fetch has brought, in the form that a hit would have. It is nil if that is not possible.
// It consumes the reference to the body.
func (x *exchange) shareAnswer(f *inflightFetch, d rfc9111.Decision, waited bool) *http.Response {
	// The reference goes to the reader if the body is attached, and back otherwise, on each way out.
	attached := false
	defer func() {
		if !attached { // a filter may have panicked
			f.drop()
		}
	}()
	e, now := f.entry, time.Now()
	if !(waited && x.acceptsFetched(e, now)) && !x.couldUse(e, now) || x.cache.refuses(x.request, e) {
		return nil
	}
	// Of a body that is on its way, the entry knows no size yet.
	length := e.Body.Size()
	if f.body != nil {
		length = f.body.Length
	}
	// A part or a 304 of it, if the request asks for one: the fetch was sent without such conditions, so the whole is here.
	form := rfc9111.ShapedAs(x.parsed, e, length, now)
	if form == rfc9111.Unshapable {
		return nil
	}
	s := Status{Fwd: Forward(d.Fwd), FwdStatus: f.status, Collapsed: true, TTL: e.TTL(now), HasTTL: true, Detail: d.Detail}
	age := strconv.FormatInt(int64(e.Age(now)/time.Second), 10)
	resp := x.resumable(x.cache.replayed(e.Response(x.request, x.parsed.Head, age, s.String(), form), e, x.request), x.request)
	// The beginning may be gone by now, if the others have read on: then this request asks by itself.
	if attached = x.attachBody(f, resp, form); !attached {
		return nil
	}
	return x.deliverShared(resp, s)
}

// deliverShared counts what another fetch has brought, and hands it over.
// The response is complete, its reader attached. If a hook panics, handOver closes the body, and with that the reader ends.
func (x *exchange) deliverShared(resp *http.Response, s Status) *http.Response {
	x.cache.stats.of(s).Add(1)
	x.cache.stats.collapsed.Add(1)
	handOver(resp, func() {
		x.closeRequest()
		x.cache.answered(x.request, s)
	})
	return resp
}

// attachBody gives a response its body, if that is still on its way. It is false if the beginning is gone, and then the reference remains.
// After true, the reference is gone: it is a reader's, or was given back because no body is needed.
func (x *exchange) attachBody(f *inflightFetch, resp *http.Response, form stored.Form) bool {
	if f.body == nil {
		return true
	}
	first, end := int64(0), int64(-1)
	switch {
	case form.Status == http.StatusPartialContent:
		first, end = form.Part.First, form.Part.Last+1
	case form.Status != 0:
		f.drop()
		return true
	case f.entry.Uncompressed:
		resp.ContentLength = -1
	default:
		resp.ContentLength = f.body.Length
	}
	if x.parsed.Head {
		f.drop()
		return true
	}
	// Attach publishes the reader: all of it must be set before.
	reader := &sharedReader{part: form.Status != 0}
	reader.init(x, f, resp)
	if !reader.part {
		resp.Trailer = f.body.Announced.Clone()
	}
	if f.body.Attach(&reader.Reader, first, end) == nil {
		return false
	}
	resp.Body = &reader.Reader
	return true
}

// knownSelectors returns the selectors of the variants that are known for the request's key.
// find calls it under the table's lock, leaseSubject without it. It reads only what is x's own.
// The clone is the caller's: find appends to it.
func (x *exchange) knownSelectors() []stored.Selector {
	// What this request has learned by waiting in vain, and what is stored, even if it is stale: a resource rarely changes the fields that it varies on.
	all := slices.Clone(x.learned)
	for _, e := range x.variants.All() {
		all = append(all, e.Selectors...)
	}
	return all
}

// selectsLike reports whether two requests have the same values in the fields that answers are known to vary on.
func (x *exchange) selectsLike(other *http.Request, known []stored.Selector) bool {
	return !slices.ContainsFunc(known, func(s stored.Selector) bool {
		mine, have := rfc9111.Selecting(x.request, s.Name, x.cache.hashKey())
		its, has := rfc9111.Selecting(other, s.Name, x.cache.hashKey())
		return have != has || mine != its
	})
}
