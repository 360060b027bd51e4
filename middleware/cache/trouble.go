package cache

import (
	"context"
	"hash/maphash"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/middleware/cache/internal/stream"
)

// An Origin in trouble is asked by a few. Those who wait for one of them when it fails get the stale response that may stand in, or else what it has brought:
// its error, its answer if that may be shared, and else the status alone.

const (
	// maxProbes is how many of those who have waited in vain for an answer that cannot be shared go on by themselves, at a time.
	maxProbes = 4

	// maxFailures is how many exchanges one waits for in vain before it takes their word that the origin is in trouble.
	maxFailures = 2

	// doubtTime is for how long an exchange is waited for if those before could not be shared, and the origin has failed since.
	// An Origin in trouble may say so again; else it may be one that answers when there is something to tell.
	doubtTime = time.Second

	// maxUnstoredBytes bounds the body of an answer that is shared though it is not stored.
	maxUnstoredBytes = 1 << 20
)

// inTrouble reports whether a status says that the origin cannot answer now, whoever asks (RFC 9110 §15.6, RFC 6585 §4).
func inTrouble(status int) bool { return status >= 500 || status == http.StatusTooManyRequests }

// troubled reports whether the origin has answered that it is in trouble, and nothing is stored of that.
func (f *inflightFetch) troubled() bool {
	return inTrouble(f.status) && (f.entry == nil && f.failed == nil && f.panicked == nil || f.unstored)
}

// mayTryAgain reports whether a request that has waited in vain is to hear it from the origin itself.
func (x *exchange) mayTryAgain() bool {
	x.failures++
	return x.failures < maxFailures
}

// hasStandIn reports whether something stored could stand in for an error.
func (x *exchange) hasStandIn() bool {
	if x.background || x.selected == nil {
		return false
	}
	_, ok := rfc9111.OnError(&x.parsed, x.selected, true, &x.cache.policy, x.now)
	return ok
}

// noteTrouble takes in that the origin has answered with an error.
func (p *originResponse) noteTrouble() {
	switch {
	case p.misattributed():
	case p.inflight == nil && p.ownKey != "":
		p.cache.fetches.noteTrouble(p.ownKey) // whoever comes now may share what one hears
	case p.inflight != nil && p.inflight.entry == nil:
		p.shareUnstored()
	}
}

// shareUnstored lets those who wait have the answer, too, unless it is about the one who asked, or the origin forbids to use it for another request.
// It is not stored: who comes later asks for himself.
func (p *originResponse) shareUnstored() {
	judged := rfc9111.Candidate{Request: p.request, Response: p.Response, Age: rfc9111.InitialAge(p.Header, p.requested, p.received), Carried: rfc9111.CarriedBy(p.request) | p.watch.carries()}
	if !p.mayShareUnstored(&judged) {
		return
	}
	e := p.newEntry(&judged)
	if slices.ContainsFunc(e.Selectors, rfc9111.Unhashed) {
		return
	}
	f := p.inflight
	f.unstored = true
	if p.Body == http.NoBody && p.ContentLength <= 0 {
		e.Derive()
		f.entry = e
		return
	}
	d := p.newBodyCopy(e)
	d.Limit, d.OpenSink = min(d.Limit, maxUnstoredBytes), nil
	p.fanOut(e, d).Decided = func(stream.Outcome) {}
}

// mayShareUnstored reports whether an answer that is not stored may be used for requests that are the same to the cache, and waited for it (RFC 9111 §5.2.2).
func (p *originResponse) mayShareUnstored(judged *rfc9111.Candidate) bool {
	c := p.cache
	if p.followed || p.apart != "" || p.misattributed() || p.parsed.Head || p.parsed.Directives.NoStore || endsWithConnection(p.Response) ||
		p.ContentLength > maxUnstoredBytes || p.Body != http.NoBody && !c.copyBudget.Has(stream.ScratchSize) ||
		rfc9111.UnstorableSize(p.Header) != "" || rfc9111.UnstorableVary(p.Header) != "" || rfc9111.UnstorableKind(judged, &c.policy) != "" || len(p.Header["Set-Cookie"]) > 0 {
		return false
	}
	d, _ := field.Controlling(p.Header, c.policy.Targeted)
	return !d.NoStore && !d.NoCache && !(c.policy.Shared && d.Private)
}

// wait waits until a flight has landed, or is not worth waiting for. landed is true even if a request's context has ended meanwhile.
func (f *inflightFetch) wait(ctx context.Context) (landed, over bool) {
	select {
	case <-f.ready:
		return true, false
	default:
	}
	var tooLong <-chan time.Time
	if f.doubted {
		timer := time.NewTimer(time.Until(f.started.Add(doubtTime)))
		defer timer.Stop()
		tooLong = timer.C
	}
	select {
	case <-f.ready:
		return true, false
	case <-ctx.Done():
		return false, false
	case <-tooLong:
		return false, true
	}
}

// shareTrouble answers one who has waited for an origin that is in trouble.
func (x *exchange) shareTrouble(f *inflightFetch, d rfc9111.Decision) (*http.Response, verdict, error) {
	if rfc9111.IsServerError(f.status) {
		if stale := x.staleInstead(d, f.status, false); stale != nil {
			f.drop()
			x.closeRequest()
			return stale, answered, nil
		}
	}
	switch {
	case x.errorIsPrivate(f):
		f.drop()
		return nil, goAlone, nil
	case f.unstored && !rfc9111.Selects(f.entry, x.request, x.cache.hashKey()):
		x.learned = f.entry.Selectors
		f.drop()
		return nil, goAgain, nil
	case f.unstored:
		if resp := x.answerFromUnstored(f, d); resp != nil {
			return resp, answered, nil
		}
	case f.probes.Add(1) <= maxProbes:
		x.afterTrouble = true
		return nil, goAlone, nil
	}
	if x.mayTryAgain() {
		return nil, goAgain, nil
	}
	if x.cache.fetches.storedSince(x.ownKey, x.now) {
		if resp := x.lookAgain(); resp != nil {
			return resp, answered, nil
		}
	}
	if x.cache.fetches.answeredSince(x.ownKey, x.now) {
		return nil, goAlone, nil // the origin answers some
	}
	return x.statusOnly(f, d), answered, nil
}

// answerFromUnstored answers with what was lent. It is nil if its beginning is gone.
func (x *exchange) answerFromUnstored(f *inflightFetch, d rfc9111.Decision) *http.Response {
	s := Status{Fwd: Forward(d.Fwd), FwdStatus: f.status, Collapsed: true, Detail: d.Detail}
	age := strconv.FormatInt(int64(f.entry.Age(time.Now())/time.Second), 10)
	resp := f.entry.Response(x.request, x.parsed.Head, age, s.String(), stored.Form{})
	if !x.attachBody(f, resp, stored.Form{}) {
		f.drop()
		return nil
	}
	return x.deliverShared(resp, s)
}

// statusOnly answers with the status that the origin has answered several requests like this one with, and nothing else of those answers:
// they are not for others.
func (x *exchange) statusOnly(f *inflightFetch, d rfc9111.Decision) *http.Response {
	s := Status{Fwd: Forward(d.Fwd), FwdStatus: f.status, Collapsed: true, Detail: joined(d.Detail, "the origin answered others so, whose answers are not to be shared")}
	resp := &http.Response{
		Status: strconv.Itoa(f.status) + " " + http.StatusText(f.status), StatusCode: f.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:  http.Header{cachestatus.Field: {s.String()}, "Content-Length": {"0"}},
		Request: x.request, Body: http.NoBody,
	}
	return x.deliverShared(resp, s)
}

// probe reports whether a request goes on by itself for a key whose answers cannot be shared. If something stale could stand in for an error,
// only a few do so at a time: for all they know the origin is in trouble, and the others need not hear that from it. The lock is held.
func (t *inflightFetches) probe(x *exchange) bool {
	if !x.hasStandIn() {
		return true
	}
	if t.probing[x.ownKey] >= maxProbes {
		return false
	}
	t.probing[x.ownKey]++
	x.probing = true
	return true
}

// probed notes that a request which went on by itself has its answer.
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

// noteTrouble notes that the origin was in trouble: what is known of the answers for a key may not hold for what it says now.
func (t *inflightFetches) noteTrouble(key string) {
	hash := maphash.String(t.seed, key)
	t.mu.Lock()
	defer t.mu.Unlock()
	if miss := &t.misses[hash%hitForMissKeys]; miss.hash == hash && !miss.until.IsZero() {
		miss.until, miss.doubted = time.Time{}, miss.until
	}
}

// noteAnswer notes that the origin answers, though it has failed for others.
func (t *inflightFetches) noteAnswer(key string) {
	hash := maphash.String(t.seed, key)
	t.mu.Lock()
	defer t.mu.Unlock()
	if miss := &t.misses[hash%hitForMissKeys]; miss.hash == hash {
		miss.answered = time.Now()
	} else {
		*miss = hitForMiss{hash: hash, answered: time.Now()}
	}
}

// answeredSince reports whether the origin has answered since then, though it has failed for others.
func (t *inflightFetches) answeredSince(key string, then time.Time) bool {
	hash := maphash.String(t.seed, key)
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.misses[hash%hitForMissKeys].answeredOf(hash).After(then)
}

func (m *hitForMiss) answeredOf(hash uint64) time.Time {
	if m.hash != hash {
		return time.Time{}
	}
	return m.answered
}
