package plytest

import (
	"net/http"
	"net/http/httptrace"
	"time"
)

// Origin is a server in memory and the transport to it, whatever host a request names.
//
// The zero value answers each request with an empty 200. Set the fields before the first request, and do not change them after that;
// all methods are safe for concurrent use. An Origin keeps the contract of [http.RoundTripper]:
// it does not change the request, closes its body once, obeys its context, and calls the hooks of [httptrace].
// It starts a goroutine for a request body, for a Handler and for an upgrade. Each ends with its exchange.
//
// It speaks HTTP/1.1, does not decompress, follows no redirect, and closes no connection for being idle.
type Origin struct {
	// Script holds replies that are played in order, whatever the request. The last one repeats.
	Script []Reply

	// Paths holds scripts for certain paths. They take precedence over Script.
	Paths map[string][]Reply

	// Handler answers requests without a script, as a server does. Nil means an empty 200.
	Handler http.Handler

	// Latency passes before each answer. Zero means none.
	Latency time.Duration

	journal journal
}

// NewOrigin returns an origin that plays replies in order and repeats the last one.
func NewOrigin(replies ...Reply) *Origin { return &Origin{Script: replies} }

// NewHandlerOrigin returns an origin that runs a handler as [http.Server] would: it streams and flushes; interim responses, trailers,
// [http.Hijacker] and [http.ErrAbortHandler] work; Content-Length, Content-Type and Date are added where they are missing.
// It buffers 64 KiB of an unread response, as a socket does; then Write blocks.
func NewHandlerOrigin(h http.Handler) *Origin { return &Origin{Handler: h} }

// Exchanges returns the requests and their outcomes, in the order of arrival.
func (o *Origin) Exchanges() []Exchange { return o.journal.exchanges() }

// Count returns how many requests have arrived, those that failed on the way included.
func (o *Origin) Count() int { return o.journal.count() }

func (o *Origin) reply(req *http.Request) *Reply {
	if script := o.Paths[req.URL.Path]; len(script) > 0 {
		return o.journal.next(req.URL.Path, script)
	}
	if len(o.Script) > 0 {
		return o.journal.next("", o.Script)
	}
	return &Reply{Handler: o.Handler}
}

// RoundTrip implements [http.RoundTripper].
func (o *Origin) RoundTrip(req *http.Request) (*http.Response, error) {
	rec := newRecord(req)
	o.journal.add(rec)
	c := &call{
		req:   req,
		ctx:   req.Context(),
		rec:   rec,
		body:  &onceCloser{rc: req.Body},
		trace: httptrace.ContextClientTrace(req.Context()),
	}
	if c.trace == nil {
		c.trace = &httptrace.ClientTrace{}
	}
	c.unwatch = rec.watch(c.ctx)
	resp, err := o.answer(c)
	if err != nil {
		c.unwatch()
		c.body.Close()
		return nil, c.failed(err)
	}
	rec.note(func(x *Exchange) { x.Status = resp.StatusCode })
	resp.Request = req
	if resp.StatusCode != http.StatusSwitchingProtocols {
		resp.Body = &loggedBody{ReadCloser: resp.Body, call: c}
	}
	return resp, nil
}

func (o *Origin) answer(c *call) (*http.Response, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	reply := o.reply(c.req)
	c.wait = o.Latency + reply.Wait
	if f := reply.failure; f != nil && !f.sent {
		return c.fail(f)
	}
	c.connected()
	if reply.Handler != nil {
		return c.handle(reply.Handler)
	}
	return c.play(reply)
}
