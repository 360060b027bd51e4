package rfc9111

import (
	"net/http"
	"time"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/internal/freshness"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// asError limits the verdict for an error response whose status the strategy does not name: then only the server can have it stored.
// The server's own verdict, said, bounds the lifetime. Where the strategy overrules the server, the server must have given a lifetime, too.
func (c *Candidate) asError(said expiry.Verdict, given bool) {
	v := c.Verdict
	switch {
	case v.Refused():
	case v.Overrules() && (!given || v.For(0) == 0):
		c.Unwanted = true
	default:
		c.Verdict = expiry.Follow(min(v.For(c.Age), said.For(c.Age)))
		// A strategy can shorten the stale windows that the server allows, not lengthen them.
		c.Verdict.StaleWhileRevalidate, c.Verdict.StaleIfError = min(v.StaleWhileRevalidate, 0), min(v.StaleIfError, 0)
	}
	c.failure = true
}

// Judge asks a strategy about a response. It asks the request's own strategy first, unless the given one does that itself.
// Age is the age of the response at receipt, and sent the credentials of the request.
func Judge(x expiry.Exchange, strategy expiry.Strategy, age time.Duration, sent Carried) Candidate {
	judged := Candidate{Request: x.Request, Response: x.Response, Age: age, Carried: sent}
	if _, asks := strategy.(freshness.PerRequestAsker); x.PerRequest != nil && !asks {
		strategy = expiry.First(x.PerRequest, strategy)
	}
	if judged.Verdict = strategy.Expiry(x); judged.Verdict.Silent() {
		judged.Verdict = expiry.Default().Expiry(x)
	}
	l := freshness.Of(freshness.Response{
		Status: x.Response.StatusCode, Header: x.Response.Header, Received: x.Now, Shared: x.Shared, Targeted: x.Targeted,
	})
	judged.explicit = l.Explicit
	if x.Response.StatusCode >= 400 && !judged.Verdict.AnyStatus {
		judged.asError(expiry.Default().Expiry(x), l.Explicit && l.Value > 0)
	}
	return judged
}

// servable reports whether a stored response can still be served without a validation: it is fresh, or within one of its stale windows (RFC 9111 §4.2.4).
func servable(e *stored.Entry, p *Policy, now time.Time) bool {
	left := e.FreshFor(now)
	switch {
	case e.Rules.NoCache:
		return false
	case left > 0:
		return true
	}
	return e.Rules.MayServeStale() && -left <= max(e.Rules.StaleWhileRevalidate, e.Rules.StaleIfError, p.Disconnected)
}

// NewRules returns the rules for the use of a response that is to be stored (RFC 9111 §5.2.2).
func NewRules(c *Candidate, p *Policy) stored.Rules {
	d := c.controlling(p)
	ownWhileRevalidate, ownIfError := p.StaleWhileRevalidate, p.StaleIfError
	if c.failure {
		ownWhileRevalidate, ownIfError = 0, 0 // the cache's own windows never keep an error either
	}
	r := stored.Rules{
		Lifetime:             c.Verdict.For(c.Age),
		Immutable:            d.Immutable,
		Sliding:              c.Verdict.Sliding,
		StaleWhileRevalidate: window(c.Verdict.StaleWhileRevalidate, d.StaleWhileRevalidate, ownWhileRevalidate),
		StaleIfError:         window(c.Verdict.StaleIfError, d.StaleIfError, ownIfError),
	}
	r.RefreshWithin = time.Duration(float64(max(r.Lifetime-c.Age, 0)) * min(max(c.Verdict.RefreshWithin, 0), 1))
	r.XFetch = min(max(c.Verdict.XFetch, 0), 100)
	if c.Verdict.Overrules() {
		r.NoCache = c.Verdict.For(0) == 0
		return r
	}
	// No RFC gives Pragma a meaning in a response, but many servers mean no-cache by it. On doubt, validate (RFC 9111 §5.4).
	r.NoCache = d.NoCache || !d.Present && field.PragmaNoCache(c.Response.Header["Pragma"])
	r.MustRevalidate = d.MustRevalidate || p.Shared && (d.ProxyRevalidate || d.SMaxAge.Set)
	return r
}

// window picks a stale window: the strategy's, else the server's, else the cache's own. It has the bound of all lifetimes, so that sums of them have one, too.
func window(chosen time.Duration, said field.Seconds, own time.Duration) time.Duration {
	switch {
	case chosen != 0:
		return freshness.Clamp(chosen)
	case said.Set:
		return said.Value
	}
	return freshness.Clamp(own)
}

// InitialAge is corrected_initial_age (RFC 9111 §4.2.3).
func InitialAge(h http.Header, requested, received time.Time) time.Duration {
	age, _ := field.Age(h["Age"])
	age += max(received.Sub(requested), 0)
	if date, ok := field.DateField(h["Date"], received); ok {
		age = max(age, received.Sub(date))
	}
	return min(age, field.MaxDelta*time.Second)
}
