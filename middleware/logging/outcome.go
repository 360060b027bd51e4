package logging

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"github.com/plyhttp/ply/internal/attempt"
	"github.com/plyhttp/ply/internal/body"
	"github.com/plyhttp/ply/internal/reqctx"
	"github.com/plyhttp/ply/internal/timeout"
)

// Outcome is how a call ended, or an attempt of one.
type Outcome struct {
	Request  *http.Request  // as it came to this layer; not to be changed
	Response *http.Response // a copy without its body; nil if there was none

	// Err is the error of the call, or of reading the response's body. Nil if the body ended well or was closed early.
	Err error

	Attempt     int           // its number inside a retry layer; zero for a whole call
	Resends     int           // how often the request was sent again, redirects included
	Stop        string        // why the retry layer stopped; "" without such a layer
	Attempts    []string      // of a whole call, how each attempt of its last hop ended: its status, or as ErrorType; nil without a retry layer
	Notes       []string      // what hedge, breaker and limit did, as "limit waited for a slot, 120ms"; nil if they did nothing
	Duration    time.Duration // to the end of the body
	FirstByte   time.Duration // to the header of the response, or to the error
	Slow        bool          // Duration is at least Options.Slow
	ClosedEarly bool          // the body was closed before its end
	NeverClosed bool          // the body was dropped, neither read to its end nor closed, which leaks a connection
	Sent        int64         // bytes of the request body, as far as the furthest attempt read it
	Received    int64         // bytes of the response body
	Decoded     string        // the content codings that a decode layer inside removed from it, such as "br"; "" for none
	Encoded     int64         // bytes of it before that
	Cache       CacheStatus   // zero without a ply cache inside
	Auth        Auth          // zero without a layer that authenticates inside
	CallID      string        // the same for all attempts and hops of a call
}

// Auth is what a layer of package auth inside did for a call.
type Auth struct {
	Status string // one word: added, renewed, replayed, rejected, signed, skipped or failed
	Reason string // why, or ""
}

// Status returns the status code of the response, or zero.
func (o Outcome) Status() int {
	if o.Response == nil {
		return 0
	}
	return o.Response.StatusCode
}

func (x *exchange) outcome(resp *http.Response, err error) Outcome {
	o := Outcome{
		Request:   x.req,
		Response:  resp,
		Err:       err,
		Attempt:   x.attempt,
		Duration:  time.Since(x.start),
		FirstByte: x.firstByte,
		Sent:      x.sent.Load(),
		Received:  x.received.Load(),
		Cache:     x.cache,
		CallID:    x.id,
	}
	if x.attempt == 0 {
		o.Auth = Auth(x.tally.Auth())
	}
	if x.decoded != nil {
		o.Decoded, o.Encoded = x.decoded.DecodedFrom()
	}
	o.Slow = x.opts.Slow > 0 && o.Duration >= x.opts.Slow
	if err == body.ErrClosed {
		o.Err, o.ClosedEarly = nil, resp.ContentLength != o.Received
	}
	if err == errLost {
		o.Err, o.NeverClosed = nil, true
	}
	for i, n := range x.tally.Notes() {
		if i == maxAttempts {
			o.Notes = append(o.Notes, "…")
			break
		}
		o.Notes = append(o.Notes, n.String())
	}
	switch r, known := x.tally.Record(); {
	case x.attempt > 0:
		o.Resends = x.attempt - 1
	case known:
		o.Resends, o.Stop, o.Attempts = r.Resends, r.Stop, attempts(x.tally.Outcomes())
	default:
		o.Resends = redirects(x.req, resp)
	}
	return o
}

// maxAttempts bounds the attempts, and the notes, that a record lists.
const maxAttempts = 20

func attempts(all []attempt.Outcome) []string {
	var ends []string
	for i, one := range all {
		switch {
		case i == maxAttempts:
			return append(ends, "…")
		case one.Err != nil:
			ends = append(ends, errorType(one.Err))
		default:
			ends = append(ends, strconv.Itoa(one.Status))
		}
	}
	return ends
}

// URLTemplate returns the template of the URL, if the caller set one (ply.WithURLTemplate). It is that of the first hop, and "" after a redirect.
func (o Outcome) URLTemplate() string {
	if o.Request == nil || o.Request.Response != nil {
		return ""
	}
	return reqctx.URLTemplate(o.Request.Context())
}

// redirects counts the hops before the last one. http.Client puts the redirecting response into the next request.
func redirects(req *http.Request, resp *http.Response) (hops int) {
	if resp != nil && resp.Request != nil {
		req = resp.Request
	}
	for req.Response != nil && req.Response.Request != nil {
		req = req.Response.Request
		hops++
	}
	return hops
}

// DefaultLevel returns the level of a record by its outcome:
//
//	                                            call    attempt
//	below 400                                   Info    Debug
//	404, 409, 412, 416                          Info    Debug
//	other 4xx                                   Warn    Warn
//	429, 5xx                                    Error   Warn
//	the caller canceled                         Info    Info
//	a deadline passed                           Warn    Warn
//	any other error, of the body too            Error   Warn
//	a panic of the next handler                 Error   Error
//	a body that is never closed                 Warn    Warn
//
// A slow call is one level higher.
func DefaultLevel(o Outcome) slog.Level {
	level := levelOf(o)
	if o.Slow && level < slog.LevelError {
		level += 4
	}
	return level
}

func levelOf(o Outcome) slog.Level {
	failed, fine := slog.LevelError, slog.LevelInfo
	if o.Attempt > 0 {
		failed, fine = slog.LevelWarn, slog.LevelDebug
	}
	switch status := o.Status(); {
	case errors.Is(o.Err, context.Canceled):
		return slog.LevelInfo
	case errors.Is(o.Err, context.DeadlineExceeded), timeout.NoTimeLeft(o.Err):
		return slog.LevelWarn
	case o.Err == errPanicked:
		return slog.LevelError
	case o.Err != nil, status == http.StatusTooManyRequests, status >= 500:
		return failed
	case o.NeverClosed:
		return slog.LevelWarn
	case status == http.StatusNotFound, status == http.StatusConflict,
		status == http.StatusPreconditionFailed, status == http.StatusRequestedRangeNotSatisfiable, status < 400:
		return fine
	}
	return slog.LevelWarn
}

// ErrorType returns the value of error.type: the status if it is 400 or more, else
// canceled, timeout, not_sent (an open breaker, a full limit), dns, connection_refused, connection_reset, tls, eof, panic or other; "" if nothing failed.
func (o Outcome) ErrorType() string {
	if o.Err == nil {
		if o.Status() >= 400 {
			return strconv.Itoa(o.Status())
		}
		return ""
	}
	return errorType(o.Err)
}

func errorType(err error) string {
	for _, class := range errorClasses {
		if class.holds(err) {
			return class.name
		}
	}
	return "other"
}

var errorClasses = []struct {
	name  string
	holds func(error) bool
}{
	{"panic", func(err error) bool { return err == errPanicked }},
	{"canceled", func(err error) bool { return errors.Is(err, context.Canceled) }},
	{"dns", is[*net.DNSError]},
	{"tls", func(err error) bool {
		return is[*tls.CertificateVerificationError](err) || is[tls.RecordHeaderError](err) || is[tls.AlertError](err) ||
			is[x509.UnknownAuthorityError](err) || is[x509.HostnameError](err) || is[x509.CertificateInvalidError](err) || alert(err)
	}},
	{"timeout", timeout.Is},
	{"not_sent", unsent},
	{"connection_refused", func(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }},
	{"connection_reset", func(err error) bool {
		return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed)
	}},
	{"eof", func(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }},
}

func is[T error](err error) bool {
	var target T
	return errors.As(err, &target)
}

// unsent reports whether err says by a method Unsent that a layer, such as an open breaker, did not send the request.
func unsent(err error) bool {
	var says interface{ Unsent() bool }
	return errors.As(err, &says) && says.Unsent()
}

// alert reports whether err is a TLS alert over TCP. crypto/tls does not export its type, but reports it under these two operations.
func alert(err error) bool {
	var op *net.OpError
	for ; errors.As(err, &op); err = op.Err {
		if op.Op == "remote error" || op.Op == "local error" {
			return true
		}
	}
	return false
}
