package ply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/plyhttp/ply/internal/body"
)

// Timeouts limit the phases of a request. A zero field of a request's Timeouts stands for the client's limit, and a zero field of the client's
// for that of the transport (ply's own transport allows 30 seconds for Connect and 10 for TLS, and has no other limits).
// A negative field of a request's Timeouts turns off the client's limit. A request cannot get more time for Connect and TLS than its transport allows.
// When a timeout expires, the error is a [*TimeoutError].
//
// Connect, TLS and ResponseHeader need a transport that calls the hooks of [httptrace.ClientTrace], as *http.Transport does.
type Timeouts struct {
	// Total limits the time from the call to the last byte of the body, including redirects, retries and waits.
	Total time.Duration

	// Connect limits the time to get a connection, without TLS handshakes:
	// waiting for one to become free, resolving the name, dialing, setting up a proxy's tunnel.
	Connect time.Duration

	// TLS limits a TLS handshake.
	TLS time.Duration

	// ResponseHeader limits the time from the last byte of the request to the header of the response.
	ResponseHeader time.Duration

	// IdleRead limits the wait for the next bytes of the body. Time that the reader takes between two reads does not count.
	IdleRead time.Duration
}

func (t Timeouts) over(d Timeouts) Timeouts {
	return Timeouts{
		Total:          choose(t.Total, d.Total),
		Connect:        choose(t.Connect, d.Connect),
		TLS:            choose(t.TLS, d.TLS),
		ResponseHeader: choose(t.ResponseHeader, d.ResponseHeader),
		IdleRead:       choose(t.IdleRead, d.IdleRead),
	}
}

func choose(a, b time.Duration) time.Duration {
	if a != 0 {
		return a
	}
	return b
}

// Timeout limits the whole request, as [Timeouts.Total] does.
func Timeout(total time.Duration) RequestOption { return Timeouts{Total: total}.option() }

// PhaseTimeouts limits the phases of the request. Zero fields keep the client's limits.
func PhaseTimeouts(t Timeouts) RequestOption { return t.option() }

func (t Timeouts) option() RequestOption {
	return RequestOption{func(d *draft) error {
		d.settings.timeouts = t.over(d.settings.timeouts)
		return nil
	}}
}

// Phase is a part of a request that has a timeout of its own.
type Phase string

// The phases, after the fields of [Timeouts].
const (
	PhaseTotal          Phase = "total"
	PhaseConnect        Phase = "connect"
	PhaseTLS            Phase = "TLS handshake"
	PhaseResponseHeader Phase = "response header"
	PhaseIdleRead       Phase = "idle read"
)

// TimeoutError says which timeout expired. It is a [net.Error] whose Timeout is true, and errors.Is finds [context.DeadlineExceeded] in it.
// A deadline of the caller's own context is not a TimeoutError.
type TimeoutError struct {
	Phase Phase

	// Limit is the time that the phase had. It is 0 if the limit is not known, as that of a dialer.
	Limit time.Duration

	// Err is the transport's error, if its own limit expired, or the error that the layers made of a total timeout:
	// that of the retry layer with its attempts, for instance. It may be nil.
	Err error
}

func (e *TimeoutError) Error() string {
	if e.Limit == 0 {
		return fmt.Sprintf("ply: %s timeout", e.Phase)
	}
	return fmt.Sprintf("ply: %s timeout after %v", e.Phase, e.Limit)
}

// Timeout is true: see [net.Error].
func (e *TimeoutError) Timeout() bool { return true }

// Temporary is true, as for the timeouts of net/http: see [net.Error].
func (e *TimeoutError) Temporary() bool { return true }

// Is makes every timeout a [context.DeadlineExceeded].
func (e *TimeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

func (e *TimeoutError) Unwrap() error { return e.Err }

var _ net.Error = (*TimeoutError)(nil)

// asTimeoutError turns an error by which h's own limits expired into a *TimeoutError. It recognizes two of them by their text,
// because net/http does not export their types.
func asTimeoutError(err error, h Handler, req *http.Request) error {
	var named *TimeoutError
	if !isTimeout(err) || errors.As(err, &named) || expired(req.Context()) {
		return err
	}
	var limits http.Transport
	if t, ok := h.(*http.Transport); ok {
		limits.TLSHandshakeTimeout, limits.ResponseHeaderTimeout = t.TLSHandshakeTimeout, t.ResponseHeaderTimeout
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		if dial, ok := e.(*net.OpError); ok && dial.Op == "dial" {
			return &TimeoutError{Phase: PhaseConnect, Err: err}
		}
		switch e.Error() {
		case "net/http: TLS handshake timeout":
			return &TimeoutError{Phase: PhaseTLS, Limit: limits.TLSHandshakeTimeout, Err: err}
		case "net/http: timeout awaiting response headers", "http2: timeout awaiting response headers":
			return &TimeoutError{Phase: PhaseResponseHeader, Limit: limits.ResponseHeaderTimeout, Err: err}
		}
	}
	return err
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// expired reports whether the deadline of ctx has passed. A dialer may notice that before ctx is done.
func expired(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && !time.Now().Before(deadline) || ctx.Err() != nil
}

// withTotal gives req the deadline end, which is total after the start of the call. The function that it returns must get the outcome of the call:
// it keeps the context alive until the body ends, and turns errors that the deadline caused into a *TimeoutError.
func withTotal(req *http.Request, total time.Duration, end time.Time) (*http.Request, func(*http.Response, error) (*http.Response, error)) {
	timeout := &TimeoutError{Phase: PhaseTotal, Limit: total}
	ctx, cancel := context.WithDeadlineCause(req.Context(), end, timeout)
	name := func(err error) error {
		if err == nil || err == io.EOF || context.Cause(ctx) != error(timeout) {
			return err
		}
		if e, ok := err.(*url.Error); ok {
			return &url.Error{Op: e.Op, URL: e.URL, Err: &TimeoutError{Phase: PhaseTotal, Limit: total, Err: e.Err}}
		}
		return &TimeoutError{Phase: PhaseTotal, Limit: total, Err: err}
	}
	return req.WithContext(ctx), func(resp *http.Response, err error) (*http.Response, error) {
		switch {
		case err != nil:
			err = name(err)
			cancel()
			return resp, err
		case !hasBody(resp):
			cancel()
			return resp, nil
		case resp.StatusCode == http.StatusSwitchingProtocols:
			return resp, nil // the connection is the caller's now; the context ends with its deadline
		}
		resp.Body = body.Watch(resp.Body, body.Hooks{
			Read: func(_ int, err error) error { return name(err) },
			Done: func(error) { cancel() },
		})
		return resp, nil
	}
}

func hasBody(resp *http.Response) bool {
	return resp != nil && resp.Body != nil && resp.Body != http.NoBody
}
