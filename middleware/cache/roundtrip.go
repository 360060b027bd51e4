package cache

import (
	"net/http"
	"time"

	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/internal/connection"
	"github.com/plyhttp/ply/internal/reqctx"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
)

// RoundTrip answers from the store if it may, and otherwise by an exchange with the origin.
func (l *layer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL == nil {
		return l.next.RoundTrip(r)
	}
	c := l.cache
	var a rfc9111.Request
	c.read(&a, r, l.below())

	// The key. A request without one bypasses the cache.
	var room [keyRoom]byte
	var key []byte
	if a.Bypass == "" {
		if key = c.anonymousKey(room[:0], &a, r); key == nil {
			buffer := keys.Get().(*[]byte)
			defer putKey(buffer)
			key = c.keyIn(buffer, &a, r)
		}
	}

	// Look up, and decide.
	now := time.Now()
	var f lookup
	d := a.Bypassed()
	switch {
	case key != nil:
		c.find(&f, &a, key, r, now)
		d = rfc9111.Decide(&a, &f.Lookup, now)
	case d.Action == rfc9111.Fetch && passes(&a, r):
		return l.pass(r, d)
	}

	// Serve, or exchange.
	if d.Action == rfc9111.Serve {
		if d.Detail == "" && f.Entry.Rules.RefreshesAhead() {
			l.refreshAhead(r, &a, key, f, now)
		}
		return l.serve(&a, f.Entry, r, now, d.Detail), nil
	}
	return l.newExchange(r, &a, key, f, now).do(d)
}

// read reads a request and what the contexts around it have chosen for it.
func (c *Cache) read(a *rfc9111.Request, r *http.Request, below *connection.Chain) {
	in := reqctx.From(r.Context())
	choices := chosen(in)
	a.Path, a.Principal, a.Named, a.Traced = connection.PathOf(below, in).For(r.URL.Scheme), in.Principal, in.Named(), len(choices.traces) > 0
	a.Read(c.modeFor(choices), r, &c.policy)
	// Where a principal is named, cookies that a layer vouches for are not in the key.
	a.CookieKeyed = c.keysCookies && a.Credentials && in.Principal == "" && len(r.Header["Cookie"]) == 1
	if choices.fresh {
		demandFresh(a)
	}
	c.keepOutUnsafe(a, r)
	if c.durable != nil && a.Bypass == "" {
		if why := a.Path.Unnamed(); why != "" {
			a.SetBypass(unnamedConnection+why, cachestatus.FwdBypass)
		}
	}
	if c.closed.Load() || c.off.Load() {
		a.SetBypass(rfc9111.SwitchedOff, cachestatus.FwdBypass)
	}
}
