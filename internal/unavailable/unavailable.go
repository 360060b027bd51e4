// Package unavailable lets a layer say that an origin cannot be reached at present, so that a cache above may answer
// with a stale response where that is allowed (RFC 5861 §4). Any error can say so by a method; there is nothing to import.
package unavailable

import "errors"

// Origin asks err, or the outermost error that it wraps with a method OriginUnavailable() bool, and returns what that says.
// It is not known if there is no such error.
func Origin(err error) (unavailable, known bool) {
	var says interface{ OriginUnavailable() bool }
	if !errors.As(err, &says) {
		return false, false
	}
	return says.OriginUnavailable(), true
}
