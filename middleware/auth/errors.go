package auth

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/plyhttp/ply/internal/optionerror"
)

// Error reports a request that was not sent because there was no token or no signature for it, or whose expired token was refused while there was no newer one.
//
// It matches, through errors.Is and errors.As, what the source, the signer or the account returned. Its text has no token and no secret that package redact knows.
type Error struct {
	Op      string // "token", "sign" or "account"
	Account string // that of the request, or ""

	// Until is when the source is asked again, and zero if the next request asks it. Requests until then fail with the same cause.
	Until time.Time

	err error // without secrets
}

func (e *Error) Error() string {
	text := "auth: "
	switch e.Op {
	case "sign":
		text += "the request could not be signed"
	case "account":
		text += "no account for the request"
	default:
		text += "no token"
	}
	if e.Account != "" {
		text += " for account " + strconv.Quote(e.Account)
	}
	text += ": " + e.err.Error()
	if !e.Until.IsZero() {
		text += "; the source is asked again after " + e.Until.UTC().Format(time.RFC3339)
	}
	return text
}

// Format prints the text of the error, whatever the verb.
func (e *Error) Format(f fmt.State, verb rune) { fmt.Fprintf(f, fmt.FormatString(f, verb), e.Error()) }

// MarshalText makes the text of the error its JSON.
func (e *Error) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.err }

// Timeout reports whether the source took too long. [http.Client] asks.
func (e *Error) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.err, &t) && t.Timeout()
}

// errRefreshTimeout says so of a source that has not returned.
var errRefreshTimeout error = timeoutError("the source gave no token within Options.RefreshTimeout")

type timeoutError string

func (e timeoutError) Error() string { return string(e) }
func (e timeoutError) Timeout() bool { return true }

// PanicError is the cause of an [Error] if the source panicked.
type PanicError struct {
	Stack []byte // of the goroutine that panicked

	text string // without secrets, once it is the cause of an Error
}

func (e *PanicError) Error() string { return e.text }

// OptionError reports a field of [Options] or [SignOptions] that cannot be carried out. Its Package is "auth".
// The type is that of ply.OptionError, too:
//
//	type OptionError struct {
//		Package, Option, Reason string
//		Err                     error
//	}
type OptionError = optionerror.Error

func optionError(option, reason string) *OptionError {
	return &OptionError{Package: "auth", Option: option, Reason: reason}
}
