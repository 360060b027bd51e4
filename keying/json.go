package keying

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"slices"
	"sync"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/plyhttp/ply/redact"
)

// A scanner reads content for a key. It reads JSON (RFC 8259) in one pass, without building values, and writes it in the form in which it is compared:
//
//	string   '"', its characters, endOfText
//	number   its characters, ','
//	literal  't', 'f' or 'n'
//	array    '[', its elements, ']'
//	object   '{', its members in the order of their names: the characters of the name, endOfText and the value; then '}'
//
// In the place of an object whose form is longer than maxInline stand the byte digested and the SHA-256 of that form, so that each character is moved
// a bounded number of times, however deep it is nested. Two values have the same form only if SHA-256 has a collision.
type scanner struct {
	ignored [][]string // the paths of the members that make no difference
	only    [][]string // the paths of those that do, with what they hold; empty for all
	graphQL bool       // the member "query" of each request is a document; see graphql.go

	content   []byte     // what is read
	pos       int        // in content
	secrets   int        // how many members with the name of a secret were found, where only some members count
	ambiguous bool       // readers differ in what the content means
	documents int        // how many documents of GraphQL were found
	holds     operations // the most that a document holds

	out     []byte   // what is written
	high    int      // how much of out was in use before it was cut
	members []member // of the objects that are open
	path    []span   // the names of the members that are open
	hash    hash.Hash
}

// member is where one member of an object stands in out. One that is ignored has no value there: it ends where its value would begin.
type member struct{ start, value, end int }

// span is a part of out.
type span struct{ start, end int }

const (
	endOfText = 0xff // never in UTF-8
	digested  = 0xfe // begins no other value

	// maxInline is the length of the longest form of an object that is not digested. To hash less costs more than to move it.
	maxInline = 64

	// maxDepth bounds the nesting of JSON that is compared by meaning.
	maxDepth = 100

	// maxKept bounds the buffers that are kept for other requests.
	maxKept = 256 << 10
)

var scanners = sync.Pool{New: func() any { return &scanner{hash: sha256.New()} }}

// free gives s back for other requests, without what it has read.
func (s *scanner) free() {
	clear(s.content)
	clear(s.out[:max(s.high, len(s.out))])
	kept := scanner{hash: s.hash, content: s.content[:0], out: s.out[:0], members: s.members[:0], path: s.path[:0]}
	if cap(s.content)+cap(s.out) > maxKept || cap(s.members) > maxKept/64 {
		kept.content, kept.out, kept.members = nil, nil, nil
	}
	kept.hash.Reset()
	*s = kept
	scanners.Put(s)
}

// json writes the content as JSON. It reports whether the content is JSON; that may be ambiguous.
func (s *scanner) json() bool {
	s.out = slices.Grow(s.out, len(s.content)) // most forms are shorter than the content
	if !s.value(0) {
		return false
	}
	s.space()
	return s.pos == len(s.content)
}

// peek returns the next byte that is no white space, or 0 at the end.
func (s *scanner) peek() byte {
	s.space()
	if s.pos < len(s.content) {
		return s.content[s.pos]
	}
	return 0
}

func (s *scanner) space() {
	for s.pos < len(s.content) {
		switch s.content[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return
		}
	}
}

// value reads one value. It fails beyond maxDepth.
func (s *scanner) value(depth int) bool {
	c := s.peek()
	if depth > maxDepth {
		return false
	}
	switch c {
	case '{':
		return s.object(depth)
	case '[':
		if depth > 0 {
			s.noDocument(depth)
		}
		return s.array(depth)
	}
	s.noDocument(depth)
	switch c {
	case '"':
		s.out = append(s.out, '"')
		return s.text()
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	}
	return s.number()
}

func (s *scanner) literal(word string) bool {
	end := s.pos + len(word)
	if end > len(s.content) || string(s.content[s.pos:end]) != word {
		return false
	}
	s.out, s.pos = append(s.out, word[0]), end
	return true
}

// number reads a number, which is compared as it is spelled: readers differ in what they make of 1.0 and of 9007199254740993.
func (s *scanner) number() bool {
	n := numberLen(s.content[s.pos:])
	s.out = append(append(s.out, s.content[s.pos:s.pos+n]...), ',')
	s.pos += n
	return n > 0
}

// numberLen returns the length of the number that b begins with, or 0 (RFC 8259 §6; GraphQL's numbers are spelled in the same way).
func numberLen[T string | []byte](b T) int {
	i := 0
	if i < len(b) && b[i] == '-' {
		i++
	}
	whole := digits(b, i)
	if whole == i || b[i] == '0' && whole > i+1 {
		return 0
	}
	i = whole
	if i < len(b) && b[i] == '.' {
		end := digits(b, i+1)
		if end == i+1 {
			return 0
		}
		i = end
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		end := digits(b, i)
		if end == i {
			return 0
		}
		i = end
	}
	return i
}

// digits returns where the digits that begin at i end.
func digits[T string | []byte](b T, i int) int {
	for i < len(b) && '0' <= b[i] && b[i] <= '9' {
		i++
	}
	return i
}

func (s *scanner) array(depth int) bool {
	s.out = append(s.out, '[')
	s.pos++
	if s.peek() == ']' {
		return s.close(']')
	}
	for {
		if !s.value(depth + 1) {
			return false
		}
		switch s.peek() {
		case ',':
			s.pos++
		case ']':
			return s.close(']')
		default:
			return false
		}
	}
}

// close takes in a closing bracket.
func (s *scanner) close(bracket byte) bool {
	s.out = append(s.out, bracket)
	s.pos++
	return true
}

func (s *scanner) object(depth int) bool {
	open, first, documents := len(s.out), len(s.members), s.documents
	s.out = append(s.out, '{')
	s.pos++
	if s.peek() == '}' {
		s.noDocument(depth)
		return s.close('}')
	}
	for sorted := true; ; {
		m, ok := s.member(depth)
		if !ok {
			return false
		}
		if last := len(s.members) - 1; m.end == m.value || last >= first && bytes.Compare(s.name(s.members[last]), s.name(m)) >= 0 {
			sorted = false
		}
		s.members = append(s.members, m)
		switch s.peek() {
		case ',':
			s.pos++
			continue
		case '}':
		default:
			return false
		}
		if !sorted {
			s.sort(open+1, s.members[first:])
		}
		s.members = s.members[:first]
		s.close('}')
		s.digest(open)
		if documents == s.documents {
			s.noDocument(depth)
		}
		return true
	}
}

// member reads a member of an object.
func (s *scanner) member(depth int) (m member, ok bool) {
	m.start = len(s.out)
	if s.peek() != '"' || !s.text() || s.peek() != ':' {
		return m, false
	}
	s.pos++
	m.value = len(s.out)
	s.path = append(s.path, span{m.start, m.value - 1})
	secrets := s.secrets
	ok = s.value(depth + 1)
	if len(s.only) > 0 && redact.IsSecretName(string(s.name(m))) {
		s.secrets++
	}
	if s.ignores() || !s.counts(m.value) && s.secrets == secrets {
		s.cut(m.value)
	}
	s.path = s.path[:len(s.path)-1]
	if ok && s.isRequest(depth) && len(s.out) > m.value && s.out[m.value] == '"' && string(s.name(m)) == "query" {
		s.readDocument(m.value + 1)
	}
	m.end = len(s.out)
	return m, ok
}

func (s *scanner) name(m member) []byte { return s.out[m.start : m.value-1] }

// ignores reports whether the member that is open makes no difference.
func (s *scanner) ignores() bool {
	for _, pattern := range s.ignored {
		if s.matches(pattern, s.path) {
			return true
		}
	}
	return false
}

// counts reports whether the member that is open, whose value was written from an offset on, makes a difference: it is one of those that alone do, or in one,
// or it may hold one.
func (s *scanner) counts(value int) bool {
	if len(s.only) == 0 {
		return true
	}
	holds := len(s.out) > value && (s.out[value] == '{' || s.out[value] == '[' || s.out[value] == digested)
	for _, pattern := range s.only {
		anywhere := pattern[0] == "**" && len(pattern) > 1
		if holds && (anywhere || len(s.path) < len(pattern) && s.matches(pattern[:len(s.path)], s.path)) {
			return true
		}
		for n := range s.path {
			if s.matches(pattern, s.path[:n+1]) {
				return true
			}
		}
	}
	return false
}

// matches reports whether a path of open members is the one that a pattern stands for.
func (s *scanner) matches(pattern []string, path []span) bool {
	if pattern[0] == "**" && len(pattern) > 1 {
		pattern = pattern[1:]
		path = path[max(len(path)-len(pattern), 0):]
	}
	return slices.EqualFunc(pattern, path, func(name string, at span) bool { return name == "*" || name == string(s.out[at.start:at.end]) })
}

// sort puts the members of an object, which begin at start, into the order of their names, without those that are ignored.
// A name that is there twice is ambiguous, because readers differ in which one counts.
func (s *scanner) sort(start int, members []member) {
	slices.SortFunc(members, func(a, b member) int { return bytes.Compare(s.name(a), s.name(b)) })
	end := len(s.out)
	for i, m := range members {
		if i > 0 && bytes.Equal(s.name(members[i-1]), s.name(m)) {
			s.ambiguous = true
		}
		if m.end > m.value {
			s.out = append(s.out, s.out[m.start:m.end]...)
		}
	}
	s.moveDown(start, end)
}

// moveDown moves what was written from end on to start.
func (s *scanner) moveDown(start, end int) {
	s.cut(start + copy(s.out[start:], s.out[end:]))
}

// cut takes back what was written from n on.
func (s *scanner) cut(n int) {
	s.high = max(s.high, len(s.out))
	s.out = s.out[:n]
}

// digest puts the hash of a long object, which begins at start, in its place.
func (s *scanner) digest(start int) {
	if len(s.out)-start <= maxInline {
		return
	}
	sum := sha256.Sum256(s.out[start:])
	s.cut(start)
	s.out = append(append(s.out, digested), sum[:]...)
}

// text reads a string and writes its characters and endOfText.
func (s *scanner) text() bool {
	for i := s.pos + 1; i < len(s.content); {
		part, high := s.content[i:], byte(0)
		n := 0
		for n < len(part) && part[n] >= ' ' && part[n] != '"' && part[n] != '\\' {
			high |= part[n]
			n++
		}
		if high >= utf8.RuneSelf && (!utf8.Valid(part[:n]) || bytes.ContainsRune(part[:n], utf8.RuneError)) {
			s.ambiguous = true // a reader that replaces what is invalid makes one text of two
		}
		s.out = append(s.out, part[:n]...)
		switch part = part[n:]; {
		case len(part) == 0 || part[0] < ' ':
			return false
		case part[0] == '"':
			s.out = append(s.out, endOfText)
			s.pos = i + n + 1
			return true
		}
		escaped := s.escape(part)
		if escaped == 0 {
			return false
		}
		i += n + escaped
	}
	return false
}

// escape writes the character that b begins with the escape of. It returns the length of the escape, or 0 if there is none (RFC 8259 §7).
func (s *scanner) escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	if b[1] != 'u' {
		at := bytes.IndexByte([]byte(`"\/bfnrt`), b[1])
		if at < 0 {
			return 0
		}
		s.out = append(s.out, "\"\\/\b\f\n\r\t"[at])
		return 2
	}
	c, ok := codeUnit(b)
	if !ok {
		return 0
	}
	n := 6
	if utf16.IsSurrogate(c) {
		second, _ := codeUnit(b[6:])
		if c = utf16.DecodeRune(c, second); c != utf8.RuneError {
			n = 12
		}
	}
	if c == utf8.RuneError {
		s.ambiguous = true // half a surrogate pair, or what it is replaced by
	}
	s.out = utf8.AppendRune(s.out, c)
	return n
}

// codeUnit reads an escape of the form \u0061.
func codeUnit(b []byte) (c rune, ok bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	for _, digit := range b[2:6] {
		switch {
		case '0' <= digit && digit <= '9':
			digit -= '0'
		case 'a' <= digit|0x20 && digit|0x20 <= 'f':
			digit = digit | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		c = c<<4 | rune(digit)
	}
	return c, true
}
