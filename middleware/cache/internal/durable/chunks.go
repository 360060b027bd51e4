package durable

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strconv"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/store"
)

// A large body is in a store as chunks, each a record of its own under a random name. They are written before the record of the entry
// that names them and removed after it, never changed, and shared by the entries that a validation puts in each other's place.
// A crash in between leaves chunks that no entry names. They expire.
//
// The record of a chunk has after its frame: the body's identifier, the number of the chunk, and its bytes.

const chunkKind = 'B'

const (
	// chunkBytes is the size of all chunks of a body but the last.
	chunkBytes = 256 << 10

	// maxWhole bounds the bodies that are read and checked to their last byte before the first is served.
	maxWhole = 1 << 20

	// chunkTTL is for how long chunks are kept, at least. A validation prolongs the life of an entry, but not beyond that of its body.
	chunkTTL = 30 * 24 * time.Hour
)

func chunkKey(id [16]byte, n int64) string {
	return "b1." + hex.EncodeToString(id[:]) + "." + strconv.FormatInt(n, 10)
}

// chunkCount is the number of chunks.
func chunkCount(p *stored.Chunks) int64 { return (p.Size + chunkBytes - 1) / chunkBytes }

// chunkLength is how many bytes a chunk has.
func chunkLength(p *stored.Chunks, n int64) int64 { return min(chunkBytes, p.Size-n*chunkBytes) }

// chunkKeys are the keys of the chunks from first up to end.
func chunkKeys(p *stored.Chunks, first, end int64) []string {
	keys := make([]string, 0, end-first)
	for n := first; n < end; n++ {
		keys = append(keys, chunkKey(p.ID, n))
	}
	return keys
}

// chunkContent returns the bytes in a chunk's record.
func chunkContent(p *stored.Chunks, r store.Record, n int64) ([]byte, error) {
	if r.Version == "" {
		return nil, ErrGone
	}
	payload, err := Unseal(r.Data, chunkKind)
	if err != nil {
		return nil, err
	}
	id := len(p.ID)
	if len(payload) < id+8 || [16]byte(payload[:id]) != p.ID || binary.LittleEndian.Uint64(payload[id:]) != uint64(n) || int64(len(payload)-id-8) != chunkLength(p, n) {
		return nil, ErrDamaged
	}
	return payload[id+8:], nil
}

// ErrGone is the error for a body of which a chunk is missing.
var ErrGone = errors.New("a chunk of the stored body is gone")

// chunk reads one chunk.
func (d *Store) chunk(ctx context.Context, p *stored.Chunks, n int64) ([]byte, error) {
	records, err := d.Client.Get(ctx, chunkKey(p.ID, n))
	if err != nil {
		return nil, err
	}
	return chunkContent(p, records[0], n)
}

// whole reads all chunks.
func (d *Store) whole(ctx context.Context, p *stored.Chunks) ([]byte, error) {
	records, err := d.Client.Get(ctx, chunkKeys(p, 0, chunkCount(p))...)
	if err != nil {
		return nil, err
	}
	body := make([]byte, 0, p.Size)
	for n, r := range records {
		content, err := chunkContent(p, r, int64(n))
		if err != nil {
			return nil, err
		}
		body = append(body, content...)
	}
	return body, nil
}

// A chunkBuilder is a body on its way into a store, chunk by chunk.
type chunkBuilder struct {
	stored.Chunks
	durable *Store
	owner   string
	chunk   []byte // being filled
}

// newChunkBuilder begins a body.
func (d *Store) newChunkBuilder(at stored.RecordKey, until time.Time) *chunkBuilder {
	s := &chunkBuilder{durable: d, owner: at.Name}
	s.Opener, s.Until = d, until
	rand.Read(s.ID[:])
	return s
}

// write takes more bytes of the body, and stores the chunks that are full then.
func (s *chunkBuilder) write(ctx context.Context, p []byte) error {
	for len(p) > 0 {
		if s.chunk == nil {
			s.begin(s.Size / chunkBytes)
		}
		n := min(len(p), cap(s.chunk)-len(s.chunk))
		s.chunk, p = append(s.chunk, p[:n]...), p[n:]
		if s.Size += int64(n); len(s.chunk) == cap(s.chunk) {
			if err := s.flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush stores the chunk that is being filled.
func (s *chunkBuilder) flush(ctx context.Context) error {
	if s.chunk == nil {
		return nil
	}
	key, record := s.seal()
	return s.durable.Client.Put(ctx, key, record)
}

// seal returns the record of the chunk that was being filled, and its key.
func (s *chunkBuilder) seal() (string, store.Record) {
	n := (s.Size - 1) / chunkBytes
	record := store.Record{Data: Seal(s.chunk, chunkKind), Expires: s.Until, Kind: store.KindBody, Owner: s.owner}
	s.chunk = nil
	return chunkKey(s.ID, n), record
}

// begin makes room for a chunk.
func (s *chunkBuilder) begin(n int64) {
	s.chunk = append(Framed(make([]byte, 0, frameBytes+len(s.ID)+8+chunkBytes)), s.ID[:]...)
	s.chunk = binary.LittleEndian.AppendUint64(s.chunk, uint64(n))
}

// finish stores the rest and returns where the body is.
func (s *chunkBuilder) finish(ctx context.Context) (*stored.Chunks, error) {
	if err := s.flush(ctx); err != nil {
		return nil, err
	}
	p := s.Chunks
	return &p, nil
}

// writeChunks puts the large bodies of a set into chunks, where they are not yet. A set that it returns with an error has some of them.
func (d *Store) writeChunks(ctx context.Context, at stored.RecordKey, set *stored.Variants, now time.Time) (*stored.Variants, error) {
	limit := maxInline
	if len(set.Entries) > 8 {
		limit = maxInline / 4 // so that MaxVariants of them have room in one record
	}
	next := set
	for i, e := range set.Entries {
		if e.Body.Chunks != nil || len(e.Body.Bytes) <= limit {
			continue
		}
		s := d.newChunkBuilder(at, later(d.until(e, now), now.Add(chunkTTL)))
		err := s.write(ctx, e.Body.Bytes)
		var p *stored.Chunks
		if err == nil {
			p, err = s.finish(ctx)
		}
		if err != nil {
			d.Discard(&s.Chunks)
			return next, err
		}
		next = next.Replaced(i, e.WithChunks(p))
	}
	return next, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// drop removes the chunks of the bodies that old has and next has not.
func (d *Store) drop(old, next *stored.Variants) {
	if old == nil {
		return
	}
	for _, e := range old.Entries {
		if p := e.Body.Chunks; p != nil && !next.HasChunks(p.ID) {
			d.Discard(p)
		}
	}
}

// remove removes the chunks of a body, a few with each call, so that no call takes too long.
// Their number comes from a record, which may be wrong, so it makes no list of all of them.
func (d *Store) remove(ctx context.Context, p *stored.Chunks) {
	const few = 16
	count := chunkCount(p)
	for n := int64(0); n < count && ctx.Err() == nil; n += few {
		if d.Client.Delete(ctx, chunkKeys(p, n, min(n+few, count))...) != nil {
			return // they expire
		}
	}
}

// WithBody is e with its body in memory, or, if that is large, with the chunk that has the first byte to be served.
func (d *Store) WithBody(ctx context.Context, e *stored.Entry, first int64) (*stored.Entry, error) {
	p := e.Body.Chunks
	ready := e.Clone()
	var err error
	if p.Size <= maxWhole {
		ready.Body.Bytes, err = d.whole(ctx, p)
	} else {
		head := *p
		head.ReadyIndex = first / chunkBytes
		head.Ready, err = d.chunk(ctx, p, head.ReadyIndex)
		ready.Body.Chunks = &head
	}
	if err != nil {
		return nil, err
	}
	ready.Derive()
	ready.Used.Store(e.Used.Load())
	return ready, nil
}
