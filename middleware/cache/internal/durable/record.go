package durable

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/store"
)

// An entry's record has after its frame (see frame.go):
//
//	hash   32 bytes  SHA-256 of the cache's key, to be compared on reading
//	length  4 bytes  of what follows up to the bodies, little-endian
//	count            of responses, at most 64
//	responses        each as appendEntry writes it
//	bodies           those that are small, one after the other
//
// Numbers are varints (encoding/binary), signed ones in zigzag form; a string follows its length; times are nanoseconds since 1970.
const entryKind = 'E'

const (
	// maxRecord bounds an entry's record. Variants that do not fit are dropped, least recently used first.
	maxRecord = 1 << 20

	// maxItems bounds the lines, selectors and names in one record, which take many times their bytes in memory.
	maxItems = 4096

	// maxTags bounds the tags of one response: those of its URI, in each form, of its groups, and those that the program has given it.
	maxTags = invalidation.MaxGroups + invalidation.MaxResponseTags + 128

	// maxInline bounds the bodies that are in an entry's record.
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
	isAnyOrder // of its search variance
	isAll      // of its search variance
	inChunks
	hasMethod
	isAhead // it is refreshed before it expires; readers that do not know this flag fetch anew
	isPaced // an event stream; the same
)

// encode makes the record of a set.
func encode(hash [32]byte, set *stored.Variants) ([]byte, error) {
	record := append(Framed(make([]byte, 0, 1<<10)), hash[:]...)
	length := len(record)
	record = append(record, 0, 0, 0, 0)
	record = binary.AppendUvarint(record, uint64(len(set.Entries)))
	for _, e := range set.Entries {
		record = appendEntry(record, e)
	}
	binary.LittleEndian.PutUint32(record[length:], uint32(len(record)-length-4))
	for _, e := range set.Entries {
		if e.Body.Chunks == nil {
			record = append(record, e.Body.Bytes...)
		}
	}
	if len(record) > maxRecord {
		return nil, store.ErrTooLarge
	}
	return Seal(record, entryKind), nil
}

// fits reports whether e can be put into a record: whether decoding accepts what encoding makes of it.
func fits(e *stored.Entry) bool {
	w, items := Wire{Rest: string(appendEntry(nil, e))}, maxItems
	decodeEntry(&w, &items, newEntry())
	return !w.Bad && w.Rest == ""
}

func appendEntry(dst []byte, e *stored.Entry) []byte {
	flags := flagsOf(e)
	dst = binary.AppendUvarint(dst, uint64(flags))
	dst = binary.AppendUvarint(dst, uint64(e.Status))
	for _, s := range [...]string{e.Line.Reason, e.Line.Proto, e.URL} {
		dst = AppendText(dst, s)
	}
	if e.Method != "" {
		dst = AppendText(dst, e.Method)
	}
	dst = append(dst, e.Line.Major, e.Line.Minor)
	for _, t := range [...]time.Time{e.Requested, e.Received, time.Unix(0, e.Used.Load())} {
		dst = binary.AppendVarint(dst, t.UnixNano())
	}
	for _, d := range [...]time.Duration{e.InitialAge, e.Rules.Lifetime, e.Rules.StaleWhileRevalidate, e.Rules.StaleIfError} {
		dst = binary.AppendVarint(dst, int64(d))
	}
	if e.Rules.RefreshesAhead() {
		dst = binary.AppendVarint(dst, int64(e.Rules.RefreshWithin))
		dst = binary.AppendUvarint(dst, math.Float64bits(e.Rules.XFetch))
	}
	dst = appendHeader(appendHeader(dst, e.Header), e.Trailer())
	dst = appendSelectors(dst, e.Selectors)
	dst = binary.AppendUvarint(dst, uint64(len(e.Tags)))
	generations := e.Generations()
	for i, tag := range e.Tags {
		var generation stored.Generation
		if i < len(generations) {
			generation = generations[i]
		}
		dst = append(append(dst, tag[:]...), generation[:]...)
	}
	if e.Part != nil {
		for _, n := range [...]int64{e.Part.First, e.Part.Last, e.Part.Complete} {
			dst = binary.AppendVarint(dst, n)
		}
	}
	if e.Search != nil {
		dst = appendNames(appendNames(AppendText(dst, e.Search.Query), e.Search.AllBut), e.Search.Parameter)
	}
	dst = binary.AppendUvarint(dst, uint64(e.Body.Size()))
	if e.Body.Chunks != nil {
		dst = append(dst, e.Body.Chunks.ID[:]...)
		dst = binary.AppendVarint(dst, e.Body.Chunks.Until.UnixNano())
	}
	if pacing := e.Pacing(); pacing != "" {
		dst = AppendText(dst, string(pacing))
	}
	return dst
}

func flagsOf(e *stored.Entry) (flags uint) {
	set := func(on bool, flag uint) {
		if on {
			flags |= flag
		}
	}
	set(e.Uncompressed, isUncompressed)
	set(e.Rules.NoCache, isNoCache)
	set(e.Rules.MustRevalidate, isMustRevalidate)
	set(e.Rules.Immutable, isImmutable)
	set(e.Rules.Sliding, isSliding)
	set(e.Part != nil, isPart)
	set(e.Search != nil, hasSearch)
	set(e.Search != nil && e.Search.AnyOrder, isAnyOrder)
	set(e.Search != nil && e.Search.All, isAll)
	set(e.Body.Chunks != nil, inChunks)
	set(e.Method != "", hasMethod)
	set(e.Rules.RefreshesAhead(), isAhead)
	set(e.Pacing() != "", isPaced)
	return flags
}

// appendHeader appends a header in its form, which is that of a record.
func appendHeader(dst []byte, h stored.Header) []byte {
	if h == "" {
		return append(dst, 0)
	}
	return append(dst, h...)
}

func appendNames(dst []byte, names []string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(names)))
	for _, name := range names {
		dst = AppendText(dst, name)
	}
	return dst
}

func appendSelectors(dst []byte, selectors []stored.Selector) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(selectors)))
	for _, s := range selectors {
		present := byte(0)
		if s.Present {
			present = 1
		}
		dst = AppendText(append(AppendText(dst, s.Name), present), s.Value)
		dst = AppendText(dst, s.Raw)
	}
	return dst
}

// lone is a set of one response in one piece of memory, with room for the tag that most have.
type lone struct {
	stored.Variants
	entries     [1]*stored.Entry
	entry       stored.Entry
	record      stored.Record
	tags        [1]invalidation.Tag
	generations [1]stored.Generation
	at          stored.RecordKey
}

// decode reads the record that was put for a key with this hash.
// It checks each length before it allocates. Bodies are parts of the record; nothing else is.
func decode(record []byte, hash [32]byte) (*stored.Variants, error) {
	set, err := decodeLone(record, hash)
	if err != nil {
		return nil, err
	}
	return &set.Variants, nil
}

// decodeLone is decode for one who has a use for the rest of the memory.
func decodeLone(record []byte, hash [32]byte) (*lone, error) {
	payload, err := Unseal(record, entryKind)
	if err != nil {
		return nil, err
	}
	if len(payload) < len(hash)+4 || [32]byte(payload[:len(hash)]) != hash {
		return nil, ErrDamaged
	}
	length, payload := binary.LittleEndian.Uint32(payload[len(hash):]), payload[len(hash)+4:]
	if uint64(length) > uint64(len(payload)) {
		return nil, ErrDamaged
	}
	w, bodies := Wire{Rest: string(payload[:length])}, payload[length:]
	n := w.count(1)
	if n == 0 || n > stored.MaxVariants {
		return nil, ErrDamaged
	}
	first := &lone{}
	set, items := &first.Variants, maxItems
	set.Entries = first.entries[:0]
	first.entry.Tags, first.entry.Record = first.tags[:0], &first.record
	first.record.Generations = first.generations[:0]
	for i := range n {
		e := &first.entry
		if i > 0 {
			e = newEntry()
		}
		inline := decodeEntry(&w, &items, e)
		if w.Bad || inline > int64(len(bodies)) {
			return nil, ErrDamaged
		}
		if e.Body.Chunks == nil && inline > 0 {
			e.Body.Bytes, bodies = bodies[:inline:inline], bodies[inline:]
		}
		e.Derive()
		set.Entries = append(set.Entries, e)
	}
	if w.Rest != "" || len(bodies) > 0 {
		return nil, ErrDamaged
	}
	return first, nil
}

// newEntry makes an entry that decodeEntry can read into.
func newEntry() *stored.Entry {
	e := &struct {
		stored.Entry
		record stored.Record
	}{}
	e.Record = &e.record
	return &e.Entry
}

// decodeEntry reads what appendEntry wrote into e, which is empty but for its Record and room in its slices, and returns how many bytes of the body are in the record.
// The wire is bad if it does not hold an entry.
// Over 15 branches on purpose: it reads field after field in the order of appendEntry, one flag and one branch for each optional field.
func decodeEntry(w *Wire, items *int, e *stored.Entry) (inline int64) {
	flags := w.uint()
	status, reason, proto, url := int(w.size()), w.line(), w.line(), w.line()
	e.Status, e.URL = status, url
	if flags&hasMethod != 0 {
		e.Method = w.line()
	}
	e.Line = stored.NewStatusLine(status, reason, proto, w.Byte(), w.Byte())
	e.Requested, e.Received = time.Unix(0, w.int()), time.Unix(0, w.int())
	e.Used.Store(w.int())
	e.InitialAge = w.duration()
	e.Rules = stored.Rules{Lifetime: w.duration(), StaleWhileRevalidate: w.duration(), StaleIfError: w.duration()}
	w.ahead(flags, &e.Rules)
	e.Header = w.header(items)
	trailer, pacing := w.header(items), stored.Pacing("")
	e.Selectors = w.selectors(items)
	w.tags(e)
	if flags&isPart != 0 {
		e.Part = &stored.ContentRange{First: w.int(), Last: w.int(), Complete: w.int()}
	}
	if flags&hasSearch != 0 {
		e.Search = &stored.SearchVariance{Query: w.text(), AllBut: w.names(items), Parameter: w.names(items)}
		if !slices.IsSorted(e.Search.AllBut) || !slices.IsSorted(e.Search.Parameter) {
			w.fail()
		}
		e.Search.AnyOrder, e.Search.All = flags&isAnyOrder != 0, flags&isAll != 0
	}
	e.Uncompressed = flags&isUncompressed != 0
	e.Rules.NoCache, e.Rules.MustRevalidate = flags&isNoCache != 0, flags&isMustRevalidate != 0
	e.Rules.Immutable, e.Rules.Sliding = flags&isImmutable != 0, flags&isSliding != 0
	size := w.size()
	if flags&inChunks != 0 {
		e.Body.Chunks = &stored.Chunks{ID: w.ID(), Size: size, Until: time.Unix(0, w.int())}
	} else {
		inline = size
	}
	if flags&isPaced != 0 {
		pacing = stored.Pacing(w.text())
	}
	e.Ending = stored.NewEnding(trailer, pacing)
	if flags != uint64(flagsOf(e)) || e.Status < 200 || e.Status > 599 || e.Part != nil && !fitsBody(e.Part, size) || pacing != "" && !pacing.Paces(size) {
		w.fail()
	}
	return inline
}

// tags reads the tags of a response, and their generations.
func (w *Wire) tags(e *stored.Entry) {
	n := w.count(len(invalidation.Tag{}) + len(stored.Generation{}))
	switch {
	case n > maxTags:
		w.fail()
		n = 0
	case n == 0:
		e.Tags, e.Record.Generations = nil, nil
	case n > cap(e.Tags):
		e.Tags, e.Record.Generations = make([]invalidation.Tag, 0, n), make([]stored.Generation, 0, n)
	}
	for range n {
		e.Tags = append(e.Tags, invalidation.Tag(w.ID()))
		e.Record.Generations = append(e.Record.Generations, stored.Generation(w.ID()))
	}
}

// ahead reads when the response is refreshed before it expires.
func (w *Wire) ahead(flags uint64, r *stored.Rules) {
	if flags&isAhead == 0 {
		return
	}
	r.RefreshWithin, r.XFetch = w.duration(), math.Float64frombits(w.uint())
	if r.RefreshWithin < 0 || !(r.XFetch >= 0 && r.XFetch <= 100) {
		w.fail()
	}
}

// fitsBody reports whether a body of so many bytes can be this part of a representation.
func fitsBody(s *stored.ContentRange, size int64) bool {
	return s.First >= 0 && s.Last >= s.First && s.Size() == size && (s.Complete == -1 || s.Last < s.Complete)
}

// maxDuration bounds the durations in a record, far beyond what a cache counts, so that no sum of two overflows.
const maxDuration = 2 * stored.Longest

func (w *Wire) duration() time.Duration {
	d := time.Duration(w.int())
	if d > maxDuration || d < -maxDuration {
		w.fail()
	}
	return d
}

// ID reads a random identifier, a tag or a generation.
func (w *Wire) ID() (id [16]byte) {
	copy(id[:], w.take(len(id)))
	return id
}

// items reads how many items of at least so many bytes follow, which are charged.
func (w *Wire) items(bytes int, left *int) int {
	n := w.count(bytes)
	if *left -= n; *left < 0 {
		w.fail()
		return 0
	}
	return n
}

// header reads a header, which shares the bytes of the record. It has nothing that ends a line, no field of a connection, and each name once, in order.
func (w *Wire) header(items *int) stored.Header {
	all := w.Rest
	n := w.items(2, items)
	if n == 0 {
		return ""
	}
	last := ""
	for range n {
		name := w.text()
		if name <= last || !field.IsToken(name) || field.IsHopByHop(name) {
			w.fail()
			return ""
		}
		last = name
		for range w.items(1, items) {
			w.line()
		}
	}
	if w.Bad {
		return ""
	}
	return stored.Header(all[:len(all)-len(w.Rest)])
}

func (w *Wire) names(items *int) []string {
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

func (w *Wire) selectors(items *int) []stored.Selector {
	n := w.items(4, items)
	if n == 0 {
		return nil
	}
	selectors := make([]stored.Selector, n)
	for i := range selectors {
		s := &selectors[i]
		s.Name = w.text()
		switch w.Byte() {
		case 1:
			s.Present = true
		case 0:
		default:
			w.fail()
		}
		s.Value, s.Raw = w.text(), w.text()
		if !field.IsToken(s.Name) {
			w.fail()
		}
	}
	return selectors
}
