package ply

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// excerptLimit is how much of the body a [StatusError] has.
const excerptLimit = 4 << 10

// StatusError is a response whose status says that the request failed. It comes from [RaiseForStatus] and what builds on it.
type StatusError struct {
	// Method and URL are those of the request that was answered, the last one after redirects; secrets in the URL are hidden.
	// Both are empty if the response has no request.
	Method, URL string

	// StatusCode is the status, 404 for instance, and Status the line that came with it, "404 Not Found".
	StatusCode int
	Status     string

	// Header is a copy of the response's.
	Header http.Header

	// Excerpt is the beginning of the body, up to 4 KiB, in the encoding that it came in. An API may say there what is wrong.
	Excerpt []byte
}

// Error names the request and the status, and quotes neither header nor body, which may hold secrets.
func (e *StatusError) Error() string {
	status := strconv.Itoa(e.StatusCode)
	if text := http.StatusText(e.StatusCode); text != "" {
		status += " " + text
	}
	if e.Method == "" {
		return status
	}
	return fmt.Sprintf("%s %s: %s", e.Method, e.URL, status)
}

// RetryAfter is how long the server asked to wait before another attempt, counted from its answer (RFC 9110 §10.2.3).
// ok is false if it didn't ask, or not in a way that can be understood.
func (e *StatusError) RetryAfter() (wait time.Duration, ok bool) {
	value := e.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 63); err == nil {
		return time.Duration(min(seconds, math.MaxInt64/uint64(time.Second))) * time.Second, true
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	// The server's own clock tells what it meant.
	now, err := http.ParseTime(e.Header.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return max(at.Sub(now), 0), true
}

// RaiseForStatus makes an error of a response with a status of 400 or more: it closes the body and returns a [*StatusError].
// Any other response, and an err given, are returned as they are. It takes what a call returns, of a [Client] or of an *http.Client,
// and goes around it wherever a response is taken:
//
//	text, err := ply.Text(ply.RaiseForStatus(client.Get(ctx, "/motd")))
//
// Up to 4 KiB of the body go into the error, and as much is read as the connection needs to serve again, 64 KiB at most.
// On a body that trickles this waits, as any reader would, until the timeouts or the context of the request end it.
// That cuts the excerpt short and changes nothing else.
func RaiseForStatus(resp *http.Response, err error) (*http.Response, error) {
	if resp, err = received(resp, err); err != nil {
		return nil, err
	}
	if err = Below400(resp); err == nil {
		return resp, nil
	}
	resp.Body.Close()
	return nil, err
}

// Below400 is the check for [CheckStatus] that [RaiseForStatus] makes: a status of 400 or more is a [*StatusError].
// It leaves the body to be closed by its caller.
func Below400(resp *http.Response) error {
	if resp.StatusCode < http.StatusBadRequest {
		return nil
	}
	e := &StatusError{StatusCode: resp.StatusCode, Status: resp.Status, Header: resp.Header.Clone()}
	e.Method, e.URL = exchangeOf(resp)
	if resp.Body == nil {
		return e
	}
	var err error
	e.Excerpt, err = io.ReadAll(io.LimitReader(resp.Body, excerptLimit))
	if err == nil && len(e.Excerpt) == excerptLimit && lengthOf(resp) <= drainLimit {
		io.CopyN(io.Discard, resp.Body, drainLimit-excerptLimit+1)
	}
	return e
}

// StatusIs tells whether err is, or wraps, a [*StatusError] with one of the codes:
//
//	if ply.StatusIs(err, http.StatusNotFound, http.StatusGone) {
//
// Without codes any StatusError will do.
func StatusIs(err error, codes ...int) bool {
	var e *StatusError
	return errors.As(err, &e) && (len(codes) == 0 || slices.Contains(codes, e.StatusCode))
}
