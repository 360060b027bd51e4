package durable

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/storeclient"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/store"
)

// In a store, responses are invalidated by marks. Each tag has one: a record with a random number, its generation. A stored response remembers
// the generations that its tags had when it was asked for, and is good only as long as these are the present ones; a mark that is not there
// Has none. So it makes no difference in which order two processes invalidate and store, nor what the store forgets:
//
//	A asks the origin (generation 1)
//	                 B's POST succeeds (generation 2 from now on)
//	A stores the answer under generation 1, and nobody is ever served it
//
// A mark's record is, behind its frame: the tag, the generation, when an invalidation set it or 0, and until when the record is kept.

const generationKind = 'M'

// A GenerationRecord is the generation of a tag. The zero mark is one that is not there.
type GenerationRecord struct {
	Generation stored.Generation
	changed    time.Time // when an invalidation set it; zero if a response that was stored did
	until      time.Time
	version    string // Generation the record
	newer      bool   // a later version of this module has written it
}

func (m *GenerationRecord) absent() bool { return m.Generation == stored.Generation{} }

const (
	// generationTTL is how long a mark that an invalidation has set is kept if nothing is stored under it.
	// Responses that were asked for before and are not stored then, never are.
	generationTTL = time.Hour

	// clockSkew is how far the clocks of two machines may be apart without an invalidation being missed
	// by a response whose tags are known only from its header.
	clockSkew = 5 * time.Second
)

func generationKey(t invalidation.Tag) string { return "m1." + hex.EncodeToString(t[:]) }

func (m *GenerationRecord) record(t invalidation.Tag) store.Record {
	data := append(Framed(nil), t[:]...)
	data = append(data, m.Generation[:]...)
	changed := int64(0)
	if !m.changed.IsZero() {
		changed = m.changed.UnixNano()
	}
	data = binary.AppendVarint(binary.AppendVarint(data, changed), m.until.UnixNano())
	return store.Record{Data: Seal(data, generationKind), Version: m.version, Expires: m.until, Kind: store.KindGeneration}
}

// readGeneration reads a mark's record. One that is damaged counts as absent.
func readGeneration(r store.Record, t invalidation.Tag) GenerationRecord {
	m := GenerationRecord{version: r.Version}
	payload, err := Unseal(r.Data, generationKind)
	if err != nil {
		m.newer = err == ErrNewer
		return m
	}
	w := Wire{Rest: string(payload)}
	about, generation, changed, until := invalidation.Tag(w.ID()), stored.Generation(w.ID()), w.int(), w.int()
	if w.Bad || w.Rest != "" || about != t {
		return m
	}
	m.Generation, m.until = generation, time.Unix(0, until)
	if changed != 0 {
		m.changed = time.Unix(0, changed)
	}
	return m
}

// A Snapshot is what marks were seen at one moment.
type Snapshot struct {
	invalidation.TagList
	generations []GenerationRecord // Generation each tag
}

// Generation returns the mark of a tag, if it was looked for.
func (s *Snapshot) Generation(t invalidation.Tag) (GenerationRecord, bool) {
	if s == nil {
		return GenerationRecord{}, false
	}
	i := s.Find(t)
	if i < 0 {
		return GenerationRecord{}, false
	}
	return s.generations[i], true
}

// Add notes the mark of a tag that s has none of yet.
func (s *Snapshot) Add(t invalidation.Tag, m GenerationRecord) {
	if s.TagList.Add(t); len(s.Tags) > len(s.generations) {
		s.generations = append(s.generations, m)
	}
}

// read notes the marks that a store has under the keys of tags.
func (s *Snapshot) read(tags []invalidation.Tag, records []store.Record) {
	for i, t := range tags {
		s.Add(t, readGeneration(records[i], t))
	}
}

// missing returns the tags of a set that s has no marks of.
func (s *Snapshot) missing(set *stored.Variants) []invalidation.Tag {
	var tags []invalidation.Tag
	for _, t := range set.Tags() {
		if s.Find(t) < 0 {
			tags = append(tags, t)
		}
	}
	return tags
}

// newer reports whether a later version of this module has written one of the marks.
func (s *Snapshot) newer() bool {
	return slices.ContainsFunc(s.generations, func(m GenerationRecord) bool { return m.newer })
}

// current tells whether all of a response's tags still have the generations that it remembers.
func (s *Snapshot) current(e *stored.Entry) bool {
	for i, t := range e.Tags {
		if m, _ := s.Generation(t); m.absent() || m.Generation != e.Generations[i] {
			return false
		}
	}
	return true
}

// OlderThan tells whether one of the tags has been invalidated between s and a later sight. That a response which was stored has brought a mark
// With it is no invalidation.
func (s *Snapshot) OlderThan(later *Snapshot, tags []invalidation.Tag) bool {
	return slices.ContainsFunc(tags, func(t invalidation.Tag) bool {
		before, known := s.Generation(t)
		m, seen := later.Generation(t)
		return known && seen && m.Generation != before.Generation && !m.changed.IsZero()
	})
}

func generationKeys(tags []invalidation.Tag) []string {
	keys := make([]string, len(tags))
	for i, t := range tags {
		keys[i] = generationKey(t)
	}
	return keys
}

// readGenerations completes a sight with the marks of further tags.
func (d *Store) readGenerations(ctx context.Context, s *Snapshot, tags []invalidation.Tag) error {
	if len(tags) == 0 {
		return nil
	}
	records, err := d.Client.Get(ctx, generationKeys(tags)...)
	if err == nil {
		s.read(tags, records)
	}
	return err
}

// NewGeneration returns a generation that there has never been.
func (d *Store) NewGeneration() (n stored.Generation) {
	copy(n[:8], d.self[:])
	rand.Read(n[8:])
	return n
}

// madeGeneration tells whether this process has made a generation: then its own history knows when.
func (d *Store) madeGeneration(n stored.Generation) bool { return [8]byte(n[:8]) == d.self }

// ErrOvertaken is why a response is not stored whose tags have got other generations since it was asked for.
var ErrOvertaken = errors.New("invalidated meanwhile")

// generationsFor returns the generations that the tags of e had when it was asked for, and sees to it that there are marks at all,
// which are kept as long as e is.
func (d *Store) generationsFor(ctx context.Context, e *stored.Entry, seen *Snapshot, until time.Time) ([]stored.Generation, error) {
	marks, now := make([]stored.Generation, len(e.Tags)), &Snapshot{}
	if err := d.readGenerations(ctx, now, e.Tags); err != nil {
		return nil, err
	}
	for i, t := range e.Tags {
		m, _ := now.Generation(t)
		before, known := seen.Generation(t)
		generation, err := d.adoptGeneration(ctx, t, m, before, known, e.Requested, until)
		if err != nil {
			return nil, err
		}
		marks[i] = generation
	}
	return marks, nil
}

// adoptGeneration returns the generation under which a response is stored: the one that was seen when it was asked for if its tag was known then,
// and else the present one, if that was the present one at that time, too.
func (d *Store) adoptGeneration(ctx context.Context, t invalidation.Tag, m, before GenerationRecord, known bool, requested, until time.Time) (stored.Generation, error) {
	for range MaxAttempts {
		switch {
		case m.newer:
			return stored.Generation{}, ErrNewer
		case known && !before.absent() && m.Generation != before.Generation:
			return stored.Generation{}, ErrOvertaken
		case !m.changed.IsZero() && (known && before.absent() || !known && !d.madeGeneration(m.Generation) && m.changed.After(requested.Add(-clockSkew))):
			return stored.Generation{}, ErrOvertaken
		case !m.absent() && !m.until.Before(until):
			return m.Generation, nil
		case m.absent() && time.Since(requested) > generationTTL-clockSkew:
			return stored.Generation{}, ErrOvertaken // a mark may have come and gone
		}
		next := m
		next.until = ahead(until)
		if m.absent() {
			next.Generation = d.NewGeneration()
		}
		err := d.Client.Put(ctx, generationKey(t), next.record(t))
		if err == nil {
			return next.Generation, nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return stored.Generation{}, err
		}
		s := &Snapshot{}
		if err := d.readGenerations(ctx, s, []invalidation.Tag{t}); err != nil {
			return stored.Generation{}, err
		}
		m = s.generations[0]
	}
	return stored.Generation{}, ErrContended
}

// extendGenerations has marks kept as long as the responses of a set, which may live longer now than when they were stored.
// If somebody else changes one meanwhile, or the store fails, that costs a fetch some day.
func (d *Store) extendGenerations(ctx context.Context, set *stored.Variants, seen *Snapshot, now time.Time) {
	for _, e := range set.Entries {
		until := d.until(e, now)
		for i, t := range e.Tags {
			m, known := seen.Generation(t)
			if !known || m.absent() || m.Generation != e.Generations[i] || !m.until.Before(until) {
				continue
			}
			m.until = ahead(until)
			if d.Client.Put(ctx, generationKey(t), m.record(t)) == nil {
				seen.generations[seen.Find(t)].until = m.until // Generation another response, too
			}
		}
	}
}

// ahead is until when a mark is kept that is needed until then: it need not be prolonged with each response.
func ahead(until time.Time) time.Time { return until.Add(max(time.Until(until), time.Hour)) }

// renew gives some tags new generations, and returns those that still have their old ones, with an error.
func (d *Store) renew(ctx context.Context, g *storeclient.Client, tags []invalidation.Tag) (left []invalidation.Tag, failed error) {
	records, err := g.Get(ctx, generationKeys(tags)...)
	if err != nil {
		return tags, err
	}
	for i, t := range tags {
		err := d.renewOne(ctx, g, t, readGeneration(records[i], t))
		switch {
		case err == nil:
			continue
		case ctx.Err() != nil, errors.Is(err, storeclient.ErrStoreHangs), errors.Is(err, storeclient.ErrStoreDown):
			return append(left, tags[i:]...), err // the store has not failed once more with each tag that is not tried
		}
		left, failed = append(left, t), err
	}
	return left, failed
}

// renewOne gives a tag another generation. A mark that cannot be replaced is removed, which is another generation, too: one of a later version,
// or where the store has no room for anything new.
func (d *Store) renewOne(ctx context.Context, g *storeclient.Client, t invalidation.Tag, m GenerationRecord) error {
	for range MaxAttempts {
		if m.newer {
			if err := g.Delete(ctx, generationKey(t)); err != nil {
				return err
			}
			m = GenerationRecord{}
		}
		now := time.Now()
		next := GenerationRecord{Generation: d.NewGeneration(), changed: now, until: now.Add(generationTTL), version: m.version}
		err := g.Put(ctx, generationKey(t), next.record(t))
		switch {
		case err == nil, errors.Is(err, storeclient.ErrStoreHangs), errors.Is(err, storeclient.ErrStoreDown), ctx.Err() != nil:
			return err
		case !errors.Is(err, store.ErrConflict) && g.Delete(ctx, generationKey(t)) == nil:
			return nil
		case !errors.Is(err, store.ErrConflict):
			return err
		}
		records, err := g.Get(ctx, generationKey(t))
		if err != nil {
			return err
		}
		m = readGeneration(records[0], t)
	}
	return ErrContended
}
