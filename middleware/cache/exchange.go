package cache

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply/internal/target"
	"github.com/plyhttp/ply/middleware/cache/internal/durable"
	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/middleware/cache/internal/stream"
)

// An exchange is one request that the store alone could not answer: from the decision about it until do returns its answer or its error.
//
// Who makes one: RoundTrip for its caller; refreshInBackground for a refresh, which has no caller; and begin for an in-flight fetch,
// as a copy of its leader's. Only the copy asks the origin. The leader and the waiters each keep an exchange of their own.
//
// One goroutine at a time uses it: that of the caller, of the refresh or of the fetch; after do has returned, the one that stores the answer.
//
// What outlives do has its own end:
//   - The answer is stored when its body copy is complete (copyBody, shareBody), or at once if it has no body. put does that, for all of them.
//   - The lease of a fetch is given back once: by endLease if nothing is to be stored, by copyDropped if the body copy is dropped, and else by put.
//   - report says how the exchange ended: at once, or, for a fetch, when its leader takes the answer (deliver).
type exchange struct {
	*layer
	request *http.Request
	parsed  *rfc9111.Request // what the rules read in the request; copies share it, and it is not written to
	now     time.Time        // of the latest lookup

	ownKey   string // the request's own key, or empty if the cache does not look anything up for it
	foundKey string // the key that variants are stored under
	storeKey string // the key that the answer is stored under: foundKey, until the answer is there

	variants  *stored.Variants   // what is stored under foundKey
	selected  *stored.Entry      // the variant that fits, or nil
	confirmed *stored.Entry      // the one that the origin has confirmed, or nil
	seen      *durable.Snapshot  // the generations at the time of the lookup
	tags      []invalidation.Tag // what knownTags has returned

	ahead *aheadRefresh // a refresh of what is still fresh, or nil
	room  *sending      // for what is sent first; nil once that is in use, or a copy has it
	watch *watch        // on what was sent last, or nil

	// How it shares a fetch with other requests; see collapse.
	// Set by begin in the copy that the fetch carries out, before its goroutine starts; nil in those of the leader and the waiters.
	inflight     *inflightFetch    // the fetch that this exchange is, or nil
	learned      []stored.Selector // of answers to other requests that this one has waited for
	failures     uint16            // fetches that this one has waited for in vain because the origin is in trouble
	unshared     bool              // it asks by itself because answers for its key are not for several requests
	probing      bool              // it does so as one of a bounded number
	afterTrouble bool              // it does so after it has waited in vain for an origin in trouble

	background bool // a refresh: no caller waits
	written    bool // the store has taken what came of it; commit's own
}

// newExchange makes the exchange of a request that the first lookup has not answered. The key is copied: its bytes are the caller's, who uses them again.
func (l *layer) newExchange(r *http.Request, a *rfc9111.Request, key []byte, f lookup, now time.Time) *exchange {
	var made *exchangeRoom
	if f.Variants == nil {
		made = new(exchangeRoom)
	} else { // it may validate
		both := new(struct {
			exchangeRoom
			first validation
		})
		made = &both.exchangeRoom
		made.first.answer.validation = &both.first
	}
	x := &made.exchange
	*x, made.parsed = exchange{layer: l, request: r, ownKey: string(key), parsed: &made.parsed, room: &made.first}, *a
	x.found(&f, now)
	return x
}

// exchangeRoom is what all exchanges need, in one piece of memory.
type exchangeRoom struct {
	exchange
	parsed rfc9111.Request
	first  sending
}

// A sending is one request to the origin with what comes back, in the memory of the exchange: most exchanges send one.
type sending struct {
	watch  watch
	answer originResponse
}

// A validation is what a request needs beside that if it is conditional.
type validation struct {
	request http.Request
	offered [1]string     // room for its If-None-Match
	merged  http.Response // the stored response that the origin confirms, brought up to date
	lines   [12]string    // room for its header
}

// validating returns the memory for a validation. What a HEAD confirms needs it, too.
func (p *originResponse) validating() *validation {
	if p.validation == nil {
		p.validation = new(validation)
	}
	return p.validation
}

// sending returns memory for a request that is to be sent. That of an earlier one may still be in use: a transport can write after it has answered.
func (x *exchange) sending() *sending {
	s := x.room
	if x.room = nil; s == nil {
		s = new(sending)
	}
	return s
}

// copied returns a copy of x, for another goroutine to carry out. The room goes with it: the copy is what sends.
func (x *exchange) copied() exchange {
	y := *x
	x.room = nil
	return y
}

// found takes in the result of a lookup.
func (x *exchange) found(f *lookup, now time.Time) {
	x.variants, x.selected, x.seen, x.now = f.Variants, f.Entry, f.snapshot(), now
	x.foundKey = x.ownKey
	if f.Key != "" {
		x.foundKey = f.Key
	}
	x.storeKey = x.foundKey
}

// relookup looks into the store once more, with the context of r, and decides anew.
// It blocks in the store, and replaces what the earlier lookup has found. The caller holds no lock.
func (x *exchange) relookup(r *http.Request) rfc9111.Decision {
	now := time.Now()
	var f lookup
	x.cache.find(&f, x.parsed, []byte(x.ownKey), r, now)
	x.found(&f, now)
	return rfc9111.Decide(x.parsed, &f.Lookup, now)
}

// knownTags are the tags that the answer has for certain, before it is there.
// It may call the user's strategy, so the first call must not come under a lock.
func (x *exchange) knownTags() []invalidation.Tag {
	// Kept, because find asks for them again under the table's lock, where the strategy must not run.
	if x.tags == nil {
		x.tags = x.cache.knownTags(x.request)
	}
	return x.tags
}

// do carries out a decision other than Serve.
// It is called once, and blocks until there is an answer or an error.
func (x *exchange) do(d rfc9111.Decision) (*http.Response, error) {
	switch {
	case d.Action == rfc9111.ServeStale:
		// It works on a copy of x made before it starts, so x is still this goroutine's alone.
		x.refreshInBackground()
		return x.serve(x.parsed, x.selected, x.request, x.now, d.Detail), nil
	case d.Action == rfc9111.Refuse:
		return x.refused(d), nil
	// A refresh collapses, too, so that a caller who must have the answer joins it, or it joins the caller's fetch.
	case x.mayCollapse():
		return x.collapse(d)
	}
	return x.fetch(d)
}

// fetch asks the origin: for the whole response, whether a stored one still holds, or for the bytes that a stored part lacks.
func (x *exchange) fetch(d rfc9111.Decision) (*http.Response, error) {
	switch {
	case d.Action == rfc9111.Validate && x.mayValidate():
		// A copy with a header of its own: the caller's request is not to be changed, and what is sent must stay as it is while the layers below use it.
		s := x.sending()
		v := s.answer.validating()
		r := &v.request
		*r = *x.request
		r.Header = rfc9111.ConditionalHeader(x.request.Header, x.selected, x.variants.Entries, x.parsed, &v.offered)
		x.room = s // for send
		return x.send(r, d)
	case d.Action == rfc9111.Complete && x.mayComplete():
		r := *x.request
		r.Header = rfc9111.CompletingHeader(x.request.Header, x.selected)
		return x.send(&r, d)
	case d.Action == rfc9111.Validate, d.Action == rfc9111.Complete:
		d = d.Unconditional()
	}
	return x.send(x.request, d)
}

// mayValidate reports whether a conditional request is of use: the request must be repeatable, for without a 304 it may have to be sent once more,
// and there must be something to validate still, for the store may have been looked into again since the decision.
func (x *exchange) mayValidate() bool { return stream.Replayable(x.request) && x.variants != nil }

// mayComplete is the same for a request that completes a stored part (RFC 9111 §3.3).
func (x *exchange) mayComplete() bool {
	return stream.Replayable(x.request) && x.selected != nil && x.selected.Part != nil
}

// send does one exchange with the origin and handles what comes back.
// It runs without a lock, on the goroutine that carries out the exchange, and blocks in the next handler and in the user's hooks.
func (x *exchange) send(r *http.Request, d rfc9111.Decision) (*http.Response, error) {
	// began comes before the request is sent: an invalidation from here on may have come too late for the answer, so the answer is not stored after it.
	//	we: began      they: POST, invalidate      the origin: answers us with the state before the POST      we: find the invalidation after began
	s := x.sending()
	p := &s.answer
	p.exchange, p.began, p.requested = x, x.cache.history.Now(), time.Now()
	r = x.watched(target.OnWire(r), &s.watch)
	x.noteSent()
	resp, err := x.next.RoundTrip(r)
	// What the layers below have added to the request is known only now. It must be known before anything of the answer is shared or stored.
	x.look(r, resp)
	if x.misattributed() {
		x.keepApart()
	}
	if err == nil && resp == nil {
		err = stream.ErrNoResponse
	}
	if err != nil {
		stream.CloseBody(resp)
		return x.failed(d, err)
	}
	p.Response, p.received, p.followed = resp, time.Now(), followed(resp, r)
	p.apart = x.apart(resp)
	resp.Request = x.request
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	handled := false
	defer func() {
		if !handled { // a filter, a strategy or a hook has panicked, so no caller gets the response
			resp.Body.Close()
		}
	}()
	answer, err := p.handle(d)
	handled = true
	// p lies in the memory of the watch, and so of the context that the layers below had: one that is kept must not keep the body.
	p.Response = nil
	return answer, err
}

// failed answers a request for which the origin could not be reached.
// For a fetch it writes the result, so it must come before publish.
func (x *exchange) failed(d rfc9111.Decision, err error) (*http.Response, error) {
	// The error is kept beside a stale response that may stand in for it: each waiter decides for itself whether it may have that.
	// For a fetch, publish notes the trouble, once for all who share it.
	if x.inflight != nil {
		x.inflight.failed = err
	} else if x.ownKey != "" {
		x.cache.fetches.noteTrouble(x.ownKey)
	}
	// A request that has ended says nothing about the origin: only a deadline has a stale response stand in, a cancellation does not.
	if x.request.Context().Err() != nil {
		if stale := x.insteadAfterDeadline(d); stale != nil {
			return stale, nil
		}
	} else if rfc9111.Unreachable(err) {
		if stale := x.staleInstead(d, 0, true); stale != nil {
			return stale, nil
		}
	}
	x.report(accounting{counter: &x.cache.stats.errors})
	return nil, err
}

// accounting is how an exchange is counted and traced.
type accounting struct {
	counter   *atomic.Int64
	stale     bool
	collapsed bool   // another process has fetched the answer
	status    Status // the zero Status for an error, and for a response that the cache keeps out of
}

// report counts and traces the end of an exchange. For a fetch, deliver does so: its leader may have left, and then there is no answer to count.
func (x *exchange) report(a accounting) {
	// account belongs to the goroutine of the fetch until publish; deliver reads it after ready is closed.
	if x.inflight != nil {
		x.inflight.account = a
		return
	}
	a.report(x)
}

// report does so at once, on behalf of x.
// It calls a hook of the user's, so the caller holds no lock.
func (a *accounting) report(x *exchange) {
	if a.counter != nil {
		a.counter.Add(1)
	}
	if a.stale {
		x.cache.stats.stale.Add(1)
	}
	if a.collapsed {
		x.cache.stats.collapsed.Add(1)
	}
	if a.status != (Status{}) {
		x.cache.answered(x.request, a.status)
	}
}

// closeRequest closes the body of a request that is not sent.
func (x *exchange) closeRequest() {
	if x.request.Body != nil {
		x.request.Body.Close()
	}
}

// followed reports whether a handler below has followed a redirect: then the answer belongs to another URI than the requested one.
func followed(resp *http.Response, sent *http.Request) bool {
	// net/http sets Response on a request that a redirect has led to. A layer that only clones the request leaves it nil.
	r := resp.Request
	return r != nil && r != sent && r.Response != nil && r.URL != nil && rfc9111.URITag(r) != rfc9111.URITag(sent)
}
