package cache

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply/store"
)

// Tiered returns a store for [Options.Store] that keeps copies of what is in far, decoded, in near: what is asked for often is served from this
// process's memory, and what any process has stored is there for all. What is stored goes to both.
//
// A copy is used without asking far for [Options.L1TTL]. If far is a [store.Notifier], a copy goes at once when another process changes the response
// or invalidates it. What far does not have is not remembered: each miss asks far once.
// A store does not tell of what it has changed itself: two caches of one process each need a Notifier of their own, opened twice.
// While far is down, copies are served, and invalidations that others make meanwhile are not heard of.
//
// As a [store.Store] of its own, without a cache, it is far.
func Tiered(near *Memory, far store.Store) store.Store { return &tiered{Store: far, near: near} }

type tiered struct {
	store.Store
	near *Memory
}

var errTiers = errors.New("cache: Tiered needs a Memory and a store that is not itself tiered")

func (t *tiered) check() error {
	if _, nested := t.Store.(*tiered); t.near == nil || t.Store == nil || nested {
		return errTiers
	}
	return nil
}

// nearby is the copies of a byte store's responses that are in memory.
type nearby struct {
	memory  *Memory
	recheck time.Duration
	stop    func()

	// notes remembers what has changed, here or elsewhere, so that what was read before is not kept after it:
	//
	//	we read the record   another process changes it and we are told   we keep what we have read
	notes history
}

// provenance says which record a copy was read from, and when it was last known to be the present one.
type provenance struct {
	version string
	checked atomic.Int64 // nanoseconds since 1970
}

// notifiedRecheck is how often a copy is compared with its record though the store tells of changes: a message may be lost.
const notifiedRecheck = 30 * time.Second

func newNearby(m *Memory, far store.Store, recheck time.Duration) *nearby {
	n := &nearby{memory: m, recheck: recheck}
	if notifier, ok := store.As[store.Notifier](far); ok {
		n.stop = notifier.Notify(n.changed)
		n.recheck = max(recheck, notifiedRecheck)
	}
	return n
}

func (n *nearby) close() {
	if n != nil && n.stop != nil {
		n.stop()
	}
}

// changed hears that a record may have changed.
func (n *nearby) changed(key string) {
	if at, ok := placeOf(key); ok {
		n.notes.add(at.tag())
		n.drop(at)
		return
	}
	if t, ok := tagOf(key); ok {
		n.invalidated([]tag{t})
		return
	}
	if key == "" {
		n.notes.addAll()
		n.memory.clear(context.Background())
	}
}

// invalidated drops the copies that have one of the tags.
func (n *nearby) invalidated(tags []tag) {
	if n != nil {
		n.notes.add(tags...)
		n.memory.deleteTagged(context.Background(), tags)
	}
}

// distrust has copies compared with their records when they are looked for next.
func (n *nearby) distrust(places ...place) {
	if n == nil {
		return
	}
	for _, at := range places {
		if set := n.memory.get([]byte(at.name)); set != nil && set.from != nil {
			set.from.checked.Store(0)
		}
	}
}

func (n *nearby) drop(at place) {
	n.memory.update(context.Background(), at.name, func(*variants) *variants { return nil })
}

// get returns the copy of what is at a place, and whether that need not be compared with the record.
func (n *nearby) get(at place, now time.Time) (set *variants, fresh bool) {
	if n == nil {
		return nil, false
	}
	set = n.memory.get([]byte(at.name))
	if set == nil || set.from == nil {
		return nil, false
	}
	since := now.UnixNano() - set.from.checked.Load()
	return set, 0 <= since && since < int64(n.recheck)
}

// began returns the moment before a record is read.
func (n *nearby) began() (m moment) {
	if n != nil {
		m = n.notes.now()
	}
	return m
}

// keep takes in what was read or written since a moment. An empty set is none.
func (n *nearby) keep(at place, set *variants, version string, since moment, now time.Time) {
	if n == nil {
		return
	}
	var next *variants
	if set != nil {
		next = copied(set, version, now)
	}
	n.memory.update(context.Background(), at.name, func(old *variants) *variants {
		if next != nil && n.notes.since(since, append(next.tags(), at.tag())) {
			return old
		}
		return next
	})
}

// copied is a copy of what a record with a version holds; the version is "" if nobody knows it.
func copied(set *variants, version string, now time.Time) *variants {
	c := &variants{entries: set.entries, from: &provenance{version: version}}
	c.from.checked.Store(now.UnixNano())
	return c
}

// wrote takes in what this process has stored at a place where it had read the record at a moment. Of two who do so nobody knows who came later:
//
//	we store   another stores, and takes that in   we take ours in
func (n *nearby) wrote(at place, set *variants, since moment, now time.Time) {
	if n == nil {
		return
	}
	since = n.notes.addAt(since, at.tag())
	n.memory.update(context.Background(), at.name, func(*variants) *variants {
		if set == nil || n.notes.since(since, append(set.tags(), at.tag())) {
			return nil
		}
		return copied(set, "", now)
	})
}

// improve puts an entry with its body in memory in the place of one without.
func (n *nearby) improve(at *place, old, next *Entry) {
	if n == nil || at == nil {
		return
	}
	n.memory.update(context.Background(), at.name, func(set *variants) *variants {
		if set == nil || set.from == nil {
			return set
		}
		improved := set.exchanged(old, next)
		improved.from = set.from
		return improved
	})
}

// sightOf is the marks that the entries of a set remember.
func sightOf(set *variants) *sight {
	s := &sight{}
	for _, e := range set.entries {
		for i, t := range e.tags {
			if i < len(e.marks) {
				s.add(t, mark{nonce: e.marks[i]})
			}
		}
	}
	return s
}

// tag is a place among the tags of a history.
func (p place) tag() tag { return tag(p.hash[:16]) }

// tagOf is the tag whose mark has a key.
func tagOf(key string) (t tag, ok bool) {
	digits, ok := strings.CutPrefix(key, "m1.")
	if !ok || len(digits) != 2*len(t) {
		return t, false
	}
	_, err := hex.Decode(t[:], []byte(digits))
	return t, err == nil
}
