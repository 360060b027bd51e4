package cache

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/middleware/cache/internal/durable"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// refused is the answer when only the store was allowed and cannot help (RFC 9111 §5.2.1.7).
func (x *exchange) refused(d rfc9111.Decision) *http.Response {
	if x.request.Body != nil {
		x.request.Body.Close()
	}
	s := Status{Detail: d.Detail}
	x.cache.stats.misses.Add(1)
	x.cache.answered(x.request, s)
	return &http.Response{
		Status: "504 Gateway Timeout", StatusCode: http.StatusGatewayTimeout,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:  http.Header{cachestatus.Field: {s.String()}, "Content-Length": {"0"}},
		Request: x.request, Body: http.NoBody,
	}
}

// insteadAfterDeadline returns the stored response that stands in for an answer which has not come by the caller's deadline, or nil:
// to its caller such an origin is one that cannot be reached (RFC 5861 §4). One who has gone of his own accord wants nothing.
func (x *exchange) insteadAfterDeadline(d rfc9111.Decision) *http.Response {
	if !errors.Is(x.request.Context().Err(), context.DeadlineExceeded) {
		return nil
	}
	return x.staleInstead(d, 0, true)
}

// staleInstead returns the stored response that may stand in for a failed exchange, or nil.
func (x *exchange) staleInstead(d rfc9111.Decision, status int, unreachable bool) *http.Response {
	if x.background || x.parsed.Bypass != "" || x.misattributed() {
		return nil
	}
	now := time.Now()
	why, ok := rfc9111.OnError(&x.parsed, x.selected, unreachable, &x.cache.policy, now)
	if !ok {
		return nil
	}
	s := Status{Fwd: Forward(d.Fwd), FwdStatus: status, TTL: x.selected.TTL(now), HasTTL: true, Detail: cachestatus.ServedInstead + why}
	x.report(accounting{counter: x.cache.stats.of(s), stale: s.TTL <= 0, status: s})
	resp := answer(&x.parsed, x.selected, durable.Outliving(x.request), now, s.String())
	resp.Request = x.request
	return resp
}

// serve answers from the store.
func (c *Cache) serve(a *rfc9111.Request, e *stored.Entry, r *http.Request, now time.Time, detail string) *http.Response {
	if r.Body != nil {
		r.Body.Close()
	}
	c.stats.hits.cell().Add(1)
	used := e.Used.Load()
	e.Touch(now)
	if c.durable != nil {
		c.durable.Touch(e, time.Unix(0, used), now)
	}
	age := e.Age(now)
	left := e.FreshForAt(age, now)
	if left <= 0 {
		c.stats.stale.Add(1)
	}
	plain := left > 0 && detail == ""
	if !plain || c.trace != nil || a.Traced {
		s := Status{Hit: true, TTL: stored.TTL(left), HasTTL: true, Detail: detail}
		c.answered(r, s)
		if !plain {
			return answer(a, e, r, now, s.String())
		}
	}
	s := e.HitFields(age, left)
	return e.Response(r, a.Head, s.Age, s.Status, rfc9111.Shaped(a, e, now))
}

// answer makes the response to r from a stored one.
func answer(a *rfc9111.Request, e *stored.Entry, r *http.Request, now time.Time, status string) *http.Response {
	age := strconv.FormatInt(int64(e.Age(now)/time.Second), 10)
	return e.Response(r, a.Head, age, status, rfc9111.Shaped(a, e, now))
}
