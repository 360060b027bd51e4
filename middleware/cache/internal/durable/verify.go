package durable

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/plyhttp/ply/middleware/cache/internal/storeclient"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/store"
)

// ErrOrphaned is the problem of a piece of a body that no entry names.
var ErrOrphaned = errors.New("no stored response has this piece of a body")

// A Checked is a record that was read and checked.
type Checked struct {
	Key     string
	Kind    store.Kind
	Bytes   int64
	Entries int    // in it
	URL     string // of an entry with a problem, redacted, or ""
	Problem error  // ErrDamaged, ErrNewer, ErrGone, ErrOrphaned, or nil
	Deleted bool
}

// A Verification reads and checks every record of a store.
type Verification struct {
	DeleteDamaged  bool // and responses whose bodies are not complete
	DeleteOrphaned bool
	Seen           func(Checked) // is called with each record, and once more for each response whose body is not complete

	store  *Store
	owners map[[16]byte]bool // whether the record that a body belongs to names it
}

// kindsVerified are all kinds. Entries come before bodies, so that what is removed of the former orphans the latter.
var kindsVerified = [...]store.Kind{store.KindEntry, store.KindBody, store.KindGeneration, store.KindLease, store.KindSetup}

// maxOwners bounds what is remembered of bodies.
const maxOwners = 4096

// Verify carries out a verification.
func (d *Store) Verify(ctx context.Context, v Verification) error {
	ranger, ok := store.As[store.Ranger](d.Backend)
	if !ok {
		return fmt.Errorf("the store cannot list what it holds: %w", errors.ErrUnsupported)
	}
	v.store, v.owners = d, make(map[[16]byte]bool)
	for _, kind := range kindsVerified {
		var failed error
		_, err := storeclient.Recovered(ctx, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, ranger.Range(ctx, kind, func(key string, r store.Record) bool {
				r.Kind = kind
				if failed = v.check(ctx, key, r); failed == nil {
					failed = ctx.Err()
				}
				return failed == nil
			})
		})
		if err = errors.Join(failed, err); err != nil {
			return err
		}
	}
	return nil
}

// check checks one record, and deletes it if it is to be.
func (v *Verification) check(ctx context.Context, key string, r store.Record) error {
	c := Checked{Key: key, Kind: r.Kind, Bytes: int64(len(r.Data))}
	var set *stored.Variants
	var err error
	switch r.Kind {
	case store.KindEntry:
		set, c.Problem = decodeNamed(key, r)
		c.Entries = len(set.All())
	case store.KindBody:
		c.Problem, err = v.chunkProblem(ctx, key, r)
	case store.KindGeneration:
		c.Problem = generationProblem(key, r)
	case store.KindSetup:
		if key == setupKey {
			_, c.Problem = readHashKey(r)
		}
	default:
		_, c.Problem = Unseal(r.Data, leaseKind)
	}
	if err != nil {
		return err
	}
	if c.Problem == ErrDamaged && v.DeleteDamaged || c.Problem == ErrOrphaned && v.DeleteOrphaned {
		err := v.store.Client.DeleteVersion(ctx, key, r.Version)
		if err != nil && !errors.Is(err, store.ErrConflict) { // otherwise it has been replaced meanwhile
			return err
		}
		c.Deleted = err == nil
	}
	v.Seen(c)
	return v.checkBodies(ctx, key, set)
}

// leaseKind is the kind of the records that package lease makes.
const leaseKind = 'L'

// decodeNamed reads the record of an entry under a key. A key of another form is one of a later version.
func decodeNamed(key string, r store.Record) (*stored.Variants, error) {
	at, ok := parseRecordKey(key)
	if !ok {
		return nil, ErrNewer
	}
	return decode(r.Data, at.Hash)
}

func generationProblem(key string, r store.Record) error {
	t, ok := parseGenerationKey(key)
	if !ok {
		return ErrNewer
	}
	switch m := readGeneration(r, t); {
	case m.newer:
		return ErrNewer
	case m.absent():
		return ErrDamaged
	}
	return nil
}

// chunkProblem checks a piece of a body, and whether it belongs to anything.
func (v *Verification) chunkProblem(ctx context.Context, key string, r store.Record) (problem, failed error) {
	id, n, ok := parseChunkKey(key)
	if !ok {
		return ErrNewer, nil
	}
	payload, err := Unseal(r.Data, chunkKind)
	if err != nil {
		return err, nil
	}
	p := &stored.Chunks{ID: id, Size: n*chunkBytes + int64(len(payload)) - int64(len(id)+8)}
	if p.Size <= n*chunkBytes || p.Size > (n+1)*chunkBytes {
		return ErrDamaged, nil
	}
	if _, err := chunkContent(p, r, n); err != nil {
		return err, nil
	}
	owned, err := v.owned(ctx, id, r.Owner)
	if err != nil || owned {
		return nil, err
	}
	return ErrOrphaned, nil
}

// owned reports whether a record names a body. One that cannot be read counts as if it did.
func (v *Verification) owned(ctx context.Context, id [16]byte, owner string) (bool, error) {
	if owned, known := v.owners[id]; known {
		return owned, nil
	}
	at, ok := parseRecordKey(owner)
	if !ok {
		return true, nil // of a later version, or in a store that does not keep owners
	}
	records, err := v.store.Client.Get(ctx, at.Name)
	if err != nil {
		return false, err
	}
	owned := false
	if r := records[0]; r.Version != "" {
		set, err := decode(r.Data, at.Hash)
		owned = err != nil || set.HasChunks(id)
	}
	if len(v.owners) >= maxOwners {
		clear(v.owners)
	}
	v.owners[id] = owned
	return owned, nil
}

func parseChunkKey(key string) (id [16]byte, n int64, ok bool) {
	rest, ok := strings.CutPrefix(key, "b1.")
	digits, number, dot := strings.Cut(rest, ".")
	if !ok || !dot || len(digits) != 2*len(id) {
		return id, 0, false
	}
	if _, err := hex.Decode(id[:], []byte(digits)); err != nil {
		return id, 0, false
	}
	n, err := strconv.ParseInt(number, 10, 40)
	return id, n, err == nil && n >= 0 && chunkKey(id, n) == key
}

// checkBodies reads the large bodies of a set.
func (v *Verification) checkBodies(ctx context.Context, key string, set *stored.Variants) error {
	for _, e := range set.All() {
		p := e.Body.Chunks
		if p == nil {
			continue
		}
		problem, err := v.store.bodyProblem(ctx, p)
		if err != nil {
			return err
		}
		if problem == nil {
			continue
		}
		at, _ := parseRecordKey(key)
		e.Record.Key = &at
		if v.store.Replaced(ctx, e) {
			continue // since it was listed
		}
		c := Checked{Key: key, Kind: store.KindEntry, URL: e.URL, Problem: ErrGone}
		if v.DeleteDamaged {
			err := v.store.UpdateAt(ctx, at, func(set *stored.Variants) *stored.Variants {
				return set.Without(func(e *stored.Entry) bool { return e.Body.Chunks != nil && e.Body.Chunks.ID == p.ID })
			})
			if err != nil && !errors.Is(err, ErrNewer) {
				return err
			}
			c.Deleted = err == nil
		}
		v.Seen(c)
	}
	return nil
}

// bodyProblem reads all chunks of a body, one after the other.
func (d *Store) bodyProblem(ctx context.Context, p *stored.Chunks) (problem, failed error) {
	for n := range chunkCount(p) {
		_, err := d.chunk(ctx, p, n)
		if err != nil && !Missing(err) && ctx.Err() == nil {
			_, err = d.chunk(ctx, p, n) // the fault may have passed
		}
		switch {
		case Missing(err):
			return err, nil
		case err != nil:
			return nil, err
		}
	}
	return nil, nil
}
