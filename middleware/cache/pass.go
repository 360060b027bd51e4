package cache

import (
	"net/http"

	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/internal/target"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stream"
)

// passes reports whether the answer to a request that bypasses the cache can neither be stored nor make anything invalid (RFC 9111 §4.4).
func passes(a *rfc9111.Request, r *http.Request) bool {
	return !a.MayStore() && (a.Mode == rfc9111.ModeDisabled || rfc9111.Safe(r.Method) && !a.Override)
}

// pass sends such a request on and passes its answer on. It needs no exchange: there is nothing to decide about the answer.
func (l *layer) pass(r *http.Request, d rfc9111.Decision) (*http.Response, error) {
	c := l.cache
	resp, err := l.next.RoundTrip(target.OnWire(r))
	if err == nil && resp == nil {
		err = stream.ErrNoResponse
	}
	if err != nil {
		stream.CloseBody(resp)
		c.stats.errors.Add(1)
		return nil, err
	}
	resp.Request = r
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	handOver(resp, func() {
		if resp.StatusCode == http.StatusSwitchingProtocols {
			c.stats.bypassed.Add(1)
			c.traceNotStored(r, notFinal)
			resp.Header = cachestatus.WithoutForgery(resp.Header)
			return
		}
		s, member := c.said.of(Status{Fwd: Forward(d.Fwd), FwdStatus: resp.StatusCode, Detail: d.Detail}, "")
		c.traceNotStored(r, d.Detail)
		resp.Header = cachestatus.WithMember(resp.Header, cachestatus.Foreign(resp.Header[cachestatus.Field]), member)
		c.stats.of(s).Add(1)
		c.answered(r, s)
	})
	return resp, nil
}
