package sqlite

import (
	"context"
	"errors"
	"strconv"
	"time"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/plyhttp/ply/internal/storetext"
	"github.com/plyhttp/ply/store"
)

const lookupSQL = `SELECT r.kind, r.owner, r.expires_at, r.version, r.checksum, d.bytes
	FROM records r LEFT JOIN data d ON d.id = r.id WHERE r.key = ?1`

// lookup reads one record. A connection has one for each record that is read in one transaction, which lasts from the first step to the last reset:
// it begins and ends once for all of them, and they are of one moment.
type lookup struct {
	*prepared
	key uintptr // SQLite's memory, with room for a key
}

const (
	maxKey     = 128 // of storetext.ValidKey
	maxLookups = 16  // in one transaction
)

// lookupAt returns the connection's lookup with a number, which is that of the last one at most.
func (c *conn) lookupAt(i int) (*lookup, error) {
	if i < len(c.lookups) {
		return c.lookups[i], nil
	}
	s, err := c.prepare(lookupSQL)
	if err != nil {
		return nil, err
	}
	l := &lookup{prepared: s}
	if l.key, err = c.allocated(maxKey); err != nil {
		s.close()
		return nil, err
	}
	c.lookups = append(c.lookups, l)
	return l, nil
}

func (l *lookup) close() {
	l.prepared.close()
	libc.Xfree(l.conn.tls, l.key)
}

// get returns the record under a valid key, none if it has expired, and errChecksum if it is not what was written. It may return after the first step:
// the caller resets the lookup, and does not believe errChecksum if that fails.
func (l *lookup) get(key string) (store.Record, error) {
	copy(memory(l.key, maxKey), key)
	if err := l.conn.check(sqlite3.Xsqlite3_bind_text(l.conn.tls, l.ptr, 1, l.key, int32(len(key)), 0)); err != nil {
		return store.Record{}, err
	}
	if found, err := l.step(); err != nil || !found {
		return store.Record{}, err
	}
	version, sum := l.integer(3), l.integer(4)
	r := store.Record{Kind: store.Kind(l.integer(0)), Owner: string(l.bytes(1))}
	var expires *int64
	if !l.isNull(2) {
		ms := l.integer(2)
		expires = &ms
	}
	r.Data = append([]byte(nil), l.bytes(5)...)
	if l.isNull(5) || sum != checksum(key, version, expires, r) {
		return store.Record{}, errChecksum
	}
	if expires != nil {
		if *expires <= time.Now().UnixMilli() {
			return store.Record{}, nil
		}
		r.Expires = time.UnixMilli(*expires)
	}
	r.Version = strconv.FormatInt(version, 36)
	return r, nil
}

// Get returns the record under key. A record that was damaged on the disk is removed, and absent.
func (s *Store) Get(ctx context.Context, key string) (store.Record, error) {
	records, err := s.GetMulti(ctx, []string{key})
	if err != nil {
		return store.Record{}, err
	}
	return records[0], nil
}

// GetMulti returns a record for each key, in their order; the zero Record where there is none.
func (s *Store) GetMulti(ctx context.Context, keys []string) ([]store.Record, error) {
	growStack(len(keys))
	g := &getting{store: s, ctx: ctx}
	all := g.room[:0]
	for len(keys) > 0 {
		g.keys = keys[:min(len(keys), maxLookups)]
		if err := s.use(ctx, "get", g.read); err != nil {
			return nil, err
		}
		all, keys = append(all, g.found...), keys[len(g.keys):]
	}
	return all, nil
}

// getting reads the records under some keys, which a lookup mostly has no more of than there is room for.
type getting struct {
	store  *Store
	ctx    context.Context
	keys   []string
	found  []store.Record
	broken []string // keys of damaged records

	// Room for the records of all keys, and for those of one transaction.
	room, some [4]store.Record
}

// read reads the records in one transaction, and removes the damaged ones.
func (g *getting) read(db *database) error {
	err := g.store.read(g.ctx, db, g.readFrom)
	for _, key := range g.broken {
		if err == nil {
			err = g.store.write(g.ctx, db, func(tx *tx) error { return tx.removeDamaged(key) })
		}
	}
	return err
}

// readFrom begins anew each time that it is called.
func (g *getting) readFrom(c *conn) (err error) {
	g.found, g.broken = g.some[:0], g.broken[:0]
	n := 0
	defer func() {
		for _, l := range c.lookups[:n] {
			if e := l.reset(); err == nil {
				err = e
			}
		}
	}()
	for _, key := range g.keys {
		if err := g.ctx.Err(); err != nil {
			return context.Cause(g.ctx)
		}
		if !storetext.ValidKey(key) {
			g.found = append(g.found, store.Record{})
			continue
		}
		l, err := c.lookupAt(n)
		if err != nil {
			return err
		}
		n++
		r, err := l.get(key)
		switch {
		case errors.Is(err, errChecksum):
			g.broken = append(g.broken, key)
		case err != nil:
			return err
		case r.Version != "" && r.Owner == "": // the parts are as old as their owner
			g.store.uses.add(key)
		}
		g.found = append(g.found, r)
	}
	return nil
}

// growStack has the goroutine's stack grow once. SQLite's calls nest deep, and the caller's goroutine may be new, so that it would grow four times,
// each time with more to copy: with this, a lookup takes an eighth less time.
//
//go:noinline
func growStack(n int) byte {
	var room [stackOfLookup]byte
	return room[n%len(room)]
}

const stackOfLookup = 12 << 10
