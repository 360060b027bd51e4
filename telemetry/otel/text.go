package plyotel

import "strings"

// What a span shows at most of what others choose the length of, in bytes.
const (
	maxURL   = 8 << 10
	maxError = 4 << 10
	maxWord  = 256 // of a method, a host, a template, a reason
)

// text makes of s what an exporter takes: UTF-8, of bounded length.
func text(s string, most int) string {
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "?")
}
