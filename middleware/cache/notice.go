package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"github.com/plyhttp/ply/redact"
	"github.com/plyhttp/ply/store"
)

// A notice is the record of a lease. Behind its frame there are who has left it, 16 bytes; a byte of flags; how many tags follow; and of each of them
// the tag and the generation that it had, which is zero if it had none.
type notice struct {
	key     string
	by      nonce
	awaited bool    // somebody waits
	parting parting // if it has been given back; zero if it is held
	tags    []tag
	marks   []nonce
	until   time.Time
	version string // of the record
	label   string
}

const noticeKind = 'L'

// The flags of a notice: one, and above it the parting.
const (
	noticeAwaited = 1
	noticeParting = 1 // how far it is shifted
)

func newNotice(by nonce, x *exchange) *notice {
	n := &notice{by: by, label: redact.URLText(displayURL(x.request))}
	for _, t := range x.knownTags() {
		if m, known := x.seen.of(t); known {
			n.tags, n.marks = append(n.tags, t), append(n.marks, m.nonce)
		}
	}
	return n
}

// key is the key of the notice about what a request asks for: different requests have different ones if they differ in their cache's key,
// or in a field that answers are known to vary on.
func (l *leases) key(x *exchange) string {
	at := l.durable.place(x.own)
	var names []string
	for _, s := range x.selecting() {
		names = append(names, s.name)
	}
	if len(names) == 0 {
		return leaseKey(at.hash)
	}
	slices.Sort(names)
	h := sha256.New()
	h.Write(at.hash[:])
	for _, name := range slices.Compact(names) {
		value, present := selecting(x.request, name, x.cache.secret())
		said := appendText(nil, name)
		if present {
			said = appendText(said, "has")
		}
		h.Write(appendText(said, value))
	}
	return leaseKey([32]byte(h.Sum(nil)))
}

func leaseKey(hash [32]byte) string { return "l1." + hex.EncodeToString(hash[:]) }

// record makes the record. It is kept up to a moment.
func (n *notice) record(until time.Time) store.Record {
	flags := byte(n.parting) << noticeParting
	if n.awaited {
		flags |= noticeAwaited
	}
	data := append(append(framed(nil), n.by[:]...), flags, byte(len(n.tags)))
	for i, t := range n.tags {
		data = append(append(data, t[:]...), n.marks[i][:]...)
	}
	return store.Record{Data: seal(data, noticeKind), Version: n.version, Expires: until.Truncate(time.Millisecond), Kind: store.KindLease, Label: n.label}
}

// readNotice reads a notice's record. An absent one is the zero notice.
func readNotice(key string, r store.Record) (notice, error) {
	if r.Version == "" {
		return notice{}, nil
	}
	payload, err := unseal(r.Data, noticeKind)
	if err != nil {
		return notice{}, err
	}
	n := notice{key: key, version: r.Version, until: r.Expires, label: r.Label}
	w := wire{rest: string(payload)}
	n.by = nonce(w.id())
	flags := w.byte()
	n.awaited, n.parting = flags&noticeAwaited != 0, parting(flags>>noticeParting)
	for range w.byte() {
		n.tags, n.marks = append(n.tags, tag(w.id())), append(n.marks, nonce(w.id()))
		if w.bad {
			break
		}
	}
	if w.bad || w.rest != "" || n.by == (nonce{}) || n.parting > each {
		return notice{}, errDamaged
	}
	return n, nil
}

// overtaken tells whether something has been invalidated since a notice was left: then its exchange is not for those who ask now.
func (n *notice) overtaken(later *sight) bool {
	left := &sight{}
	for i, generation := range n.marks {
		left.add(n.tags[i], mark{nonce: generation})
	}
	return left.overtakenBy(later, n.tags)
}
