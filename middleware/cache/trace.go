package cache

import (
	"context"
	"errors"
	"net/http"

	"github.com/plyhttp/ply/middleware/cache/internal/durable"
	"github.com/plyhttp/ply/middleware/cache/internal/storeclient"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// Trace is a set of functions that a cache calls when something happens, each of which may be nil.
// They run on the goroutine that does the work, the caller's or one of the cache's own, and must return soon; different requests call them concurrently.
// What they are given must not be changed.
type Trace struct {
	// Answered is called when a request has its answer, with what stands in Cache-Status.
	Answered func(r *http.Request, s Status)

	// Stored is called when a response has been read to its end and taken into the store, and when a validation has brought one up to date.
	Stored func(e *Entry)

	// NotStored is called when a response of the next handler is not stored, with the reason: also whenever a request bypasses the cache,
	// and when a stored response stands in for an error.
	NotStored func(r *http.Request, reason string)

	// Invalidated is called when an unsafe request has made a URI's stored responses invalid.
	Invalidated func(r *http.Request)

	// Refreshing is called when a refresh in the background begins, Refreshed when it has ended; err is nil if the origin answered,
	// and if the refresh is left to another process; see [Options.Lease].
	Refreshing func(r *http.Request)
	Refreshed  func(r *http.Request, err error)

	// RefreshAhead is called when a hit has come upon a response that is to be refreshed while it is fresh, before Refreshing. paid is false if Options.RefreshBudget
	// has not paid for it: then nothing follows.
	RefreshAhead func(r *http.Request, paid bool)

	// Fault is called when a store fails, with the operation in a word, such as "get", "update" or "clear". The request goes on as if nothing were stored.
	// That a store has dropped a part of a body for room, or another process has replaced it, is no failure.
	Fault func(operation string, err error)
}

// WithTrace returns a context whose requests report to t, in addition to what an outer context and [Options] name.
func WithTrace(ctx context.Context, t *Trace) context.Context {
	if t == nil {
		return ctx
	}
	return choosing(ctx, func(c *choices) { c.traces = append(c.traces[:len(c.traces):len(c.traces)], t) })
}

// traces calls f with each trace that the request reports to.
func (c *Cache) traces(ctx context.Context, f func(*Trace)) {
	if c.trace != nil {
		f(c.trace)
	}
	for _, t := range choicesOf(ctx).traces {
		f(t)
	}
}

func (c *Cache) answered(r *http.Request, s Status) {
	c.traces(r.Context(), func(t *Trace) {
		if t.Answered != nil {
			t.Answered(r, s)
		}
	})
}

func (c *Cache) traceStored(ctx context.Context, key string, e *stored.Entry) {
	c.stats.stored.Add(1)
	c.traces(ctx, func(t *Trace) {
		if t.Stored != nil {
			t.Stored(c.shown(key, e))
		}
	})
}

func (c *Cache) traceNotStored(r *http.Request, reason string) {
	c.traces(r.Context(), func(t *Trace) {
		if t.NotStored != nil {
			t.NotStored(r, reason)
		}
	})
}

func (c *Cache) fault(ctx context.Context, operation string, err error) {
	switch {
	case err == nil, errors.Is(err, storeclient.ErrCallerGone), errors.Is(err, durable.ErrNewer), errors.Is(err, durable.ErrGone):
		return
	case errors.Is(err, storeclient.ErrStoreDown):
		c.stats.storeSkipped.Add(1)
		return
	}
	c.stats.storeErrors.Add(1)
	c.traces(ctx, func(t *Trace) {
		if t.Fault != nil {
			t.Fault(operation, err)
		}
	})
}
