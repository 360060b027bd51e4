package durable

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/redact"
	"github.com/plyhttp/ply/store"
)

// HashIn returns the hash in the name of a record. It is false for any other key.
func HashIn(name string) ([32]byte, bool) {
	at, ok := parseRecordKey(name)
	return at.Hash, ok
}

// EncodeEntry appends an entry as a record has it, without its body, its generations and the values of its URL's query.
// It fails for an entry that cannot be decoded again.
func EncodeEntry(dst []byte, e *stored.Entry) ([]byte, error) {
	bare := e.Clone()
	bare.URL, bare.Record = redact.URLText(e.URL), nil
	bare.Body = stored.Content{Chunks: &stored.Chunks{Size: e.Body.Size(), Until: time.Unix(0, 0)}}
	bare.Used.Store(e.Used.Load())
	if !fits(bare) {
		return dst, ErrUnfit
	}
	if dst = appendEntry(dst, bare); len(dst) > maxRecord {
		return dst, store.ErrTooLarge
	}
	return dst, nil
}

// DecodeEntry reads what EncodeEntry has written. The body is still to come: the entry knows its size, by Body.
func DecodeEntry(data []byte) (*stored.Entry, error) {
	w, items := Wire{Rest: string(data)}, maxItems
	e := newEntry()
	decodeEntry(&w, &items, e)
	if w.Bad || w.Rest != "" || len(data) > maxRecord {
		return nil, ErrDamaged
	}
	p := e.Body.Chunks
	if len(e.Tags) == 0 {
		return nil, ErrDamaged // nothing could invalidate it
	}
	if p == nil || p.ID != [16]byte{} || p.Until.UnixNano() != 0 || slices.ContainsFunc(e.Generations(), func(g stored.Generation) bool { return g != stored.Generation{} }) {
		return nil, ErrDamaged // it could be written in another way
	}
	return e, nil
}

// WholeBody is the size up to which a body is better handed to AddForeign in memory than by a BodyWriter.
const WholeBody = maxWhole

// A BodyWriter stores a body that comes from elsewhere than an exchange, chunk by chunk. One goroutine uses it. Its owner calls Finish or Abort.
type BodyWriter struct{ chunkBuilder }

// NewBodyWriter begins the body of e, which will stand at a place.
func (d *Store) NewBodyWriter(at stored.RecordKey, e *stored.Entry) *BodyWriter {
	now := time.Now()
	return &BodyWriter{*d.newChunkBuilder(at, later(d.until(e, now), now.Add(chunkTTL)))}
}

// ReadFrom stores all of a body.
func (b *BodyWriter) ReadFrom(ctx context.Context, body io.Reader) error {
	buffer := make([]byte, 32<<10)
	for {
		n, err := body.Read(buffer)
		if failed := b.write(ctx, buffer[:n]); failed != nil {
			return failed
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// Finish returns where the body is.
func (b *BodyWriter) Finish(ctx context.Context) (*stored.Chunks, error) {
	p, err := b.finish(ctx)
	if err == nil {
		p.Fresh = true
	}
	return p, err
}

// Abort removes, in the background, what has been stored.
func (b *BodyWriter) Abort() {
	p := b.Chunks
	p.Fresh = true
	b.durable.Discard(&p)
}

// At returns what is stored at a place and has not been invalidated.
func (d *Store) At(ctx context.Context, at stored.RecordKey) (*stored.Variants, error) {
	h, err := d.read(ctx, at, nil, nil)
	switch {
	case err != nil:
		return nil, err
	case h.newer:
		return nil, ErrNewer
	}
	return h.current, nil
}

// AddForeign puts a response at a place that no exchange of this cache has fetched; see Add. With which generations its request was sent is unknown,
// so it is refused if an invalidation since then is on record. Where there is no record, there has been none that the store remembers.
func (d *Store) AddForeign(ctx context.Context, at stored.RecordKey, given *stored.Entry, change func(*stored.Entry) func(*stored.Variants) *stored.Variants) error {
	if !fits(given) {
		return ErrUnfit
	}
	h, err := d.read(ctx, at, given.Tags, nil)
	if err != nil {
		return err
	}
	generations := make([]stored.Generation, len(given.Tags))
	for i, t := range given.Tags {
		a := adoption{tag: t, requested: given.Requested, until: d.until(given, time.Now()), foreign: true}
		m := &h.seen.generations[h.seen.Find(t)]
		adopted, err := d.adoptGeneration(ctx, &a, *m)
		if err != nil {
			return err
		}
		*m, generations[i] = adopted, adopted.Generation
	}
	return d.updateFrom(ctx, at, &h, change(withGenerations(given, &at, generations)))
}

// InvalidatedSince reports whether another process has put an invalidation of one of the tags on record since a time. This process's own are in its history.
func (d *Store) InvalidatedSince(ctx context.Context, tags []invalidation.Tag, requested time.Time) (bool, error) {
	var s Snapshot
	if err := d.readGenerations(ctx, &s, tags); err != nil {
		return false, err
	}
	a := adoption{requested: requested, foreign: true}
	for i := range s.generations {
		m := &s.generations[i]
		if a.refuses(m, d.madeGeneration(m.Generation)) != nil {
			return true, nil
		}
	}
	return false, nil
}

// KnownHashKey returns the key of the hashes of credentials, and whether the user has given it. It asks the store if need be, makes no key, and may return nil.
func (d *Store) KnownHashKey(ctx context.Context) (key *stored.HashKey, given bool, err error) {
	if d.HashKeys.given {
		return d.HashKeys.Known.Load(), true, nil
	}
	records, err := d.Client.Get(ctx, setupKey)
	if err != nil {
		return nil, false, err
	}
	key, err = readHashKey(records[0])
	if errors.Is(err, ErrDamaged) {
		return nil, false, nil
	}
	return key, false, err
}

// ReplaceHashKey puts a key in the place of the store's own. What varies on credentials is not found any more if it is hashed with that;
// another process goes on with it for a while, and finds nothing that is hashed with the new one.
func (d *Store) ReplaceHashKey(ctx context.Context, key *stored.HashKey) error {
	records, err := d.Client.Get(ctx, setupKey)
	if err != nil {
		return err
	}
	if _, err := readHashKey(records[0]); errors.Is(err, ErrNewer) {
		return err
	}
	r := hashKeyRecord(key)
	r.Version = records[0].Version
	if err := d.Client.Put(ctx, setupKey, r); err != nil {
		return err
	}
	d.HashKeys.Known.Store(key)
	d.HashKeys.checked.Store(time.Now().UnixNano())
	return nil
}

// Given reports whether the user has given the key.
func (s *HashKeys) Given() bool { return s.given }
