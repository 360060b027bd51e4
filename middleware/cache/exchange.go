package cache

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/internal/target"
)

// exchange is one request that the store alone could not answer.
type exchange struct {
	*layer
	request  *http.Request
	ask      ask
	own      string // the request's own key
	foundIn  string // the key that set is stored under
	key      string // the key that the answer is stored under; the same, as long as nothing else is known
	now      time.Time
	set      *variants    // what is stored under key
	selected *Entry       // the variant that fits, or nil
	updated  *Entry       // the one that the origin has confirmed, or nil
	seen     *sight       // the marks at the time of the lookup
	stored   bool         // the store has taken what came of it
	behind   bool         // the caller has its answer already
	sent     http.Request // a conditional one that was sent
	tags     []tag        // what knownTags has returned
	watch    *watch       // on what was sent last, or nil

	flight   *flight    // that this exchange is, or nil if nobody else shares it
	failures int        // exchanges of others that this one has waited for in vain, because the origin is in trouble
	probing  bool       // it goes on by itself, as one of a few
	unshared bool       // it goes on by itself, as answers for its key are not for several
	sounding bool       // it does so after it has waited in vain for an origin in trouble
	known    []selector // of answers to other requests that this one has waited for
	putting  bool       // a byte store is taking the answer in, and landed will be called
	landed   func()     // called when others find the answer in the store, or will not; nil for nobody
}

func (l *layer) exchange(r *http.Request, a *ask, key []byte, f found, now time.Time) *exchange {
	x := &exchange{layer: l, request: r, ask: *a, own: string(key), now: now, set: f.set, selected: f.entry, seen: f.seen}
	x.lies(f.key)
	return x
}

// lies notes where what was found lies: under a key of its own, or under the request's.
func (x *exchange) lies(key string) {
	if key == "" {
		key = x.own
	}
	x.foundIn, x.key = key, key
}

// knownTags are those that can be told of the answer before it is there.
func (x *exchange) knownTags() []tag {
	if x.tags == nil {
		x.tags = x.cache.knownTags(x.request)
	}
	return x.tags
}

func (x *exchange) act(d decision) (*http.Response, error) {
	switch d.action {
	case serveStale:
		x.refreshBehind()
		return x.cache.serve(&x.ask, x.selected, x.request, x.now, d.detail), nil
	case refuse:
		return x.refused(d), nil
	}
	if x.collapses() {
		return x.collapse(d)
	}
	return x.alone(d)
}

// alone asks the origin.
func (x *exchange) alone(d decision) (*http.Response, error) {
	switch d.action {
	case validate:
		return x.validate(d)
	case complete:
		return x.complete(d)
	}
	return x.forward(d)
}

// refused is the answer when only the store was allowed and cannot help (RFC 9111 §5.2.1.7).
func (x *exchange) refused(d decision) *http.Response {
	if x.request.Body != nil {
		x.request.Body.Close()
	}
	s := Status{Detail: d.detail}
	x.cache.stats.misses.Add(1)
	x.cache.answered(x.request, s)
	return &http.Response{
		Status: "504 Gateway Timeout", StatusCode: http.StatusGatewayTimeout,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:  http.Header{cacheStatus: {s.String()}, "Content-Length": {"0"}},
		Request: x.request, Body: http.NoBody,
	}
}

// forward sends the request as it is.
func (x *exchange) forward(d decision) (*http.Response, error) {
	return x.send(x.request, d)
}

// validate asks the origin whether what is stored is still good. If it is not, the request may have to be sent once more.
// What was found may be gone by now, if the store was looked into again.
func (x *exchange) validate(d decision) (*http.Response, error) {
	if !replayable(x.request) || x.set == nil {
		return x.forward(d.fetching())
	}
	x.sent = *x.request
	x.sent.Header = conditionalHeader(x.request.Header, x.selected, x.set.entries, &x.ask)
	return x.send(&x.sent, d)
}

// complete asks the origin for the bytes that a stored part lacks (RFC 9111 §3.3).
func (x *exchange) complete(d decision) (*http.Response, error) {
	if !replayable(x.request) || x.selected == nil || x.selected.part == nil {
		return x.forward(d.fetching())
	}
	r := *x.request
	r.Header = completingHeader(x.request.Header, x.selected)
	return x.send(&r, d)
}

// send does one exchange with the origin and takes in what comes back.
func (x *exchange) send(r *http.Request, d decision) (*http.Response, error) {
	p := &reply{exchange: x, began: x.cache.events.now(), requested: time.Now()}
	r = x.watched(target.OnWire(r))
	resp, err := x.next.RoundTrip(r)
	x.watch.look(r, resp)
	if x.misattributed() {
		x.keepApart()
	}
	if err == nil && resp == nil {
		err = errNoResponse
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

// errNoResponse blames a handler that breaks the contract of http.RoundTripper.
var errNoResponse = errors.New("cache: the next handler returned neither a response nor an error")

// failed answers a request for which the origin could not be reached.
func (x *exchange) failed(d decision, err error) (*http.Response, error) {
	if x.flight != nil {
		x.flight.failed = err
	} else if x.own != "" {
		x.cache.flights.doubt(x.own)
	}
	if x.request.Context().Err() != nil {
		if stale := x.overdue(d); stale != nil {
			return stale, nil
		}
	} else if unreachable(err) {
		if stale := x.insteadOf(d, 0, true); stale != nil {
			return stale, nil
		}
	}
	x.report(told{counter: &x.cache.stats.errors})
	return nil, err
}

// overdue returns the stored response that stands in for an answer which has not come by the caller's deadline, or nil:
// to its caller such an origin is one that cannot be reached (RFC 5861 §4). One who has gone of his own accord wants nothing.
func (x *exchange) overdue(d decision) *http.Response {
	if !errors.Is(x.request.Context().Err(), context.DeadlineExceeded) {
		return nil
	}
	return x.insteadOf(d, 0, true)
}

// report counts and reports how the exchange has ended: at once, or, if its caller may have left, when it is delivered.
func (x *exchange) report(t told) {
	if x.flight != nil {
		x.flight.told = t
		return
	}
	t.tell(x)
}

// insteadOf returns the stored response that may stand in for a failed exchange, or nil.
func (x *exchange) insteadOf(d decision, status int, unreachable bool) *http.Response {
	if x.behind || x.ask.bypass != "" || x.misattributed() {
		return nil
	}
	now := time.Now()
	why, ok := onError(&x.ask, x.selected, unreachable, &x.cache.posture, now)
	if !ok {
		return nil
	}
	s := Status{Fwd: d.fwd, FwdStatus: status, TTL: x.selected.ttl(now), HasTTL: true, Detail: cachestatus.ServedInstead + why}
	x.report(told{counter: x.cache.stats.of(s), stale: s.TTL <= 0, status: s})
	resp := answer(&x.ask, x.selected, outliving(x.request), now, s.String())
	resp.Request = x.request
	return resp
}

// replayable tells whether a request can be sent again.
func replayable(r *http.Request) bool {
	return r.Body == nil || r.Body == http.NoBody || r.GetBody != nil
}

// rewind replaces a body that has been sent, or that someone else will send.
func rewind(r *http.Request) error {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	if !replayable(r) {
		return errors.New("cache: the request must be sent again, and its body cannot: set GetBody")
	}
	body, err := r.GetBody()
	if err != nil {
		return fmt.Errorf("cache: the request must be sent again: %w", err)
	}
	r.Body = body
	return nil
}

// followed tells whether a handler below has followed a redirect: then the answer belongs to another URI than the one asked for.
func followed(resp *http.Response, sent *http.Request) bool {
	r := resp.Request
	return r != nil && r != sent && r.Response != nil && r.URL != nil && uriTag(r) != uriTag(sent)
}
