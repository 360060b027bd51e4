package durable

import (
	"context"
	"errors"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/redact"
)

// Add puts a response among those under key, as change has it, with the generations that its tags had when its request was sent. It returns the entry as it is stored.
//
// The record and the generations are read in one call, before a generation that is missing is made. So what is under key may be changed
// or invalidated until the record is written: the first is a conflict, and after the second the record's generations are not the present ones.
func (d *Store) Add(ctx context.Context, key string, given *stored.Entry, seen *Snapshot, change func(*stored.Entry) func(*stored.Variants) *stored.Variants) (*stored.Entry, error) {
	if !fits(given) {
		return nil, ErrUnfit
	}
	at := d.RecordKey(key)
	h, err := d.read(ctx, at, given.Tags, nil)
	if err != nil {
		return nil, err
	}
	generations, err := d.generationsFor(ctx, given, seen, h.seen, d.until(given, time.Now()))
	if err != nil {
		return nil, err
	}
	e := withGenerations(given, &at, generations)
	return e, d.updateFrom(ctx, at, &h, change(e))
}

// withGenerations returns e as it is stored.
func withGenerations(e *stored.Entry, at *stored.RecordKey, generations []stored.Generation) *stored.Entry {
	p := e.Clone()
	p.URL, p.Record = redact.URLText(e.URL), &stored.Record{Key: at, Generations: generations}
	if stored := e.Body.Chunks; stored != nil && stored.Fresh {
		owned := *stored
		owned.Fresh = false
		p.Body.Chunks = &owned
	}
	p.Derive()
	p.Used.Store(e.Used.Load())
	return p
}

// Replaced reports whether another response is stored in the place of e, so that it is no fault of the store if e's body is gone:
//
//	we: read the record   they: replace it, remove its body   we: read the body
func (d *Store) Replaced(ctx context.Context, e *stored.Entry) bool {
	at := e.RecordKey()
	if at == nil {
		return false
	}
	h, err := d.read(ctx, *at, nil, nil)
	return err == nil && !h.current.HasChunks(e.Body.Chunks.ID)
}

// Forget removes, in the background, the response whose body is gone.
func (d *Store) Forget(at *stored.RecordKey, id [16]byte) {
	if at == nil {
		return
	}
	d.Workers.GoOnce(at.Name, func(ctx context.Context) {
		d.UpdateAt(ctx, *at, func(set *stored.Variants) *stored.Variants {
			return set.Without(func(e *stored.Entry) bool { return e.Body.Chunks != nil && e.Body.Chunks.ID == id })
		})
	})
}

// ErrUnfit is why a response is not stored that cannot be encoded in such a way that decoding it gives the same.
var ErrUnfit = errors.New("a field of the response is one that no store takes")
