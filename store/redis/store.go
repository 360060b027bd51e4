package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/plyhttp/ply/internal/storetext"
	"github.com/plyhttp/ply/store"
)

// Get implements [store.Store].
func (s *Store) Get(ctx context.Context, key string) (store.Record, error) {
	if err := storetext.CheckKey("redis", key); err != nil {
		return store.Record{}, err
	}
	value, err := read(s, ctx, func(ctx context.Context) ([]byte, error) {
		return s.client.GetRange(ctx, s.prefix+key, 0, s.lastByte()).Bytes()
	})
	if err != nil {
		return store.Record{}, wrap("get", err)
	}
	r, err := s.record(key, value, time.Now())
	return r, wrap("get", err)
}

// lastByte is the index of the last byte that Get asks for: one more than a record may have, so that a record that is too large shows.
func (s *Store) lastByte() int64 { return int64(s.opt.MaxRecordBytes + maxHead) }

// record decodes a value. It returns the zero Record for a value that is expired or no record of this key.
func (s *Store) record(key string, value []byte, now time.Time) (store.Record, error) {
	if len(value) == 0 {
		return store.Record{}, nil
	}
	r, err := decode(key, value)
	switch {
	case errors.Is(err, errForeign):
		return store.Record{}, nil
	case err != nil:
		return store.Record{}, err
	case !r.Expires.IsZero() && !r.Expires.After(now):
		return store.Record{}, nil
	case len(r.Data) > s.opt.MaxRecordBytes:
		return store.Record{}, store.ErrTooLarge
	}
	return r, nil
}

// Put implements [store.Store].
func (s *Store) Put(ctx context.Context, key string, r store.Record) error {
	if err := storetext.CheckKey("redis", key); err != nil {
		return err
	}
	if r.Owner != "" && !storetext.ValidKey(r.Owner) {
		return fmt.Errorf("redis: the owner %.140q is not a key", r.Owner)
	}
	if len(r.Data) == 0 {
		return errors.New("redis: a record has at least one byte")
	}
	if len(r.Data) > s.opt.MaxRecordBytes {
		return wrap("put", store.ErrTooLarge)
	}
	version, now := newVersion(), time.Now()
	value := encode(key, version, r)
	s.written.expect(key, version)
	ttl := s.ttl(r, now)
	if r.Version == "" && ttl > 0 && len(value) >= plainSet {
		if set, err := s.setIfAbsent(ctx, key, value, ttl); set || err != nil {
			return wrap("put", err)
		}
	}
	return s.run(ctx, change{op: "put", script: putScript, key: key, from: r.Version, nonce: version}, ttl, value)
}

// plainSet is the size from which a new record is first put by SET with NX: for 256 KiB, Redis takes a quarter of the time of the script,
// which copies the value into a Lua string. If something is there, the script follows: the record may be expired, or none of ours.
const plainSet = 16 << 10

func (s *Store) setIfAbsent(ctx context.Context, key string, value []byte, ttl int64) (set bool, err error) {
	return call(s, ctx, func(ctx context.Context) (bool, error) {
		reply, err := s.client.SetArgs(ctx, s.prefix+key, value, goredis.SetArgs{Mode: "NX", TTL: time.Duration(ttl) * time.Millisecond}).Result()
		if errors.Is(err, goredis.Nil) {
			return false, nil
		}
		if err == nil && reply != "OK" {
			err = errOther
		}
		return err == nil, err
	})
}

// ttl returns for how many milliseconds Redis is to keep the record. 0 means that it is over.
func (s *Store) ttl(r store.Record, now time.Time) int64 {
	if r.Expires.IsZero() {
		return s.opt.TTL.Milliseconds()
	}
	left := r.Expires.Sub(now)
	if left <= 0 {
		return 0
	}
	return max(left.Milliseconds(), 1)
}

// Delete implements [store.Store].
func (s *Store) Delete(ctx context.Context, key, version string) error {
	if err := storetext.CheckKey("redis", key); err != nil {
		return err
	}
	return s.run(ctx, change{op: "delete", script: deleteScript, key: key, from: version, nonce: newVersion()})
}

var errOther = errors.New("the reply belongs to another call")

// A change replaces or deletes the record under a key.
type change struct {
	op     string // as errors name it
	script *goredis.Script
	key    string
	from   string // the version to replace or delete
	nonce  string // which the reply has to repeat: it shows that the reply belongs to this call
}

// run makes a change. more are the arguments that only this script has.
func (s *Store) run(ctx context.Context, c change, more ...any) error {
	args := append([]any{time.Now().UnixMilli(), c.key, c.from, c.nonce}, more...)
	reply, err := call(s, ctx, func(ctx context.Context) (string, error) {
		return c.script.Run(ctx, s.client, []string{s.prefix + c.key}, args...).Text()
	})
	switch {
	case err != nil:
		return wrap(c.op, err)
	case reply == "done "+c.nonce:
		return nil
	case reply == "conflict "+c.nonce:
		return wrap(c.op, store.ErrConflict)
	}
	return wrap(c.op, errOther)
}

// pipelined is how many records are asked for in one go.
const pipelined = 16

// GetMulti implements [store.MultiGetter]. What is not a string counts as absent.
func (s *Store) GetMulti(ctx context.Context, keys []string) ([]store.Record, error) {
	m := &manyReply{store: s}
	m.records = m.someRecords[:0]
	for len(keys) > 0 {
		n := min(len(keys), pipelined)
		var err error
		if m.names, err = s.names(m.someNames[:0], keys[:n]); err != nil {
			return nil, wrap("get", err)
		}
		if _, err = read(s, ctx, m.read); err != nil {
			return nil, wrap("get", err)
		}
		keys = keys[n:]
	}
	return m.records, nil
}

// values returns the values under some keys, each up to its byte number last.
func (s *Store) values(ctx context.Context, keys []string, last int64) ([][]byte, error) {
	names, err := s.names(make([]string, 0, len(keys)), keys)
	if err != nil {
		return nil, err
	}
	return read(s, ctx, func(ctx context.Context) ([][]byte, error) { return s.pipeline(ctx, names, last) })
}

// pipeline returns the values that have some names, each up to its byte number last. It is the inside of a call.
func (s *Store) pipeline(ctx context.Context, names []string, last int64) ([][]byte, error) {
	pipe := s.client.Pipeline()
	cmds := make([]*goredis.StringCmd, len(names))
	for i, name := range names {
		cmds[i] = pipe.GetRange(ctx, name, 0, last)
	}
	if _, err := pipe.Exec(ctx); err != nil && !isReply(err) {
		return nil, err
	}
	values := make([][]byte, len(cmds))
	for i, cmd := range cmds {
		var err error
		if values[i], err = cmd.Bytes(); err != nil && !goredis.HasErrorPrefix(err, "WRONGTYPE") {
			return nil, err
		}
	}
	return values, nil
}

// names appends what keys are called in Redis. The names share their bytes.
func (s *Store) names(names, keys []string) ([]string, error) {
	bytes := 0
	for _, key := range keys {
		if err := storetext.CheckKey("redis", key); err != nil {
			return nil, err
		}
		bytes += len(s.prefix) + len(key)
	}
	var all strings.Builder
	all.Grow(bytes)
	for _, key := range keys {
		from := all.Len()
		all.WriteString(s.prefix)
		all.WriteString(key)
		names = append(names, all.String()[from:])
	}
	return names, nil
}
