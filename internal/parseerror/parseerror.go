// Package parseerror says why a URL could not be parsed without quoting it: any piece of it may be part of a password.
package parseerror

import (
	"errors"
	"net/url"
	"strings"
)

// Reason returns what url.Parse found wrong, with placeholder in place of what it quotes of the text.
func Reason(err error, placeholder string) string {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	return Hide(err.Error(), placeholder)
}

// Hide replaces all between the first and the last quotation mark of s, the marks included.
func Hide(s, placeholder string) string {
	first, last := strings.IndexByte(s, '"'), strings.LastIndexByte(s, '"')
	if first < 0 || first == last {
		return s
	}
	return s[:first] + placeholder + s[last+1:]
}
