// Package unavailable lets a layer say that an origin cannot be reached at present, so that a cache above may answer
// with a stale response where that is allowed (RFC 5861 §4). Any error can say so by a method; there is nothing to import.
package unavailable

import "errors"

// Origin reports whether err, or an error that it wraps, has a method OriginUnavailable() bool that returns true.
// The outermost error with such a method has the last word.
func Origin(err error) bool {
	var says interface{ OriginUnavailable() bool }
	return errors.As(err, &says) && says.OriginUnavailable()
}
