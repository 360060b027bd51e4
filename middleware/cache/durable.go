package cache

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/plyhttp/ply/redact"
	"github.com/plyhttp/ply/store"
)

// durable keeps responses in a byte store. All variants of a resource, their index and what invalidates them are in one record, the entry's,
// so they change together or not at all, with a compare-and-swap. Beside it there are the marks of its tags (marks.go)
// and the pieces of its large bodies (pieces.go).
type durable struct {
	guard     *guard
	insistent *guard // for invalidations that are owed
	given     store.Store
	near      *nearby       // copies in memory, or nil
	keep      time.Duration // beyond the last moment that a response can be used without asking
	shared    bool
	self      [8]byte // names this process in the generations that it makes
	secrets   secrets
	pending   debts
	graves    graves
	behind    crew
	tagsOf    func(*http.Request) []tag // see Cache.knownTags
	cookies   bool                      // of responses are set again
}

const (
	// maxAttempts bounds how often a change is tried again because another process was faster.
	maxAttempts = 16

	// maxLife bounds how long anything is kept in a store.
	maxLife = 400 * 24 * time.Hour

	// clockBack is how far the clock may have been set back before what is stored counts as stale.
	clockBack = 5 * time.Minute
)

var errContended = errors.New("others change the record again and again")

func newDurable(s store.Store, timeout, keep time.Duration, shared bool) *durable {
	d := &durable{guard: newGuard(s, timeout), given: s, keep: keep, shared: shared}
	rand.Read(d.self[:])
	d.behind.hire(10 * timeout)
	d.pending.pay = d.pay
	d.guard.answers = d.pending.answered
	d.insistent = d.guard.patient(payPatience * timeout)
	return d
}

// A place is where the responses under one key of the cache stand in a store.
type place struct {
	hash [32]byte
	name string
}

// place hashes a key: nothing of it stands in the store. A shared cache and a private one do not find each other's responses.
func (d *durable) place(key string) place {
	if d.shared {
		return newPlace("shared", key)
	}
	return newPlace("private", key)
}

func newPlace(posture, key string) (p place) {
	h := sha256.New()
	io.WriteString(h, posture)
	h.Write([]byte{0})
	io.WriteString(h, key)
	h.Sum(p.hash[:0])
	p.name = "e1." + hex.EncodeToString(p.hash[:])
	return p
}

// placeOf is the place with a name that the store has listed.
func placeOf(name string) (p place, ok bool) {
	if len(name) != len("e1.")+2*len(p.hash) || name[:3] != "e1." {
		return p, false
	}
	n, err := hex.Decode(p.hash[:], []byte(name[3:]))
	p.name = name
	return p, err == nil && n == len(p.hash)
}

// get returns the responses under a request's key, and the marks that their tags and those of the request have. The sight is nil if that failed.
func (d *durable) get(ctx context.Context, key string, r *http.Request) (*variants, *sight, error) {
	at := d.place(key)
	copied, fresh := d.near.get(at, time.Now())
	if fresh {
		return copied, sightOf(copied), nil
	}
	failed := d.readySecret(ctx) // without it only what varies on credentials is missing
	h, err := d.hold(ctx, at, d.tagsOf(r), copied)
	if err != nil && copied != nil {
		return copied, sightOf(copied), err
	}
	if err != nil {
		return nil, nil, err
	}
	d.near.keep(at, h.current, h.version, h.began, time.Now())
	switch {
	case h.damaged:
		d.behind.once(at.name, func(ctx context.Context) { d.guard.deleteVersion(ctx, at.name, h.version) })
		return nil, h.seen, errDamaged
	case h.set != nil && h.current == nil && !h.newer:
		d.behind.once(at.name, func(ctx context.Context) { d.updateAt(ctx, at, func(set *variants) *variants { return set }) })
	}
	return h.current, h.seen, failed
}

// held is what a store has at one place.
type held struct {
	set     *variants // everything
	current *variants // what has not been invalidated
	seen    *sight
	version string // of the record
	began   moment // among the copies in memory, before it was read
	damaged bool
	newer   bool // a later version of this module has written the record, or a mark: nothing is to be done about it
}

// hold reads what is at a place, together with the marks of some tags, which spares a second call in most cases.
// If the record is that of a copy, it is not decoded again.
func (d *durable) hold(ctx context.Context, at place, tags []tag, copied *variants) (held, error) {
	owed, began := d.pending.account(), d.near.began()
	records, err := d.guard.get(ctx, append([]string{at.name}, markKeys(tags)...)...)
	if err != nil {
		return held{}, err
	}
	d.bury(time.Now())
	h := held{version: records[0].Version, began: began, seen: &sight{}}
	h.seen.read(tags, records[1:])
	if h.version == "" {
		return h, nil
	}
	if copied != nil && copied.from.version == h.version && !copied.ofTomorrow(time.Now()) {
		h.set = copied
	} else {
		h.set, err = decode(records[0].Data, at.hash)
	}
	switch {
	case errors.Is(err, errNewer):
		h.newer = true
		return h, nil
	case err != nil:
		h.damaged = true
		return h, nil
	}
	if err := d.see(ctx, h.seen, h.seen.lacks(h.set)); err != nil {
		return held{}, err
	}
	if h.newer = h.seen.newer(); h.newer {
		return h, nil // those who can read the marks may know the response to be good
	}
	now := time.Now()
	h.current = h.set.without(func(e *Entry) bool { return !h.seen.current(e) || owed.concerns(e) })
	if h.set != copied {
		for _, e := range h.set.entries {
			e.at = &at
			d.bind(e, now)
		}
	}
	return h, nil
}

// bind makes a response that was read from the store usable.
func (d *durable) bind(e *Entry, now time.Time) {
	if !d.cookies && removeCookies(e.header) { // another process wants them, or an older version has stored them
		e.index()
	}
	if e.body.stored != nil {
		e.body.stored.from = d
	}
	if e.ofTomorrow(now) {
		e.age0 = longest // nobody knows how old it is
	}
}

// ofTomorrow tells whether the clock has been set back since a response was received.
func (e *Entry) ofTomorrow(now time.Time) bool { return now.Add(clockBack).Before(e.received) }

func (s *variants) ofTomorrow(now time.Time) bool {
	return slices.ContainsFunc(s.entries, func(e *Entry) bool { return e.ofTomorrow(now) })
}

// touchStoreEvery is how often a store is told that one of several variants is in use.
const touchStoreEvery = time.Hour

// touch has the store remember that a response is in use, where that makes a difference: because it begins its lifetime anew,
// or because it must not be the variant that goes first.
func (d *durable) touch(e *Entry, before, now time.Time) {
	every := touchStoreEvery
	if e.rules.sliding {
		every = min(every, e.rules.lifetime/16)
	} else if e.selectors == nil {
		return
	}
	if e.at == nil || now.Sub(before) < every {
		return
	}
	d.behind.once(e.at.name, func(ctx context.Context) {
		d.updateAt(ctx, *e.at, func(set *variants) *variants {
			for i, old := range set.all() {
				if old.sameAs(e) {
					used := old.copy()
					used.index()
					used.used.Store(now.UnixNano())
					return set.replaced(i, used)
				}
			}
			return set
		})
	})
}

// update replaces what is stored under key.
func (d *durable) update(ctx context.Context, key string, change func(*variants) *variants) error {
	return d.updateAt(ctx, d.place(key), change)
}

// updateAt replaces what is at a place. If another process is faster, its result is changed in turn.
func (d *durable) updateAt(ctx context.Context, at place, change func(*variants) *variants) error {
	for attempt := range maxAttempts {
		if err := pause(ctx, attempt); err != nil {
			return err
		}
		h, err := d.hold(ctx, at, nil, nil)
		if err != nil {
			return err
		}
		if h.newer {
			return errNewer
		}
		next := change(h.current)
		if next == h.set && !h.damaged {
			return nil
		}
		if err = d.replace(ctx, at, &h, next); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return errContended
}

// pause waits a moment before another attempt, the longer the more there have been.
func pause(ctx context.Context, attempt int) error {
	if attempt == 0 {
		return nil
	}
	timer := time.NewTimer(time.Duration(mathrand.Int64N(int64(attempt) * int64(time.Millisecond))))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return late(ctx)
	}
}

// replace puts next in the place of what was held. Bodies are there before the record that names them, and go after it.
func (d *durable) replace(ctx context.Context, at place, h *held, next *variants) error {
	if next == nil {
		if h.version == "" {
			return nil
		}
		if err := d.erase(ctx, at, h.version); err != nil {
			return err
		}
		d.near.wrote(at, nil, h.began, time.Now())
		d.drop(h.set, nil)
		return nil
	}
	now := time.Now()
	shelved, err := d.shelve(ctx, at, next, now)
	if err != nil {
		d.drop(shelved, next)
		return err
	}
	stored, record, err := d.record(at, shelved, h.version, now)
	if err == nil {
		err = d.write(ctx, at, record)
	}
	if err != nil {
		d.drop(shelved, next)
		return err
	}
	d.near.wrote(at, stored, h.began, now)
	d.prolong(ctx, stored, h.seen, now)
	d.drop(shelved, stored)
	d.drop(h.set, shelved)
	return nil
}

// write puts a record in the place of the one whose version it has. Where the store says that it has failed, it may be that only its reply was lost:
// then the record is there, and what it names must stay while what it replaced must go.
func (d *durable) write(ctx context.Context, at place, r store.Record) error {
	err := d.guard.put(ctx, at.name, r)
	if err == nil || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrTooLarge) || errors.Is(err, errStoreDown) || ctx.Err() != nil {
		return err
	}
	if there, failed := d.guard.get(ctx, at.name); failed == nil && there[0].Version != "" && bytes.Equal(there[0].Data, r.Data) {
		return nil
	}
	return err
}

// erase removes a record, by the same token: if it is gone, what it named must go.
func (d *durable) erase(ctx context.Context, at place, version string) error {
	err := d.guard.deleteVersion(ctx, at.name, version)
	if err == nil || errors.Is(err, store.ErrConflict) || errors.Is(err, errStoreDown) || ctx.Err() != nil {
		return err
	}
	if there, failed := d.guard.get(ctx, at.name); failed == nil && there[0].Version == "" {
		return nil
	}
	return err
}

// record makes the record of a set. Variants that have no room go, the one first that was used longest ago.
func (d *durable) record(at place, set *variants, version string, now time.Time) (*variants, store.Record, error) {
	for {
		data, err := encode(at.hash, set)
		if err == nil {
			return set, store.Record{Data: data, Version: version, Expires: d.expires(set, now), Kind: store.KindEntry, Label: redact.URLText(set.entries[0].url)}, nil
		}
		if len(set.entries) == 1 {
			return nil, store.Record{}, err
		}
		first := leastUsed(set.entries)
		set = set.without(func(e *Entry) bool { return e == first })
	}
}

// expires is until when a record with these responses is kept.
func (d *durable) expires(set *variants, now time.Time) time.Time {
	until := now
	for _, e := range set.entries {
		if t := d.until(e, now); t.After(until) {
			until = t
		}
	}
	return until
}

// until is until when a response is kept: as long as it can be used without asking, and then as long as it may be worth asking about.
func (d *durable) until(e *Entry, now time.Time) time.Time {
	life := max(e.left(now), 0) + max(e.rules.staleWhileRevalidate, e.rules.staleIfError, 0) + d.keep
	until := now.Add(min(max(life, time.Second), maxLife)).Truncate(time.Millisecond)
	if p := e.body.stored; p != nil && p.until.Before(until) {
		return p.until
	}
	return until
}

// deleteEntry removes an entry, and whatever is in its place by now.
func (d *durable) deleteEntry(ctx context.Context, e *Entry) error {
	if e.at == nil {
		return errForeignEntry
	}
	return d.updateAt(ctx, *e.at, func(set *variants) *variants { return set.without(e.sameSlot) })
}

// each calls f with the responses at each place.
func (d *durable) each(ctx context.Context, f func(*variants, updater) bool) error {
	ranger, ok := store.As[store.Ranger](d.given)
	if !ok {
		return fmt.Errorf("the store cannot list what it holds: %w", errors.ErrUnsupported)
	}
	var failed error
	visit := func(name string, _ store.Record) bool {
		at, ok := placeOf(name)
		if !ok {
			return true
		}
		h, err := d.hold(ctx, at, nil, nil)
		if err != nil {
			failed = err
			return false
		}
		return h.current == nil || f(h.current, func(change func(*variants) *variants) error { return d.updateAt(ctx, at, change) })
	}
	_, err := recovered(ctx, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, ranger.Range(ctx, store.KindEntry, visit)
	})
	return errors.Join(err, failed)
}

// deleteExpired has the store give back the room of its expired records.
func (d *durable) deleteExpired(ctx context.Context, now time.Time) (int, error) {
	expirer, ok := store.As[store.Expirer](d.given)
	if !ok {
		return 0, errors.ErrUnsupported
	}
	return recovered(ctx, func(ctx context.Context) (int, error) { return expirer.DeleteExpired(ctx, now) })
}

// clear removes everything.
func (d *durable) clear(ctx context.Context) error {
	if d.near != nil {
		defer d.near.changed("") // what was read meanwhile is none either
	}
	clearer, ok := store.As[store.Clearer](d.given)
	if !ok {
		return d.each(ctx, func(_ *variants, update updater) bool {
			return update(func(*variants) *variants { return nil }) == nil
		})
	}
	_, err := recovered(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, clearer.Clear(ctx) })
	return err
}

// close waits for what is under way, and no longer than a call of the store may take. What is owed is tried once more.
func (d *durable) close(patience time.Duration) error {
	d.near.close()
	d.pending.close()
	d.behind.start(d.pay)
	d.bury(time.Now().Add(mourning))
	d.behind.dismiss(patience)
	d.guard.close()
	return d.owedAtTheEnd()
}
