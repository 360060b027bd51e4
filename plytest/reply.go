package plytest

import (
	"net"
	"net/http"
	"strconv"
	"time"
)

// Reply is one response of an [Origin] or a [Server], or one way to fail.
// The zero value is a 200 with an empty body.
//
// A Reply is never changed, so origins and goroutines can share one.
type Reply struct {
	// Status is the status code. Zero means 200.
	Status int

	// Header is copied into the response. A Date field is added unless Header has one;
	// a Date that is present with no value suppresses it.
	Header http.Header

	// Body is the whole content. A response to HEAD, a 204 and a 304 have none, whatever is set here.
	Body string

	// Chunked leaves out Content-Length. Trailer implies it.
	Chunked bool

	// Trailer holds the fields that follow the body.
	Trailer http.Header

	// Info are interim responses (status 1xx) to send first. Of each, Status, Header and Wait count.
	Info []Reply

	// Wait passes before the answer, after [Origin.Latency].
	Wait time.Duration

	// Fault is what goes wrong with the body. Zero means nothing.
	Fault Fault

	// Raw is the response as bytes on the wire. It replaces all fields above except Wait and Fault.
	// It need not be valid HTTP. The connection ends after it.
	Raw string

	// Handler makes the response. It replaces all fields above except Wait.
	Handler http.Handler

	// Upgrade makes the response a 101 (Switching Protocols) with Header, and serves the connection.
	// It runs in its own goroutine; when it returns, the connection is closed.
	Upgrade func(net.Conn)

	failure *failure
	never   bool
	edit    func(h http.Header, now time.Time)
}

// Text returns a 200 with a body and header fields given as name, value, name, value.
func Text(body string, header ...string) Reply {
	return Reply{Body: body, Header: fields(header)}
}

// Status returns a reply with an empty body and header fields given as name, value, name, value.
func Status(code int, header ...string) Reply {
	return Reply{Status: code, Header: fields(header)}
}

// RetryIn returns a reply whose Retry-After says in seconds how long to wait (RFC 9110 §10.2.3).
// A fraction of a second is rounded up.
func RetryIn(code int, after time.Duration) Reply {
	seconds := int64((after + time.Second - 1) / time.Second)
	return Status(code, "Retry-After", strconv.FormatInt(seconds, 10))
}

// RetryAt returns a reply whose Retry-After is a date (RFC 9110 §10.2.3): after counts from the moment of the reply.
// An HTTP date has whole seconds, so a fraction is cut off.
func RetryAt(code int, after time.Duration) Reply {
	return Reply{Status: code, edit: func(h http.Header, now time.Time) {
		h.Set("Retry-After", now.Add(after).UTC().Format(http.TimeFormat))
	}}
}

// Stall returns a reply that never comes: the request is received, and nothing happens until its context is done.
func Stall() Reply { return Reply{never: true} }

// Handle returns a reply made by a handler.
func Handle(h http.HandlerFunc) Reply { return Reply{Handler: h} }

func fields(pairs []string) http.Header {
	if len(pairs)%2 != 0 {
		panic("plytest: header fields come as name, value pairs")
	}
	h := make(http.Header)
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func (r *Reply) status() int {
	switch {
	case r.Upgrade != nil:
		return http.StatusSwitchingProtocols
	case r.Status == 0:
		return http.StatusOK
	}
	return r.Status
}

func (r *Reply) chunked() bool {
	return r.Chunked || len(r.Trailer) > 0 || r.Fault.kind == faultUnterminated
}

// header returns the fields to send at a given time, owned by the caller.
func (r *Reply) header(now time.Time) http.Header {
	h := r.Header.Clone()
	if h == nil {
		h = make(http.Header)
	}
	stamp(h, now)
	if r.edit != nil {
		r.edit(h, now)
	}
	return h
}

// stamp adds a Date, or takes out one that has no value.
func stamp(h http.Header, now time.Time) {
	date, set := h["Date"]
	switch {
	case !set:
		h.Set("Date", now.UTC().Format(http.TimeFormat))
	case len(date) == 0:
		delete(h, "Date")
	}
}

// bodyAllowed reports whether a response may have content (RFC 9110 §6.4.1).
func bodyAllowed(method string, status int) bool {
	return method != http.MethodHead && status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// Fault is a failure while a body is sent.
// The reader gets what was sent before it. The zero value is no fault.
type Fault struct {
	kind  faultKind
	after int
}

type faultKind int

const (
	faultNone faultKind = iota
	faultReset
	faultCut
	faultStall
	faultUnterminated
)

// ResetAfter breaks the connection after n bytes of the body: the next Read fails with ECONNRESET.
func ResetAfter(n int) Fault { return Fault{faultReset, n} }

// CutAfter ends the connection after n bytes of the body, although Content-Length or a missing last chunk
// promises more: the next Read fails with [io.ErrUnexpectedEOF].
func CutAfter(n int) Fault { return Fault{faultCut, n} }

// StallAfter sends n bytes of the body and then nothing, until the request's context is done or the body is closed.
func StallAfter(n int) Fault { return Fault{faultStall, n} }

// Unterminated sends the whole body in chunks and ends the connection without the last chunk:
// the next Read fails with [io.ErrUnexpectedEOF].
func Unterminated() Fault { return Fault{kind: faultUnterminated} }

// sent returns how much of n bytes of body arrives before the fault.
func (f Fault) sent(n int) int {
	if f.kind == faultNone || f.kind == faultUnterminated {
		return n
	}
	return min(max(f.after, 0), n)
}
