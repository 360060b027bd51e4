package cache

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/plyhttp/ply/internal/body"
	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/internal/credential"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/middleware/cache/internal/stream"
)

// WithoutCollapsing returns a context for requests that share no exchange with others: each that the store cannot answer goes to the origin by itself.
// It is never sent to the server.
func WithoutCollapsing(ctx context.Context) context.Context {
	return choosing(ctx, func(c *choices) { c.noCollapse = true })
}

// maxRounds bounds how often a request waits for the exchange of another that turns out not to be for it. Then it goes on by itself.
const maxRounds = 4

// mayCollapse tells whether a request may share an exchange with others at all.
func (x *exchange) mayCollapse() bool {
	return !x.cache.noCollapse && endsByContext(x.request) && x.parsed.Bypass == "" && x.ownKey != "" && !choicesOf(x.request.Context()).noCollapse && (x.mayLead() || x.mayShare())
}

// endsByContext tells whether a caller can end its request by the context. One that can only do so by the field Cancel waits for nobody.
func endsByContext(r *http.Request) bool {
	//lint:ignore SA1019 there may be callers of before Go 1.7
	return r.Cancel == nil || r.Context().Done() != nil
}

// withoutCancel takes the field Cancel from a request that does not end with its caller's. An http.Client with a Timeout sets it beside a deadline.
func withoutCancel(r *http.Request) {
	//lint:ignore SA1019 net/http still obeys it
	r.Cancel = nil
}

// mayLead tells whether others can wait for the answer to this request. Not for one about a part or a copy that only its caller has,
// nor for one whose answer is not to be stored.
func (x *exchange) mayLead() bool {
	a := &x.parsed
	return !a.Head && !a.Conditional() && len(a.Ranges) == 0 && a.Mode != rfc9111.ModeReadOnly && stream.Replayable(x.request)
}

// mayShare tells whether the answer to an earlier request can be the answer to this one. Not if its caller wants to hear from the origin.
func (x *exchange) mayShare() bool {
	a := &x.parsed
	return a.Mode != rfc9111.ModeReload && a.Mode != rfc9111.ModeNoCache && !a.Directives.NoCache && !a.Pragma && !(a.Directives.MaxAge.Set && a.Directives.MaxAge.Value == 0)
}

// collapse answers a request by an exchange with the origin that others may share.
func (x *exchange) collapse(d rfc9111.Decision) (*http.Response, error) {
	for range maxRounds {
		f, as := x.cache.fetches.join(x)
		switch as {
		case byItself:
			defer x.cache.fetches.probed(x)
			return x.fetch(d)
		case leads:
			return x.lead(f, d)
		}
		resp, verdict, err := x.share(f, d)
		switch verdict {
		case answered:
			return resp, err
		case goAlone:
			x.unshared = true
			return x.fetch(d)
		}
	}
	return x.fetch(d)
}

// verdict says how a request goes on that has waited for the exchange of another.
type verdict uint8

const (
	answered verdict = iota
	goAlone          // RecordKey once, and with everyone else who has waited: nothing is gained by waiting again
	goAgain          // one of those who have waited leads the next exchange
)

// lead begins an exchange, on a goroutine of its own: the caller may leave while others still wait for it.
func (x *exchange) lead(f *inflightFetch, d rfc9111.Decision) (*http.Response, error) {
	resp, begun := x.begin(f, d)
	switch {
	case resp != nil:
		return resp, nil
	case !begun:
		return x.fetch(d)
	}
	ctx := x.request.Context()
	select {
	case <-f.ready:
		return x.deliver(f, d)
	case <-ctx.Done():
	}
	left := f.leave(ctx, true)
	if left == tooLate {
		return x.deliver(f, d)
	}
	if stale := x.insteadAfterDeadline(d); stale != nil {
		return stale, nil
	}
	if left == leftLast {
		return nil, x.canceledError(f)
	}
	x.cache.stats.errors.Add(1)
	return nil, context.Cause(ctx)
}

// begin starts an exchange, unless the store has the answer by now, or the request cannot be sent again. Whatever comes between,
// a panic in a callback of the user's included, those who have joined do not wait for what nobody begins.
func (x *exchange) begin(f *inflightFetch, d rfc9111.Decision) (resp *http.Response, begun bool) {
	defer func() {
		if !begun {
			f.publish()
		}
	}()
	if x.cache.fetches.storedSince(x.ownKey, x.now) {
		// Between our look into the store and our turn here, another flight has landed:
		//	we: nothing stored   they: store, leave the table   we: no flight, so we lead
		if resp = x.lookAgain(); resp != nil {
			return resp, false
		}
	}
	if x.request.Context().Err() != nil {
		return nil, false // one who has gone already leads nobody, and gets what the layers below make of that
	}
	f.lead = *x
	f.lead.request, f.lead.inflight = f.request, f
	if stream.Rewind(f.request) != nil {
		return nil, false
	}
	x.closeRequest()
	go f.run(d)
	return nil, true
}

// lookAgain answers from the store if it can by now.
func (x *exchange) lookAgain() *http.Response {
	c := x.cache
	now := time.Now()
	var f lookup
	c.find(&f, &x.parsed, []byte(x.ownKey), x.request, now)
	if d := rfc9111.Decide(&x.parsed, &f.Lookup, now); d.Action == rfc9111.Serve {
		return c.serve(&x.parsed, f.Entry, x.request, now, d.Detail)
	}
	x.variants, x.selected, x.seen, x.now = f.Variants, f.Entry, f.seen, now
	x.setKeys(f.Key)
	return nil
}

// endedBy waits for the end of an exchange that has been canceled because nobody was left, and returns its error: what the layers below make of it
// is what the caller would see without a cache. One that does not end soon is not waited for.
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

// deliver gives the one who led an exchange what came of it.
func (x *exchange) deliver(f *inflightFetch, d rfc9111.Decision) (*http.Response, error) {
	if f.panicked != nil {
		f.panicked.Again()
	}
	if f.err == errNotShareable {
		return x.sendAgain(d)
	}
	if f.err != nil {
		f.account.report(x)
		return nil, f.err
	}
	resp := f.response
	f.response = nil // nobody else has it: a body that the caller drops can be found by the garbage collector, while the exchange goes on
	resp.Request = x.request
	switch {
	case f.fanout != nil:
		t := x.newReader(f, resp)
		if f.fanout.Attach(t, 0, -1) == nil {
			// The others have read on so far that the beginning is gone, before this goroutine had its turn.
			f.drop()
			return x.sendAgain(rfc9111.Decision{Action: rfc9111.Fetch, Fwd: cachestatus.FwdMiss})
		}
		resp.Body = t
	case resp.StatusCode == http.StatusSwitchingProtocols:
	case f.entry != nil || resp.Body == http.NoBody || fromStore(resp.Body):
		f.cancel(nil)
	default:
		resp.Body = f.live(x.request.Context(), resp.Body)
	}
	handOver(resp, func() { f.account.report(x) })
	return resp, nil
}

// fromStore tells whether a body has nothing to do with the exchange, which has failed.
func fromStore(rc io.ReadCloser) bool {
	_, ok := rc.(stored.Narrower)
	return ok
}

// handOver does the last that is to be done before a caller gets a response. If that is a hook which panics, nobody gets it.
func handOver(resp *http.Response, last func()) {
	handed := false
	defer func() {
		if !handed {
			resp.Body.Close()
		}
	}()
	last()
	handed = true
}

// live is the body of an answer that only the one who led gets: the exchange ends with the body, or with the caller's context.
func (f *inflightFetch) live(ctx context.Context, rc io.ReadCloser) io.ReadCloser {
	stop := context.AfterFunc(ctx, func() { f.end(ctx) })
	return body.Watch(rc, body.Hooks{Done: func(error) {
		stop()
		f.cancel(nil)
	}})
}

// sendAgain sends a request by itself whose body has been closed.
func (x *exchange) sendAgain(d rfc9111.Decision) (*http.Response, error) {
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

// newReader makes the body of a response whose bytes come from a flight.
func (x *exchange) newReader(f *inflightFetch, resp *http.Response) *stream.Reader {
	s, next, r := f.fanout, x.next, x.request
	t := &stream.Reader{Ctx: r.Context()}
	t.OnEnd = func() { addTrailers(resp, s.Final) }
	t.Resume = func() *stream.Continuation {
		return &stream.Continuation{
			Next: next, Request: r, Status: f.entry.Status, Header: f.entry.Header,
			Length: s.Length, Uncompressed: f.entry.Uncompressed,
		}
	}
	return t
}

// report counts and reports an answer.
func (t *accounting) report(x *exchange) {
	if t.counter != nil {
		t.counter.Add(1)
	}
	if t.stale {
		x.cache.stats.stale.Add(1)
	}
	if t.collapsed {
		x.cache.stats.collapsed.Add(1)
	}
	if t.status != (Status{}) {
		x.cache.answered(x.request, t.status)
	}
}

// share waits for the exchange of another request and answers from it, if the answer is for this one, too.
func (x *exchange) share(f *inflightFetch, d rfc9111.Decision) (*http.Response, verdict, error) {
	waited := false
	select {
	case <-f.ready:
	default:
		waited = true
		landed, tooLong := f.wait(x.request.Context())
		switch {
		case tooLong && f.leave(x.request.Context(), false) != tooLate:
			x.cache.fetches.setHitForMiss(x.ownKey, true)
			return nil, goAlone, nil
		case !landed && !tooLong:
			return x.abandon(f, d)
		}
	}
	switch {
	case f.misattributed:
		f.drop()
		return nil, goAlone, nil
	case f.apart:
		return nil, goAlone, nil
	case f.troubled():
		return x.shareTrouble(f, d)
	case f.entry != nil && !rfc9111.Selects(f.entry, x.request, x.cache.hashKey()):
		x.learned = f.entry.Selectors
		f.drop()
		return nil, goAgain, nil
	case f.entry != nil && f.outdated(&x.cache.history):
		f.drop() // this request may have been made after that, which nobody could tell when it began to wait
		return nil, goAgain, nil
	case f.entry != nil:
		if resp := x.shareAnswer(f, d, waited); resp != nil {
			return resp, answered, nil
		}
		return nil, goAlone, nil
	case f.failed != nil && x.errorIsPrivate(f), f.panicked != nil:
		return nil, goAgain, nil
	case f.failed != nil && ownError(f.failed) && x.mayTryAgain():
		return nil, goAgain, nil
	case f.failed != nil:
		x.closeRequest()
		resp, err := x.failed(d, f.failed)
		return resp, answered, err
	case f.status == 0: // another has found the answer in the store
		// Whoever joined it does not join the next one, which finds it there, too: that could go on until the rounds are over.
		if resp := x.lookAgain(); resp != nil {
			return resp, answered, nil
		}
		return nil, goAgain, nil
	}
	return nil, goAlone, nil
}

// abandon ends the wait of a caller who has gone.
func (x *exchange) abandon(f *inflightFetch, d rfc9111.Decision) (*http.Response, verdict, error) {
	defer x.closeRequest()
	ctx := x.request.Context()
	left := f.leave(ctx, false)
	if left == tooLate {
		f.drop()
	}
	if stale := x.insteadAfterDeadline(d); stale != nil {
		return stale, answered, nil
	}
	if left == leftLast {
		return nil, answered, x.canceledError(f)
	}
	x.cache.stats.errors.Add(1)
	return nil, answered, context.Cause(ctx)
}

// closeRequest closes the body of a request that is not sent.
func (x *exchange) closeRequest() {
	if x.request.Body != nil {
		x.request.Body.Close()
	}
}

// ownError tells whether an error may be due to the request that was sent, rather than to the origin: another request could fare better.
func ownError(err error) bool {
	var unverified *tls.CertificateVerificationError // it may be verified by others, or not at all
	return errors.As(err, &unverified) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// errorIsPrivate reports whether an error must not pass between two requests: with different credentials that the key does not tell apart, it may be about one principal.
func (x *exchange) errorIsPrivate(f *inflightFetch) bool {
	if !x.cache.policy.Shared || !x.parsed.Credentials && !f.lead.parsed.Credentials {
		return false
	}
	mine, its := credential.Of(x.request), credential.Of(f.request)
	return !mine.Has(f.request) || !its.Has(x.request)
}

// couldUse tells whether a stored response could answer the request at this moment, without a word from the origin.
func (x *exchange) couldUse(e *stored.Entry, now time.Time) bool {
	d := rfc9111.Decide(&x.parsed, &rfc9111.Lookup{Entry: e, Variants: &stored.Variants{Entries: []*stored.Entry{e}}}, now)
	return d.Action == rfc9111.Serve || d.Action == rfc9111.ServeStale
}

// shareAnswer answers from what another exchange has brought, in the form that a hit would have. It is nil if that is not possible.
// It takes over the reference to the body.
func (x *exchange) shareAnswer(f *inflightFetch, d rfc9111.Decision, waited bool) *http.Response {
	poured := false
	defer func() {
		if !poured { // a filter may have panicked
			f.drop()
		}
	}()
	e, now := f.entry, time.Now()
	patient := waited && e.AnswersWaiters() && x.parsed.Unacceptable(e, e.Age(now), e.FreshFor(now), e.FreshFor(now) > 0) == ""
	if !patient && !x.couldUse(e, now) || x.cache.filtersHits && !x.cache.admits(x.request, e) {
		return nil
	}
	length := e.Body.Size()
	if f.fanout != nil {
		length = f.fanout.Length
	}
	shape := rfc9111.ShapedAs(&x.parsed, e, length, now)
	if shape == rfc9111.Unshapable {
		return nil
	}
	s := Status{Fwd: Forward(d.Fwd), FwdStatus: f.status, Collapsed: true, TTL: e.TTL(now), HasTTL: true, Detail: d.Detail}
	resp := e.Response(x.request, x.parsed.Head, strconv.FormatInt(int64(e.Age(now)/time.Second), 10), s.String(), shape)
	if poured = x.attachBody(f, resp, shape); !poured {
		return nil
	}
	return x.deliverShared(resp, s)
}

// deliverShared counts and hands over what another exchange has brought.
func (x *exchange) deliverShared(resp *http.Response, s Status) *http.Response {
	x.cache.stats.of(s).Add(1)
	x.cache.stats.collapsed.Add(1)
	handOver(resp, func() {
		x.closeRequest()
		x.cache.answered(x.request, s)
	})
	return resp
}

// attachBody gives a response its body, if that is still on its way. It is false if its beginning is gone.
func (x *exchange) attachBody(f *inflightFetch, resp *http.Response, s stored.Form) bool {
	if f.fanout == nil {
		return true
	}
	first, end := int64(0), int64(-1)
	switch {
	case s.Status == http.StatusPartialContent:
		first, end = s.Part.First, s.Part.Last+1
	case s.Status != 0:
		f.drop()
		return true
	case f.entry.Uncompressed:
		resp.ContentLength = -1
	default:
		resp.ContentLength = f.fanout.Length
	}
	if x.parsed.Head {
		f.drop()
		return true
	}
	t := x.newReader(f, resp)
	if s.Status == 0 {
		resp.Trailer = f.fanout.Announced.Clone()
	} else {
		t.OnEnd = nil
	}
	if f.fanout.Attach(t, first, end) == nil {
		return false
	}
	resp.Body = t
	return true
}

// knownSelectors returns the selectors of the variants that are known for the request's key.
func (x *exchange) knownSelectors() []stored.Selector {
	var all []stored.Selector
	all = append(all, x.learned...)
	for _, e := range x.variants.All() {
		all = append(all, e.Selectors...)
	}
	return all
}

// selectsLike tells whether two requests have the same values in the fields that answers are known to vary on.
func (x *exchange) selectsLike(other *http.Request, known []stored.Selector) bool {
	return !slices.ContainsFunc(known, func(s stored.Selector) bool {
		mine, have := rfc9111.Selecting(x.request, s.Name, x.cache.hashKey())
		its, has := rfc9111.Selecting(other, s.Name, x.cache.hashKey())
		return have != has || mine != its
	})
}
