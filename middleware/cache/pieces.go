package cache

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strconv"
	"time"

	"github.com/plyhttp/ply/store"
)

// A large body stands in a store as pieces, each a record of its own under a random name. They are written before the record of the entry
// that names them and removed after it, never changed, and shared by the entries that a validation puts in each other's place.
// A crash in between leaves pieces that nobody names. They expire.
//
// A piece's record is, behind its frame: the body's identifier, the number of the piece, and its bytes.

const pieceKind = 'B'

const (
	// pieceBytes is the size of all pieces of a body but the last.
	pieceBytes = 256 << 10

	// maxWhole bounds the bodies that are read and checked to their last byte before the first is served.
	maxWhole = 1 << 20

	// pieceLife is how long pieces are kept, at least. A validation prolongs the life of an entry, but not beyond that of its body.
	pieceLife = 30 * 24 * time.Hour
)

// pieces is where the bytes of a body are.
type pieces struct {
	id    [16]byte
	size  int64
	until time.Time // that they are kept

	from  *durable
	fresh bool // no entry in the store has it yet

	head []byte // the piece with the first byte that is to be served, read already
	at   int64  // the number of that piece
}

func pieceKey(id [16]byte, n int64) string {
	return "b1." + hex.EncodeToString(id[:]) + "." + strconv.FormatInt(n, 10)
}

// count is the number of pieces.
func (p *pieces) count() int64 { return (p.size + pieceBytes - 1) / pieceBytes }

// length is how many bytes a piece has.
func (p *pieces) length(n int64) int64 { return min(pieceBytes, p.size-n*pieceBytes) }

// keys are the keys of the pieces from one number up to another.
func (p *pieces) keys(first, end int64) []string {
	keys := make([]string, 0, end-first)
	for n := first; n < end; n++ {
		keys = append(keys, pieceKey(p.id, n))
	}
	return keys
}

// content returns the bytes in a piece's record.
func (p *pieces) content(r store.Record, n int64) ([]byte, error) {
	if r.Version == "" {
		return nil, errGone
	}
	payload, err := unseal(r.Data, pieceKind)
	if err != nil {
		return nil, err
	}
	id := len(p.id)
	if len(payload) < id+8 || [16]byte(payload[:id]) != p.id || binary.LittleEndian.Uint64(payload[id:]) != uint64(n) || int64(len(payload)-id-8) != p.length(n) {
		return nil, errDamaged
	}
	return payload[id+8:], nil
}

// errGone is what a body is of which a piece is missing.
var errGone = errors.New("a piece of the stored body is gone")

// piece reads one piece.
func (p *pieces) piece(ctx context.Context, n int64) ([]byte, error) {
	records, err := p.from.guard.get(ctx, pieceKey(p.id, n))
	if err != nil {
		return nil, err
	}
	return p.content(records[0], n)
}

// whole reads all pieces.
func (p *pieces) whole(ctx context.Context) ([]byte, error) {
	records, err := p.from.guard.get(ctx, p.keys(0, p.count())...)
	if err != nil {
		return nil, err
	}
	body := make([]byte, 0, p.size)
	for n, r := range records {
		content, err := p.content(r, int64(n))
		if err != nil {
			return nil, err
		}
		body = append(body, content...)
	}
	return body, nil
}

// A shelf is a body on its way into a store, piece by piece.
type shelf struct {
	pieces
	owner string
	piece []byte // being filled
}

// newShelf begins a body.
func (d *durable) newShelf(at place, until time.Time) *shelf {
	s := &shelf{owner: at.name}
	s.from, s.until = d, until
	rand.Read(s.id[:])
	return s
}

// write takes more bytes of the body, and stores the pieces that are full then.
func (s *shelf) write(ctx context.Context, p []byte) error {
	for len(p) > 0 {
		if s.piece == nil {
			s.begin(s.size / pieceBytes)
		}
		n := min(len(p), cap(s.piece)-len(s.piece))
		s.piece, p = append(s.piece, p[:n]...), p[n:]
		if s.size += int64(n); len(s.piece) == cap(s.piece) {
			if err := s.flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush stores the piece that is being filled.
func (s *shelf) flush(ctx context.Context) error {
	if s.piece == nil {
		return nil
	}
	key, record := s.sealed()
	return s.from.guard.put(ctx, key, record)
}

// sealed returns the record of the piece that was being filled, and its key.
func (s *shelf) sealed() (string, store.Record) {
	n := (s.size - 1) / pieceBytes
	record := store.Record{Data: seal(s.piece, pieceKind), Expires: s.until, Kind: store.KindBody, Owner: s.owner}
	s.piece = nil
	return pieceKey(s.id, n), record
}

// begin makes room for a piece.
func (s *shelf) begin(n int64) {
	s.piece = append(framed(make([]byte, 0, frameBytes+len(s.id)+8+pieceBytes)), s.id[:]...)
	s.piece = binary.LittleEndian.AppendUint64(s.piece, uint64(n))
}

// finish stores the rest and returns where the body is.
func (s *shelf) finish(ctx context.Context) (*pieces, error) {
	if err := s.flush(ctx); err != nil {
		return nil, err
	}
	p := s.pieces
	return &p, nil
}

// shelve puts the large bodies of a set into pieces, where they are not yet. What it returns with an error has some of them.
func (d *durable) shelve(ctx context.Context, at place, set *variants, now time.Time) (*variants, error) {
	limit := maxInline
	if len(set.entries) > 8 {
		limit = maxInline / 4 // so that as many variants as may be have room in one record
	}
	next := set
	for i, e := range set.entries {
		if e.body.stored != nil || len(e.body.bytes) <= limit {
			continue
		}
		s := d.newShelf(at, later(d.until(e, now), now.Add(pieceLife)))
		err := s.write(ctx, e.body.bytes)
		var p *pieces
		if err == nil {
			p, err = s.finish(ctx)
		}
		if err != nil {
			d.discard(&s.pieces)
			return next, err
		}
		next = next.replaced(i, e.shelved(p))
	}
	return next, nil
}

// shelved is e with its body in pieces.
func (e *Entry) shelved(p *pieces) *Entry {
	s := e.copy()
	s.body.stored = p
	s.index()
	s.used.Store(e.used.Load())
	return s
}

// replaced is a set with another entry at one place.
func (s *variants) replaced(i int, e *Entry) *variants {
	entries := append([]*Entry(nil), s.entries...)
	entries[i] = e
	return &variants{entries: entries}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// drop removes the pieces of the bodies that old has and next has not.
func (d *durable) drop(old, next *variants) {
	if old == nil {
		return
	}
	for _, e := range old.entries {
		if p := e.body.stored; p != nil && !next.names(p.id) {
			d.discard(p)
		}
	}
}

// names tells whether an entry of s has the body with this identifier.
func (s *variants) names(id [16]byte) bool {
	if s == nil {
		return false
	}
	for _, e := range s.entries {
		if e.body.stored != nil && e.body.stored.id == id {
			return true
		}
	}
	return false
}

// remove removes pieces, a few with each call: one call takes no longer than a call may.
// How many there are is what a record says, so there is no list of them all.
func (d *durable) remove(ctx context.Context, p *pieces) {
	const few = 16
	count := p.count()
	for n := int64(0); n < count && ctx.Err() == nil; n += few {
		if d.guard.delete(ctx, p.keys(n, min(n+few, count))...) != nil {
			return // they expire
		}
	}
}
