package cache

import (
	"net/http"
	"time"

	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/lease"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stream"
)

// An originResponse is the origin's answer to an exchange. It embeds the response as the caller is to get it: the body, and the header with Cache-Status, are put in place here.
type originResponse struct {
	*exchange
	*http.Response
	requested, received time.Time
	began               invalidation.Moment // the request's, in the history of invalidations
	apart               string              // why requests with the same key must not share it: their connections may be other ones, or it completes what is for all. Empty if they may
	foreseen            *foreseen           // nothing is stored, and this is known beforehand; see ExplainResponse. Nil of a real response
	unstored            string              // why it is not stored, or empty; see noteNotStored
	followed            bool                // it is the answer of another URI
	tagged              int32               // how many tags of the program it has
	tagRoom             [6]invalidation.Tag // the first half for what it makes invalid, the second for what it is stored under
	validation          *validation         // nil unless it is in use, or will be
}

// notFinal is why the answer to an upgrade is not stored.
const notFinal = "status not final"

// handle returns the caller's answer: the response, or a stored one that it confirms or fails to replace.
func (p *originResponse) handle(d rfc9111.Decision) (*http.Response, error) {
	if p.inflight != nil {
		p.inflight.status = p.StatusCode
	}
	p.setApart(p.apart)
	switch {
	case p.StatusCode == http.StatusSwitchingProtocols:
		p.report(accounting{counter: &p.cache.stats.bypassed})
		p.cache.traceNotStored(p.request, notFinal)
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

// setApart notes why the answer is for its caller alone, if it is.
func (p *originResponse) setApart(why string) {
	if p.apart = why; p.inflight != nil {
		p.inflight.apart = why != ""
	}
}

// passOn gives the response to the caller, and to the store what may be stored. status is what the origin sent, which a completed part is no more.
func (p *originResponse) passOn(d rfc9111.Decision, status int) *http.Response {
	inbound := cachestatus.Foreign(p.Header[cachestatus.Field])
	s := Status{Fwd: Forward(d.Fwd), FwdStatus: status, Detail: d.Detail}
	p.invalidate()
	switch {
	case !p.parsed.MayStore() && p.parsed.Bypass != "":
		p.cache.traceNotStored(p.request, p.parsed.Bypass) // Cache-Status says it already
	case !p.parsed.MayStore():
		p.noteNotStored("mode " + p.parsed.Mode.String())
	case p.apart != "":
		p.noteNotStored(p.apart)
	case p.misattributed():
		p.noteNotStored(p.misattribution())
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
		p.cache.fetches.setHitForMiss(p.ownKey, true) // the origin is so slow that requests would wait for one another again before the next answer
	}
	s, member := p.cache.said.of(s, p.unstored)
	p.Header = cachestatus.WithMember(p.Header, inbound, member)
	p.report(accounting{counter: p.cache.stats.of(s), status: s})
	return p.Response
}

// noteNotStored notes why the response is not stored.
func (p *originResponse) noteNotStored(reason string) {
	p.unstored = reason
	p.cache.traceNotStored(p.request, reason)
}

func joined(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}
