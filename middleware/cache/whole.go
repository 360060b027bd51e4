package cache

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// fetchBody sees to it that the body of a response that was found is there; see withBody. A response whose body is gone is no response.
func (c *Cache) fetchBody(ctx context.Context, a *ask, f *found, now time.Time) {
	ready := c.withBody(ctx, a, f.entry, now)
	if ready == nil {
		*f = found{why: ForwardMiss, seen: f.seen}
		return
	}
	f.set, f.entry = f.set.exchanged(f.entry, ready), ready
}

// withBody is e with its body, as far as the answer to a needs it: with a small one as a whole, with that piece of a large one that comes first.
// It is nil if that is gone.
func (c *Cache) withBody(ctx context.Context, a *ask, e *Entry, now time.Time) *Entry {
	s := shaped(a, e, now)
	if a.head || s.status == http.StatusNotModified || s.status == http.StatusRequestedRangeNotSatisfiable {
		return e
	}
	first := int64(0)
	if s.status == http.StatusPartialContent {
		first = s.part.first - e.first()
	}
	ready, err := e.fetched(ctx, first)
	if errors.Is(err, errGone) && c.durable.replaced(ctx, e) {
		return nil
	}
	if err != nil {
		c.fault(ctx, "get", err)
		if missing(err) {
			c.durable.forget(e.at, e.body.stored.id)
		}
		return nil
	}
	if ready.body.here() {
		c.durable.near.improve(e.at, e, ready)
	}
	return ready
}

// fetched is e with its body in memory, or, if that is large, with the piece in which the first byte is that will be served.
func (e *Entry) fetched(ctx context.Context, first int64) (*Entry, error) {
	p := e.body.stored
	ready := e.copy()
	var err error
	if p.size <= maxWhole {
		ready.body.bytes, err = p.whole(ctx)
	} else {
		head := *p
		head.at = first / pieceBytes
		head.head, err = p.piece(ctx, head.at)
		ready.body.stored = &head
	}
	if err != nil {
		return nil, err
	}
	ready.index()
	ready.used.Store(e.used.Load())
	return ready, nil
}

// replaced tells whether the response is no longer there, so that it is nobody's fault if its body is not:
//
//	we read the record   another process replaces it, and removes the body that was its   we read the body
func (d *durable) replaced(ctx context.Context, e *Entry) bool {
	if e.at == nil {
		return false
	}
	h, err := d.hold(ctx, *e.at, nil, nil)
	return err == nil && !h.current.names(e.body.stored.id)
}

// forget removes, behind the caller's back, the response whose body is no longer there.
func (d *durable) forget(at *place, id [16]byte) {
	if at == nil {
		return
	}
	d.behind.once(at.name, func(ctx context.Context) {
		d.updateAt(ctx, *at, func(set *variants) *variants {
			return set.without(func(e *Entry) bool { return e.body.stored != nil && e.body.stored.id == id })
		})
	})
}

// exchanged is s with another entry in the place of one.
func (s *variants) exchanged(old, next *Entry) *variants {
	entries := append([]*Entry(nil), s.entries...)
	for i, e := range entries {
		if e == old {
			entries[i] = next
		}
	}
	return &variants{entries: entries}
}
