package cache

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/lease"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/middleware/cache/internal/stream"
)

// originResponse is what the origin answered.
type originResponse struct {
	*exchange
	*http.Response
	requested, received time.Time
	began               invalidation.Moment // in the history of invalidations
	followed            bool                // it is the answer of another URI
	apart               string              // Fwd requests that share the key must not share it: its connection was another one than theirs may be
	merged              http.Response       // what it confirms, brought up to date
}

// handle gives the caller an answer: the reply, or a stored response that it confirms or fails to replace.
func (p *originResponse) handle(d rfc9111.Decision) (*http.Response, error) {
	if p.inflight != nil {
		p.inflight.status, p.inflight.apart = p.StatusCode, p.apart != ""
	}
	switch {
	case p.StatusCode == http.StatusSwitchingProtocols:
		p.report(accounting{counter: &p.cache.stats.bypassed})
		p.cache.traceNotStored(p.request, "status not final")
		p.Header = cachestatus.WithoutForgery(p.Header)
		return p.Response, nil
	case d.Action == rfc9111.Validate && p.StatusCode == http.StatusNotModified:
		return p.notModified(d)
	case d.Action == rfc9111.Complete:
		return p.completed(d)
	}
	if rfc9111.IsServerError(p.StatusCode) {
		if stale := p.staleInstead(d, p.StatusCode, false); stale != nil {
			p.cache.traceNotStored(p.request, "an error, and what is stored stands in for it")
			stream.Discard(p.Response)
			return stale, nil
		}
	}
	return p.passOn(d, p.StatusCode), nil
}

// passOn gives the reply to the caller, and to the store what may be stored.
func (p *originResponse) passOn(d rfc9111.Decision, status int) *http.Response {
	inbound := cachestatus.Foreign(p.Header[cachestatus.Field])
	s := Status{Fwd: Forward(d.Fwd), FwdStatus: status, Detail: d.Detail}
	p.invalidate()
	switch {
	case !p.parsed.MayStore() && p.parsed.Bypass != "":
		p.cache.traceNotStored(p.request, p.parsed.Bypass) // which the status tells already
	case !p.parsed.MayStore():
		p.noteNotStored(&s, "mode "+p.parsed.Mode.String())
	case p.apart != "":
		p.noteNotStored(&s, p.apart)
	case p.misattributed():
		p.noteNotStored(&s, credentialsBelow)
	case p.parsed.Head && p.parsed.Bypass == "":
		p.learnFromHead()
	default:
		p.store(&s)
	}
	switch {
	case inTrouble(p.StatusCode):
		p.noteTrouble()
	case p.afterTrouble:
		p.cache.fetches.noteAnswer(p.ownKey)
	case p.unshared && !s.Stored && p.received.Sub(p.requested) > lease.HitForMissTime/2:
		p.cache.fetches.setHitForMiss(p.ownKey, true) // what is known would be forgotten before the next one, and that be waited for
	}
	p.Header = p.Header.Clone()
	if p.Header == nil {
		p.Header = make(http.Header, 1)
	}
	p.Header[cachestatus.Field] = append(inbound, s.String())
	p.report(accounting{counter: p.cache.stats.of(s), status: s})
	return p.Response
}

// invalidate deletes what a successful unsafe request made invalid.
func (p *originResponse) invalidate() {
	c := p.cache
	if p.parsed.Mode == rfc9111.ModeDisabled || c.off.Load() || c.closed.Load() || !p.changes(p.StatusCode) {
		return
	}
	c.stats.invalidated.Add(1)
	tags := append(c.invalidated(p.request, p.Header), c.groupsEnded(p.request, p.Header)...)
	if c.policy.Answers(p.request.Method) {
		tags = c.endpointTags(tags, p.request)
	}
	p.began = c.history.AddAt(p.began, tags...)
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
func (c *Cache) drop(ctx context.Context, tags ...invalidation.Tag) error {
	c.history.Add(tags...)
	return c.deleteTagged(ctx, tags)
}

// deleteTagged deletes the sets with these tags. What a store does not take is its fault, whoever asked for it.
func (c *Cache) deleteTagged(ctx context.Context, tags []invalidation.Tag) error {
	err := c.store.DeleteTagged(ctx, tags)
	c.fault(ctx, "delete", err)
	return err
}

// store arranges for the reply to be stored when the caller has read it.
func (p *originResponse) store(s *Status) {
	e, reason := p.entry()
	whole := p.Body == http.NoBody && p.ContentLength <= 0
	if reason == "" && whole && !p.cache.keeps(p.request, e, nil) {
		reason = bodyRefused
	}
	if reason == "" && rfc9111.DisplacesServable(p.selected, e, &p.cache.policy, p.received) {
		reason = "an error, and what is stored can still be served"
	}
	if reason != "" {
		p.noteNotStored(s, reason)
		if reason != bodyRefused && p.selected != nil && rfc9111.Ends(p.selected, p.StatusCode, p.received) {
			p.remove(p.selected)
		}
		return
	}
	s.Stored, s.TTL, s.HasTTL = true, e.TTL(p.received), true
	if whole {
		e.Derive()
		p.cache.put(p.exchange, e, p.began)
	}
	switch {
	case p.inflight == nil && e.AnswersWaiters():
		p.cache.fetches.setHitForMiss(p.ownKey, false)
	case p.inflight != nil && whole:
		p.inflight.entry = e
	}
	switch {
	case whole:
	case p.inflight != nil:
		p.shareBody(e)
	default:
		p.copyBody(e)
	}
}

// noteNotStored says why the reply is not stored.
func (p *originResponse) noteNotStored(s *Status, reason string) {
	s.Detail = joined(s.Detail, "not stored: "+reason)
	p.cache.traceNotStored(p.request, reason)
}

// newBodyCopy makes the copy of the body.
func (p *originResponse) newBodyCopy(e *stored.Entry) stream.BodyCopy {
	length := p.ContentLength
	if length == 0 {
		length = -1 // a handler that makes its responses by hand left it out: with a length of zero, net/http has NoBody
	}
	d := stream.BodyCopy{Length: length, Limit: p.cache.maxEntry, TooLarge: tooLarge, Trailers: p.Trailer != nil, Claim: &stream.Claim{Budget: &p.cache.copyBudget}}
	if p.cache.filterBody != nil && d.Limit > maxFiltered {
		d.Limit, d.TooLarge = maxFiltered, tooLargeToFilter
	}
	if durable := p.cache.durable; durable != nil && d.Limit > stream.SinkAt {
		key := p.storeKey
		d.OpenSink = func() stream.Sink { return durable.NewChunkWriter(durable.RecordKey(key), e) }
	}
	return d
}

// shareBody lets others read the body, and stores a copy of it when it has ended well.
func (p *originResponse) shareBody(e *stored.Entry) {
	x, f, began := p.exchange, p.inflight, p.began
	s := p.fanOut(e, p.newBodyCopy(e))
	s.Decided = func(o stream.Outcome) {
		if !o.Complete {
			x.removeIfTooLarge(e, o.Reason)
			f.copyDropped(x, o)
			return
		}
		if x.cache.filterBody != nil {
			refused := stream.Outcome{Reason: bodyRefused}
			kept := false
			defer func() {
				if !kept { // or it has panicked
					f.copyDropped(x, refused)
				}
			}()
			if kept = x.cache.keeps(x.request, e, o.Body); !kept {
				return
			}
		}
		whole := e.Clone()
		if whole.Body = o.Content(); len(s.Final) > 0 {
			whole.Trailer = s.Final
		}
		whole.Derive()
		s.AddRef() // others join until they find it in the store
		x.onStored = sync.OnceFunc(func() {
			f.table.remove(f)
			s.Leave(context.Canceled)
		})
		defer func() {
			if !x.putting {
				x.onStored()
			}
		}()
		x.cache.put(x, whole, began)
	}
}

// fanOut lets those who share the exchange read the body. What becomes of the copy is still to be decided.
func (p *originResponse) fanOut(e *stored.Entry, copy stream.BodyCopy) *stream.FanOut {
	f, made := p.inflight, p.Response
	s := &stream.FanOut{Source: made.Body, BodyCopy: copy, Cancel: f.endFor, Announced: made.Trailer.Clone()}
	s.Ended = func() { s.Final = made.Trailer.Clone() }
	e.Derive()
	s.Tagged = e.Etag.Strong()
	f.entry, f.fanout = e, s
	given := *made
	given.Trailer = made.Trailer.Clone()
	p.Response = &given
	return s
}

// copyDropped ends a flight whose answer is not stored after all.
func (f *inflightFetch) copyDropped(x *exchange, o stream.Outcome) {
	f.table.remove(f)
	f.lease.End(releaseAfterDrop(&o))
	x.cache.traceNotStored(x.request, o.Reason)
}

// copyBody copies the body as the caller reads it, and stores e when it has ended well. The transport puts trailers into the response that it made;
// the caller gets another one, so that nothing that it does to its trailers is stored.
func (p *originResponse) copyBody(e *stored.Entry) {
	made, given, x, began := p.Response, *p.Response, p.exchange, p.began
	given.Trailer = made.Trailer.Clone()
	recorder := stream.NewRecorder(made.Body, p.newBodyCopy(e))
	recorder.Ended = func() { addTrailers(&given, made.Trailer) }
	recorder.Commit = func(body stored.Content) {
		if !x.cache.keeps(x.request, e, body.Bytes) {
			x.cache.traceNotStored(x.request, bodyRefused)
			return
		}
		e.Body = body
		if len(made.Trailer) > 0 {
			e.Trailer = made.Trailer.Clone()
		}
		e.Derive()
		x.cache.put(x, e, began)
	}
	recorder.Abandon = func(reason string) {
		x.removeIfTooLarge(e, reason)
		x.cache.traceNotStored(x.request, reason)
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
func (p *originResponse) entry() (*stored.Entry, string) {
	c := p.cache
	switch {
	case p.followed:
		return nil, "a handler below the cache followed a redirect"
	case c.durable != nil && p.parsed.Path.Unnamed() != "": // Generation a method that invalidates
		return nil, unnamedConnection + p.parsed.Path.Unnamed()
	case endsWithConnection(p.Response):
		return nil, "the body ends with the connection, so its end cannot be told from a break"
	case p.ContentLength > c.maxEntry:
		return nil, tooLarge
	case p.ContentLength > maxFiltered && c.filterBody != nil:
		return nil, tooLargeToFilter
	case p.Body != http.NoBody && !c.copyBudget.Has(max(stream.ScratchSize, min(p.ContentLength, stream.MaxPrealloc))):
		return nil, stream.OverBudget
	case c.filter != nil && !c.filter(p.request, p.Response):
		return nil, "filter"
	}
	judged := c.judge(p.request, p.Response, rfc9111.InitialAge(p.Header, p.requested, p.received), p.received)
	judged.Carried |= p.watch.carries()
	if reason, ok := rfc9111.Storable(&judged, &c.policy); !ok {
		return nil, reason
	}
	e := p.newEntry(&judged)
	if slices.ContainsFunc(e.Selectors, rfc9111.Unhashed) {
		return nil, rfc9111.UnhashedReason
	}
	if p.StatusCode == http.StatusPartialContent {
		part, _ := rfc9111.ParseContentRange(p.Header["Content-Range"])
		part, _ = part.Holding(p.ContentLength)
		e.Part = &part
		e.Header["Content-Range"] = []string{part.String()}
	}
	return e, p.index(e, p.Header)
}

// newEntry makes the entry of a reply that the expiry strategy has judged.
func (p *originResponse) newEntry(judged *rfc9111.Candidate) *stored.Entry {
	c := p.cache
	return &stored.Entry{
		URL: rfc9111.DisplayURL(p.request), Status: p.StatusCode, Reason: p.Status,
		Proto: p.Proto, Major: p.ProtoMajor, Minor: p.ProtoMinor, Uncompressed: p.Uncompressed,
		Header:    rfc9111.StoredHeader(p.Header, p.received, judged.Verdict.Overrules(), &c.policy),
		Selectors: rfc9111.NewSelectors(p.varies(), p.request, c.hashKey()),
		Search:    stored.NewSearchVariance(p.Header, stored.QueryOf(p.request)),
		Requested: p.requested, Received: p.received, InitialAge: judged.Age, Rules: rfc9111.NewRules(judged, &c.policy),
	}
}

// varies is the Vary of the reply. An error varies on what is known of its URI as well: a proxy that fails does not know what the origin
// varies on, and its error must not be the answer to those for whom another variant is stored.
func (p *originResponse) varies() []string {
	lines := p.Header["Vary"]
	if p.StatusCode < 400 {
		return lines
	}
	lines = slices.Clone(lines)
	for _, e := range p.variants.All() {
		for _, s := range e.Selectors {
			lines = append(lines, s.Name)
		}
	}
	return lines
}

// endsWithConnection tells whether nothing but the end of the connection tells the end of a body (RFC 9112 §6.3).
func endsWithConnection(resp *http.Response) bool {
	return resp.Close && resp.ContentLength < 0 && resp.ProtoMajor < 2 && !slices.Contains(resp.TransferEncoding, "chunked")
}

// index settles under which tags and under which key an entry with a header is stored.
func (p *originResponse) index(e *stored.Entry, h http.Header) string {
	c := p.cache
	e.Tags = append(c.resourceTags([]invalidation.Tag{rfc9111.URITag(p.request)}, rfc9111.URIKind, p.request), c.groupsOf(p.request, h)...)
	e.Tags = c.endpointTags(withPrincipal(p.request.Context(), e.Tags), p.request)
	if reason := p.tag(e, h); reason != "" {
		return reason
	}
	get := p.request
	if p.ownKey == "" { // a POST that answers later GET requests
		get = p.request.Clone(p.request.Context())
		get.Method, get.Body, get.GetBody = http.MethodGet, nil, nil
		key, err := c.appendKey(nil, get, p.parsed.Path)
		if err != nil {
			return "no key: " + err.Error()
		}
		p.ownKey = string(key)
	}
	p.storeKey = p.ownKey
	if m := get.Method; m != "" && m != http.MethodGet && m != http.MethodHead {
		e.Method = m
	}
	if e.Search == nil {
		return ""
	}
	key, err := c.searchKey(get, p.parsed.Path)
	if err != nil {
		return "no key: " + err.Error()
	}
	e.Tags = c.resourceTags(append(e.Tags, rfc9111.SearchTag(p.request)), rfc9111.SearchKind, stored.WithoutQuery(p.request))
	c.searches.Store(true)
	p.storeKey = string(key)
	return ""
}

// notModified takes in a 304 to a request that this cache made conditional (RFC 9111 §4.3.3).
func (p *originResponse) notModified(d rfc9111.Decision) (*http.Response, error) {
	if p.followed {
		return p.refetch(d, "304 of another URI")
	}
	if p.misattributed() {
		if rfc9111.AnswersCaller(p.Header, &p.parsed) {
			return p.passOn(d, p.StatusCode), nil
		}
		return p.refetch(d, credentialsBelow)
	}
	e := rfc9111.Confirmed(p.Header, p.selected, p.variants.Entries, &p.parsed)
	if e == nil && rfc9111.AnswersCaller(p.Header, &p.parsed) {
		return p.passOn(d, p.StatusCode), nil
	}
	if e == nil {
		return p.refetch(d, "304 for another response")
	}
	c := p.cache
	if !e.Body.InMemory() && e != p.selected {
		if e = c.withBody(p.request.Context(), &p.parsed, e, p.received); e == nil {
			return p.refetch(d, "the stored body is gone")
		}
	}
	stream.Discard(p.Response)
	fresh, stored, may := p.freshen(e)
	if p.inflight != nil && may {
		p.inflight.entry = fresh
	}
	now := time.Now()
	s := Status{Fwd: Forward(d.Fwd), FwdStatus: http.StatusNotModified, Stored: stored, TTL: fresh.TTL(now), HasTTL: true, Detail: d.Detail}
	p.report(accounting{counter: c.stats.of(s), status: s})
	resp := answer(&p.parsed, fresh, p.request, now, s.String())
	rfc9111.AddValidatedFields(resp.Header, p.Header, &c.policy)
	rfc9111.AddCookies(resp.Header, p.Header)
	return resp, nil
}

// refetch drops the reply and sends the caller's request without conditions.
func (p *originResponse) refetch(d rfc9111.Decision, why string) (*http.Response, error) {
	stream.Discard(p.Response)
	d.Action, d.Detail = rfc9111.Fetch, joined(d.Detail, why)
	r := *p.request
	r.Header = r.Header.Clone()
	rfc9111.DeleteFold(r.Header, "If-None-Match")
	rfc9111.DeleteFold(r.Header, "If-Modified-Since")
	if err := stream.Rewind(&r); err != nil {
		return nil, err
	}
	return p.send(&r, d)
}

// freshen puts a confirmed response with an updated header in the old one's place, or deletes that if the update may not be stored.
// It tells whether it has stored it, and whether it may be stored.
func (p *originResponse) freshen(old *stored.Entry) (e *stored.Entry, kept, may bool) {
	c := p.cache
	merged := &p.merged
	*merged = http.Response{StatusCode: old.Status, ContentLength: old.Body.Size(), Header: rfc9111.FreshenedHeader(old.Header, p.Header, p.received)}
	judged := c.judge(p.request, merged, rfc9111.InitialAge(merged.Header, p.requested, p.received), p.received)
	judged.Confirmed, judged.Carried = true, judged.Carried|p.watch.carries()
	reason, _ := rfc9111.Storable(&judged, &c.policy)
	e = old.Clone()
	e.Selectors = rfc9111.NewSelectors(merged.Header["Vary"], p.request, c.hashKey())
	if slices.ContainsFunc(e.Selectors, rfc9111.Unhashed) {
		reason = rfc9111.UnhashedReason
	}
	e.Requested, e.Received, e.InitialAge, e.Rules = p.requested, p.received, judged.Age, rfc9111.NewRules(&judged, &c.policy)
	e.Header = merged.Header // nobody else has it
	rfc9111.KeepStored(e.Header, p.received, judged.Verdict.Overrules(), &c.policy)
	e.URL, e.Search = rfc9111.DisplayURL(p.request), stored.NewSearchVariance(e.Header, stored.QueryOf(p.request))
	e.Derive()
	switch {
	case p.parsed.Mode == rfc9111.ModeReadOnly:
		c.traceNotStored(p.request, "mode "+rfc9111.ModeReadOnly.String())
		return e, false, false
	case p.apart != "":
		c.traceNotStored(p.request, p.apart)
		return e, false, false
	}
	if reason == "" {
		reason = p.index(e, e.Header)
	}
	if reason != "" {
		c.traceNotStored(p.request, reason)
		p.remove(old)
		return e, false, false
	}
	p.confirmed = old
	return e, c.put(p.exchange, e, p.began), true
}

// learnFromHead brings the stored response that a HEAD was about up to date, or marks it as out of date (RFC 9111 §4.3.5).
func (p *originResponse) learnFromHead() {
	old := p.selected
	known := old != nil && old.Part == nil && !p.followed
	switch {
	case known && p.StatusCode == http.StatusOK && rfc9111.Describes(p.Header, old):
		p.freshen(old)
		return
	case known && (p.StatusCode != old.Status && rfc9111.Replaces(p.StatusCode) || p.StatusCode == http.StatusOK):
		p.remove(old)
	}
	p.cache.traceNotStored(p.request, "an answer to HEAD has no content")
}
