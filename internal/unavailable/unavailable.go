// Package unavailable reads the marker by which an error says that the origin cannot be reached, so that a cache above may serve
// a stale response where that is allowed (RFC 5861 §4). The marker is a method; errors need not import this package.
package unavailable

import "errors"

// Origin returns the result of the method OriginUnavailable() bool of err, or of the outermost error that it wraps and that has the method.
// known is false if none has it.
func Origin(err error) (unavailable, known bool) {
	var says interface{ OriginUnavailable() bool }
	if !errors.As(err, &says) {
		return false, false
	}
	return says.OriginUnavailable(), true
}
