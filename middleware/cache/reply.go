package cache

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// reply is what the origin answered.
type reply struct {
	*exchange
	*http.Response
	requested, received time.Time
	began               moment        // in the history of invalidations
	followed            bool          // it is the answer of another URI
	apart               string        // why requests that share the key must not share it: its connection was another one than theirs may be
	merged              http.Response // what it confirms, brought up to date
}

// handle gives the caller an answer: the reply, or a stored response that it confirms or fails to replace.
func (p *reply) handle(d decision) (*http.Response, error) {
	if p.flight != nil {
		p.flight.status, p.flight.apart = p.StatusCode, p.apart != ""
	}
	switch {
	case p.StatusCode == http.StatusSwitchingProtocols:
		p.report(told{counter: &p.cache.stats.bypassed})
		p.cache.leftOut(p.request, "status not final")
		p.Header = withoutForgery(p.Header)
		return p.Response, nil
	case d.action == validate && p.StatusCode == http.StatusNotModified:
		return p.notModified(d)
	case d.action == complete:
		return p.completed(d)
	}
	if isServerError(p.StatusCode) {
		if stale := p.insteadOf(d, p.StatusCode, false); stale != nil {
			p.cache.leftOut(p.request, "an error, and what is stored stands in for it")
			discard(p.Response)
			return stale, nil
		}
	}
	return p.take(d, p.StatusCode), nil
}

// take gives the reply to the caller, and to the store what may be stored.
func (p *reply) take(d decision, status int) *http.Response {
	inbound := foreign(p.Header[cacheStatus])
	s := Status{Fwd: d.fwd, FwdStatus: status, Detail: d.detail}
	p.invalidate()
	switch {
	case !p.ask.mayStore() && p.ask.bypass != "":
		p.cache.leftOut(p.request, p.ask.bypass) // which the status tells already
	case !p.ask.mayStore():
		p.leaveOut(&s, "mode "+p.ask.mode.String())
	case p.apart != "":
		p.leaveOut(&s, p.apart)
	case p.misattributed():
		p.leaveOut(&s, credentialsBelow)
	case p.ask.head && p.ask.bypass == "":
		p.learnFromHead()
	default:
		p.store(&s)
	}
	switch {
	case inTrouble(p.StatusCode):
		p.trouble()
	case p.sounding:
		p.cache.flights.hears(p.own)
	case p.unshared && !s.Stored && p.received.Sub(p.requested) > hitForMissTime/2:
		p.cache.flights.missOn(p.own, true) // what is known would be forgotten before the next one, and that be waited for
	}
	p.Header = p.Header.Clone()
	if p.Header == nil {
		p.Header = make(http.Header, 1)
	}
	p.Header[cacheStatus] = append(inbound, s.String())
	p.report(told{counter: p.cache.stats.of(s), status: s})
	return p.Response
}

// invalidate deletes what a successful unsafe request made invalid.
func (p *reply) invalidate() {
	c := p.cache
	if p.ask.mode == modeDisabled || c.off.Load() || c.closed.Load() || !p.changes(p.StatusCode) {
		return
	}
	c.stats.invalidated.Add(1)
	tags := append(c.invalidated(p.request, p.Header), c.groupsEnded(p.request, p.Header)...)
	if c.posture.answers(p.request.Method) {
		tags = c.endpointTags(tags, p.request)
	}
	p.began = c.events.addAt(p.began, tags...)
	ctx, cancel := c.within(context.WithoutCancel(p.request.Context())) // for all tags together
	defer cancel()
	c.deleteTagged(ctx, tags)
	c.traces(p.request.Context(), func(t *Trace) {
		if t.Invalidated != nil {
			t.Invalidated(p.request)
		}
	})
}

// drop deletes the sets with these tags. That is noted first: an exchange that began earlier and ends later finds the note and does not store.
func (c *Cache) drop(ctx context.Context, tags ...tag) error {
	c.events.add(tags...)
	return c.deleteTagged(ctx, tags)
}

// deleteTagged deletes the sets with these tags. What a store does not take is its fault, whoever asked for it.
func (c *Cache) deleteTagged(ctx context.Context, tags []tag) error {
	err := c.store.deleteTagged(ctx, tags)
	c.fault(ctx, "delete", err)
	return err
}

// store arranges for the reply to be stored when the caller has read it.
func (p *reply) store(s *Status) {
	e, reason := p.entry()
	whole := p.Body == http.NoBody && p.ContentLength <= 0
	if reason == "" && whole && !p.cache.keeps(p.request, e, nil) {
		reason = bodyRefused
	}
	if reason == "" && displacesInVain(p.selected, e, &p.cache.posture, p.received) {
		reason = "an error, and what is stored can still be served"
	}
	if reason != "" {
		p.leaveOut(s, reason)
		if reason != bodyRefused && p.selected != nil && ends(p.selected, p.StatusCode, p.received) {
			p.remove(p.selected)
		}
		return
	}
	s.Stored, s.TTL, s.HasTTL = true, e.ttl(p.received), true
	if whole {
		e.index()
		p.cache.put(p.exchange, e, p.began)
	}
	switch {
	case p.flight == nil && e.suitsAll():
		p.cache.flights.missOn(p.own, false)
	case p.flight != nil && whole:
		p.flight.entry = e
	}
	switch {
	case whole:
	case p.flight != nil:
		p.spool(e)
	default:
		p.record(e)
	}
}

// leaveOut says why the reply is not stored.
func (p *reply) leaveOut(s *Status, reason string) {
	s.Detail = joined(s.Detail, "not stored: "+reason)
	p.cache.leftOut(p.request, reason)
}

// draft makes the copy of the body.
func (p *reply) draft(e *Entry) draft {
	length := p.ContentLength
	if length == 0 {
		length = -1 // a handler that makes its responses by hand left it out: with a length of zero, net/http has NoBody
	}
	d := draft{length: length, limit: p.cache.maxEntry, excess: tooLarge, trailers: p.Trailer != nil, claim: &claim{budget: &p.cache.copies}}
	if p.cache.filterBody != nil && d.limit > maxFiltered {
		d.limit, d.excess = maxFiltered, tooLargeToFilter
	}
	if durable := p.cache.durable; durable != nil && d.limit > spillAt {
		key := p.key
		d.spiller = func() *spill { return durable.newSpill(durable.place(key), e) }
	}
	return d
}

// spool lets others read the body, and stores a copy of it when it has ended well.
func (p *reply) spool(e *Entry) {
	x, f, began := p.exchange, p.flight, p.began
	s := p.pass(e, p.draft(e))
	s.decided = func(o outcome) {
		if !o.complete {
			x.outgrown(e, o.reason)
			f.dropped(x, o)
			return
		}
		if x.cache.filterBody != nil {
			refused := outcome{reason: bodyRefused}
			kept := false
			defer func() {
				if !kept { // or it has panicked
					f.dropped(x, refused)
				}
			}()
			if kept = x.cache.keeps(x.request, e, o.body); !kept {
				return
			}
		}
		whole := e.copy()
		if whole.body = o.content(); len(s.final) > 0 {
			whole.trailer = s.final
		}
		whole.index()
		s.hold() // others join until they find it in the store
		x.landed = sync.OnceFunc(func() {
			f.table.remove(f)
			s.leave(context.Canceled)
		})
		defer func() {
			if !x.putting {
				x.landed()
			}
		}()
		x.cache.put(x, whole, began)
	}
}

// pass lets those who share the exchange read the body. What becomes of the copy is still to be decided.
func (p *reply) pass(e *Entry, copy draft) *spool {
	f, made := p.flight, p.Response
	s := &spool{source: made.Body, draft: copy, cancel: f.endFor, announced: made.Trailer.Clone()}
	s.ended = func() { s.final = made.Trailer.Clone() }
	e.index()
	s.tagged = e.etag.Strong()
	f.entry, f.spool = e, s
	given := *made
	given.Trailer = made.Trailer.Clone()
	p.Response = &given
	return s
}

// dropped ends a flight whose answer is not stored after all.
func (f *flight) dropped(x *exchange, o outcome) {
	f.table.remove(f)
	f.lease.end(o.parting())
	x.cache.leftOut(x.request, o.reason)
}

// record copies the body as the caller reads it, and stores e when it has ended well. The transport puts trailers into the response that it made;
// the caller gets another one, so that nothing that it does to its trailers is stored.
func (p *reply) record(e *Entry) {
	made, given, x, began := p.Response, *p.Response, p.exchange, p.began
	given.Trailer = made.Trailer.Clone()
	recorder := newRecorder(made.Body, p.draft(e))
	recorder.ended = func() { addTrailers(&given, made.Trailer) }
	recorder.commit = func(body content) {
		if !x.cache.keeps(x.request, e, body.bytes) {
			x.cache.leftOut(x.request, bodyRefused)
			return
		}
		e.body = body
		if len(made.Trailer) > 0 {
			e.trailer = made.Trailer.Clone()
		}
		e.index()
		x.cache.put(x, e, began)
	}
	recorder.abandon = func(reason string) {
		x.outgrown(e, reason)
		x.cache.leftOut(x.request, reason)
	}
	given.Body = recorder
	p.Response = &given
}

// addTrailers gives a response the trailers that have come with the end of its body, in a map of its own.
func addTrailers(resp *http.Response, trailers http.Header) {
	if resp.Trailer == nil {
		resp.Trailer = trailers.Clone()
		return
	}
	maps.Copy(resp.Trailer, trailers.Clone())
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
	switch {
	case p.followed:
		return nil, "a handler below the cache followed a redirect"
	case c.durable != nil && p.ask.path.Unnamed() != "": // of a method that invalidates
		return nil, unnamed + p.ask.path.Unnamed()
	case endsWithConnection(p.Response):
		return nil, "the body ends with the connection, so its end cannot be told from a break"
	case p.ContentLength > c.maxEntry:
		return nil, tooLarge
	case p.ContentLength > maxFiltered && c.filterBody != nil:
		return nil, tooLargeToFilter
	case p.Body != http.NoBody && !c.copies.has(max(scratchSize, min(p.ContentLength, maxPrealloc))):
		return nil, overBudget
	case c.filter != nil && !c.filter(p.request, p.Response):
		return nil, "filter"
	}
	judged := c.judge(p.request, p.Response, initialAge(p.Header, p.requested, p.received), p.received)
	judged.carried |= p.watch.carries()
	if reason, ok := storable(&judged, &c.posture); !ok {
		return nil, reason
	}
	e := p.newEntry(&judged)
	if slices.ContainsFunc(e.selectors, selector.unhashed) {
		return nil, unhashedReason
	}
	if p.StatusCode == http.StatusPartialContent {
		part, _ := parseContentRange(p.Header["Content-Range"])
		part, _ = part.holding(p.ContentLength)
		e.part = &part
		e.header["Content-Range"] = []string{part.String()}
	}
	return e, p.index(e, p.Header)
}

// newEntry makes the entry of a reply that the expiry strategy has judged.
func (p *reply) newEntry(judged *candidate) *Entry {
	c := p.cache
	return &Entry{
		url: displayURL(p.request), status: p.StatusCode, reason: p.Status,
		proto: p.Proto, major: p.ProtoMajor, minor: p.ProtoMinor, uncompressed: p.Uncompressed,
		header:    storedHeader(p.Header, p.received, judged.verdict.Overrules(), &c.posture),
		selectors: newSelectors(p.varies(), p.request, c.secret()),
		search:    newSearchVariance(p.Header, queryOf(p.request)),
		requested: p.requested, received: p.received, age0: judged.age, rules: newRules(judged, &c.posture),
	}
}

// varies is the Vary of the reply. An error varies on what is known of its URI as well: a proxy that fails does not know what the origin
// varies on, and its error must not be the answer to those for whom another variant is stored.
func (p *reply) varies() []string {
	lines := p.Header["Vary"]
	if p.StatusCode < 400 {
		return lines
	}
	lines = slices.Clone(lines)
	for _, e := range p.set.all() {
		for _, s := range e.selectors {
			lines = append(lines, s.name)
		}
	}
	return lines
}

// endsWithConnection tells whether nothing but the end of the connection tells the end of a body (RFC 9112 §6.3).
func endsWithConnection(resp *http.Response) bool {
	return resp.Close && resp.ContentLength < 0 && resp.ProtoMajor < 2 && !slices.Contains(resp.TransferEncoding, "chunked")
}

// index settles under which tags and under which key an entry with a header is stored.
func (p *reply) index(e *Entry, h http.Header) string {
	c := p.cache
	e.tags = append(c.resourceTags([]tag{uriTag(p.request)}, uriKind, p.request), c.groupsOf(p.request, h)...)
	e.tags = c.endpointTags(withPrincipal(p.request.Context(), e.tags), p.request)
	get := p.request
	if p.own == "" { // a POST that answers later GET requests
		get = p.request.Clone(p.request.Context())
		get.Method, get.Body, get.GetBody = http.MethodGet, nil, nil
		key, err := c.appendKey(nil, get, p.ask.path)
		if err != nil {
			return "no key: " + err.Error()
		}
		p.own = string(key)
	}
	p.key = p.own
	if m := get.Method; m != "" && m != http.MethodGet && m != http.MethodHead {
		e.method = m
	}
	if e.search == nil {
		return ""
	}
	key, err := c.searchKey(get, p.ask.path)
	if err != nil {
		return "no key: " + err.Error()
	}
	e.tags = c.resourceTags(append(e.tags, searchTag(p.request)), searchKind, withoutQuery(p.request))
	c.searches.Store(true)
	p.key = string(key)
	return ""
}

// notModified takes in a 304 to a request that this cache made conditional (RFC 9111 §4.3.3).
func (p *reply) notModified(d decision) (*http.Response, error) {
	if p.followed {
		return p.refetch(d, "304 of another URI")
	}
	if p.misattributed() {
		if answersCaller(p.Header, &p.ask) {
			return p.take(d, p.StatusCode), nil
		}
		return p.refetch(d, credentialsBelow)
	}
	e := confirmed(p.Header, p.selected, p.set.entries, &p.ask)
	if e == nil && answersCaller(p.Header, &p.ask) {
		return p.take(d, p.StatusCode), nil
	}
	if e == nil {
		return p.refetch(d, "304 for another response")
	}
	c := p.cache
	if !e.body.here() && e != p.selected {
		if e = c.withBody(p.request.Context(), &p.ask, e, p.received); e == nil {
			return p.refetch(d, "the stored body is gone")
		}
	}
	discard(p.Response)
	fresh, stored, may := p.freshen(e)
	if p.flight != nil && may {
		p.flight.entry = fresh
	}
	now := time.Now()
	s := Status{Fwd: d.fwd, FwdStatus: http.StatusNotModified, Stored: stored, TTL: fresh.ttl(now), HasTTL: true, Detail: d.detail}
	p.report(told{counter: c.stats.of(s), status: s})
	resp := answer(&p.ask, fresh, p.request, now, s.String())
	addValidatedFields(resp.Header, p.Header, &c.posture)
	addCookies(resp.Header, p.Header)
	return resp, nil
}

// refetch drops the reply and sends the caller's request without conditions.
func (p *reply) refetch(d decision, why string) (*http.Response, error) {
	discard(p.Response)
	d.action, d.detail = fetch, joined(d.detail, why)
	r := *p.request
	r.Header = r.Header.Clone()
	deleteFold(r.Header, "If-None-Match")
	deleteFold(r.Header, "If-Modified-Since")
	if err := rewind(&r); err != nil {
		return nil, err
	}
	return p.send(&r, d)
}

// freshen puts a confirmed response with an updated header in the old one's place, or deletes that if the update may not be stored.
// It tells whether it has stored it, and whether it may be stored.
func (p *reply) freshen(old *Entry) (e *Entry, stored, may bool) {
	c := p.cache
	merged := &p.merged
	*merged = http.Response{StatusCode: old.status, ContentLength: old.body.size(), Header: freshenedHeader(old.header, p.Header, p.received)}
	judged := c.judge(p.request, merged, initialAge(merged.Header, p.requested, p.received), p.received)
	judged.confirmed, judged.carried = true, judged.carried|p.watch.carries()
	reason, _ := storable(&judged, &c.posture)
	e = old.copy()
	e.selectors = newSelectors(merged.Header["Vary"], p.request, c.secret())
	if slices.ContainsFunc(e.selectors, selector.unhashed) {
		reason = unhashedReason
	}
	e.requested, e.received, e.age0, e.rules = p.requested, p.received, judged.age, newRules(&judged, &c.posture)
	e.header = merged.Header // nobody else has it
	keepStored(e.header, p.received, judged.verdict.Overrules(), &c.posture)
	e.url, e.search = displayURL(p.request), newSearchVariance(e.header, queryOf(p.request))
	e.index()
	switch {
	case p.ask.mode == ModeReadOnly:
		c.leftOut(p.request, "mode "+ModeReadOnly.String())
		return e, false, false
	case p.apart != "":
		c.leftOut(p.request, p.apart)
		return e, false, false
	}
	if reason == "" {
		reason = p.index(e, e.header)
	}
	if reason != "" {
		c.leftOut(p.request, reason)
		p.remove(old)
		return e, false, false
	}
	p.updated = old
	return e, c.put(p.exchange, e, p.began), true
}

// learnFromHead brings the stored response that a HEAD was about up to date, or marks it as out of date (RFC 9111 §4.3.5).
func (p *reply) learnFromHead() {
	old := p.selected
	known := old != nil && old.part == nil && !p.followed
	switch {
	case known && p.StatusCode == http.StatusOK && describes(p.Header, old):
		p.freshen(old)
		return
	case known && (p.StatusCode != old.status && replaces(p.StatusCode) || p.StatusCode == http.StatusOK):
		p.remove(old)
	}
	p.cache.leftOut(p.request, "an answer to HEAD has no content")
}
