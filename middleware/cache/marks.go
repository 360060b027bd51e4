package cache

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/plyhttp/ply/store"
)

// In a store, responses are invalidated by marks. Each tag has one: a record with a random number, its generation. A stored response remembers
// the generations that its tags had when it was asked for, and is good only as long as these are the present ones; a mark that is not there
// has none. So it makes no difference in which order two processes invalidate and store, nor what the store forgets:
//
//	A asks the origin (generation 1)
//	                 B's POST succeeds (generation 2 from now on)
//	A stores the answer under generation 1, and nobody is ever served it
//
// A mark's record is, behind its frame: the tag, the generation, when an invalidation set it or 0, and until when the record is kept.

const markKind = 'M'

// A nonce is a generation. The first half names the process that made it.
type nonce [16]byte

// A mark is the generation of a tag. The zero mark is one that is not there.
type mark struct {
	nonce   nonce
	changed time.Time // when an invalidation set it; zero if a response that was stored did
	until   time.Time
	version string // of the record
	newer   bool   // a later version of this module has written it
}

func (m *mark) absent() bool { return m.nonce == nonce{} }

const (
	// markAhead is how long a mark that an invalidation has set is kept if nothing is stored under it.
	// Responses that were asked for before and are not stored then, never are.
	markAhead = time.Hour

	// clockSkew is how far the clocks of two machines may be apart without an invalidation being missed
	// by a response whose tags are known only from its header.
	clockSkew = 5 * time.Second
)

func markKey(t tag) string { return "m1." + hex.EncodeToString(t[:]) }

func (m *mark) record(t tag) store.Record {
	data := append(framed(nil), t[:]...)
	data = append(data, m.nonce[:]...)
	changed := int64(0)
	if !m.changed.IsZero() {
		changed = m.changed.UnixNano()
	}
	data = binary.AppendVarint(binary.AppendVarint(data, changed), m.until.UnixNano())
	return store.Record{Data: seal(data, markKind), Version: m.version, Expires: m.until, Kind: store.KindGeneration}
}

// readMark reads a mark's record. One that is damaged counts as absent.
func readMark(r store.Record, t tag) mark {
	m := mark{version: r.Version}
	payload, err := unseal(r.Data, markKind)
	if err != nil {
		m.newer = err == errNewer
		return m
	}
	w := wire{rest: string(payload)}
	about, generation, changed, until := tag(w.id()), nonce(w.id()), w.int(), w.int()
	if w.bad || w.rest != "" || about != t {
		return m
	}
	m.nonce, m.until = generation, time.Unix(0, until)
	if changed != 0 {
		m.changed = time.Unix(0, changed)
	}
	return m
}

// A sight is what marks were seen at one moment.
type sight struct {
	tagList
	marks []mark // of each tag
}

// of returns the mark of a tag, if it was looked for.
func (s *sight) of(t tag) (mark, bool) {
	if s == nil {
		return mark{}, false
	}
	i := s.find(t)
	if i < 0 {
		return mark{}, false
	}
	return s.marks[i], true
}

// add notes the mark of a tag that s has none of yet.
func (s *sight) add(t tag, m mark) {
	if s.tagList.add(t); len(s.tags) > len(s.marks) {
		s.marks = append(s.marks, m)
	}
}

// read notes the marks that a store has under the keys of tags.
func (s *sight) read(tags []tag, records []store.Record) {
	for i, t := range tags {
		s.add(t, readMark(records[i], t))
	}
}

// lacks returns the tags of a set that s has no marks of.
func (s *sight) lacks(set *variants) []tag {
	var tags []tag
	for _, t := range set.tags() {
		if s.find(t) < 0 {
			tags = append(tags, t)
		}
	}
	return tags
}

// newer reports whether a later version of this module has written one of the marks.
func (s *sight) newer() bool {
	return slices.ContainsFunc(s.marks, func(m mark) bool { return m.newer })
}

// current tells whether all of a response's tags still have the generations that it remembers.
func (s *sight) current(e *Entry) bool {
	for i, t := range e.tags {
		if m, _ := s.of(t); m.absent() || m.nonce != e.marks[i] {
			return false
		}
	}
	return true
}

// overtakenBy tells whether one of the tags has been invalidated between s and a later sight. That a response which was stored has brought a mark
// with it is no invalidation.
func (s *sight) overtakenBy(later *sight, tags []tag) bool {
	return slices.ContainsFunc(tags, func(t tag) bool {
		before, known := s.of(t)
		m, seen := later.of(t)
		return known && seen && m.nonce != before.nonce && !m.changed.IsZero()
	})
}

func markKeys(tags []tag) []string {
	keys := make([]string, len(tags))
	for i, t := range tags {
		keys[i] = markKey(t)
	}
	return keys
}

// see completes a sight with the marks of further tags.
func (d *durable) see(ctx context.Context, s *sight, tags []tag) error {
	if len(tags) == 0 {
		return nil
	}
	records, err := d.guard.get(ctx, markKeys(tags)...)
	if err == nil {
		s.read(tags, records)
	}
	return err
}

// newNonce returns a generation that there has never been.
func (d *durable) newNonce() (n nonce) {
	copy(n[:8], d.self[:])
	rand.Read(n[8:])
	return n
}

// ours tells whether this process has made a generation: then its own history knows when.
func (d *durable) ours(n nonce) bool { return [8]byte(n[:8]) == d.self }

// errOvertaken is why a response is not stored whose tags have got other generations since it was asked for.
var errOvertaken = errors.New("invalidated meanwhile")

// pledge returns the generations that the tags of e had when it was asked for, and sees to it that there are marks at all,
// which are kept as long as e is.
func (d *durable) pledge(ctx context.Context, e *Entry, seen *sight, until time.Time) ([]nonce, error) {
	marks, now := make([]nonce, len(e.tags)), &sight{}
	if err := d.see(ctx, now, e.tags); err != nil {
		return nil, err
	}
	for i, t := range e.tags {
		m, _ := now.of(t)
		before, known := seen.of(t)
		generation, err := d.adopt(ctx, t, m, before, known, e.requested, until)
		if err != nil {
			return nil, err
		}
		marks[i] = generation
	}
	return marks, nil
}

// adopt returns the generation under which a response is stored: the one that was seen when it was asked for if its tag was known then,
// and else the present one, if that was the present one at that time, too.
func (d *durable) adopt(ctx context.Context, t tag, m, before mark, known bool, requested, until time.Time) (nonce, error) {
	for range maxAttempts {
		switch {
		case m.newer:
			return nonce{}, errNewer
		case known && !before.absent() && m.nonce != before.nonce:
			return nonce{}, errOvertaken
		case !m.changed.IsZero() && (known && before.absent() || !known && !d.ours(m.nonce) && m.changed.After(requested.Add(-clockSkew))):
			return nonce{}, errOvertaken
		case !m.absent() && !m.until.Before(until):
			return m.nonce, nil
		case m.absent() && time.Since(requested) > markAhead-clockSkew:
			return nonce{}, errOvertaken // a mark may have come and gone
		}
		next := m
		next.until = ahead(until)
		if m.absent() {
			next.nonce = d.newNonce()
		}
		err := d.guard.put(ctx, markKey(t), next.record(t))
		if err == nil {
			return next.nonce, nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return nonce{}, err
		}
		s := &sight{}
		if err := d.see(ctx, s, []tag{t}); err != nil {
			return nonce{}, err
		}
		m = s.marks[0]
	}
	return nonce{}, errContended
}

// prolong has marks kept as long as the responses of a set, which may live longer now than when they were stored.
// If somebody else changes one meanwhile, or the store fails, that costs a fetch some day.
func (d *durable) prolong(ctx context.Context, set *variants, seen *sight, now time.Time) {
	for _, e := range set.entries {
		until := d.until(e, now)
		for i, t := range e.tags {
			m, known := seen.of(t)
			if !known || m.absent() || m.nonce != e.marks[i] || !m.until.Before(until) {
				continue
			}
			m.until = ahead(until)
			if d.guard.put(ctx, markKey(t), m.record(t)) == nil {
				seen.marks[seen.find(t)].until = m.until // of another response, too
			}
		}
	}
}

// ahead is until when a mark is kept that is needed until then: it need not be prolonged with each response.
func ahead(until time.Time) time.Time { return until.Add(max(time.Until(until), time.Hour)) }

// renew gives some tags new generations, and returns those that still have their old ones, with an error.
func (d *durable) renew(ctx context.Context, g *guard, tags []tag) (left []tag, failed error) {
	records, err := g.get(ctx, markKeys(tags)...)
	if err != nil {
		return tags, err
	}
	for i, t := range tags {
		err := d.renewOne(ctx, g, t, readMark(records[i], t))
		switch {
		case err == nil:
			continue
		case ctx.Err() != nil, errors.Is(err, errStoreHangs), errors.Is(err, errStoreDown):
			return append(left, tags[i:]...), err // the store has not failed once more with each tag that is not tried
		}
		left, failed = append(left, t), err
	}
	return left, failed
}

// renewOne gives a tag another generation. A mark that cannot be replaced is removed, which is another generation, too: one of a later version,
// or where the store has no room for anything new.
func (d *durable) renewOne(ctx context.Context, g *guard, t tag, m mark) error {
	for range maxAttempts {
		if m.newer {
			if err := g.delete(ctx, markKey(t)); err != nil {
				return err
			}
			m = mark{}
		}
		now := time.Now()
		next := mark{nonce: d.newNonce(), changed: now, until: now.Add(markAhead), version: m.version}
		err := g.put(ctx, markKey(t), next.record(t))
		switch {
		case err == nil, errors.Is(err, errStoreHangs), errors.Is(err, errStoreDown), ctx.Err() != nil:
			return err
		case !errors.Is(err, store.ErrConflict) && g.delete(ctx, markKey(t)) == nil:
			return nil
		case !errors.Is(err, store.ErrConflict):
			return err
		}
		records, err := g.get(ctx, markKey(t))
		if err != nil {
			return err
		}
		m = readMark(records[0], t)
	}
	return errContended
}
