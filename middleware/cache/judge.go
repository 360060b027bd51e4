package cache

import (
	"net/http"
	"time"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
)

// judge asks the expiry strategy about a response of this age.
func (c *Cache) judge(r *http.Request, resp *http.Response, age time.Duration, received time.Time) rfc9111.Candidate {
	return rfc9111.Judge(expiry.Exchange{
		Request: r, Response: resp, Now: received, Shared: c.policy.Shared, Targeted: c.policy.Targeted,
		PerRequest: expiryOf(r.Context()),
	}, c.expiry, age, rfc9111.CarriedBy(r))
}
