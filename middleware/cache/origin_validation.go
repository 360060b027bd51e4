package cache

import (
	"net/http"
	"slices"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/middleware/cache/internal/stream"
)

// notModified answers after a 304 to a request that this cache made conditional (RFC 9111 §4.3.3).
func (p *originResponse) notModified(d rfc9111.Decision) (*http.Response, error) {
	if p.followed {
		return p.refetch(d, "304 of another URI")
	}
	if why := p.misattribution(); why != "" {
		if rfc9111.AnswersCaller(p.Header, p.parsed) {
			return p.passOn(d, p.StatusCode), nil
		}
		return p.refetch(d, why)
	}
	e := rfc9111.Confirmed(p.Header, p.selected, p.variants.Entries, p.parsed)
	if e == nil && rfc9111.AnswersCaller(p.Header, p.parsed) {
		return p.passOn(d, p.StatusCode), nil
	}
	if e == nil {
		return p.refetch(d, "304 for another response")
	}
	c := p.cache
	if !e.Body.InMemory() && e != p.selected {
		if e = c.withBody(p.request.Context(), p.parsed, e, p.received); e == nil {
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
	_, member := c.said.of(s, "")
	resp := p.answer(p.parsed, fresh, p.request, now, member)
	rfc9111.AddValidatedFields(resp.Header, p.Header, &c.policy)
	rfc9111.AddCookies(resp.Header, p.Header)
	return resp, nil
}

// refetch drops the response and sends the caller's request without conditions.
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

// freshen puts a confirmed response with an updated header in the old one's place (RFC 9111 §3.2), or deletes that if the update may not be stored.
// kept reports whether the update is stored, may whether it may be.
func (p *originResponse) freshen(old *stored.Entry) (e *stored.Entry, kept, may bool) {
	c := p.cache
	v := p.validating()
	v.merged = http.Response{StatusCode: old.Status, ContentLength: old.Body.Size(), Header: rfc9111.FreshenedHeader(old.Header, p.Header, p.received, v.lines[:])}
	merged := &v.merged
	judged := c.judge(p.request, merged, rfc9111.InitialAge(merged.Header, p.requested, p.received), p.received)
	judged.Confirmed, judged.Carried = true, judged.Carried|p.watch.carries()
	reason, _ := rfc9111.Storable(&judged, &c.policy)
	e = old.Clone()
	e.Selectors = rfc9111.NewSelectors(merged.Header["Vary"], p.request, c.hashKey())
	if slices.ContainsFunc(e.Selectors, rfc9111.Unhashed) {
		reason = rfc9111.UnhashedReason
	}
	e.Requested, e.Received, e.InitialAge, e.Rules = p.requested, p.received, judged.Age, rfc9111.NewRules(&judged, &c.policy)
	rfc9111.KeepStored(merged.Header, p.received, judged.Verdict.Overrules(), &c.policy)
	e.Header = stored.NewHeader(merged.Header)
	e.URL, e.Search = rfc9111.DisplayURLAs(old.URL, p.request), stored.NewSearchVariance(merged.Header, stored.QueryOf(p.request))
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
		if why := rfc9111.UnstorableUpdate(p.Header, judged.Carried, &c.policy); why != "" {
			c.traceNotStored(p.request, why) // what is stored stays as it is
			return e, false, false
		}
		reason = p.index(e, merged.Header)
	}
	if reason != "" {
		c.traceNotStored(p.request, reason)
		p.remove(old)
		return e, false, false
	}
	p.confirmed = old
	return e, c.put(p.exchange, e, p.began, nil), true
}

// learnFromHead brings the stored response that a HEAD was about up to date, or removes it as out of date (RFC 9111 §4.3.5).
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
