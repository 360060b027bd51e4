package bookshop

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/plyhttp/ply"
)

// Errors that an *Error matches with errors.Is.
var (
	ErrNotFound     = errors.New("bookshop: not found")
	ErrUnauthorized = errors.New("bookshop: the token is not accepted")
	ErrRateLimited  = errors.New("bookshop: too many requests, also after retries")
)

// Error is what the API says of a call that has failed. Other errors are those of package ply: *ply.TimeoutError, *ply.DecodeError and so on.
type Error struct {
	StatusCode int
	Code       string // for programs: "book_not_found"
	Message    string // for people
	RequestID  string // for the support of the shop

	cause *ply.StatusError
}

// Error has what a log needs to find the call again.
func (e *Error) Error() string {
	text := fmt.Sprintf("bookshop: %s %s: %d", e.cause.Method, e.cause.URL, e.StatusCode) // without secrets: ply has hidden them
	if e.Code != "" {
		text += fmt.Sprintf(" %s: %s", e.Code, e.Message)
	}
	if e.RequestID != "" {
		text += " (request " + e.RequestID + ")"
	}
	return text
}

// Is reports whether e is of the kind of one of this package's errors.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrNotFound:
		return e.StatusCode == http.StatusNotFound
	case ErrUnauthorized:
		return e.StatusCode == http.StatusUnauthorized
	case ErrRateLimited:
		return e.StatusCode == http.StatusTooManyRequests
	}
	return false
}

// Unwrap returns the *ply.StatusError, which has the header and the beginning of the body.
func (e *Error) Unwrap() error { return e.cause }

// problem makes an *Error of the error for a status, if there is one in err.
func problem(err error) error {
	var failed *ply.StatusError
	if !errors.As(err, &failed) {
		return err
	}
	var document struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	// A gateway answers in HTML, perhaps: then the status has to do.
	_ = failed.JSON(&document)
	return &Error{
		StatusCode: failed.StatusCode, Code: document.Code, Message: document.Message,
		RequestID: failed.Header.Get("X-Request-Id"), cause: failed,
	}
}
