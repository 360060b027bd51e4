// Package memcached is a [store.Store] in memcached: the worked example of docs/stores.md, whole and tested.
package memcached

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/plyhttp/ply/store"
)

// Store keeps records in memcached. Make one with New.
type Store struct {
	client  *memcache.Client
	prefix  string
	maxItem int
}

// New returns a store whose keys begin with prefix. maxItem is what the server takes for an item, its option -I; zero means 1 MiB, as there.
// The client's Timeout bounds every call; who made the client closes it.
func New(client *memcache.Client, prefix string, maxItem int) *Store {
	if maxItem == 0 {
		maxItem = 1 << 20
	}
	return &Store{client: client, prefix: prefix, maxItem: maxItem}
}

// Get returns the record under key.
func (s *Store) Get(ctx context.Context, key string) (store.Record, error) {
	r, _, err := s.find(ctx, key)
	return r, err
}

// find returns the record under key, and the item that the server has there: a record that is over may still have one.
func (s *Store) find(ctx context.Context, key string) (store.Record, *memcache.Item, error) {
	if err := ctx.Err(); err != nil {
		return store.Record{}, nil, err
	}
	item, err := s.client.Get(s.prefix + key)
	if errors.Is(err, memcache.ErrCacheMiss) {
		return store.Record{}, nil, nil
	}
	if err != nil {
		return store.Record{}, nil, fmt.Errorf("memcached: get: %w", err)
	}
	return decode(item.Value), item, nil
}

// Put stores r in the place of the version that it names.
func (s *Store) Put(ctx context.Context, key string, r store.Record) error {
	value := encode(r)
	if len(s.prefix)+len(key)+len(value)+itemOverhead > s.maxItem {
		return fmt.Errorf("memcached: %w", store.ErrTooLarge)
	}
	return s.swap(ctx, key, r.Version, func(item *memcache.Item) {
		item.Value, item.Expiration = value, seconds(r.Expires)
	})
}

// Delete removes the record under key if it has this version, or any if that is "".
func (s *Store) Delete(ctx context.Context, key, version string) error {
	there, item, err := s.find(ctx, key)
	switch {
	case err != nil:
		return err
	case item == nil || version != "" && there.Version == "":
		return nil
	case version == "":
		version = there.Version
	}
	err = s.swap(ctx, key, version, func(item *memcache.Item) {
		item.Value, item.Expiration = nil, atOnce // the protocol has no delete that compares
	})
	return err
}

// tries bounds how often a change begins again because the server dropped what it was to replace.
const tries = 5

// swap changes the item under key if its record has this version.
func (s *Store) swap(ctx context.Context, key, version string, change func(*memcache.Item)) error {
	for range tries {
		there, item, err := s.find(ctx, key)
		if err != nil {
			return err
		}
		if there.Version != version {
			return store.ErrConflict
		}
		if item == nil {
			item = &memcache.Item{Key: s.prefix + key}
			change(item)
			err = s.client.Add(item)
		} else {
			change(item)
			err = s.client.CompareAndSwap(item)
		}
		switch {
		case err == nil:
			return nil
		case errors.Is(err, memcache.ErrNotStored), errors.Is(err, memcache.ErrCASConflict), errors.Is(err, memcache.ErrCacheMiss):
			// Another caller was faster, or the server dropped the item. Look again: what is there now says which.
		default:
			return fmt.Errorf("memcached: put: %w", err)
		}
	}
	return store.ErrConflict
}

// GetMulti reads several records in one go.
func (s *Store) GetMulti(ctx context.Context, keys []string) ([]store.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = s.prefix + key
	}
	items, err := s.client.GetMulti(names)
	if err != nil {
		return nil, fmt.Errorf("memcached: get: %w", err)
	}
	records := make([]store.Record, len(keys))
	for i, name := range names {
		if item := items[name]; item != nil {
			records[i] = decode(item.Value)
		}
	}
	return records, nil
}

// A value is a line with the version, the end in milliseconds (0 for never), the kind and the owner, and then the data.
func encode(r store.Record) []byte {
	var end int64
	if !r.Expires.IsZero() {
		end = max(1, r.Expires.UnixMilli())
	}
	b := fmt.Appendf(nil, "%s %d %d %s\n", rand.Text(), end, r.Kind, r.Owner)
	return append(b, r.Data...)
}

// decode returns the zero Record for one that is over, and for what encode did not make.
func decode(value []byte) store.Record {
	line, data, ok := bytes.Cut(value, []byte("\n"))
	words := strings.Split(string(line), " ")
	if !ok || len(words) != 4 {
		return store.Record{}
	}
	r := store.Record{Data: bytes.Clone(data), Version: words[0], Owner: words[3]}
	var end int64
	if _, err := fmt.Sscan(words[1]+" "+words[2], &end, &r.Kind); err != nil {
		return store.Record{}
	}
	if end != 0 {
		r.Expires = time.UnixMilli(end)
		if !r.Expires.After(time.Now()) {
			return store.Record{}
		}
	}
	return r
}

const (
	atOnce       = -1
	itemOverhead = 512 // that the server needs beside key and value, generously
)

// seconds returns a time as the server wants it. Its clock ticks in seconds, so it may keep a record a little longer, which decode sees.
// Times that it cannot say stand for never.
func seconds(t time.Time) int32 {
	switch end := t.Unix() + 2; {
	case t.IsZero() || end > math.MaxInt32:
		return 0
	case end < time.Now().Unix():
		return atOnce
	default:
		return int32(end)
	}
}
