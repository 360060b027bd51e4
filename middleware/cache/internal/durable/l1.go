package durable

import (
	"context"
	"encoding/hex"
	"strings"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/memory"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/store"
)

// L1 has copies of a byte store's responses in memory, decoded. A nil L1 has none.
//
// It has no lock of its own: the memory store and the history have theirs. The invariant is that no copy stays which was read before a change that
// this process has heard of. A reader that keeps a copy therefore takes a moment of the history before it reads the record, and compares within the update;
// a change is noted in the history before the copy is dropped. So one of the two sees the other.
type L1 struct {
	memory  *memory.Store
	recheck time.Duration
	stop    func()

	// history remembers what has changed, here or elsewhere, so that what was read before is not kept after it:
	//
	//	we: read the record   they: change it; the store notifies us   we: keep what we have read
	history invalidation.History
}

// notifiedRecheck is how often a copy is compared with its record though the store notifies of changes: a message may be lost.
const notifiedRecheck = 30 * time.Second

// NewL1 returns copies in m of what is in l2. recheck is for how long one is used without comparing it with its record.
func NewL1(m *memory.Store, l2 store.Store, recheck time.Duration) *L1 {
	n := &L1{memory: m, recheck: recheck}
	if notifier, ok := store.As[store.Notifier](l2); ok {
		n.stop = notifier.Notify(n.changed)
		n.recheck = max(recheck, notifiedRecheck)
	}
	return n
}

func (n *L1) close() {
	if n != nil && n.stop != nil {
		n.stop()
	}
}

// changed drops the copies that a record with this key is about, which may have changed. The store calls it, "" for all records.
func (n *L1) changed(key string) {
	if at, ok := parseRecordKey(key); ok {
		n.history.Add(at.Tag())
		n.drop(at)
		return
	}
	if t, ok := parseGenerationKey(key); ok {
		n.invalidated([]invalidation.Tag{t})
		return
	}
	if key == "" {
		n.history.AddAll()
		n.memory.Clear(context.Background())
	}
}

// invalidated drops the copies that have one of the tags.
func (n *L1) invalidated(tags []invalidation.Tag) {
	if n != nil {
		n.history.Add(tags...)
		n.memory.DeleteTagged(context.Background(), tags)
	}
}

// Recheck has copies compared with their records at their next lookup.
func (n *L1) Recheck(places ...stored.RecordKey) {
	if n == nil {
		return
	}
	for _, at := range places {
		if set := n.memory.Lookup([]byte(at.Name)); set != nil && set.Source != nil {
			set.Source.Checked.Store(0)
		}
	}
}

func (n *L1) drop(at stored.RecordKey) {
	n.memory.Update(context.Background(), at.Name, func(*stored.Variants) *stored.Variants { return nil })
}

// get returns the copy of what the record with a name holds, and whether it may be used without comparing it with the record.
func (n *L1) get(name []byte, now time.Time) (set *stored.Variants, fresh bool) {
	if n == nil {
		return nil, false
	}
	set = n.memory.Lookup(name)
	if set == nil || set.Source == nil {
		return nil, false
	}
	return set, n.isFresh(set, now)
}

// began returns the present moment, to be taken before a record is read.
func (n *L1) began() (m invalidation.Moment) {
	if n != nil {
		m = n.history.Now()
	}
	return m
}

// keep keeps what was read since a moment, unless it has changed since then. An empty set drops the copy.
func (n *L1) keep(at stored.RecordKey, set *stored.Variants, version string, since invalidation.Moment, now time.Time) {
	if n == nil {
		return
	}
	var next *stored.Variants
	if set != nil {
		next = copied(set, version, now)
	}
	n.memory.Update(context.Background(), at.Name, func(old *stored.Variants) *stored.Variants {
		if next != nil && n.history.Since(since, append(next.Tags(), at.Tag())) {
			return old
		}
		return next
	})
}

// copied is a copy of what a record with a version holds; the version is "" if it is not known.
func copied(set *stored.Variants, version string, now time.Time) *stored.Variants {
	c := &stored.Variants{Entries: set.Entries, Source: &stored.Source{Version: version}}
	c.Source.Checked.Store(now.UnixNano())
	return c
}

// wrote keeps what this process has stored at a place, where it had read the record at a moment. If two requests do so at a time, their order in the store
// is not known, so neither copy is kept:
//
//	we: store   they: store, keep their copy   we: find their change, drop the copy
func (n *L1) wrote(at stored.RecordKey, set *stored.Variants, since invalidation.Moment, now time.Time) {
	if n == nil {
		return
	}
	since = n.history.AddAt(since, at.Tag())
	n.memory.Update(context.Background(), at.Name, func(*stored.Variants) *stored.Variants {
		if set == nil || set.FromFuture(now) || n.history.Since(since, append(set.Tags(), at.Tag())) {
			return nil // what is from the future, another process or an import has stored: a lookup judges it when it reads the record
		}
		return copied(set, "", now)
	})
}

// Improve puts an entry with its body in memory in the place of one without.
func (n *L1) Improve(at *stored.RecordKey, old, next *stored.Entry) {
	if n == nil || at == nil {
		return
	}
	n.memory.Update(context.Background(), at.Name, func(set *stored.Variants) *stored.Variants {
		if set == nil || set.Source == nil {
			return set
		}
		improved := set.Exchanged(old, next)
		improved.Source = set.Source
		return improved
	})
}

// SnapshotOf has the generations that the entries of a set remember.
func SnapshotOf(set *stored.Variants) *Snapshot {
	s := &Snapshot{}
	for _, e := range set.Entries {
		for i, generation := range e.Generations() {
			s.Add(e.Tags[i], GenerationRecord{Generation: generation})
		}
	}
	return s
}

// parseGenerationKey returns the tag whose generation has a key.
func parseGenerationKey(key string) (t invalidation.Tag, ok bool) {
	digits, ok := strings.CutPrefix(key, "m1.")
	if !ok || len(digits) != 2*len(t) {
		return t, false
	}
	_, err := hex.Decode(t[:], []byte(digits))
	return t, err == nil
}
