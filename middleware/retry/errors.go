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

// Error reports a call that ended without a response. Every failure of a layer that sent something is one.
//
// It matches, through errors.Is and errors.As, the error of the last attempt, and the reason to stop where that is an error too:
// [context.DeadlineExceeded] if the next wait did not fit before a deadline, the error of the caller's context if that is done,
// what Options.Prepare or the request's GetBody returned. Its text has no secret of the URL.
type Error struct {
	Method   string
	URL      string // redacted
	Attempts []Outcome
	Stop     Stop
	Elapsed  time.Duration // of the whole call

	last     error
	cause    error // of stopping; nil when Stop says it all
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

// MarshalText makes the text of the error its JSON.
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

// Timeout reports whether the last attempt, or the time for another, ran out. [http.Client] asks.
func (e *Error) Timeout() bool {
	for _, err := range e.Unwrap() {
		if t, ok := err.(interface{ Timeout() bool }); ok && t.Timeout() {
			return true
		}
	}
	return false
}

// OriginUnavailable reports whether no answer could be had from the server.
// It tells a cache above that a stored response may be served although it is stale (RFC 5861 §4).
// It is false if the caller gave up, and for refusals that must come to light: a server that cannot prove who it is,
// and errors that say by a method RetryableError() that they are final.
func (e *Error) OriginUnavailable() bool {
	if e.gone || e.Stop == StopPrepare || e.last == nil {
		return false
	}
	if down, known := unavailable.Origin(e.last); known {
		return down
	}
	return asAnswer(e.last) != failureFatal && asTLS(e.last) != failureFatal
}

// CoolDownError reports a call that was not sent, because the server asked for time that the call does not have.
type CoolDownError struct {
	Key   string    // what cools down: the host, or what Options.Key returned
	Until time.Time // when it ends

	deadline bool
}

func (e *CoolDownError) Error() string {
	return fmt.Sprintf("retry: %s asked for no requests until %s: try again then", e.Key, e.Until.UTC().Format(time.RFC3339))
}

// OriginUnavailable reports true: a cache above may serve a stored response although it is stale (RFC 5861 §4).
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

// rounded keeps three digits or so.
func rounded(d time.Duration) time.Duration {
	for _, unit := range []time.Duration{time.Second, time.Millisecond, time.Microsecond} {
		if d >= unit {
			return d.Round(unit / 100)
		}
	}
	return d
}
