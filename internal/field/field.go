// Package field reads HTTP field values as the RFCs define them: lists, cache directives, dates, delta-seconds, entity tags and structured fields.
//
// Input is not trusted. A value that cannot be read is reported as such, never repaired into one that grants more than was written.
//
// Where to look: field.go has lists, tokens and quoted strings; directive.go Cache-Control (RFC 9111 §5.2), targeted.go targeted fields (RFC 9213);
// date.go HTTP-date (RFC 9110 §5.6.7), number.go delta-seconds and Age, etag.go entity tags, validator.go which of them suits If-Range, sf.go structured fields (RFC 9651), hop.go connection fields, clone.go copies of a header.
package field

import (
	"iter"
	"strings"
)

// Members yields the members of a list-valued field (RFC 9110 §5.6.1), all lines together.
// Commas inside quoted strings do not separate; optional white space around a member is removed; empty members are skipped.
func Members(lines []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range lines {
			for l := (list{rest: line}); l.rest != ""; {
				if member := l.next(); member != "" && !yield(member) {
					return
				}
			}
		}
	}
}

// list is the unread rest of one line of a list-valued field.
type list struct {
	rest  string
	stray bool // an earlier quote opened a string that never ends, so each quote in the rest does, too
}

// next cuts off the first member. A quoted string that never ends hides nothing:
// the commas after its opening quote separate members, so that text after a stray quote can still restrict.
func (l *list) next() (member string) {
	for i := 0; i < len(l.rest); i++ {
		switch {
		case l.rest[i] == ',':
			member, l.rest = l.rest[:i], l.rest[i+1:]
			return TrimOWS(member)
		case l.rest[i] == '"' && !l.stray:
			end := quotedEnd(l.rest[i:])
			l.stray = end == 0
			i += max(end-1, 0)
		}
	}
	member, l.rest = l.rest, ""
	return TrimOWS(member)
}

// quotedEnd returns the length of the quoted string that s starts with, or 0 if it never ends (RFC 9110 §5.6.4).
func quotedEnd(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

// Unquote returns the text of a quoted string (RFC 9110 §5.6.4). It reports false for anything but one complete quoted string.
func Unquote(s string) (string, bool) {
	if len(s) < 2 || s[0] != '"' || quotedEnd(s) != len(s) {
		return "", false
	}
	s = s[1 : len(s)-1]
	if !strings.Contains(s, `\`) {
		return s, true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), true
}

// TrimOWS removes optional white space, only spaces and tabs, from both ends (RFC 9110 §5.6.3).
func TrimOWS(s string) string {
	return strings.Trim(s, " \t")
}

// IsToken reports whether s is a token (RFC 9110 §5.6.2).
func IsToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isTokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func isTokenByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// Lower returns s with its ASCII letters in lower case and everything else unchanged.
// [strings.ToLower] would turn letters such as the Kelvin sign into ASCII ones, and so one name into another.
func Lower(s string) string {
	for i := 0; i < len(s); i++ {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for j := i; j < len(b); j++ {
				b[j] = lowerByte(b[j])
			}
			return string(b)
		}
	}
	return s
}

// EqualFold reports whether two strings are equal without regard to the case of ASCII letters.
func EqualFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if lowerByte(a[i]) != lowerByte(b[i]) {
			return false
		}
	}
	return true
}

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
