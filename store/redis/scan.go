package redis

import (
	"context"
	"errors"
	"hash/maphash"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/plyhttp/ply/internal/storetext"
	"github.com/plyhttp/ply/store"
)

const (
	page    = 512     // keys that SCAN looks at in one step
	maxSeen = 1 << 20 // keys that Range remembers having shown
)

// Range implements [store.Ranger]. It goes through all keys of the server, in many small steps; records that expire or change meanwhile are left out.
// Beyond a million records of one kind it may show one twice, if Redis resizes its table meanwhile.
func (s *Store) Range(ctx context.Context, kind store.Kind, f func(key string, r store.Record) bool) error {
	seed, seen := maphash.MakeSeed(), make(map[uint64]struct{})
	show := func(keys []string) (bool, error) {
		records, err := s.ofKind(ctx, kind, keys)
		if err != nil {
			return false, err
		}
		for i, r := range records {
			if r.Version == "" {
				continue
			}
			sum := maphash.String(seed, keys[i])
			if _, ok := seen[sum]; ok {
				continue
			}
			if len(seen) < maxSeen {
				seen[sum] = struct{}{}
			}
			if !f(keys[i], r) {
				return false, nil
			}
		}
		return true, nil
	}
	err := s.scan(ctx, func(keys []string) (bool, error) {
		for len(keys) > 0 {
			n := min(len(keys), pipelined)
			if more, err := show(keys[:n]); !more || err != nil {
				return false, err
			}
			keys = keys[n:]
		}
		return true, nil
	})
	return wrap("range", err)
}

// ofKind returns the records of a kind under some keys, the zero Record for others. It reads the heads first: bodies are large.
func (s *Store) ofKind(ctx context.Context, kind store.Kind, keys []string) ([]store.Record, error) {
	heads, err := s.values(ctx, keys, maxHead)
	if err != nil {
		return nil, err
	}
	records := make([]store.Record, len(keys))
	var wanted []int
	var names []string
	for i, head := range heads {
		if r, err := decode(keys[i], head); err == nil && r.Kind == kind {
			wanted, names = append(wanted, i), append(names, keys[i])
		}
	}
	if len(names) == 0 {
		return records, nil
	}
	values, err := s.values(ctx, names, s.lastByte())
	if err != nil {
		return nil, err
	}
	now := time.Now()
	for i, value := range values {
		r, err := s.record(names[i], value, now)
		if err == nil && r.Kind == kind {
			records[wanted[i]] = r
		}
	}
	return records, nil
}

// Clear implements [store.Clearer]. It deletes the strings of its namespace, and nothing else.
func (s *Store) Clear(ctx context.Context) error {
	return wrap("clear", s.scan(ctx, func(keys []string) (bool, error) {
		_, err := call(s, ctx, func(ctx context.Context) (struct{}, error) {
			pipe := s.client.Pipeline()
			for _, key := range keys { // one by one: the keys of a cluster live apart
				pipe.Unlink(ctx, s.prefix+key)
			}
			_, err := pipe.Exec(ctx)
			return struct{}{}, err
		})
		return err == nil, err
	}))
}

// scan calls f with the keys of the namespace that are strings, without the prefix, until f does not want more. Keys may come twice.
func (s *Store) scan(ctx context.Context, f func(keys []string) (more bool, err error)) error {
	servers, err := s.servers(ctx)
	if err != nil {
		return err
	}
	for _, server := range servers {
		for cursor, first := uint64(0), true; first || cursor != 0; first = false {
			var keys []string
			keys, cursor, err = s.scanStep(ctx, server, cursor)
			if err != nil {
				return err
			}
			if len(keys) == 0 {
				continue
			}
			if more, err := f(keys); !more || err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Store) scanStep(ctx context.Context, server *goredis.Client, cursor uint64) (keys []string, next uint64, err error) {
	type step struct {
		names []string
		next  uint64
	}
	got, err := call(s, ctx, func(ctx context.Context) (step, error) {
		names, next, err := server.ScanType(ctx, cursor, s.prefix+"*", page, "string").Result()
		return step{names, next}, err
	})
	if err != nil {
		return nil, 0, err
	}
	keys = got.names[:0]
	for _, name := range got.names {
		if key := strings.TrimPrefix(name, s.prefix); storetext.ValidKey(key) {
			keys = append(keys, key)
		}
	}
	return keys, got.next, nil
}

// servers returns a client for each server that has keys.
func (s *Store) servers(ctx context.Context) ([]*goredis.Client, error) {
	switch c := s.client.(type) {
	case *goredis.Client:
		return []*goredis.Client{c}, nil
	case *goredis.ClusterClient:
		return call(s, ctx, func(ctx context.Context) ([]*goredis.Client, error) {
			var mu sync.Mutex // guards masters
			var masters []*goredis.Client
			err := c.ForEachMaster(ctx, func(_ context.Context, master *goredis.Client) error {
				mu.Lock()
				defer mu.Unlock()
				masters = append(masters, master)
				return nil
			})
			return masters, err
		})
	}
	return nil, errors.New("no such client") // New has seen to it
}
