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
	return s.hasLine(request) && !Respelled(request, s.Name)
}

// hasLine is Recognises without regard to other spellings of the name.
func (s *Selector) hasLine(request http.Header) bool {
	lines, ok := request[s.Name]
	return s.Present && s.Raw != "" && len(lines) == 1 && lines[0] == s.Raw || !s.Present && !ok
}

// Respelled reports whether the request has the field with this canonical name under another spelling: net/http sends the keys of a map as they are.
func Respelled(request http.Header, name string) bool {
	for key := range request {
		if len(key) == len(name) && key != name && field.EqualFold(key, name) {
			return true
		}
	}
	return false
}

// Recognises reports whether the request has exactly the lines that the stored response's request had. It reads the names of the request's fields once.
// If cookieKeyed is true, the one line of Cookie that the request has is known to be that of the other one, for their keys are the same.
func (e *Entry) Recognises(request http.Header, cookieKeyed bool) bool {
	for i := range e.Selectors {
		if s := &e.Selectors[i]; !s.hasLine(request) && !(cookieKeyed && s.Present && s.Name == "Cookie") {
			return false
		}
	}
	if len(e.Selectors) == 0 {
		return true
	}
	for key := range request {
		for i := range e.Selectors {
			if name := e.Selectors[i].Name; len(key) == len(name) && key != name && field.EqualFold(key, name) {
				return false
			}
		}
	}
	return true
}

// SameFields reports whether two responses vary on the same fields.
func (e *Entry) SameFields(other *Entry) bool {
	return slices.EqualFunc(e.Selectors, other.Selectors, func(a, b Selector) bool { return a.Name == b.Name })
}
