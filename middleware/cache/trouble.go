package cache

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/middleware/cache/internal/stream"
)

// An origin in trouble is asked by a few requests at a time. Those that wait for one of them when it fails get the stale response that may stand in,
// or what it has brought: its error, its answer if that may be shared, and otherwise the status alone.

const (
	// maxProbes is how many requests that have waited in vain for an answer that cannot be shared ask by themselves, at a time.
	maxProbes = 4

	// maxFailures is how many fetches a request waits for in vain before it takes their word that the origin is in trouble.
	maxFailures = 2

	// doubtTime is for how long requests wait for a fetch if answers before could not be shared, and the origin has failed since.
	// An origin in trouble may say so again soon; otherwise it may be one that answers only when it has something to say.
	doubtTime = time.Second

	// maxUnstoredBytes bounds the body of an answer that is shared though it is not stored.
	maxUnstoredBytes = 1 << 20
)

// inTrouble reports whether a status says that the origin cannot answer now, no matter which client asks (RFC 9110 §15.6, RFC 6585 §4).
func inTrouble(status int) bool { return status >= 500 || status == http.StatusTooManyRequests }

// troubled reports whether the origin has answered that it is in trouble, and the answer is not to be stored.
func (f *inflightFetch) troubled() bool {
	return inTrouble(f.status) && (f.entry == nil && f.failed == nil && f.panicked == nil || f.unstored)
}

// mayTryAgain counts a wait in vain. It reports whether the request is to join or lead another fetch, rather than take the word of the last one.
func (x *exchange) mayTryAgain() bool {
	x.failures++
	return x.failures < maxFailures
}

// hasStandIn reports whether something stored could stand in for an error.
func (x *exchange) hasStandIn() bool {
	if x.background || x.selected == nil {
		return false
	}
	// As if the origin could not be reached at all: that is the most that a stale response may stand in for.
	_, ok := rfc9111.OnError(x.parsed, x.selected, true, &x.cache.policy, x.now)
	return ok
}

// noteTrouble notes that the origin has answered with an error, and lets the waiters have that answer if they may.
func (p *originResponse) noteTrouble() {
	switch {
	case p.misattributed():
	case p.inflight == nil && p.ownKey != "":
		p.cache.fetches.noteTrouble(p.ownKey) // requests that come now may share what this one has heard
	case p.inflight != nil && p.inflight.entry == nil:
		p.shareUnstored()
	}
}

// shareUnstored lets the waiters have an answer that is not stored, unless it is about its own principal, or the origin forbids to use it for another request.
// Later requests ask the origin themselves.
func (p *originResponse) shareUnstored() {
	judged := rfc9111.Candidate{Request: p.request, Response: p.Response, Age: rfc9111.InitialAge(p.Header, p.requested, p.received), Carried: rfc9111.CarriedBy(p.request) | p.watch.carries()}
	if !p.mayShareUnstored(&judged) {
		return
	}
	e := p.newEntry(&judged)
	if slices.ContainsFunc(e.Selectors, rfc9111.Unhashed) {
		return
	}
	// The fetch's own goroutine, before publish: the result is not shared yet. unstored has publish take the fetch from the table,
	// so only those who have joined by then get this answer.
	f := p.inflight
	f.unstored = true
	if p.Body == http.NoBody && p.ContentLength <= 0 {
		e.Derive()
		f.entry = e
		return
	}
	b := new(sharedBody)
	b.BodyCopy, b.Ahead = p.newBodyCopy(e, nil, &b.claim), true
	// Memory only: an answer that is not to be stored must not reach a store, not even in pieces.
	b.Limit, b.OpenSink = min(b.Limit, maxUnstoredBytes), nil
	b.share(p, e)
}

// mayShareUnstored reports whether an answer that is not stored may be used for requests which have the same key, and have waited for it (RFC 9111 §5.2.2).
func (p *originResponse) mayShareUnstored(judged *rfc9111.Candidate) bool {
	c := p.cache
	switch {
	case p.followed, p.apart != "", p.misattributed(), p.parsed.Head, p.parsed.Directives.NoStore, !p.fitsUnstored():
		return false
	case rfc9111.UnstorableSize(p.Header) != "", rfc9111.UnstorableVary(p.Header) != "", rfc9111.UnstorableKind(judged, &c.policy) != "", len(p.Header["Set-Cookie"]) > 0:
		return false
	}
	d, _ := field.Controlling(p.Header, c.policy.Targeted)
	return !d.NoStore && !d.NoCache && !(c.policy.Shared && d.Private)
}

// fitsUnstored reports whether the end of the body can be told from a break, and there is room for its copy.
func (p *originResponse) fitsUnstored() bool {
	return !endsWithConnection(p.Response) && p.ContentLength <= maxUnstoredBytes && (p.Body == http.NoBody || p.cache.copyBudget.Has(stream.ScratchSize))
}

// shareTrouble answers a request that has waited for an origin in trouble. It gives the reference back, as share does.
func (x *exchange) shareTrouble(f *inflightFetch, d rfc9111.Decision) (*http.Response, step, error) {
	// What is stored and may stand in comes first: it costs the origin nothing.
	if rfc9111.IsServerError(f.status) {
		if stale := x.staleInsteadOf(f, d); stale != nil {
			x.closeRequest()
			return stale, answered, nil
		}
	}
	switch {
	case x.errorIsPrivate(f):
		f.drop()
		return nil, fetchAlone, nil
	case f.unstored && !rfc9111.Selects(f.entry, x.request, x.cache.hashKey()):
		x.learned = f.entry.Selectors
		f.drop()
		return nil, joinAgain, nil
	// The error itself is for those who have waited. attachBody takes the reference.
	case f.unstored:
		if resp := x.answerFromUnstored(f, d); resp != nil {
			return resp, answered, nil
		}
	// Of those who wait for one fetch, maxProbes go on by themselves. The counter is atomic, for all of them are released at once.
	case f.probes.Add(1) <= maxProbes:
		x.afterTrouble = true
		return nil, fetchAlone, nil
	}
	if x.mayTryAgain() {
		return nil, joinAgain, nil
	}
	// It has waited in vain twice. Before it takes the origin's word, it looks whether another request has fared better meanwhile.
	if x.cache.fetches.storedSince(x.ownKey, x.now) {
		if resp := x.lookAgain(); resp != nil {
			return resp, answered, nil
		}
	}
	if x.cache.fetches.answeredSince(x.ownKey, x.now) {
		return nil, fetchAlone, nil // the origin answers some
	}
	return x.statusOnly(f, d), answered, nil
}

// staleInsteadOf is staleInstead in the place of what f brought. If it returns a response, or a hook of it panics, it gives the reference to f back.
func (x *exchange) staleInsteadOf(f *inflightFetch, d rfc9111.Decision) (stale *http.Response) {
	// Without a response the caller still needs the reference: it may answer from f.
	keeps := false
	defer func() {
		if !keeps {
			f.drop()
		}
	}()
	stale = x.staleInstead(d, f.status, false)
	keeps = stale == nil
	return stale
}

// answerFromUnstored answers with an answer that is shared though it is not stored. It is nil if the beginning of the body is gone.
func (x *exchange) answerFromUnstored(f *inflightFetch, d rfc9111.Decision) *http.Response {
	s := Status{Fwd: Forward(d.Fwd), FwdStatus: f.status, Collapsed: true, Detail: d.Detail}
	age := strconv.FormatInt(int64(f.entry.Age(time.Now())/time.Second), 10)
	resp := f.entry.Response(x.request, x.parsed.Head, age, s.String(), stored.Form{})
	// After attachBody the reference is the reader's. Otherwise it is given back here, because the caller goes on without f.
	if !x.attachBody(f, resp, stored.Form{}) {
		f.drop()
		return nil
	}
	return x.deliverShared(resp, s)
}

// statusOnly answers with the status that several requests like this one got from the origin, and with nothing else of those answers: they are not for others.
func (x *exchange) statusOnly(f *inflightFetch, d rfc9111.Decision) *http.Response {
	s := Status{Fwd: Forward(d.Fwd), FwdStatus: f.status, Collapsed: true, Detail: joined(d.Detail, "the origin answered others so, whose answers are not to be shared")}
	return x.deliverShared(x.bare(f.status, s), s)
}

// probe reports whether a request asks by itself, for a key whose answers cannot be shared. If something stale could stand in for an error,
// only a few do so at a time: the origin may be in trouble, and the others need not hear that from it. The lock is held.
func (t *inflightFetches) probe(x *exchange) bool {
	if !x.hasStandIn() {
		return true
	}
	// The others lead or join a fetch, although its answer may not be for them: then they hear of the trouble, and not from the origin.
	if t.probing[x.ownKey] >= maxProbes {
		return false
	}
	// collapse calls probed when the request has its answer, on each way out.
	t.probing[x.ownKey]++
	x.probing = true
	return true
}

// probed notes that a request which asked by itself has its answer.
// The request's goroutine calls it, without the lock. The last one takes the key from the map, which would grow for ever otherwise.
func (t *inflightFetches) probed(x *exchange) {
	if !x.probing {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.probing[x.ownKey]--; t.probing[x.ownKey] == 0 {
		delete(t.probing, x.ownKey)
	}
}
