package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"

	"sync"
	"time"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/internal/partition"
	"github.com/plyhttp/ply/internal/target"
)

// layer is a cache's place in one chain.
type layer struct {
	cache *Cache
	next  http.RoundTripper
}

// LayerName returns "cache".
func (l *layer) LayerName() string { return "cache" }

// LayerID returns the cache, which must not stand in one chain twice.
func (l *layer) LayerID() any { return l.cache }

// Unwrap returns the next handler.
func (l *layer) Unwrap() http.RoundTripper { return l.next }

// CloseIdleConnections closes those of the next handler.
func (l *layer) CloseIdleConnections() {
	if next, ok := l.next.(interface{ CloseIdleConnections() }); ok {
		next.CloseIdleConnections()
	}
}

// keys are buffers for keys.
var keys = sync.Pool{New: func() any { b := make([]byte, 0, 512); return &b }}

// RoundTrip answers from the store if it may, and else asks the next handler.
func (l *layer) RoundTrip(r *http.Request) (*http.Response, error) {
	c := l.cache
	if r.URL == nil || c.closed.Load() {
		return l.next.RoundTrip(r)
	}
	a := newAsk(r.Context(), r)
	if a.bypass != "" {
		x := &exchange{layer: l, request: r, ask: a, now: time.Now()}
		return x.forward(decision{action: fetch, fwd: a.bypassAs, detail: a.bypass})
	}
	buffer := keys.Get().(*[]byte)
	defer keys.Put(buffer)
	key, err := c.appendKey((*buffer)[:0], r)
	*buffer = key[:0]
	if err != nil {
		a.bypass, a.bypassAs = "no key: "+err.Error(), ForwardBypass
		x := &exchange{layer: l, request: r, ask: a, now: time.Now()}
		return x.forward(decision{action: fetch, fwd: a.bypassAs, detail: a.bypass})
	}
	now := time.Now()
	set := c.load(r.Context(), key, now)
	e, why := c.choose(&a, set, r)
	d := decide(&a, e, why, now)
	if d.action == serve {
		return c.serve(&a, e, r, now, d.detail), nil
	}
	x := &exchange{layer: l, request: r, ask: a, key: string(key), now: now, set: set, selected: e}
	return x.act(d)
}

// appendKey appends the primary key: the partition, then what the strategy makes of the request.
func (c *Cache) appendKey(dst []byte, r *http.Request) ([]byte, error) {
	dst = target.Append(dst, partition.Of(r.Context()))
	return c.key.AppendKey(dst, r)
}

// load asks the store. A store that fails has nothing.
func (c *Cache) load(ctx context.Context, key []byte, now time.Time) *Set {
	if c.memory != nil {
		return c.memory.get(key, now)
	}
	set, err := c.store.Get(ctx, string(key))
	if err != nil {
		c.stats.storeErrors.Add(1)
		return nil
	}
	return set
}

// choose selects among the variants, or says why none fits.
func (c *Cache) choose(a *ask, set *Set, r *http.Request) (*Entry, Forward) {
	if set == nil {
		return nil, ForwardURIMiss
	}
	if e := set.choose(a, r.Header, &c.secret); e != nil {
		return e, ""
	}
	return nil, ForwardVary
}

// serve answers from the store.
func (c *Cache) serve(a *ask, e *Entry, r *http.Request, now time.Time, detail string) *http.Response {
	if r.Body != nil {
		r.Body.Close()
	}
	c.stats.hits.Add(1)
	e.used.Store(now.UnixNano())
	status := ""
	if ttl := e.ttl(now); ttl < 0 || detail != "" {
		status = Status{Hit: true, TTL: ttl, HasTTL: true, Detail: detail}.String()
		if ttl < 0 {
			c.stats.stale.Add(1)
		}
	}
	return answer(a, e, r, now, status)
}

// answer makes the response to r from a stored one.
func answer(a *ask, e *Entry, r *http.Request, now time.Time, status string) *http.Response {
	return e.shapedResponse(r, a.head, now, status, shaped(a, e, now))
}

// exchange is one request that the store alone could not answer.
type exchange struct {
	*layer
	request  *http.Request
	ask      ask
	key      string
	now      time.Time // of the decision
	set      *Set      // what is stored under key
	selected *Entry    // the variant that fits, or nil
	behind   bool      // the caller has its answer already
}

func (x *exchange) act(d decision) (*http.Response, error) {
	switch d.action {
	case serveStale:
		x.refreshBehind()
		return x.cache.serve(&x.ask, x.selected, x.request, x.now, d.detail), nil
	case refuse:
		return x.refused(d), nil
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
	x.cache.stats.misses.Add(1)
	return &http.Response{
		Status: "504 Gateway Timeout", StatusCode: http.StatusGatewayTimeout,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:  http.Header{cacheStatus: {Status{Detail: d.detail}.String()}, "Content-Length": {"0"}},
		Request: x.request, Body: http.NoBody,
	}
}

// forward sends the request as it is.
func (x *exchange) forward(d decision) (*http.Response, error) {
	if x.ask.bypass != "" {
		x.cache.stats.bypassed.Add(1)
	} else {
		x.cache.stats.misses.Add(1)
	}
	return x.send(x.request, d)
}

// send does one exchange with the origin and takes in what comes back.
func (x *exchange) send(r *http.Request, d decision) (*http.Response, error) {
	began := x.cache.events.now()
	requested := time.Now()
	resp, err := x.next.RoundTrip(r)
	if err == nil && resp == nil {
		err = errNoResponse
	}
	if err != nil {
		if resp != nil && resp.Body != nil {
			resp.Body.Close()
		}
		return x.failed(d, err)
	}
	resp.Request = x.request
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return resp, nil
	}
	reply := &reply{exchange: x, Response: resp, requested: requested, received: time.Now(), began: began}
	if d.action == validate && resp.StatusCode == http.StatusNotModified {
		return reply.notModified(d)
	}
	if d.action == complete {
		return reply.completed(d)
	}
	if isServerError(resp.StatusCode) {
		if stale := x.insteadOf(d, resp.StatusCode, false); stale != nil {
			discard(resp.Body)
			return stale, nil
		}
	}
	return reply.take(d), nil
}

// errNoResponse blames a handler that breaks the contract of http.RoundTripper.
var errNoResponse = errors.New("cache: the next handler returned neither a response nor an error")

// isServerError tells which statuses stale-if-error is for (RFC 5861 §4).
func isServerError(status int) bool {
	switch status {
	case 500, 502, 503, 504:
		return true
	}
	return false
}

// failed answers a request for which the origin could not be reached.
func (x *exchange) failed(d decision, err error) (*http.Response, error) {
	if x.request.Context().Err() == nil {
		if stale := x.insteadOf(d, 0, true); stale != nil {
			return stale, nil
		}
	}
	return nil, err
}

// insteadOf returns the stored response that may stand in for a failed exchange, or nil.
func (x *exchange) insteadOf(d decision, status int, unreachable bool) *http.Response {
	if x.behind {
		return nil
	}
	now := time.Now()
	why, ok := onError(&x.ask, x.selected, unreachable, &x.cache.posture, now)
	if !ok {
		return nil
	}
	x.cache.stats.stale.Add(1)
	s := Status{Fwd: d.fwd, FwdStatus: status, TTL: x.selected.ttl(now), HasTTL: true, Detail: servedInstead + why}
	return answer(&x.ask, x.selected, x.request, now, s.String())
}

// validate asks the origin whether what is stored is still good.
func (x *exchange) validate(d decision) (*http.Response, error) {
	r := *x.request
	r.Header = conditionalHeader(x.request.Header, x.selected, x.set.entries, &x.ask)
	return x.send(&r, d)
}

// complete asks the origin for the bytes that a stored part lacks (RFC 9111 §3.3).
func (x *exchange) complete(d decision) (*http.Response, error) {
	r := *x.request
	r.Header = x.request.Header.Clone()
	if r.Header == nil {
		r.Header = make(http.Header, 2)
	}
	missing, _ := remainder(x.selected)
	r.Header["Range"] = []string{missing}
	if x.selected.etag.Strong() {
		r.Header["If-Range"] = []string{x.selected.etag.String()}
	}
	x.cache.stats.misses.Add(1)
	return x.send(&r, d)
}

// refreshBehind validates the selected response on a goroutine of its own, which the caller's cancellation does not end.
func (x *exchange) refreshBehind() {
	behind := *x
	behind.behind = true
	behind.ask.noneMatch, behind.ask.modifiedSince, behind.ask.head, behind.ask.ranged = nil, nil, false, false
	c := x.cache
	ctx := context.WithoutCancel(x.request.Context())
	c.flights.start(x.key, func() {
		ctx, cancel := context.WithTimeout(ctx, c.refresh)
		defer cancel()
		defer context.AfterFunc(c.flights.ctx, cancel)()
		behind.request = x.request.Clone(ctx)
		if behind.request.Method == http.MethodHead {
			behind.request.Method = http.MethodGet
		}
		if rewind(behind.request) != nil {
			return
		}
		deleteFold(behind.request.Header, "Range")
		deleteFold(behind.request.Header, "If-Range")
		deleteFold(behind.request.Header, "If-None-Match")
		deleteFold(behind.request.Header, "If-Modified-Since")
		behind.refresh()
	})
}

// refresh fetches or validates, and reads the body to its end so that it is stored.
func (x *exchange) refresh() {
	d := decision{action: validate, fwd: ForwardStale}
	if !x.selected.hasValidator() {
		d.action = fetch
	}
	resp, err := x.act(d)
	if err != nil {
		return
	}
	io.Copy(io.Discard, io.LimitReader(resp.Body, x.cache.maxEntry+1))
	resp.Body.Close()
}

// reply is what the origin answered.
type reply struct {
	*exchange
	*http.Response
	requested, received time.Time
	began               uint64 // number of the first invalidation that this reply may not know of
}

// take gives the reply to the caller, and to the store what may be stored.
func (p *reply) take(d decision) *http.Response {
	inbound := foreign(p.Header[cacheStatus])
	s := Status{Fwd: d.fwd, FwdStatus: p.StatusCode, Detail: d.detail}
	p.invalidate()
	if p.ask.bypass == "" || p.ask.bypass == "method" {
		p.store(&s)
	}
	p.Header = p.Header.Clone()
	if p.Header == nil {
		p.Header = make(http.Header, 1)
	}
	p.Header[cacheStatus] = append(inbound, s.String())
	return p.Response
}

// invalidate deletes what a successful unsafe request made invalid.
func (p *reply) invalidate() {
	if p.ask.mode == disabled || !invalidates(p.request.Method, p.StatusCode) {
		return
	}
	for _, tag := range invalidated(p.request, p.Header) {
		p.cache.invalidate(p.request.Context(), tag)
	}
	p.began = p.cache.events.now() // what this answer itself made invalid does not keep it from being stored
}

// invalidate deletes the sets with a tag. It is noted first: an exchange that began earlier and ends later finds the note and does not store.
func (c *Cache) invalidate(ctx context.Context, tag string) {
	c.events.add(tag)
	c.stats.invalidated.Add(1)
	if err := c.store.DeleteTagged(ctx, tag); err != nil {
		c.stats.storeErrors.Add(1)
	}
}

// store arranges for the reply to be stored when the caller has read it.
func (p *reply) store(s *Status) {
	e, reason := p.entry()
	switch {
	case e == nil && reason == "":
		return
	case e == nil:
		s.Detail = joined(s.Detail, "not stored: "+reason)
		return
	}
	s.Stored, s.TTL, s.HasTTL = true, e.ttl(p.received), true
	commit := func(body []byte) {
		e.body = body
		if len(p.Trailer) > 0 {
			e.trailer = p.Trailer.Clone()
		}
		e.index()
		p.cache.put(p.exchange, e, p.began)
	}
	if p.Body == http.NoBody || p.ContentLength == 0 {
		commit(nil)
		return
	}
	p.Body = newRecorder(p.Body, p.ContentLength, p.cache.maxEntry, commit)
}

func joined(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// entry makes the entry of a reply, yet without its body, or says why it is not stored.
func (p *reply) entry() (*Entry, string) {
	c := p.cache
	if p.request.Method == http.MethodHead {
		return nil, "HEAD"
	}
	if p.Close && p.ContentLength < 0 {
		return nil, "the body ends with the connection, so its end cannot be told from a break"
	}
	if p.ContentLength > c.maxEntry {
		return nil, "body exceeds MaxEntryBytes"
	}
	candidate := p.candidate(p.Response)
	if reason, ok := storable(&candidate, &c.posture); !ok {
		return nil, reason
	}
	if p.key == "" { // a POST that answers later GET requests
		get := *p.request
		get.Method = http.MethodGet
		b, err := c.appendKey(nil, &get)
		if err != nil {
			return nil, "no key: " + err.Error()
		}
		p.key = string(b)
	}
	e := &Entry{
		url: displayURL(p.request), status: p.StatusCode, reason: p.Status,
		proto: p.Proto, major: p.ProtoMajor, minor: p.ProtoMinor, uncompressed: p.Uncompressed,
		header:    storedHeader(p.Header, p.received, candidate.verdict.Overrules(), &c.posture),
		selectors: newSelectors(p.Header["Vary"], p.request.Header, &c.secret),
		tags:      []string{uriTag(p.request)},
		requested: p.requested, received: p.received, age0: candidate.age, rules: newRules(&candidate, &c.posture),
	}
	if p.StatusCode == http.StatusPartialContent {
		part, ok := parseContentRange(p.Header["Content-Range"])
		if part, ok = part.holding(max(p.ContentLength, 0)); !ok {
			return nil, "partial content of unknown length"
		}
		e.part = &part
		e.header["Content-Range"] = []string{part.String()}
	}
	return e, ""
}

// candidate asks the expiry strategy about a response.
func (p *reply) candidate(resp *http.Response) candidate {
	c := p.cache
	x := expiry.Exchange{Request: p.request, Response: resp, Now: p.received, Shared: c.posture.shared, Targeted: c.posture.targeted}
	out := candidate{request: p.request, response: resp, age: initialAge(resp.Header, p.requested, p.received)}
	if out.verdict = c.expiry.Expiry(x); out.verdict.Silent() {
		out.verdict = expiry.Default().Expiry(x)
	}
	_, out.explicit = expiry.Explicit(x)
	return out
}

// put stores an entry, unless its URI has been invalidated meanwhile.
func (c *Cache) put(x *exchange, e *Entry, began uint64) {
	if c.closed.Load() {
		return
	}
	e.used.Store(e.received.UnixNano())
	err := c.store.Update(context.WithoutCancel(x.request.Context()), x.key, func(old *Set) *Set {
		// Looked up inside the update: an invalidation is noted before it deletes, so one of the two sees the other.
		if c.events.since(began, e.tags) {
			return old
		}
		return old.with(e, c.maxEntry)
	})
	if err != nil {
		c.stats.storeErrors.Add(1)
		return
	}
	c.stats.stored.Add(1)
}

// notModified takes in a 304 to a request that this cache made conditional (RFC 9111 §4.3.3).
func (p *reply) notModified(d decision) (*http.Response, error) {
	e := confirmed(p.Header, p.selected, p.set.entries)
	if e == nil && p.answersCaller() {
		return p.take(d), nil
	}
	if e == nil {
		return p.refetch(d, "304 for another response")
	}
	discard(p.Body)
	p.cache.stats.revalidated.Add(1)
	fresh, stored := p.freshen(e)
	now := time.Now()
	s := Status{Fwd: d.fwd, FwdStatus: http.StatusNotModified, Stored: stored, TTL: fresh.ttl(now), HasTTL: true, Detail: d.detail}
	return answer(&p.ask, fresh, p.request, now, s.String()), nil
}

// completed takes in the answer to a request for missing bytes: together with the stored part it is the whole.
// A part that does not fit is dropped, and the whole fetched.
func (p *reply) completed(d decision) (*http.Response, error) {
	part := p.selected
	switch p.StatusCode {
	case http.StatusPartialContent:
	case http.StatusRequestedRangeNotSatisfiable:
		return p.refetch(d, "the stored part does not fit")
	default:
		return p.take(d), nil
	}
	rest, ok := completes(part, p.Header)
	if !ok || p.ContentLength >= 0 && p.ContentLength != rest.size() {
		return p.refetch(d, "the stored part does not fit")
	}
	bodies := []io.Reader{bytes.NewReader(part.body), p.Body}
	if rest.first == 0 {
		slices.Reverse(bodies)
	}
	p.Header = freshenedHeader(part.header, p.Header, p.received)
	delete(p.Header, "Content-Range")
	p.Header["Content-Length"] = []string{strconv.FormatInt(rest.complete, 10)}
	p.StatusCode, p.Status, p.ContentLength = http.StatusOK, "200 OK", rest.complete
	p.TransferEncoding = nil
	p.Body = &struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bodies...), p.Body}
	resp := p.take(d)
	return resp, nil
}

// refetch drops the reply and sends the caller's request without conditions.
func (p *reply) refetch(d decision, why string) (*http.Response, error) {
	discard(p.Body)
	d.action, d.detail = fetch, joined(d.detail, why)
	r, err := p.unconditional()
	if err != nil {
		return nil, err
	}
	return p.send(r, d)
}

// answersCaller tells whether a 304 answers the caller's own condition rather than the cache's.
func (p *reply) answersCaller() bool {
	tag := p.Header.Get("Etag")
	return tag != "" && slices.Contains(callersTags(&p.ask), tag) || p.Header.Get("Etag") == "" && p.selected == nil && p.ask.conditional()
}

// unconditional is the caller's request without conditions, with its body at the beginning again.
func (p *reply) unconditional() (*http.Request, error) {
	r := *p.request
	r.Header = r.Header.Clone()
	deleteFold(r.Header, "If-None-Match")
	deleteFold(r.Header, "If-Modified-Since")
	return &r, rewind(&r)
}

// rewind replaces a body that has been sent.
func rewind(r *http.Request) error {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	if r.GetBody == nil {
		return errors.New("cache: the request must be sent again, and its body cannot: set GetBody")
	}
	body, err := r.GetBody()
	if err != nil {
		return fmt.Errorf("cache: the request must be sent again: %w", err)
	}
	r.Body = body
	return nil
}

// freshen puts a confirmed response with an updated header in the old one's place, or deletes that if the update may not be stored.
func (p *reply) freshen(old *Entry) (*Entry, bool) {
	c := p.cache
	merged := &http.Response{StatusCode: old.status, ContentLength: int64(len(old.body)), Header: freshenedHeader(old.header, p.Header, p.received)}
	candidate := p.candidate(merged)
	_, ok := storable(&candidate, &c.posture)
	e := old.copy()
	e.header = storedHeader(merged.Header, p.received, candidate.verdict.Overrules(), &c.posture)
	e.selectors = newSelectors(merged.Header["Vary"], p.request.Header, &c.secret)
	e.requested, e.received, e.age0, e.rules = p.requested, p.received, candidate.age, newRules(&candidate, &c.posture)
	e.index()
	if ok {
		c.put(p.exchange, e, p.began)
		return e, true
	}
	err := c.store.Update(context.WithoutCancel(p.request.Context()), p.key, func(set *Set) *Set {
		return set.without(func(stored *Entry) bool { return stored == old || slices.Equal(stored.selectors, old.selectors) })
	})
	if err != nil {
		c.stats.storeErrors.Add(1)
	}
	return e, false
}
