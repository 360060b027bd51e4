package durable

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/storeclient"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/store"
)

// In a store, responses are invalidated by generations. Each tag has one: a record with a random number. A stored response remembers
// the generations that its tags had when its request was sent, and is usable only as long as these are the present ones; a tag without a record has none.
// So it makes no difference in which order two processes invalidate and store, nor what the store forgets:
//
//	A asks the origin (generation 1)
//	                 B's POST succeeds (generation 2 from now on)
//	A stores the answer under generation 1: it is never served
//
// The record has after its frame: the tag, the generation, when an invalidation set it or 0, and until when the record is kept.

const generationKind = 'M'

// A GenerationRecord is the generation of a tag. The zero value stands for a tag without a record.
type GenerationRecord struct {
	Generation stored.Generation
	changed    time.Time // when an invalidation set it; zero if a response that was stored did
	until      time.Time
	version    string // of the record in the store
	newer      bool   // a later version of this module has written it
}

func (m *GenerationRecord) absent() bool { return m.Generation == stored.Generation{} }

const (
	// generationTTL is for how long a generation that an invalidation has set is kept if nothing is stored under it.
	// A response whose request was sent before that, and which is not stored by then, is not stored at all.
	generationTTL = time.Hour

	// clockSkew is how far the clocks of two machines may be apart without an invalidation being missed
	// by a response whose tags are known only from its header.
	clockSkew = 5 * time.Second
)

// generationKeyBytes is the length of a generation's key.
const generationKeyBytes = len("m1.") + 2*len(invalidation.Tag{})

func generationKey(t invalidation.Tag) string {
	var room [generationKeyBytes]byte
	return string(appendGenerationKey(room[:0], t))
}

func appendGenerationKey(dst []byte, t invalidation.Tag) []byte {
	return hex.AppendEncode(append(dst, "m1."...), t[:])
}

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

// readGeneration decodes a generation record. A damaged one counts as absent.
func readGeneration(r store.Record, t invalidation.Tag) GenerationRecord {
	m := GenerationRecord{version: r.Version}
	payload, err := Unseal(r.Data, generationKind)
	if err != nil {
		m.newer = err == ErrNewer
		return m
	}
	const ids = len(t) + len(m.Generation)
	if len(payload) < ids || len(payload) > ids+2*binary.MaxVarintLen64 || invalidation.Tag(payload[:len(t)]) != t {
		return m
	}
	w := Wire{Rest: string(payload[ids:])} // short enough to be on the stack
	changed, until := w.int(), w.int()
	if w.Bad || w.Rest != "" {
		return m
	}
	m.Generation, m.until = stored.Generation(payload[len(t):ids]), time.Unix(0, until)
	if changed != 0 {
		m.changed = time.Unix(0, changed)
	}
	return m
}

// A Snapshot has the generations of some tags as the store had them at one moment. A nil Snapshot has none.
type Snapshot struct {
	invalidation.TagList
	generations []GenerationRecord // of each tag, in the order of Tags

	// Partial means that tags which the answer may have were left out, to read less. See WithAbsent.
	Partial bool

	// Room for the tags of most requests.
	tags  [2]invalidation.Tag
	found [2]GenerationRecord
}

// newSnapshot returns an empty snapshot with room for the generations of n tags.
func newSnapshot(n int) *Snapshot {
	s := &Snapshot{}
	if s.Tags, s.generations = s.tags[:0], s.found[:0]; n > len(s.tags) {
		s.Tags, s.generations = make([]invalidation.Tag, 0, n), make([]GenerationRecord, 0, n)
	}
	return s
}

// Generation returns the generation of a tag, if it was looked for.
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

// Add adds the generation of a tag, if s does not have it yet.
func (s *Snapshot) Add(t invalidation.Tag, m GenerationRecord) {
	if s.TagList.Add(t); len(s.Tags) > len(s.generations) {
		s.generations = append(s.generations, m)
	}
}

// AddFrom adds what a later snapshot has and s does not.
func (s *Snapshot) AddFrom(later *Snapshot) {
	for i, t := range later.Tags {
		s.Add(t, later.generations[i])
	}
}

// WithAbsent returns s or, if it is Partial and a tag was left out, a copy in which that tag has no generation. So a response with the tag is stored only
// if nothing in the store says that the tag was ever invalidated: when that was, the clock of another process cannot tell.
func (s *Snapshot) WithAbsent(t invalidation.Tag) *Snapshot {
	if s == nil || !s.Partial || s.Find(t) >= 0 {
		return s
	}
	more := newSnapshot(len(s.Tags) + 1)
	more.AddFrom(s)
	more.Add(t, GenerationRecord{})
	return more
}

// read adds the generations that a store has returned for the keys of tags.
func (s *Snapshot) read(tags []invalidation.Tag, records []store.Record) {
	for i, t := range tags {
		s.Add(t, readGeneration(records[i], t))
	}
}

// addMissing adds to tags those of a set that s does not have.
func (s *Snapshot) addMissing(tags *invalidation.TagList, set *stored.Variants) {
	for _, e := range set.All() {
		for _, t := range e.Tags {
			if s.Find(t) < 0 {
				tags.Add(t)
			}
		}
	}
}

// isNewer reports whether a later version of this module has written the generation of a tag.
func (s *Snapshot) isNewer(t invalidation.Tag) bool {
	m, _ := s.Generation(t)
	return m.newer
}

// newer reports whether that is so for one of some tags, or of those of a set.
func (s *Snapshot) newer(tags []invalidation.Tag, set *stored.Variants) bool {
	return slices.ContainsFunc(tags, s.isNewer) || slices.ContainsFunc(set.All(), func(e *stored.Entry) bool { return slices.ContainsFunc(e.Tags, s.isNewer) })
}

// current reports whether all of a response's tags still have the generations that it remembers.
func (s *Snapshot) current(e *stored.Entry) bool {
	generations := e.Generations()
	for i, t := range e.Tags {
		if m, _ := s.Generation(t); m.absent() || m.Generation != generations[i] {
			return false
		}
	}
	return true
}

// changedSince reports whether one of the tags has been invalidated since a time.
func (s *Snapshot) changedSince(tags []invalidation.Tag, t time.Time) bool {
	return slices.ContainsFunc(tags, func(tag invalidation.Tag) bool {
		m, _ := s.Generation(tag)
		return m.changed.After(t)
	})
}

// OlderThan reports whether one of the tags has been invalidated between s and a later snapshot. A generation that came with a stored response
// is no invalidation.
func (s *Snapshot) OlderThan(later *Snapshot, tags []invalidation.Tag) bool {
	return slices.ContainsFunc(tags, func(t invalidation.Tag) bool {
		before, known := s.Generation(t)
		m, seen := later.Generation(t)
		return known && seen && m.Generation != before.Generation && !m.changed.IsZero()
	})
}

func generationKeys(tags []invalidation.Tag) []string {
	return appendGenerationKeys(make([]string, 0, len(tags)), tags)
}

// The keys share their bytes.
func appendGenerationKeys(keys []string, tags []invalidation.Tag) []string {
	var room [4 * generationKeyBytes]byte
	bytes := room[:0]
	for _, t := range tags {
		bytes = appendGenerationKey(bytes, t)
	}
	all := string(bytes)
	for range tags {
		keys, all = append(keys, all[:generationKeyBytes]), all[generationKeyBytes:]
	}
	return keys
}

// readGenerations adds the generations of further tags to a snapshot.
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

// NewGeneration returns a generation that no tag has had before. Its first half says which process made it.
func (d *Store) NewGeneration() (n stored.Generation) {
	copy(n[:8], d.self[:])
	rand.Read(n[8:])
	return n
}

// madeGeneration reports whether this process has made a generation: then its own history of invalidations knows when.
func (d *Store) madeGeneration(n stored.Generation) bool { return [8]byte(n[:8]) == d.self }

// ErrOvertaken is why a response is not stored whose tags have other generations now than when its request was sent.
var ErrOvertaken = errors.New("invalidated meanwhile")

// ErrPerhapsOvertaken is an ErrOvertaken for a response with a tag that was not looked for when its request was sent, and that another process has invalidated
// since then, or so shortly before that clocks cannot say. Another request that is sent now would not fare better.
var ErrPerhapsOvertaken = fmt.Errorf("%w, or a moment before", ErrOvertaken)

// generationsFor returns the generations that the tags of e had when its request was sent, where they have those of now at present.
// It makes those that are missing, and has the store keep all of them as long as e; now has them afterwards.
func (d *Store) generationsFor(ctx context.Context, e *stored.Entry, seen, now *Snapshot, until time.Time) ([]stored.Generation, error) {
	generations := make([]stored.Generation, len(e.Tags))
	for i, t := range e.Tags {
		before, known := seen.Generation(t)
		a := adoption{tag: t, before: before, known: known, requested: e.Requested, until: until}
		m := &now.generations[now.Find(t)]
		adopted, err := d.adoptGeneration(ctx, &a, *m)
		if err != nil {
			return nil, err
		}
		*m, generations[i] = adopted, adopted.Generation
	}
	return generations, nil
}

// An adoption is about the generation of one tag under which a response is to be stored.
type adoption struct {
	tag       invalidation.Tag
	before    GenerationRecord // when the request was sent, if known
	known     bool             // the tag was looked for then
	requested time.Time
	until     time.Time // the response is kept
	foreign   bool      // it comes from no exchange: see AddForeign
}

// refuses says why a response must not be stored under the present generation m, or returns nil: if the tag was known when the request was sent,
// it must have the generation of that time still, and otherwise no other process may have set m since.
func (a *adoption) refuses(m *GenerationRecord, own bool) error {
	switch {
	case m.newer:
		return ErrNewer
	case a.known && !a.before.absent() && m.Generation != a.before.Generation:
		return ErrOvertaken
	case m.changed.IsZero():
	case a.known && a.before.absent():
		return ErrOvertaken
	case !a.known && !own && m.changed.After(a.requested.Add(-clockSkew)):
		return ErrPerhapsOvertaken
	}
	if m.absent() && !a.foreign && time.Since(a.requested) > generationTTL-clockSkew {
		return ErrOvertaken // a generation may have come and gone
	}
	return nil
}

// adoptGeneration returns the generation under which a response is stored, where the tag has generation m now. It makes the record, or has it kept longer.
// What it has put has no version: only the store knows that.
func (d *Store) adoptGeneration(ctx context.Context, a *adoption, m GenerationRecord) (GenerationRecord, error) {
	t := a.tag
	for range MaxAttempts {
		if err := a.refuses(&m, d.madeGeneration(m.Generation)); err != nil {
			return m, err
		}
		if !m.absent() && !m.until.Before(a.until) {
			return m, nil
		}
		next := m
		next.until = ahead(a.until)
		if m.absent() {
			next.Generation = d.NewGeneration()
		}
		err := d.Client.Put(ctx, generationKey(t), next.record(t))
		if err == nil {
			next.version = ""
			return next, nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return m, err
		}
		s := &Snapshot{}
		if err := d.readGenerations(ctx, s, []invalidation.Tag{t}); err != nil {
			return m, err
		}
		m = s.generations[0]
	}
	return m, ErrContended
}

// extendGenerations has generations kept as long as the responses of a set, which may live longer now than when they were stored.
// If another process changes one meanwhile, or the store fails, that costs a fetch later.
func (d *Store) extendGenerations(ctx context.Context, set *stored.Variants, seen *Snapshot, now time.Time) {
	for _, e := range set.Entries {
		until, generations := d.until(e, now), e.Generations()
		for i, t := range e.Tags {
			m, known := seen.Generation(t)
			if !known || m.absent() || m.Generation != generations[i] || !m.until.Before(until) {
				continue
			}
			if m.version == "" {
				continue // put a moment ago, so that its version is not known: one that is absent meanwhile has been ended, and must stay so
			}
			m.until = ahead(until)
			if d.Client.Put(ctx, generationKey(t), m.record(t)) == nil {
				seen.generations[seen.Find(t)] = GenerationRecord{Generation: m.Generation, changed: m.changed, until: m.until} // for another response with this tag
			}
		}
	}
}

// ahead is until when a generation is kept that is needed until then: longer, so that not each response need extend it.
func ahead(until time.Time) time.Time { return until.Add(max(time.Until(until), time.Hour)) }

// renew gives some tags new generations, and returns those that still have their old ones, with an error.
func (d *Store) renew(ctx context.Context, client *storeclient.Client, tags []invalidation.Tag) (left []invalidation.Tag, failed error) {
	records, err := client.Get(ctx, generationKeys(tags)...)
	if err != nil {
		return tags, err
	}
	for i, t := range tags {
		err := d.renewOne(ctx, client, t, readGeneration(records[i], t))
		switch {
		case err == nil:
			continue
		case ctx.Err() != nil, errors.Is(err, storeclient.ErrStoreHangs), errors.Is(err, storeclient.ErrStoreDown):
			return append(left, tags[i:]...), err // the tags that were not tried are left, but not reported as failures of their own
		}
		left, failed = append(left, t), err
	}
	return left, failed
}

// renewOne gives a tag another generation. A record that cannot be replaced is removed, which ends the old generation, too: one of a later version,
// or where the store has no room for anything new.
func (d *Store) renewOne(ctx context.Context, client *storeclient.Client, t invalidation.Tag, m GenerationRecord) error {
	for range MaxAttempts {
		if m.newer {
			if err := client.Delete(ctx, generationKey(t)); err != nil {
				return err
			}
			m = GenerationRecord{}
		}
		now := time.Now()
		next := GenerationRecord{Generation: d.NewGeneration(), changed: now, until: now.Add(generationTTL), version: m.version}
		err := client.Put(ctx, generationKey(t), next.record(t))
		switch {
		case err == nil, errors.Is(err, storeclient.ErrStoreHangs), errors.Is(err, storeclient.ErrStoreDown), ctx.Err() != nil:
			return err
		case !errors.Is(err, store.ErrConflict) && client.Delete(ctx, generationKey(t)) == nil:
			return nil
		case !errors.Is(err, store.ErrConflict):
			return err
		}
		records, err := client.Get(ctx, generationKey(t))
		if err != nil {
			return err
		}
		m = readGeneration(records[0], t)
	}
	return ErrContended
}
