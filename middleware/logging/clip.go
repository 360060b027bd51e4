package logging

import (
	"strings"
	"unicode/utf8"
)

// The bounds of a record, in bytes, for values whose length a caller or a server chooses.
const (
	maxURL    = 8 << 10
	maxError  = 4 << 10
	maxValue  = 1 << 10 // of a header field
	maxWord   = 256     // a method, a reason
	maxFields = 100     // of a header
	maxValues = 20      // of a field
)

// clip cuts s to n bytes, at the boundary of a rune, and appends an ellipsis if it did.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.ToValidUTF8(s[:n], "\uFFFD") + "…"
}
