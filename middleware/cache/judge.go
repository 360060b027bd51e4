package cache

import (
	"net/http"
	"time"

	"github.com/plyhttp/ply/expiry"
)

// judge asks the expiry strategy about a response of a certain age.
func (c *Cache) judge(r *http.Request, resp *http.Response, age time.Duration, received time.Time) candidate {
	x := expiry.Exchange{
		Request: r, Response: resp, Now: received, Shared: c.posture.shared, Targeted: c.posture.targeted,
		PerRequest: expiryOf(r.Context()),
	}
	judged := candidate{request: r, response: resp, age: age, carried: carriedBy(r)}
	strategy := c.expiry
	if asks, ok := strategy.(interface{ AsksPerRequest() bool }); x.PerRequest != nil && !(ok && asks.AsksPerRequest()) {
		strategy = expiry.First(x.PerRequest, strategy)
	}
	if judged.verdict = strategy.Expiry(x); judged.verdict.Silent() {
		judged.verdict = expiry.Default().Expiry(x)
	}
	lifetime, explicit := expiry.Explicit(x)
	judged.explicit = explicit
	if resp.StatusCode >= 400 && !judged.verdict.AnyStatus {
		judged.asError(expiry.Default().Expiry(x), explicit && lifetime > 0)
	}
	return judged
}

// asError takes back what a strategy says of an error in general, without a word about its status: a lifetime of one's own never keeps an error.
// The server's word bounds it, said is that, and where the strategy overrules the server, the server must have given a lifetime, too.
func (c *candidate) asError(said expiry.Verdict, given bool) {
	v := c.verdict
	switch {
	case v.Refused():
	case v.Overrules() && (!given || v.For(0) == 0):
		c.unwanted = true
	default:
		c.verdict = expiry.Follow(min(v.For(c.age), said.For(c.age)))
		// It can take away what the server allows, but not add to it.
		c.verdict.StaleWhileRevalidate, c.verdict.StaleIfError = min(v.StaleWhileRevalidate, 0), min(v.StaleIfError, 0)
	}
	c.failure = true
}
