package cache

import (
	"net/http"
	"time"

	"github.com/plyhttp/ply/internal/target"
	"github.com/plyhttp/ply/middleware/cache/internal/durable"
	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/middleware/cache/internal/stream"
)

// newExchange is one request that the store alone could not answer.
type exchange struct {
	*layer
	request    *http.Request
	parsed     rfc9111.Request
	ownKey     string // the request's own key
	foundKey   string // the key that set is stored under
	storeKey   string // the key that the answer is stored under; the same, as long as nothing else is known
	now        time.Time
	variants   *stored.Variants   // what is stored under key
	selected   *stored.Entry      // the variant that fits, or nil
	confirmed  *stored.Entry      // the one that the origin has confirmed, or nil
	seen       *durable.Snapshot  // the marks at the time of the lookup
	stored     bool               // the store has taken what came of it
	background bool               // the caller has its answer already
	sent       http.Request       // a conditional one that was sent
	tags       []invalidation.Tag // what knownTags has returned
	watch      *watch             // on what was sent last, or nil

	inflight     *inflightFetch    // that this exchange is, or nil if nobody else shares it
	failures     int               // exchanges of others that this one has waited for in vain, because the origin is in trouble
	probing      bool              // it goes on by itself, as one of a few
	unshared     bool              // it goes on by itself, as answers for its key are not for several
	afterTrouble bool              // it does so after it has waited in vain for an origin in trouble
	learned      []stored.Selector // Generation answers to other requests that this one has waited for
	putting      bool              // a byte store is taking the answer in, and landed will be called
	onStored     func()            // Call when others find the answer in the store, or will not; nil for nobody
}

func (l *layer) newExchange(r *http.Request, a *rfc9111.Request, key []byte, f lookup, now time.Time) *exchange {
	x := &exchange{layer: l, request: r, parsed: *a, ownKey: string(key), now: now, variants: f.Variants, selected: f.Entry, seen: f.seen}
	x.setKeys(f.Key)
	return x
}

// setKeys notes where what was found lies: under a key of its own, or under the request's.
func (x *exchange) setKeys(key string) {
	if key == "" {
		key = x.ownKey
	}
	x.foundKey, x.storeKey = key, key
}

// knownTags are those that can be told of the answer before it is there.
func (x *exchange) knownTags() []invalidation.Tag {
	if x.tags == nil {
		x.tags = x.cache.knownTags(x.request)
	}
	return x.tags
}

func (x *exchange) do(d rfc9111.Decision) (*http.Response, error) {
	switch d.Action {
	case rfc9111.ServeStale:
		x.refreshInBackground()
		return x.cache.serve(&x.parsed, x.selected, x.request, x.now, d.Detail), nil
	case rfc9111.Refuse:
		return x.refused(d), nil
	}
	if x.mayCollapse() {
		return x.collapse(d)
	}
	return x.fetch(d)
}

// noCollapse asks the origin.
func (x *exchange) fetch(d rfc9111.Decision) (*http.Response, error) {
	switch d.Action {
	case rfc9111.Validate:
		return x.validate(d)
	case rfc9111.Complete:
		return x.complete(d)
	}
	return x.forward(d)
}

// forward sends the request as it is.
func (x *exchange) forward(d rfc9111.Decision) (*http.Response, error) {
	return x.send(x.request, d)
}

// validate asks the origin whether what is stored is still good. If it is not, the request may have to be sent once more.
// What was found may be gone by now, if the store was looked into again.
func (x *exchange) validate(d rfc9111.Decision) (*http.Response, error) {
	if !stream.Replayable(x.request) || x.variants == nil {
		return x.forward(d.Unconditional())
	}
	x.sent = *x.request
	x.sent.Header = rfc9111.ConditionalHeader(x.request.Header, x.selected, x.variants.Entries, &x.parsed)
	return x.send(&x.sent, d)
}

// complete asks the origin for the bytes that a stored part lacks (RFC 9111 §3.3).
func (x *exchange) complete(d rfc9111.Decision) (*http.Response, error) {
	if !stream.Replayable(x.request) || x.selected == nil || x.selected.Part == nil {
		return x.forward(d.Unconditional())
	}
	r := *x.request
	r.Header = rfc9111.CompletingHeader(x.request.Header, x.selected)
	return x.send(&r, d)
}

// send does one exchange with the origin and takes in what comes back.
func (x *exchange) send(r *http.Request, d rfc9111.Decision) (*http.Response, error) {
	p := &originResponse{exchange: x, began: x.cache.history.Now(), requested: time.Now()}
	r = x.watched(target.OnWire(r))
	resp, err := x.next.RoundTrip(r)
	x.watch.look(r, resp)
	if x.misattributed() {
		x.keepApart()
	}
	if err == nil && resp == nil {
		err = stream.ErrNoResponse
	}
	if err != nil {
		if resp != nil && resp.Body != nil {
			resp.Body.Close()
		}
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
		if !handled { // a filter, a strategy or a hook has panicked, and nobody gets the response
			resp.Body.Close()
		}
	}()
	answer, err := p.handle(d)
	handled = true
	return answer, err
}

// failed answers a request for which the origin could not be reached.
func (x *exchange) failed(d rfc9111.Decision, err error) (*http.Response, error) {
	if x.inflight != nil {
		x.inflight.failed = err
	} else if x.ownKey != "" {
		x.cache.fetches.noteTrouble(x.ownKey)
	}
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

// report counts and reports how the exchange has ended: at once, or, if its caller may have left, when it is delivered.
func (x *exchange) report(t accounting) {
	if x.inflight != nil {
		x.inflight.account = t
		return
	}
	t.report(x)
}

// followed tells whether a handler below has followed a redirect: then the answer belongs to another URI than the one asked for.
func followed(resp *http.Response, sent *http.Request) bool {
	r := resp.Request
	return r != nil && r != sent && r.Response != nil && r.URL != nil && rfc9111.URITag(r) != rfc9111.URITag(sent)
}
