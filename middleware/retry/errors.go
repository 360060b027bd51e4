package retry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/plyhttp/ply/internal/unavailable"
	"github.com/plyhttp/ply/redact"
)

// Error reports a call that ended without a response after at least one attempt, or while it waited for a cool-down.
//
// errors.Is and errors.As find in it the error of the last attempt and the reason to stop, where that is an error:
// [context.DeadlineExceeded] if the next wait did not fit before a deadline, the error of the caller's context if that is done,
// or what Options.Prepare or the request's GetBody returned. Its text has no secret of the URL.
type Error struct {
	Method   string        // of the request
	URL      string        // redacted
	Attempts []Outcome     // in order
	Stop     Stop          // why no attempt followed the last one
	Elapsed  time.Duration // of the whole call

	last     error
	cause    error // of the stop; nil if there is none beyond Stop
	gone     bool  // the caller's context was done
	redactor *redact.Redactor
}

func (c *call) newError(p plan) *Error {
	return &Error{
		Method:   or(c.req.Method, http.MethodGet),
		URL:      c.redactor().URL(c.req.URL),
		Attempts: c.info().Attempts,
		Stop:     p.stop,
		Elapsed:  time.Since(c.start),
		last:     c.tried.Err,
		cause:    p.cause,
		gone:     p.gone,
		redactor: c.redactor(),
	}
}

func (c *call) redactor() *redact.Redactor {
	if c.opts.Redactor != nil {
		return c.opts.Redactor
	}
	return redact.From(c)
}

func (e *Error) Error() string {
	var b strings.Builder
	attempts := "attempts"
	if len(e.Attempts) == 1 {
		attempts = "attempt"
	}
	fmt.Fprintf(&b, "retry: %s %s: %d %s in %s (%s)", e.Method, e.URL, len(e.Attempts), attempts, rounded(e.Elapsed), e.Stop)
	if e.last != nil {
		b.WriteString(": " + e.redactor.ErrorText(e.last))
	} else if n := len(e.Attempts); n > 0 {
		fmt.Fprintf(&b, ": status %d", e.Attempts[n-1].Status)
	}
	if e.cause != nil && !errors.Is(e.last, e.cause) {
		b.WriteString(": " + e.redactor.ErrorText(e.cause))
	}
	return b.String()
}

// Format prints the text of the error, whatever the verb.
func (e *Error) Format(f fmt.State, verb rune) { fmt.Fprintf(f, fmt.FormatString(f, verb), e.Error()) }

// MarshalText returns the text of the error, which is its JSON.
func (e *Error) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }

// Unwrap returns the error of the last attempt and the reason to stop.
func (e *Error) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.last, e.cause} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// Timeout reports whether the last attempt timed out, or the call did. [http.Client] asks.
func (e *Error) Timeout() bool {
	for _, err := range e.Unwrap() {
		if t, ok := err.(interface{ Timeout() bool }); ok && t.Timeout() {
			return true
		}
	}
	return false
}

// OriginUnavailable reports whether the server could not be reached, or failed to answer.
// A cache above may then serve a stale response (RFC 5861 §4).
// It is false if the caller gave up, and for errors that must not be hidden: a certificate that does not verify,
// and an error whose method RetryableError returns false.
func (e *Error) OriginUnavailable() bool {
	if e.gone || e.Stop == StopPrepare || e.last == nil {
		return false
	}
	if down, known := unavailable.Origin(e.last); known {
		return down
	}
	return asAnswer(e.last) != failureFatal && asTLS(e.last) != failureFatal
}

// CoolDownError reports a call that was not sent because the server asked other calls to wait longer than this call can.
type CoolDownError struct {
	Key   string    // what cools down: the host, or what Options.Key returned
	Until time.Time // when it ends

	deadline bool
}

func (e *CoolDownError) Error() string {
	return fmt.Sprintf("retry: %s asked for no requests until %s: try again after that", e.Key, e.Until.UTC().Format(time.RFC3339))
}

// OriginUnavailable reports true: a cache above may serve a stale response (RFC 5861 §4).
func (e *CoolDownError) OriginUnavailable() bool { return true }

// Is makes the error match [context.DeadlineExceeded] if the caller's deadline comes before the end of the cool-down.
func (e *CoolDownError) Is(target error) bool {
	return e.deadline && target == context.DeadlineExceeded
}

// The errors of [Options.AttemptTimeout] and [Options.BodyTimeout].
// Both match [context.DeadlineExceeded] too; the caller's own deadline matches only that.
var (
	ErrAttemptTimeout error = timeoutError("retry: no response within Options.AttemptTimeout")
	ErrBodyTimeout    error = timeoutError("retry: no part of the body within Options.BodyTimeout")
)

type timeoutError string

func (e timeoutError) Error() string        { return string(e) }
func (e timeoutError) Timeout() bool        { return true }
func (e timeoutError) Temporary() bool      { return true }
func (e timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// rounded rounds d to about three digits.
func rounded(d time.Duration) time.Duration {
	for _, unit := range []time.Duration{time.Second, time.Millisecond, time.Microsecond} {
		if d >= unit {
			return d.Round(unit / 100)
		}
	}
	return d
}
