// Package timeout recognizes timeout errors, including those without a Timeout method.
package timeout

import (
	"context"
	"errors"
	"strings"
)

// Is reports whether err is a timeout.
func Is(err error) bool {
	var says interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &says) && says.Timeout() || Named(err)
}

// Named reports whether err is one of the timeouts that are known by their text alone: that of failsafe-go's policy, and [NoTimeLeft].
func Named(err error) bool {
	return Any(err, func(e error) bool { return e.Error() == "timeout exceeded" }) || NoTimeLeft(err)
}

// NoTimeLeft reports whether err says that a limiter would have to wait beyond the deadline of the context:
// golang.org/x/time/rate says so at once, and any error can by a method NoTimeLeft() bool.
func NoTimeLeft(err error) bool {
	if err == nil {
		return false
	}
	var says interface{ NoTimeLeft() bool }
	return errors.As(err, &says) && says.NoTimeLeft() || Any(err, func(e error) bool {
		text := e.Error()
		return strings.HasPrefix(text, "rate: Wait(n=") && strings.HasSuffix(text, "would exceed context deadline")
	})
}

// Any reports whether is returns true for err or for one of the errors that it wraps.
func Any(err error, is func(error) bool) bool {
	for err != nil {
		if is(err) {
			return true
		}
		switch wrapper := err.(type) {
		case interface{ Unwrap() error }:
			err = wrapper.Unwrap()
		case interface{ Unwrap() []error }:
			for _, e := range wrapper.Unwrap() {
				if Any(e, is) {
					return true
				}
			}
			return false
		default:
			return false
		}
	}
	return false
}
