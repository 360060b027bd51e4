package cache

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/middleware/cache/internal/durable"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/middleware/cache/internal/stream"
)

// serve answers from the store.
func (l *layer) serve(a *rfc9111.Request, e *stored.Entry, r *http.Request, now time.Time, detail string) *http.Response {
	if r.Body != nil {
		r.Body.Close()
	}
	c := l.cache
	c.stats.hits.cell().Add(1)
	used := e.Used.Load()
	e.Touch(now)
	if c.durable != nil {
		c.durable.Touch(e, time.Unix(0, used), now)
	}
	if e.Pacing() != "" {
		detail = joined(detail, c.eventStreams.detail())
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
			return l.answer(a, e, r, now, s.String())
		}
	}
	s := stored.HitFields(age, left)
	return l.resumable(e.Response(r, a.Head, s.Age, s.Status, rfc9111.Shaped(a, e, now)), r) // no event stream: those have a detail
}

// answer makes the response to r from a stored one.
func (l *layer) answer(a *rfc9111.Request, e *stored.Entry, r *http.Request, now time.Time, status string) *http.Response {
	age := strconv.FormatInt(int64(e.Age(now)/time.Second), 10)
	return l.resumable(l.cache.replayed(e.Response(r, a.Head, age, status, rfc9111.Shaped(a, e, now)), e, r), r)
}

// resumable has a body that is read from a byte store go on from the origin if the store loses it. The body is read for r.
func (l *layer) resumable(resp *http.Response, r *http.Request) *http.Response {
	body := io.Reader(resp.Body)
	if replay, ok := body.(*stream.Paced); ok {
		replay.ReadFor(durable.Outliving(r).Context())
		body = replay.ReadCloser
	}
	if l.cache.durable != nil {
		durable.ResumeFrom(body, r, l.next)
	}
	return resp
}

// refused is the answer if only the store may be used, and has none (RFC 9111 §5.2.1.7).
func (x *exchange) refused(d rfc9111.Decision) *http.Response {
	x.closeRequest()
	s := Status{Detail: d.Detail}
	x.cache.stats.misses.Add(1)
	x.cache.answered(x.request, s)
	return x.bare(http.StatusGatewayTimeout, s)
}

// bare is a response of this cache's own, without content.
func (x *exchange) bare(status int, s Status) *http.Response {
	return &http.Response{
		Status: strconv.Itoa(status) + " " + http.StatusText(status), StatusCode: status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:  http.Header{cachestatus.Field: {s.String()}, "Content-Length": {"0"}},
		Request: x.request, Body: http.NoBody,
	}
}

// insteadAfterDeadline returns the stored response that may stand in for an answer which has not come by the caller's deadline, or nil:
// to this caller the origin cannot be reached (RFC 5861 §4). A caller that has canceled its request gets none.
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
	why, ok := rfc9111.OnError(x.parsed, x.selected, unreachable, &x.cache.policy, now)
	if !ok {
		return nil
	}
	s := Status{Fwd: Forward(d.Fwd), FwdStatus: status, TTL: x.selected.TTL(now), HasTTL: true, Detail: cachestatus.ServedInstead + why}
	x.report(accounting{counter: x.cache.stats.of(s), stale: s.TTL <= 0, status: s})
	resp := x.answer(x.parsed, x.selected, durable.Outliving(x.request), now, s.String())
	if replay, ok := resp.Body.(*stream.Paced); ok && x.request.Context().Err() != nil {
		replay.AtOnce() // the caller has no time left
	}
	resp.Request = x.request
	return resp
}
