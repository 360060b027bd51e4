package nats

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/plyhttp/ply/store"
)

// Range implements [store.Ranger]: it lists the keys, and reads the records, a few at a time.
func (s *Store) Range(ctx context.Context, kind store.Kind, f func(key string, r store.Record) bool) error {
	keys, err := s.keys(ctx)
	if err != nil {
		return wrap("list", err)
	}
	for batch := range slices.Chunk(keys, 2*atOnce) {
		records, err := s.GetMulti(ctx, batch)
		for i, key := range batch {
			var r store.Record
			switch {
			case err == nil:
				r = records[i]
			case errors.Is(err, store.ErrNewer): // one of them is of a later version, the others are not
				var one error
				if r, one = s.Get(ctx, key); one != nil && !errors.Is(one, store.ErrNewer) {
					return one
				}
			default:
				return err
			}
			if r.Version != "" && (kind == 0 || r.Kind == kind) && !f(key, r) {
				return nil
			}
		}
	}
	return nil
}

// keys lists the keys of records, those of deleted and expired ones included.
func (s *Store) keys(ctx context.Context) ([]string, error) {
	prefix := s.subject("r.")
	return call(s, ctx, func(ctx context.Context, b *bucket) ([]string, error) {
		info, err := b.Info(ctx, jetstream.WithSubjectFilter(prefix+">"))
		if err != nil {
			return nil, err
		}
		var keys []string
		for subject := range info.State.Subjects {
			keys = append(keys, decoder.Replace(strings.TrimPrefix(subject, prefix)))
		}
		return keys, nil
	})
}

// Clear implements [store.Clearer]. It removes the records of this store, and not what other programs have in the bucket.
func (s *Store) Clear(ctx context.Context) error {
	_, err := call(s, ctx, func(ctx context.Context, b *bucket) (struct{}, error) {
		for _, subjects := range []string{"r.>", "c.>"} {
			if err := b.Purge(ctx, jetstream.WithPurgeSubject(s.subject(subjects))); err != nil {
				return struct{}{}, err
			}
		}
		_, err := s.publish(ctx, b, message{key: clearKey, value: []byte(rand.Text()), ttl: markerTTL})
		return struct{}{}, err
	})
	return wrap("clear", err)
}
