package lease

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/durable"
	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/redact"
	"github.com/plyhttp/ply/store"
)

// A Record is the record of a lease. After its frame come the identifier of the lease, 16 bytes; a byte of flags; how many tags follow; and for each of them
// the tag and the generation that it had, which is zero if it had none.
type Record struct {
	key         string
	by          stored.Generation
	contended   bool    // a process waits for it
	Release     Release // if it has been given back; zero if it is held
	tags        []invalidation.Tag
	generations []stored.Generation
	until       time.Time
	version     string // of the record in the store
	label       string
}

const recordKind = 'L'

// The flags: one bit, and above it the Release.
const (
	flagContended = 1
	releaseShift  = 1 // how far it is shifted
)

func newRecord(by stored.Generation, s *Subject) *Record {
	n := &Record{by: by, label: redact.URLText(s.URL)}
	for _, t := range s.Tags {
		if m, known := s.Seen.Generation(t); known {
			n.tags, n.generations = append(n.tags, t), append(n.generations, m.Generation)
		}
	}
	return n
}

// key is the key of the lease record for what a request asks for. It differs between requests that differ in their cache's key,
// or in a field that answers are known to vary on.
func (l *Leases) key(s *Subject) string {
	at := l.Store.RecordKey(s.Key)
	if len(s.Selectors) == 0 {
		return leaseKey(at.Hash)
	}
	h := sha256.New()
	h.Write(at.Hash[:])
	for _, selector := range s.Selectors {
		said := durable.AppendText(nil, selector.Name)
		if selector.Present {
			said = durable.AppendText(said, "has")
		}
		h.Write(durable.AppendText(said, selector.Value))
	}
	return leaseKey([32]byte(h.Sum(nil)))
}

func leaseKey(hash [32]byte) string { return "l1." + hex.EncodeToString(hash[:]) }

// record encodes n. The store keeps it until then.
func (n *Record) record(until time.Time) store.Record {
	flags := byte(n.Release) << releaseShift
	if n.contended {
		flags |= flagContended
	}
	data := append(append(durable.Framed(nil), n.by[:]...), flags, byte(len(n.tags)))
	for i, t := range n.tags {
		data = append(append(data, t[:]...), n.generations[i][:]...)
	}
	return store.Record{Data: durable.Seal(data, recordKind), Version: n.version, Expires: until.Truncate(time.Millisecond), Kind: store.KindLease, Label: n.label}
}

// readRecord decodes a lease record. An absent one is the zero Record.
func readRecord(key string, r store.Record) (Record, error) {
	if r.Version == "" {
		return Record{}, nil
	}
	payload, err := durable.Unseal(r.Data, recordKind)
	if err != nil {
		return Record{}, err
	}
	n := Record{key: key, version: r.Version, until: r.Expires, label: r.Label}
	w := durable.Wire{Rest: string(payload)}
	n.by = stored.Generation(w.ID())
	flags := w.Byte()
	n.contended, n.Release = flags&flagContended != 0, Release(flags>>releaseShift)
	for range w.Byte() {
		n.tags, n.generations = append(n.tags, invalidation.Tag(w.ID())), append(n.generations, stored.Generation(w.ID()))
		if w.Bad {
			break
		}
	}
	if w.Bad || w.Rest != "" || n.by == (stored.Generation{}) || n.Release > ReleaseAll {
		return Record{}, durable.ErrDamaged
	}
	return n, nil
}

// overtaken reports whether something has been invalidated since the record was put: then the fetch of its process is not for requests that come now.
// The record has the generations as they were before the fetch began, so a later one is an invalidation that the fetch may not have seen.
func (n *Record) overtaken(later *durable.Snapshot) bool {
	left := &durable.Snapshot{}
	for i, generation := range n.generations {
		left.Add(n.tags[i], durable.GenerationRecord{Generation: generation})
	}
	return left.OlderThan(later, n.tags)
}
