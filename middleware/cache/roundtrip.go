package cache

import (
	"net/http"
	"time"

	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/internal/connection"
	"github.com/plyhttp/ply/internal/reqctx"
	"github.com/plyhttp/ply/middleware/cache/internal/durable"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
)

// RoundTrip answers from the store if it may, and else asks the next handler.
func (l *layer) RoundTrip(r *http.Request) (*http.Response, error) {
	c := l.cache
	if r.URL == nil {
		return l.next.RoundTrip(r)
	}
	var a rfc9111.Request
	c.read(&a, r, l.below())
	if c.closed.Load() || c.off.Load() {
		a.SetBypass(rfc9111.SwitchedOff, cachestatus.FwdBypass)
	}
	if a.Bypass != "" {
		return l.newExchange(r, &a, nil, lookup{}, time.Now()).do(a.Bypassed())
	}
	var room [keyRoom]byte
	key := c.anonymousKey(room[:0], &a, r)
	if key == nil {
		buffer := keys.Get().(*[]byte)
		defer putKey(buffer)
		var err error
		if *buffer, err = c.appendKey((*buffer)[:0], r, a.Path); err != nil {
			a.SetBypass("no key: "+err.Error(), cachestatus.FwdBypass)
			return l.newExchange(r, &a, nil, lookup{}, time.Now()).do(a.Bypassed())
		}
		key = *buffer
	}
	now := time.Now()
	var f lookup
	c.find(&f, &a, key, r, now)
	d := rfc9111.Decide(&a, &f.Lookup, now)
	var resp *http.Response
	var err error
	if d.Action == rfc9111.Serve {
		resp = c.serve(&a, f.Entry, r, now, d.Detail)
	} else {
		resp, err = l.newExchange(r, &a, key, f, now).do(d)
	}
	if c.durable != nil && resp != nil {
		durable.ResumeFrom(resp, r, l.next)
	}
	return resp, err
}

// read reads a request, and what the contexts around it have chosen.
func (c *Cache) read(a *rfc9111.Request, r *http.Request, below *connection.Chain) {
	in := reqctx.From(r.Context())
	choices := chosen(in)
	a.Path, a.Principal, a.Named, a.Traced = connection.PathOf(below, in).For(r.URL.Scheme), in.Principal, in.Named(), len(choices.traces) > 0
	a.Read(choices.effective(), r, &c.policy)
	c.keepOutUnsafe(a, r)
	if c.durable != nil && a.Bypass == "" {
		if why := a.Path.Unnamed(); why != "" {
			a.SetBypass(unnamedConnection+why, cachestatus.FwdBypass)
		}
	}
}
