package stream

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// ErrNoResponse blames a handler that breaks the contract of http.RoundTripper.
var ErrNoResponse = errors.New("cache: the next handler returned neither a response nor an error")

// Replayable reports whether a request can be sent again.
func Replayable(r *http.Request) bool {
	return r.Body == nil || r.Body == http.NoBody || r.GetBody != nil
}

// Rewind replaces a body that has been sent, or that another goroutine will send.
// r must be the caller's own copy: Body is replaced in place, and the body that was there is not closed. GetBody is the user's, so no lock is held.
func Rewind(r *http.Request) error {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	if !Replayable(r) {
		return errors.New("cache: the request must be sent again, and its body cannot: set GetBody")
	}
	body, err := r.GetBody()
	if err != nil {
		return fmt.Errorf("cache: the request must be sent again: %w", err)
	}
	r.Body = body
	return nil
}

// StalledAfter is for how long an exchange may bring nothing before further requests do without it: its connection may be dead.
const StalledAfter = 30 * time.Second
