package cache

import (
	"net/http"
	"slices"

	"github.com/plyhttp/ply/internal/eventstream"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/middleware/cache/internal/stream"
)

// store arranges for the response to be stored: at once if it has no body, and otherwise when all of the body has come.
func (p *originResponse) store(s *Status) {
	noBody := p.Body == http.NoBody && p.ContentLength <= 0
	e, reason := p.wantedEntry(noBody)
	if reason != "" {
		p.noteNotStored(reason)
		if reason != bodyRefused && p.selected != nil && rfc9111.Ends(p.selected, p.StatusCode, p.received) {
			p.remove(p.selected)
		}
		return
	}
	s.Stored, s.TTL, s.HasTTL = true, e.TTL(p.received), true
	p.keep(e, noBody)
}

// keep stores e at once if it has no body, and otherwise when all of the body has come.
func (p *originResponse) keep(e *stored.Entry, noBody bool) {
	if p.inflight == nil && e.AnswersWaiters() {
		p.cache.fetches.setHitForMiss(p.ownKey, false)
	}
	switch {
	case noBody:
		e.Derive()
		p.cache.put(p.exchange, e, p.began, nil)
		if p.inflight != nil {
			p.inflight.entry = e
		}
	case p.inflight != nil:
		p.shareBody(e)
	default:
		p.copyBody(e)
	}
}

// wantedEntry is entry, unless the program or a stored response that can still be served is against it.
func (p *originResponse) wantedEntry(noBody bool) (*stored.Entry, string) {
	e, reason := p.entry()
	switch {
	case reason != "":
	case noBody && rfc9111.IsEventStream(p.Header):
		reason = eventstream.NoEvent
	case noBody && !p.cache.keeps(p.request, e, nil):
		reason = bodyRefused
	case rfc9111.DisplacesServable(p.selected, e, &p.cache.policy, p.received):
		reason = "an error, and what is stored can still be served"
	}
	return e, reason
}

// entry makes the entry of the response, without its body, or says why it is not stored.
func (p *originResponse) entry() (*stored.Entry, string) {
	c := p.cache
	switch {
	case p.followed:
		return nil, "a handler below the cache followed a redirect"
	case c.durable != nil && p.parsed.Path.Unnamed() != "": // the answer to a request of an unsafe method, which is not bypassed for this like others
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
		h := e.Header.Map()
		h["Content-Range"] = []string{part.String()}
		e.Header = stored.NewHeader(h)
	}
	return e, p.index(e, p.Header)
}

// newEntry makes the entry of a response that the expiry strategy has judged.
func (p *originResponse) newEntry(judged *rfc9111.Candidate) *stored.Entry {
	c, hashes := p.cache, p.cache.hashKey()
	if p.foreseen != nil {
		hashes = p.foreseen.hashes
	}
	return &stored.Entry{
		URL: rfc9111.DisplayURL(p.request), Status: p.StatusCode, Line: stored.NewStatusLine(p.StatusCode, p.Status, p.Proto, byte(p.ProtoMajor), byte(p.ProtoMinor)),
		Uncompressed: p.Uncompressed, Unnamed: p.parsed.Path.Unnamed() != "",
		Header:    rfc9111.StoredHeader(judged, p.received, &c.policy),
		Selectors: rfc9111.NewSelectors(p.varies(), p.request, hashes),
		Search:    stored.NewSearchVariance(p.Header, stored.QueryOf(p.request)),
		Requested: p.requested, Received: p.received, InitialAge: judged.Age, Rules: rfc9111.NewRules(judged, &c.policy),
	}
}

// varies is the Vary of the response. An error varies on what is known of its URI as well: a proxy that fails does not know what the origin
// varies on, and its error must not answer requests for which another variant is stored.
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

// endsWithConnection reports whether only the end of the connection marks the end of a body (RFC 9112 §6.3).
func endsWithConnection(resp *http.Response) bool {
	return resp.Close && resp.ContentLength < 0 && resp.ProtoMajor < 2 && !slices.Contains(resp.TransferEncoding, "chunked")
}

// index sets the tags of an entry with this header, and the key that it is stored under. It returns why there is none.
func (p *originResponse) index(e *stored.Entry, h http.Header) string {
	before := e.Tags
	e.Tags = p.tagRoom[3:3]
	reason := p.indexInRoom(e, h)
	if slices.Equal(before, e.Tags) {
		e.Tags = before // those of the response that it is made of
	} else {
		e.Tags = slices.Clone(e.Tags) // what is stored keeps nothing of the exchange
	}
	return reason
}

// indexInRoom is index, with the tags in the memory that e.Tags has.
func (p *originResponse) indexInRoom(e *stored.Entry, h http.Header) string {
	c := p.cache
	e.Tags = append(c.resourceTags(append(e.Tags, rfc9111.URITag(p.request)), rfc9111.URIKind, p.request), c.groupsOf(p.request, h)...)
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
	if p.foreseen == nil {
		c.searches.Store(true)
	}
	p.storeKey = string(key)
	return ""
}
