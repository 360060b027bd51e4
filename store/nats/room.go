package nats

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// room is what this process knows of how full the bucket is. The server drops what was written longest ago. So that this is what was used longest ago,
// a record that is read while it is in the older half of a bucket that is more than half full is written again, as it is.
type room struct {
	mu      sync.Mutex // guards the fields below; it is held over no I/O
	asked   time.Time  // when the server was last asked
	first   uint64     // the number of the oldest message
	last    uint64     // and of the newest, as far as this process knows
	bytes   int64
	grown   int64 // bytes that this process has put since
	pending bool  // the server is being asked
}

// askEvery is how often the server is asked when only others write.
const askEvery = time.Second

// put notes that a message was put.
func (r *room) put(seq uint64, bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last, r.grown = max(r.last, seq), r.grown+int64(bytes)
}

// outdated reports whether the caller is to ask the server; no other does so then.
func (r *room) outdated(maxBytes int64, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pending || now.Sub(r.asked) < askEvery && r.grown < maxBytes/16 {
		return false
	}
	r.pending = true
	return true
}

func (r *room) set(state *jetstream.StreamState, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending, r.asked, r.grown = false, now, 0
	if state != nil {
		r.first, r.last, r.bytes = state.FirstSeq, state.LastSeq, int64(state.Bytes)
	}
}

// old reports whether a message is in the older half of a bucket that is more than half full.
func (r *room) old(seq uint64, maxBytes int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bytes+r.grown > maxBytes/2 && seq < r.first+(r.last-r.first)/2
}

// used has a record stay that is read. If that fails, it goes in its turn, and if another process changes the record meanwhile, that counts.
func (s *Store) used(ctx context.Context, b *bucket, t there, chunks []*jetstream.RawStreamMsg) {
	if b.maxBytes == 0 || !b.evicts {
		return
	}
	if now := time.Now(); s.room.outdated(b.maxBytes, now) {
		var state *jetstream.StreamState
		if info, err := b.Info(ctx); err == nil {
			state = &info.State
		}
		s.room.set(state, now)
	}
	if !s.room.old(t.seq, b.maxBytes) {
		return
	}
	headers := map[string]string{usedHeader: "1"}
	ttl := time.Duration(0)
	if t.line.Expires != 0 {
		ttl = timeToLive(time.UnixMilli(t.line.Expires))
	}
	for i, m := range chunks {
		if _, err := s.publish(ctx, b, message{key: chunkKey(t.line.Version, i), value: m.Data, ttl: ttl, replaces: &m.Sequence, headers: headers}); err != nil {
			return
		}
	}
	_, _ = s.publish(ctx, b, message{key: recordKey(t.line.Key), value: t.message.Data, ttl: ttl, replaces: &t.seq, headers: headers})
}
