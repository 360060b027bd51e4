package cache

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/durable"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// ErrNoEntry is the error of [Cache.Entry] if nothing is stored that could answer the request.
var ErrNoEntry = errors.New("cache: no stored response could answer the request")

// Entry returns the stored response that would be selected for r, fresh or not: the one that a request is answered from, or that the origin is asked to confirm.
// It is [ErrNoEntry] if there is none, or if such a request bypasses the cache. Like [Cache.Explain] it asks no origin, counts as no use, and wants r
// as the cache sees it; ctx bounds the calls of the store. A store that fails is an error.
func (c *Cache) Entry(ctx context.Context, r *http.Request) (*Entry, error) {
	if r == nil || !located(r) {
		return nil, errNoHost
	}
	s := c.foresee(ctx, r, time.Now())
	if s.lookup.Entry != nil {
		key := s.lookup.Key
		if key == "" {
			key = string(s.key)
		}
		return c.shown(key, s.lookup.Entry), nil
	}
	if s.fault != nil {
		return nil, c.reported(ctx, "get", s.fault)
	}
	return nil, ErrNoEntry
}

// Get returns what is stored under a key, as [Entry.Key] has it: one entry, or several that differ in what they vary on. Nothing is no error.
// It counts as no use. A [Memory] is looked through for the key, which takes as long as [Cache.Entries] does; any other store is asked for the one record.
func (c *Cache) Get(ctx context.Context, key string) ([]*Entry, error) {
	hash, err := parseKey(key)
	if err != nil {
		return nil, err
	}
	var found []*Entry
	if c.durable != nil {
		set, err := c.durable.PeekRecord(ctx, durable.RecordKeyOf(hash))
		if err != nil {
			return nil, c.reported(ctx, "get", err)
		}
		for _, e := range set.All() {
			found = append(found, c.shown("", e))
		}
		return found, nil
	}
	err = c.eachWithKey(ctx, map[[32]byte]bool{hash: true}, func(key string, set *stored.Variants, _ stored.Updater) error {
		for _, e := range set.Entries {
			found = append(found, c.shown(key, e))
		}
		return nil
	})
	return found, wrapped("get", err)
}

// DeleteKey removes what is stored under keys, as [Entry.Key] has them, and returns how many entries there were: a key may have several,
// which differ in what they vary on; [Cache.DeleteEntry] removes one of them. A key under which nothing is stored is no error; what is no key is one,
// and nothing is removed then. No response that this cache has under way from the origin meanwhile is stored, for its key may be one of these.
//
// A [Memory] is looked through once for all keys together.
func (c *Cache) DeleteKey(ctx context.Context, keys ...string) (int, error) {
	hashes := make(map[[32]byte]bool, len(keys))
	for _, key := range keys {
		hash, err := parseKey(key)
		if err != nil {
			return 0, err
		}
		hashes[hash] = true
	}
	if len(hashes) == 0 {
		return 0, nil
	}
	c.removals.Add(1)
	defer c.removals.Add(-1)
	c.history.AddAll()
	n, err := 0, error(nil)
	if c.durable != nil {
		n, err = c.deleteRecords(ctx, hashes)
	} else {
		err = c.eachWithKey(ctx, hashes, func(_ string, _ *stored.Variants, update stored.Updater) error {
			gone, err := emptied(update)
			n += gone
			return err
		})
	}
	return n, c.reported(ctx, "delete", err)
}

// deleteRecords removes what a byte store has under keys with these hashes. It tries them all, until ctx ends.
func (c *Cache) deleteRecords(ctx context.Context, hashes map[[32]byte]bool) (n int, failed error) {
	for hash := range hashes {
		if ctx.Err() != nil {
			return n, errors.Join(failed, context.Cause(ctx))
		}
		gone, err := emptied(func(change func(*stored.Variants) *stored.Variants) error {
			return c.durable.UpdateAt(ctx, durable.RecordKeyOf(hash), change)
		})
		n += gone
		failed = errors.Join(failed, err)
	}
	return n, failed
}

// emptied removes all entries of one key, and returns how many there were.
func emptied(update stored.Updater) (n int, err error) {
	err = update(func(old *stored.Variants) *stored.Variants {
		n = len(old.All()) // of the last attempt
		return nil
	})
	if err != nil {
		n = 0
	}
	return n, err
}

// atKeyOf calls f with what is stored now under the key of an entry, and with a function that updates it.
func (c *Cache) atKeyOf(ctx context.Context, e *Entry, f func(set *stored.Variants, update stored.Updater) error) error {
	if c.durable == nil {
		set := c.memory.Peek(e.key)
		if hash, hashed := durable.HashIn(e.key); set == nil && hashed { // it stands under the key itself now; see adopt
			return c.eachWithKey(ctx, map[[32]byte]bool{hash: true}, func(_ string, set *stored.Variants, update stored.Updater) error { return f(set, update) })
		}
		return f(set, func(change func(*stored.Variants) *stored.Variants) error { return c.memory.Update(ctx, e.key, change) })
	}
	at := e.stored.RecordKey()
	if at == nil { // it was told of while it was stored
		place := c.durable.RecordKey(e.key)
		at = &place
	}
	set, err := c.durable.PeekRecord(ctx, *at)
	if err != nil {
		return err
	}
	return f(set, func(change func(*stored.Variants) *stored.Variants) error {
		return c.durable.UpdateAt(ctx, *at, change)
	})
}

// eachWithKey calls f for each key in memory that has one of these hashes, until all have been found. The error is the first of f.
// While something is imported, responses may stand both under a key and under its hash, so all of the memory is looked through then; see adopt.
func (c *Cache) eachWithKey(ctx context.Context, hashes map[[32]byte]bool, f func(key string, set *stored.Variants, update stored.Updater) error) error {
	left, failed := len(hashes), error(nil)
	err := c.store.Each(ctx, nil, func(key string, set *stored.Variants, update stored.Updater) bool {
		if !hashes[c.keyHash(key)] {
			return true
		}
		left--
		failed = f(key, set, update)
		return failed == nil && (left > 0 || c.imported.Load())
	})
	return errors.Join(err, failed)
}

// parseKey reads a key as Entry.Key returns it.
func parseKey(key string) (hash [32]byte, err error) {
	if len(key) == hex.EncodedLen(len(hash)) {
		if _, err = hex.Decode(hash[:], []byte(key)); err == nil {
			return hash, nil
		}
	}
	return hash, fmt.Errorf("cache: %.80q is no key: give 64 hexadecimal digits, as Entry.Key returns them", key)
}
