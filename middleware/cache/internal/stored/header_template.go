package stored

import (
	"net/http"

	"github.com/plyhttp/ply/internal/cachestatus"
)

// headerTemplate is a header as it is served, laid out flat: each answer gets its own copy of all lines at once, and a map that points into it.
// Age and Cache-Status are in it, as empty lines to be filled in.
type headerTemplate struct {
	fields      []laidOut
	lines       []string
	age, status int // which lines are Age and the last of Cache-Status
}

// laidOut is a field and where its lines end; they begin where those of the field before end.
type laidOut struct {
	name string
	end  int
}

func newHeaderTemplate(stored http.Header) headerTemplate {
	n := 2
	for _, lines := range stored {
		n += len(lines)
	}
	l := headerTemplate{fields: make([]laidOut, 0, len(stored)+2), lines: make([]string, 0, n)}
	for name, lines := range stored {
		if name != cachestatus.Field {
			l.put(name, lines)
		}
	}
	l.put("Age", []string{""})
	l.age = len(l.lines) - 1
	l.lines = append(l.lines, stored[cachestatus.Field]...)
	l.put(cachestatus.Field, []string{""})
	l.status = len(l.lines) - 1
	return l
}

func (l *headerTemplate) put(name string, lines []string) {
	l.lines = append(l.lines, lines...)
	l.fields = append(l.fields, laidOut{name, len(l.lines)})
}

// header makes a header that uses the given slice for its lines. The slice has room for them, and no other header uses it.
// No field has room for more lines than it has: one that is appended to must not run into the next.
func (l *headerTemplate) header(lines []string, age, status string) http.Header {
	copy(lines, l.lines)
	lines[l.age], lines[l.status] = age, status
	h := make(http.Header, len(l.fields)) // a clone of a map with eight fields would grow with the first write to it
	start := 0
	for i := range l.fields {
		f := &l.fields[i]
		h[f.name] = lines[start:f.end:f.end]
		start = f.end
	}
	return h
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
