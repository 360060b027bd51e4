package stored

import (
	"net/http"
	"slices"

	"github.com/plyhttp/ply/internal/field"
)

// Selector is one request field that a response varies on, with the value that the request had (RFC 9111 §4.1).
type Selector struct {
	Name    string // canonical
	Present bool   // an absent field is not an empty one
	Value   string // normalised; a hash where the field holds credentials
	Raw     string // as the one line that it was, to be recognised at a glance; not kept of credentials
}

// same reports whether two selectors have the same value of the same field.
func (s Selector) same(other Selector) bool {
	return s.Name == other.Name && s.Present == other.Present && s.Value == other.Value
}

// Recognises reports whether the request has exactly the line that the stored response's request had, or neither has any.
func (s *Selector) Recognises(request http.Header) bool {
	lines, ok := request[s.Name]
	if s.Present && (s.Raw == "" || len(lines) != 1 || lines[0] != s.Raw) || !s.Present && ok {
		return false
	}
	for key := range request {
		if len(key) == len(s.Name) && key != s.Name && field.EqualFold(key, s.Name) {
			return false
		}
	}
	return true
}

// Recognises reports whether the request has exactly the lines that the stored response's request had.
func (e *Entry) Recognises(request http.Header) bool {
	for i := range e.Selectors {
		if !e.Selectors[i].Recognises(request) {
			return false
		}
	}
	return true
}

// SameFields reports whether two responses vary on the same fields.
func (e *Entry) SameFields(other *Entry) bool {
	return slices.EqualFunc(e.Selectors, other.Selectors, func(a, b Selector) bool { return a.Name == b.Name })
}
