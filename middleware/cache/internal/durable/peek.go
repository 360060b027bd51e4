package durable

import (
	"context"
	"net/http"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// Peek returns the responses that Get would, and changes nothing: no copy, no record, no time of use.
func (d *Store) Peek(ctx context.Context, key string, r *http.Request) (*stored.Variants, error) {
	return d.peek(ctx, d.RecordKey(key), d.TagsOf(r))
}

// PeekRecord returns the responses that are stored at a place, and changes nothing.
func (d *Store) PeekRecord(ctx context.Context, at stored.RecordKey) (*stored.Variants, error) {
	return d.peek(ctx, at, nil)
}

func (d *Store) peek(ctx context.Context, at stored.RecordKey, tags []invalidation.Tag) (*stored.Variants, error) {
	copied := d.L1.peek(at)
	if copied != nil && d.L1.isFresh(copied, time.Now()) {
		return copied, nil
	}
	h, err := d.read(ctx, at, tags, copied)
	switch {
	case err != nil:
		return copied, err
	case h.damaged:
		return nil, ErrDamaged
	}
	return h.current, nil
}

// peek returns the copy of what is under a record's key, or nil.
func (n *L1) peek(at stored.RecordKey) *stored.Variants {
	if n == nil {
		return nil
	}
	set := n.memory.Peek(at.Name)
	if set == nil || set.Source == nil {
		return nil
	}
	return set
}

// isFresh reports whether a copy need not be compared with its record.
func (n *L1) isFresh(set *stored.Variants, now time.Time) bool {
	since := now.UnixNano() - set.Source.Checked.Load()
	return 0 <= since && since < int64(n.recheck)
}
