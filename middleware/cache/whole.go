package cache

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"
)

// fetchBody sees to it that the body of a response that was found is there, as far as the answer to r needs it: a small one as a whole,
// of a large one the piece that comes first. A response whose body is gone is no response.
func (c *Cache) fetchBody(ctx context.Context, a *ask, f *found, key []byte, now time.Time) {
	e := f.entry
	s := shaped(a, e, now)
	if a.head || s.status == http.StatusNotModified || s.status == http.StatusRequestedRangeNotSatisfiable {
		return
	}
	first := int64(0)
	if s.status == http.StatusPartialContent {
		first = s.part.first - e.first()
	}
	ready, err := e.withBody(ctx, first)
	if err == nil {
		f.set, f.entry = f.set.exchanged(e, ready), ready
		return
	}
	c.fault(ctx, "get", err)
	if errors.Is(err, errGone) || errors.Is(err, errDamaged) {
		c.durable.forget(cmp.Or(f.key, string(key)), e.body.stored.id)
	}
	*f = found{why: ForwardMiss, seen: f.seen}
}

// withBody is e with its body in memory, or, if that is large, with the piece in which the first byte is that will be served.
func (e *Entry) withBody(ctx context.Context, first int64) (*Entry, error) {
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

// forget removes, behind the caller's back, the response whose body is no longer there.
func (d *durable) forget(key string, id [16]byte) {
	d.behind.start(func(ctx context.Context) {
		d.update(ctx, key, func(set *variants) *variants {
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
