package cache

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"slices"
	"time"

	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/store"
)

// An entry's record is, behind its frame (see wire.go):
//
//	hash   32 bytes  SHA-256 of the cache's key, to be compared on reading
//	length  4 bytes  of what follows up to the bodies, little-endian
//	count            of responses, at most 64
//	responses        each as appendEntry writes it
//	bodies           those that are small, one after the other
//
// Numbers are varints (encoding/binary), signed ones in zigzag form; strings stand behind their length; times are nanoseconds since 1970.
const entryKind = 'E'

const (
	// maxRecord bounds an entry's record. Variants that do not fit go, the one first that was used longest ago.
	maxRecord = 1 << 20

	// maxItems bounds the lines, selectors and names in one record, which take many times their bytes in memory.
	maxItems = 4096

	// maxTags bounds the tags of one response: those of its URI, in each form, and of its groups.
	maxTags = maxGroups + 128

	// maxInline bounds the bodies that stand in an entry's record.
	maxInline = 32 << 10
)

// flags of a response.
const (
	isUncompressed = 1 << iota
	isNoCache
	isMustRevalidate
	isImmutable
	isSliding
	isPart
	hasSearch
	isAnyOrder // of its search
	isAll      // of its search
	inPieces
	hasMethod
)

// encode makes the record of a set.
func encode(hash [32]byte, set *variants) ([]byte, error) {
	record := append(framed(make([]byte, 0, 1<<10)), hash[:]...)
	length := len(record)
	record = append(record, 0, 0, 0, 0)
	record = binary.AppendUvarint(record, uint64(len(set.entries)))
	for _, e := range set.entries {
		record = appendEntry(record, e)
	}
	binary.LittleEndian.PutUint32(record[length:], uint32(len(record)-length-4))
	for _, e := range set.entries {
		if e.body.stored == nil {
			record = append(record, e.body.bytes...)
		}
	}
	if len(record) > maxRecord {
		return nil, store.ErrTooLarge
	}
	return seal(record, entryKind), nil
}

// fits tells whether e alone can stand in a record: decoding takes what encoding makes of it.
func (e *Entry) fits() bool {
	w, items := wire{rest: string(appendEntry(nil, e))}, maxItems
	decodeEntry(&w, &items)
	return !w.bad && w.rest == ""
}

func appendEntry(dst []byte, e *Entry) []byte {
	flags := e.flags()
	dst = binary.AppendUvarint(dst, uint64(flags))
	dst = binary.AppendUvarint(dst, uint64(e.status))
	for _, s := range [...]string{e.reason, e.proto, e.url} {
		dst = appendText(dst, s)
	}
	if e.method != "" {
		dst = appendText(dst, e.method)
	}
	dst = append(dst, byte(e.major), byte(e.minor))
	for _, t := range [...]time.Time{e.requested, e.received, time.Unix(0, e.used.Load())} {
		dst = binary.AppendVarint(dst, t.UnixNano())
	}
	for _, d := range [...]time.Duration{e.age0, e.rules.lifetime, e.rules.staleWhileRevalidate, e.rules.staleIfError} {
		dst = binary.AppendVarint(dst, int64(d))
	}
	dst = appendHeader(appendHeader(dst, e.header), e.trailer)
	dst = appendSelectors(dst, e.selectors)
	dst = binary.AppendUvarint(dst, uint64(len(e.tags)))
	for i, tag := range e.tags {
		var generation nonce
		if i < len(e.marks) {
			generation = e.marks[i]
		}
		dst = append(append(dst, tag[:]...), generation[:]...)
	}
	if e.part != nil {
		for _, n := range [...]int64{e.part.first, e.part.last, e.part.complete} {
			dst = binary.AppendVarint(dst, n)
		}
	}
	if e.search != nil {
		dst = appendNames(appendNames(appendText(dst, e.search.query), e.search.allBut), e.search.parameter)
	}
	dst = binary.AppendUvarint(dst, uint64(e.body.size()))
	if e.body.stored != nil {
		dst = append(dst, e.body.stored.id[:]...)
		dst = binary.AppendVarint(dst, e.body.stored.until.UnixNano())
	}
	return dst
}

func (e *Entry) flags() (flags uint) {
	set := func(on bool, flag uint) {
		if on {
			flags |= flag
		}
	}
	set(e.uncompressed, isUncompressed)
	set(e.rules.noCache, isNoCache)
	set(e.rules.mustRevalidate, isMustRevalidate)
	set(e.rules.immutable, isImmutable)
	set(e.rules.sliding, isSliding)
	set(e.part != nil, isPart)
	set(e.search != nil, hasSearch)
	set(e.search != nil && e.search.anyOrder, isAnyOrder)
	set(e.search != nil && e.search.all, isAll)
	set(e.body.stored != nil, inPieces)
	set(e.method != "", hasMethod)
	return flags
}

// appendHeader appends the fields in the order of their names: one header has one form.
func appendHeader(dst []byte, h http.Header) []byte {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	dst = binary.AppendUvarint(dst, uint64(len(names)))
	for _, name := range names {
		dst = appendNames(appendText(dst, name), h[name])
	}
	return dst
}

func appendNames(dst []byte, names []string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(names)))
	for _, name := range names {
		dst = appendText(dst, name)
	}
	return dst
}

func appendSelectors(dst []byte, selectors []selector) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(selectors)))
	for _, s := range selectors {
		present := byte(0)
		if s.present {
			present = 1
		}
		dst = appendText(append(appendText(dst, s.name), present), s.value)
		dst = appendText(dst, s.raw)
	}
	return dst
}

// decode reads the record that was put for a key with this hash.
// It checks each length before it allocates, and keeps nothing of the record.
func decode(record []byte, hash [32]byte) (*variants, error) {
	payload, err := unseal(record, entryKind)
	if err != nil {
		return nil, err
	}
	if len(payload) < len(hash)+4 || [32]byte(payload[:len(hash)]) != hash {
		return nil, errDamaged
	}
	length, payload := binary.LittleEndian.Uint32(payload[len(hash):]), payload[len(hash)+4:]
	if uint64(length) > uint64(len(payload)) {
		return nil, errDamaged
	}
	w, bodies := wire{rest: string(payload[:length])}, payload[length:]
	n := w.count(1)
	if n == 0 || n > maxVariants {
		return nil, errDamaged
	}
	set, items := &variants{entries: make([]*Entry, 0, n)}, maxItems
	for range n {
		e, inline := decodeEntry(&w, &items)
		if w.bad || inline > int64(len(bodies)) {
			return nil, errDamaged
		}
		if e.body.stored == nil {
			e.body.bytes, bodies = bytes.Clone(bodies[:inline]), bodies[inline:]
		}
		e.index()
		set.entries = append(set.entries, e)
	}
	if w.rest != "" || len(bodies) > 0 {
		return nil, errDamaged
	}
	return set, nil
}

// decodeEntry reads what appendEntry wrote, and returns how many bytes of the body stand in the record.
// The wire is bad if something else stood there.
func decodeEntry(w *wire, items *int) (e *Entry, inline int64) {
	flags := w.uint()
	e = &Entry{status: int(w.size()), reason: w.line(), proto: w.line(), url: w.line()}
	if flags&hasMethod != 0 {
		e.method = w.line()
	}
	e.major, e.minor = int(w.byte()), int(w.byte())
	e.requested, e.received = time.Unix(0, w.int()), time.Unix(0, w.int())
	e.used.Store(w.int())
	e.age0 = w.duration()
	e.rules = rules{lifetime: w.duration(), staleWhileRevalidate: w.duration(), staleIfError: w.duration()}
	e.header, e.trailer = w.header(items), w.header(items)
	if e.header == nil {
		e.header = http.Header{}
	}
	e.selectors = w.selectors(items)
	n := w.count(len(tag{}) + len(nonce{}))
	if n > maxTags {
		w.fail()
		n = 0
	}
	for range n {
		e.tags = append(e.tags, tag(w.id()))
		e.marks = append(e.marks, nonce(w.id()))
	}
	if flags&isPart != 0 {
		e.part = &span{first: w.int(), last: w.int(), complete: w.int()}
	}
	if flags&hasSearch != 0 {
		e.search = &searchVariance{query: w.text(), allBut: w.names(items), parameter: w.names(items)}
		if !slices.IsSorted(e.search.allBut) || !slices.IsSorted(e.search.parameter) {
			w.fail()
		}
		e.search.anyOrder, e.search.all = flags&isAnyOrder != 0, flags&isAll != 0
	}
	e.uncompressed = flags&isUncompressed != 0
	e.rules.noCache, e.rules.mustRevalidate = flags&isNoCache != 0, flags&isMustRevalidate != 0
	e.rules.immutable, e.rules.sliding = flags&isImmutable != 0, flags&isSliding != 0
	size := w.size()
	if flags&inPieces != 0 {
		e.body.stored = &pieces{id: w.id(), size: size, until: time.Unix(0, w.int())}
	} else {
		inline = size
	}
	if flags != uint64(e.flags()) || e.status < 200 || e.status > 599 || e.part != nil && !e.part.of(size) {
		w.fail()
	}
	return e, inline
}

// of tells whether a body of so many bytes can be this part of a representation.
func (s span) of(size int64) bool {
	return s.first >= 0 && s.last >= s.first && s.size() == size && (s.complete == -1 || s.last < s.complete)
}

// maxDuration bounds the durations in a record, far beyond what a cache counts, so that no sum of two overflows.
const maxDuration = 2 * longest

func (w *wire) duration() time.Duration {
	d := time.Duration(w.int())
	if d > maxDuration || d < -maxDuration {
		w.fail()
	}
	return d
}

// id reads a random identifier, a tag or a nonce.
func (w *wire) id() (id [16]byte) {
	copy(id[:], w.take(len(id)))
	return id
}

// items reads how many items of at least so many bytes follow, which are charged.
func (w *wire) items(bytes int, left *int) int {
	n := w.count(bytes)
	if *left -= n; *left < 0 {
		w.fail()
		return 0
	}
	return n
}

// header reads a header. It has nothing that ends a line, no field of a connection, and each name once, in order.
func (w *wire) header(items *int) http.Header {
	n := w.items(2, items)
	if n == 0 {
		return nil
	}
	h, last := make(http.Header, n), ""
	for range n {
		name := w.text()
		if name <= last || !field.IsToken(name) || field.IsHopByHop(name) {
			w.fail()
			return nil
		}
		last = name
		lines := make([]string, 0, w.items(1, items))
		for range cap(lines) {
			lines = append(lines, w.line())
		}
		h[name] = lines
	}
	return h
}

func (w *wire) names(items *int) []string {
	n := w.items(1, items)
	if n == 0 {
		return nil
	}
	names := make([]string, n)
	for i := range names {
		names[i] = w.text()
	}
	return names
}

func (w *wire) selectors(items *int) []selector {
	n := w.items(4, items)
	if n == 0 {
		return nil
	}
	selectors := make([]selector, n)
	for i := range selectors {
		s := &selectors[i]
		s.name = w.text()
		switch w.byte() {
		case 1:
			s.present = true
		case 0:
		default:
			w.fail()
		}
		s.value, s.raw = w.text(), w.text()
		if !field.IsToken(s.name) {
			w.fail()
		}
	}
	return selectors
}
