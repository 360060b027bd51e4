package logging

import (
	"strings"
	"unicode/utf8"
)

// What a record shows at most of what others choose the length of, in bytes.
const (
	maxURL    = 8 << 10
	maxError  = 4 << 10
	maxValue  = 1 << 10 // of a header field
	maxWord   = 256     // a method, a reason
	maxFields = 100     // of a header
	maxValues = 20      // of a field
)

// clip cuts s to n bytes, at a rune's boundary, and shows that it did.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.ToValidUTF8(s[:n], "\uFFFD") + "…"
}
