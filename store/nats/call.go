package nats

import (
	"context"
	"errors"
	"fmt"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// call runs f with the bucket, and returns when f does or when the context is done, whatever comes first. nats.go waits for replies as long as the context says,
// but writes to a server that reads nothing hold its lock, so f runs in a goroutine of its own. That one keeps its slot until it is over:
// a hung server holds no more goroutines than there are slots, and each for a few times Options.Timeout at most.
//
// What f returns is f's until then. It must not touch what belongs to the caller of the store.
func call[T any](s *Store, ctx context.Context, f func(context.Context, *bucket) (T, error)) (T, error) {
	var zero T
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return zero, err
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return zero, ctx.Err()
	}
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1) // has room, so that the goroutine ends though the caller has gone
	go func() {
		var r result
		defer func() {
			if p := recover(); p != nil { // the guard around a store sees the panics of its own goroutine only
				r.err = fmt.Errorf("the client panicked: %v", p)
			}
			<-s.slots // before the caller hears of the end: it may begin the next call at once
			done <- r
		}()
		r.value, r.err = withBucket(s, ctx, f)
	}()
	select {
	case r := <-done:
		if r.err != nil && ctx.Err() != nil {
			return zero, ctx.Err()
		}
		return r.value, r.err
	case <-ctx.Done():
		return zero, ctx.Err()
	}
}

// withBucket runs f, and once more if it turns out that the bucket has gone: the server was started again with an empty memory, or someone deleted it.
// What f changes it may change twice.
func withBucket[T any](s *Store, ctx context.Context, f func(context.Context, *bucket) (T, error)) (T, error) {
	for again := false; ; again = true {
		b, err := s.find(ctx)
		if err != nil {
			var zero T
			return zero, err
		}
		value, err := f(ctx, b)
		if err == nil || !hasGone(err) {
			return value, err
		}
		s.forget(b)
		if again {
			return value, err
		}
	}
}

// hasGone reports whether an error may mean that there is no such bucket any more.
func hasGone(err error) bool {
	return errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrNoStreamResponse) ||
		errors.Is(err, natsgo.ErrNoResponders) || errors.Is(err, jetstream.ErrJetStreamNotEnabled)
}

func (s *Store) forget(b *bucket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bucket == b {
		s.bucket = nil
	}
}

// find returns the bucket, which it looks up or makes the first time. Several callers may do that at once: it comes to the same.
func (s *Store) find(ctx context.Context) (*bucket, error) {
	select {
	case <-s.connected:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s.connErr != nil {
		return nil, s.connErr
	}
	s.mu.Lock()
	b, closed := s.bucket, s.closed
	s.mu.Unlock()
	if closed {
		return nil, errClosed
	}
	if b != nil {
		return b, nil
	}
	if s.conn.MaxPayload() == 0 {
		return nil, natsgo.ErrNoServers
	}
	b, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.bucket = b
	s.mu.Unlock()
	return b, nil
}

func (s *Store) open(ctx context.Context) (*bucket, error) {
	js, err := jetstream.New(s.conn)
	if err != nil {
		return nil, err
	}
	name := "KV_" + s.opt.Bucket
	stream, err := js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = js.CreateStream(ctx, s.config(name))
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another process was faster
			stream, err = js.Stream(ctx, name)
		}
	}
	if err != nil {
		return nil, err
	}
	c := stream.CachedInfo().Config
	if c.MaxMsgsPerSubject != 1 || len(c.Subjects) != 1 || c.Subjects[0] != s.subject(">") {
		return nil, fmt.Errorf("the stream %s is no key-value bucket with a history of 1: give another Bucket", name)
	}
	return &bucket{Stream: stream, js: js, ttl: c.AllowMsgTTL, evicts: c.Discard == jetstream.DiscardOld, maxBytes: max(c.MaxBytes, 0),
		message: largest(s.conn.MaxPayload(), c.MaxMsgSize)}, nil
}

// headerRoom is what the header of a message takes at most.
const headerRoom = 1 << 10

// largest returns the longest value that fits into a message.
func largest(payload int64, message int32) int {
	if message > 0 {
		payload = min(payload, int64(message))
	}
	return int(max(payload-headerRoom, headerRoom))
}

// config is that of a key-value bucket, with one difference: when it is full, the oldest message goes.
func (s *Store) config(name string) jetstream.StreamConfig {
	c := jetstream.StreamConfig{
		Name:              name,
		Description:       "a cache of ply",
		Subjects:          []string{s.subject(">")},
		MaxMsgsPerSubject: 1,
		MaxBytes:          s.opt.MaxBytes,
		MaxMsgs:           -1,
		MaxMsgSize:        -1,
		MaxConsumers:      -1,
		Discard:           jetstream.DiscardOld,
		Replicas:          s.opt.Replicas,
		AllowRollup:       true,
		DenyDelete:        true,
		AllowDirect:       s.opt.Replicas == 1, // else any replica may answer, also one that is behind
		AllowMsgTTL:       true,
	}
	if s.opt.Memory {
		c.Storage = jetstream.MemoryStorage
	}
	return c
}

// subject returns the subject of a key of the bucket.
func (s *Store) subject(key string) string { return "$KV." + s.opt.Bucket + "." + key }
