package plyotel

import "strings"

// The bounds of attributes, in bytes, for values whose length a caller or a server chooses.
const (
	maxURL   = 8 << 10
	maxError = 4 << 10
	maxWord  = 256 // of a method, a host, a template, a reason
)

// text returns s as valid UTF-8 of bounded length.
func text(s string, most int) string {
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "?")
}
