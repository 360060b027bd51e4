package storetest

import (
	"bytes"
	"cmp"
	"container/list"
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/plyhttp/ply/store"
)

// Map is a [store.Store] in this process's memory, with every optional interface, for tests. It is bounded by bytes and forgets what was used longest ago.
// [Map.Open] gives it to others as if they were other processes.
type Map struct {
	*shared
	listeners map[int]func(string) // guarded by shared.mu
	next      int
}

// shared is what all instances of one Map have in common.
type shared struct {
	limit int64

	mu        sync.Mutex // guards the fields below, and the records
	records   map[string]*list.Element
	used      *list.List // of *kept, the last used first
	bytes     int64
	versions  uint64
	instances []*Map
}

type kept struct {
	key    string
	record store.Record
}

const overhead = 256 // that a record is charged with, beside its key and data

func (k *kept) size() int64 { return overhead + int64(len(k.key)+len(k.record.Data)) }

// NewMap returns an empty Map that holds up to maxBytes. Zero means 64 MiB.
func NewMap(maxBytes int64) *Map {
	if maxBytes <= 0 {
		maxBytes = 64 << 20
	}
	m := &Map{shared: &shared{limit: maxBytes, records: make(map[string]*list.Element), used: list.New()}}
	m.instances = []*Map{m}
	return m
}

// Open returns another instance with the same records. It hears of what the others change; see [store.Notifier].
func (m *Map) Open() *Map {
	m.mu.Lock()
	defer m.mu.Unlock()
	other := &Map{shared: m.shared}
	m.instances = append(m.instances, other)
	return other
}

// Get returns the record under key.
func (m *Map) Get(ctx context.Context, key string) (store.Record, error) {
	if err := ctx.Err(); err != nil {
		return store.Record{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.get(key, time.Now()), nil
}

func (m *Map) get(key string, now time.Time) store.Record {
	e := m.live(key, now)
	if e == nil {
		return store.Record{}
	}
	m.used.MoveToFront(e)
	return private(e.Value.(*kept).record)
}

// private returns a copy of r that shares no data with it.
func private(r store.Record) store.Record {
	r.Data = bytes.Clone(r.Data)
	return r
}

// live returns what is under key and not expired, or nil. The lock is held.
func (m *Map) live(key string, now time.Time) *list.Element {
	e := m.records[key]
	if e != nil && e.Value.(*kept).expired(now) {
		m.drop(e)
		return nil
	}
	return e
}

func (k *kept) expired(now time.Time) bool {
	return !k.record.Expires.IsZero() && !k.record.Expires.After(now)
}

func (m *Map) drop(e *list.Element) {
	k := m.used.Remove(e).(*kept)
	delete(m.records, k.key)
	m.bytes -= k.size()
}

// Put stores r in the place of the version that it names.
func (m *Map) Put(ctx context.Context, key string, r store.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	old := m.live(key, now)
	if r.Version != version(old) {
		return store.ErrConflict
	}
	next := &kept{key: key, record: private(r)}
	if next.size() > m.limit {
		return store.ErrTooLarge
	}
	m.makeRoom(next, old)
	if old != nil {
		m.drop(old)
	}
	m.versions++
	next.record.Version = strconv.FormatUint(m.versions, 36)
	m.records[key] = m.used.PushFront(next)
	m.bytes += next.size()
	m.tell(key)
	return nil
}

func version(e *list.Element) string {
	if e == nil {
		return ""
	}
	return e.Value.(*kept).record.Version
}

// makeRoom drops what was used longest ago until next fits in the place of old.
func (m *Map) makeRoom(next *kept, old *list.Element) {
	need := m.bytes + next.size() - m.limit
	if old != nil {
		need -= old.Value.(*kept).size()
	}
	for e := m.used.Back(); e != nil && need > 0; {
		victim := e
		e = e.Prev()
		if victim != old {
			need -= victim.Value.(*kept).size()
			m.drop(victim)
		}
	}
}

// Delete removes the record under key if it has this version, or any if that is "".
func (m *Map) Delete(ctx context.Context, key, v string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.live(key, time.Now())
	switch {
	case e == nil:
		return nil
	case v != "" && v != version(e):
		return store.ErrConflict
	}
	m.drop(e)
	m.tell(key)
	return nil
}

// GetMulti returns the records under keys.
func (m *Map) GetMulti(ctx context.Context, keys []string) ([]store.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	records := make([]store.Record, len(keys))
	for i, key := range keys {
		records[i] = m.get(key, now)
	}
	return records, nil
}

// Range calls f with what is there when it begins, in the order of the keys.
func (m *Map) Range(ctx context.Context, kind store.Kind, f func(string, store.Record) bool) error {
	for _, k := range m.list(kind) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !f(k.key, private(k.record)) {
			return nil
		}
	}
	return nil
}

func (m *Map) list(kind store.Kind) []*kept {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	var found []*kept
	for _, e := range m.records {
		if k := e.Value.(*kept); k.record.Kind == kind && !k.expired(now) {
			found = append(found, k)
		}
	}
	slices.SortFunc(found, func(a, b *kept) int { return cmp.Compare(a.key, b.key) })
	return found
}

// Clear forgets everything.
func (m *Map) Clear(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.records)
	m.used.Init()
	m.bytes = 0
	m.tell("")
	return nil
}

// DeleteExpired removes the records whose time is over at now.
func (m *Map) DeleteExpired(ctx context.Context, now time.Time) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, e := range m.records {
		if e.Value.(*kept).expired(now) {
			m.drop(e)
			n++
		}
	}
	return n, nil
}

// Size returns how many records there are, and what they are charged with.
func (m *Map) Size(context.Context) (records, bytes int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return int64(len(m.records)), m.bytes, nil
}

// Notify has f called with the keys that other instances change.
func (m *Map) Notify(f func(key string)) (stop func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.listeners == nil {
		m.listeners = make(map[int]func(string))
	}
	id := m.next
	m.next++
	m.listeners[id] = f
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.listeners, id)
	}
}

// tell calls the listeners of the other instances. The caller holds the lock, so that none is called after it was stopped; a listener must not call the store.
func (m *Map) tell(key string) {
	for _, other := range m.instances {
		if other == m {
			continue
		}
		for _, f := range other.listeners {
			f(key)
		}
	}
}
