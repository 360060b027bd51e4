// Package field reads HTTP field values as the RFCs define them: lists, cache directives, dates, delta-seconds, entity tags and structured fields.
//
// Nothing here trusts its input. A value that cannot be read is reported as such, never repaired into something that grants more than was written.
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

// list is one line of a list-valued field, as far as it has not been read.
type list struct {
	rest  string
	stray bool // a quote before the rest opens a string that never ends, and so does each quote in the rest
}

// next cuts the first member off. A quoted string that never ends does not hide what follows it:
// the comma after its opening quote separates again, so that text behind a stray quote can still restrict.
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

// Unquote returns the text of a quoted string. It fails on anything but one complete quoted string.
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

// TrimOWS removes optional white space, spaces and tabs and nothing else, from both ends (RFC 9110 §5.6.3).
func TrimOWS(s string) string {
	return strings.Trim(s, " \t")
}

// IsToken tells whether s is a token (RFC 9110 §5.6.2).
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

// Lower returns s with its ASCII letters in lower case and everything else as it was.
// [strings.ToLower] would fold letters like the Kelvin sign into ASCII, which no field name or directive may do.
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

// EqualFold compares two strings without regard to the case of ASCII letters.
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
