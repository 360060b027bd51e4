package field

import (
	"iter"
	"strings"
)

// An ETag is an entity tag (RFC 9110 §8.8.3). The zero ETag stands for none.
type ETag struct {
	Opaque string // with its quotes; as written where a server left the quotes out
	Weak   bool
}

// ParseETag reads an entity tag. A tag without quotes, which some servers send, is kept as it is and equals only itself.
func ParseETag(s string) ETag {
	s = TrimOWS(s)
	if opaque, ok := strings.CutPrefix(s, "W/"); ok && strings.HasPrefix(opaque, `"`) {
		return ETag{Opaque: opaque, Weak: true}
	}
	return ETag{Opaque: s}
}

// String returns the tag as it stands in a field.
func (t ETag) String() string {
	if t.Weak {
		return "W/" + t.Opaque
	}
	return t.Opaque
}

// Strong reports whether t is a strong validator. A tag without quotes, which is invalid, is not.
func (t ETag) Strong() bool {
	return !t.Weak && strings.HasPrefix(t.Opaque, `"`)
}

// WeaklyEquals reports whether the tags are equal by weak comparison (RFC 9110 §8.8.3.2).
func (t ETag) WeaklyEquals(u ETag) bool {
	return t.Opaque != "" && t.Opaque == u.Opaque
}

// StronglyEquals reports whether the tags are equal by strong comparison (RFC 9110 §8.8.3.2).
func (t ETag) StronglyEquals(u ETag) bool {
	return t.WeaklyEquals(u) && t.Strong() && u.Strong()
}

// Tags yields the members of a list of entity tags, all lines together. Unlike in a quoted string, a backslash in a tag escapes nothing.
func Tags(lines []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range lines {
			for len(line) > 0 {
				var tag string
				tag, line = nextTag(line)
				if tag != "" && !yield(tag) {
					return
				}
			}
		}
	}
}

// nextTag cuts the first member from line, at the first comma that is not between quotes.
func nextTag(line string) (tag, rest string) {
	quoted := false
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '"':
			quoted = !quoted
		case line[i] == ',' && !quoted:
			return TrimOWS(line[:i]), line[i+1:]
		}
	}
	return TrimOWS(line), ""
}

// NoneMatch reports whether If-None-Match holds for a tag (RFC 9110 §13.1.2): none of the listed tags equals t weakly.
func NoneMatch(lines []string, t ETag) bool {
	for _, line := range lines {
		if TrimOWS(line) == "*" {
			return false
		}
	}
	for member := range Tags(lines) {
		if ParseETag(member).WeaklyEquals(t) {
			return false
		}
	}
	return true
}
