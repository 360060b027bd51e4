package stored

import (
	"encoding/binary"
	"iter"
	"net/http"
	"slices"
	"strings"

	"github.com/plyhttp/ply/internal/cachestatus"
)

// A Header is the header section of a stored response, or its trailer section, in one string: one object, in which a garbage collection has nothing to look at.
// The zero Header has no fields. All others have the form that they have in the record of a byte store:
//
//	count   of fields
//	fields  in the order of their names: the name, a count, and so many lines
//
// Numbers are varints (encoding/binary); a string follows its length.
// Code that makes a Header of other bytes than [NewHeader] does has to check them first: its methods rely on the form.
type Header string

// NewHeader returns the fields of h. It shares nothing with h.
func NewHeader(h http.Header) Header {
	if len(h) == 0 {
		return ""
	}
	type given struct {
		name  string
		lines []string
	}
	var few [32]given
	var places [32]uint32
	fields, order, size := few[:0], places[:0], binary.MaxVarintLen64
	for name, lines := range h {
		order = append(order, uint32(len(fields)))
		fields = append(fields, given{name, lines})
		size += len(name) + (2+len(lines))*binary.MaxVarintLen16
		for _, line := range lines {
			size += len(line)
		}
	}
	// Only their places are sorted: a field is five words, and a sort moves each of them several times.
	slices.SortFunc(order, func(a, b uint32) int { return strings.Compare(fields[a].name, fields[b].name) })
	var room [1 << 10]byte
	text := room[:0]
	if size > len(room) {
		text = make([]byte, 0, size)
	}
	text = binary.AppendUvarint(text, uint64(len(fields)))
	for _, i := range order {
		f := &fields[i]
		text = appendString(text, f.name)
		text = binary.AppendUvarint(text, uint64(len(f.lines)))
		for _, line := range f.lines {
			text = appendString(text, line)
		}
	}
	return Header(text)
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// cutNumber returns the number that s begins with, and what follows it.
func cutNumber(s string) (int, string) {
	if s[0] < 0x80 {
		return int(s[0]), s[1:]
	}
	return cutLongNumber(s)
}

func cutLongNumber(s string) (n int, rest string) {
	for i := 0; ; i++ {
		n |= int(s[i]&0x7f) << (7 * i)
		if s[i] < 0x80 {
			return n, s[i+1:]
		}
	}
}

// cutString returns the string that s begins with, without its length, and what follows it.
func cutString(s string) (text, rest string) {
	n, s := cutNumber(s)
	return s[:n], s[n:]
}

// Lines are the lines of one field.
type Lines struct {
	n    int
	rest string
}

// Len returns the number of lines.
func (l Lines) Len() int { return l.n }

// AppendTo appends the lines to a slice.
func (l Lines) AppendTo(lines []string) []string {
	rest := l.rest
	for range l.n {
		var line string
		line, rest = cutString(rest)
		lines = append(lines, line)
	}
	return lines
}

// skip returns what follows the lines.
func (l Lines) skip() string {
	rest := l.rest
	for range l.n {
		_, rest = cutString(rest)
	}
	return rest
}

// All yields the names of the fields, in order, and their lines.
func (h Header) All() iter.Seq2[string, Lines] {
	return func(yield func(string, Lines) bool) {
		if h == "" {
			return
		}
		n, rest := cutNumber(string(h))
		for range n {
			var name string
			var lines Lines
			name, rest = cutString(rest)
			lines.n, lines.rest = cutNumber(rest)
			if !yield(name, lines) {
				return
			}
			rest = lines.skip()
		}
	}
}

// Len returns the number of fields.
func (h Header) Len() int {
	if h == "" {
		return 0
	}
	n, _ := cutNumber(string(h))
	return n
}

// Has reports whether there is a field with this name, which is canonical.
func (h Header) Has(name string) bool {
	for n := range h.All() {
		if n == name {
			return true
		}
	}
	return false
}

// Lines returns the lines of the field with this name, which is canonical.
func (h Header) Lines(name string) []string {
	for n, lines := range h.All() {
		if n == name {
			return lines.AppendTo(make([]string, 0, lines.n))
		}
	}
	return nil
}

// Get returns the first line of the field with this name, which is canonical, or "".
func (h Header) Get(name string) string {
	for n, lines := range h.All() {
		if n == name && lines.n > 0 {
			line, _ := cutString(lines.rest)
			return line
		}
	}
	return ""
}

// lineCount returns the number of all lines.
func (h Header) lineCount() int {
	n := 0
	for _, lines := range h.All() {
		n += lines.n
	}
	return n
}

// Map returns the fields as net/http has them. The map and its slices are the caller's.
func (h Header) Map() http.Header {
	m := make(http.Header, h.Len())
	all := make([]string, 0, h.lineCount())
	for name, lines := range h.All() {
		from := len(all)
		all = lines.AppendTo(all)
		m[name] = all[from:len(all):len(all)]
	}
	return m
}

// served returns the fields as they are served, with Age, and with the last line of Cache-Status. It uses the given slice for all lines:
// the slice has room for those of h and two more, and no other header uses it.
// No field has room for more lines than it has: one that is appended to must not run into the next.
func (h Header) served(all []string, age, status string) http.Header {
	var n int
	var rest string
	if h != "" {
		n, rest = cutNumber(string(h))
	}
	m := make(http.Header, n+2) // a clone of a map with eight fields would grow with the first write to it
	at := 0
	for range n {
		var name string
		var count int
		name, rest = cutString(rest)
		count, rest = cutNumber(rest)
		from := at
		for range count {
			all[at], rest = cutString(rest)
			at++
		}
		if name == cachestatus.Field {
			all[at] = status
			at++
		}
		m[name] = all[from:at:at]
	}
	all[at] = age
	m["Age"] = all[at : at+1 : at+1]
	if at++; at < len(all) { // no cache before this one has said anything
		all[at] = status
		m[cachestatus.Field] = all[at : at+1 : at+1]
	}
	return m
}

// A response, its body and the lines of its header are one allocation if the lines are not too many.
type (
	usual struct {
		http.Response
		body  reader
		lines [10]string
	}
	large struct {
		http.Response
		body  reader
		lines [18]string
	}
	huge struct {
		http.Response
		body reader
	}
)

// blank makes an empty response, and a body and room for n lines to be used for it.
func blank(n int) (*http.Response, *reader, []string) {
	switch {
	case n <= len(usual{}.lines):
		b := new(usual)
		return &b.Response, &b.body, b.lines[:n]
	case n <= len(large{}.lines):
		b := new(large)
		return &b.Response, &b.body, b.lines[:n]
	}
	b := new(huge)
	return &b.Response, &b.body, make([]string, n)
}
