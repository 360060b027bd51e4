package memory

import (
	"bytes"
	"context"
	"hash/maphash"
	"strconv"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/store"
)

// Get returns the record under key. A Memory holds records if a wrapper is between it and the cache, such as [store.Encrypted].
func (m *Store) Get(_ context.Context, key string) (store.Record, error) {
	found := m.peek(key)
	if !found.holdsRecord(time.Now()) {
		return store.Record{}, nil
	}
	found.use()
	return found.record.copied(), nil
}

// Put stores a record in place of the one with its version (compare-and-swap).
func (m *Store) Put(_ context.Context, key string, r store.Record) error {
	hash := maphash.String(m.seed, key)
	kept := keptRecord{r}
	kept.Record = kept.copied()
	kept.Version = strconv.FormatInt(m.version.Add(1), 36)
	next := &slot{key: key, hash: hash, record: &kept}
	if next.size() > m.maxBytes || m.maxEntries < 1 {
		return store.ErrTooLarge
	}
	u := update{key: key, hash: hash, shard: m.shard(hash)}
	for {
		evicted, err := m.attemptRecord(&u, r.Version, next)
		m.tell(evicted)
		if err != errNoRoom {
			return err
		}
		if !m.evictElsewhere(u.shard) {
			u.alone = true
		}
	}
}

// attemptRecord tries to put a record with the room that its shard has or can make.
func (m *Store) attemptRecord(u *update, version string, next *slot) (evicted []*stored.Variants, err error) {
	u.shard.mu.Lock()
	defer u.shard.mu.Unlock()
	old := u.shard.index.find(u.hash, u.key)
	if old.versionAt(time.Now()) != version {
		return nil, store.ErrConflict
	}
	return m.replace(u, old, next)
}

// Delete removes the record under key if it has this version, or any if that is "".
func (m *Store) Delete(_ context.Context, key, version string) error {
	hash := maphash.String(m.seed, key)
	s := m.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.index.find(hash, key)
	has := found.versionAt(time.Now())
	if version != "" && has != "" && has != version {
		return store.ErrConflict
	}
	if found != nil && found.record != nil {
		m.remove(s, found)
	}
	return nil
}

// Range calls f with each record of a kind until f returns false.
func (m *Store) Range(ctx context.Context, kind store.Kind, f func(key string, r store.Record) bool) error {
	now := time.Now()
	wanted := func(x *slot) bool { return x.holdsRecord(now) && x.record.Kind == kind }
	return m.walk(ctx, wanted, func(x *slot) bool { return f(x.key, x.record.copied()) })
}

// shard returns where a key with this hash belongs. The number of shards is a power of two.
func (m *Store) shard(hash uint64) *shard { return &m.shards[hash&uint64(len(m.shards)-1)] }

// keptRecord is a record that shares no memory with the caller's.
type keptRecord struct{ store.Record }

func (r *keptRecord) copied() store.Record {
	c := r.Record
	c.Data = bytes.Clone(c.Data)
	return c
}

// holdsRecord reports whether a slot holds a record that has not expired.
func (x *slot) holdsRecord(now time.Time) bool {
	return x != nil && x.record != nil && (x.record.Expires.IsZero() || now.Before(x.record.Expires))
}

// versionAt is the version of the record that a slot holds, or "".
func (x *slot) versionAt(now time.Time) string {
	if x.holdsRecord(now) {
		return x.record.Version
	}
	return ""
}
