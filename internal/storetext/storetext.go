// Package storetext has what every store says alike of its texts: which keys it takes, and how a label is shown.
package storetext

import (
	"fmt"
	"strings"
	"unicode"
)

// ValidKey reports whether a store takes the key: 1 to 128 bytes of the set [A-Za-z0-9_.:-].
func ValidKey(key string) bool {
	if len(key) == 0 || len(key) > 128 {
		return false
	}
	for _, b := range []byte(key) {
		if (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (b < '0' || b > '9') && b != '_' && b != '.' && b != ':' && b != '-' {
			return false
		}
	}
	return true
}

// CheckKey returns an error of the package of a store if the store cannot take the key.
func CheckKey(pkg, key string) error {
	if !ValidKey(key) {
		return fmt.Errorf("%s: the key %.140q is not 1 to 128 of the characters A-Z a-z 0-9 _ . : -", pkg, key)
	}
	return nil
}

// Label returns a text of at most so many bytes that every database takes and a terminal can show in one line: what cannot be printed is "?",
// control characters, marks that turn the direction of writing, and invalid UTF-8 among it.
func Label(text string, most int) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text[:min(len(text), most)])
}
