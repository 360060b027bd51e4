package durable

import (
	"context"
	"errors"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/redact"
)

// WithGenerations is e as it is stored: with the generations that its tags had when it was asked for.
func (d *Store) WithGenerations(ctx context.Context, e *stored.Entry, key string, seen *Snapshot) (*stored.Entry, error) {
	if !fits(e) {
		return nil, ErrUnfit
	}
	marks, err := d.generationsFor(ctx, e, seen, d.until(e, time.Now()))
	if err != nil {
		return nil, err
	}
	p, at := e.Clone(), d.RecordKey(key)
	p.RecordKey = &at
	p.URL, p.Generations = redact.URLText(e.URL), marks
	if stored := e.Body.Chunks; stored != nil && stored.Fresh {
		owned := *stored
		owned.Fresh = false
		p.Body.Chunks = &owned
	}
	p.Derive()
	p.Used.Store(e.Used.Load())
	return p, nil
}

// Replaced tells whether the response is no longer there, so that it is nobody's fault if its body is not:
//
//	we read the record   another process replaces it, and removes the body that was its   we read the body
func (d *Store) Replaced(ctx context.Context, e *stored.Entry) bool {
	if e.RecordKey == nil {
		return false
	}
	h, err := d.read(ctx, *e.RecordKey, nil, nil)
	return err == nil && !h.current.HasChunks(e.Body.Chunks.ID)
}

// Forget removes, behind the caller's back, the response whose body is no longer there.
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

var ErrUnfit = errors.New("a field of the response is one that no store takes")
