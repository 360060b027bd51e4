package durable

import (
	"context"
	"errors"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/redact"
)

// WithGenerations returns e as it is stored: with the generations that its tags had when its request was sent.
func (d *Store) WithGenerations(ctx context.Context, e *stored.Entry, key string, seen *Snapshot) (*stored.Entry, error) {
	if !fits(e) {
		return nil, ErrUnfit
	}
	generations, err := d.generationsFor(ctx, e, seen, d.until(e, time.Now()))
	if err != nil {
		return nil, err
	}
	p, at := e.Clone(), d.RecordKey(key)
	p.RecordKey = &at
	p.URL, p.Generations = redact.URLText(e.URL), generations
	if stored := e.Body.Chunks; stored != nil && stored.Fresh {
		owned := *stored
		owned.Fresh = false
		p.Body.Chunks = &owned
	}
	p.Derive()
	p.Used.Store(e.Used.Load())
	return p, nil
}

// Replaced reports whether another response is stored in the place of e, so that it is no fault of the store if e's body is gone:
//
//	we: read the record   they: replace it, remove its body   we: read the body
func (d *Store) Replaced(ctx context.Context, e *stored.Entry) bool {
	if e.RecordKey == nil {
		return false
	}
	h, err := d.read(ctx, *e.RecordKey, nil, nil)
	return err == nil && !h.current.HasChunks(e.Body.Chunks.ID)
}

// Forget removes, in the background, the response whose body is gone.
func (d *Store) Forget(at *stored.RecordKey, id [16]byte) {
	if at == nil {
		return
	}
	d.Workers.GoOnce(at.Name, func(ctx context.Context) {
		d.updateAt(ctx, *at, func(set *stored.Variants) *stored.Variants {
			return set.Without(func(e *stored.Entry) bool { return e.Body.Chunks != nil && e.Body.Chunks.ID == id })
		})
	})
}

// ErrUnfit is why a response is not stored that cannot be encoded in such a way that decoding it gives the same.
var ErrUnfit = errors.New("a field of the response is one that no store takes")
