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

// Timeouts bound the phases of a request. A zero field leaves the phase to the next wider choice:
// the request's to the client's, and the client's to what the transport does by itself
// (the transport that ply makes gives Connect 30 seconds and TLS 10, the rest has no bound).
// A negative field takes back the client's bound. A request cannot have more time for Connect and TLS than its transport allows.
// A timeout that strikes is a [*TimeoutError].
//
// Connect, TLS and ResponseHeader need a transport that says by way of [httptrace.ClientTrace] where it is, as *http.Transport does.
type Timeouts struct {
	// Total runs from the call to the last byte of the body, over redirects, retries and waits.
	Total time.Duration

	// Connect bounds what it takes to get a connection, TLS handshakes apart:
	// waiting for one to become free, resolving the name, dialing, coming through a proxy.
	Connect time.Duration

	// TLS bounds a TLS handshake.
	TLS time.Duration

	// ResponseHeader runs from the last byte of the request to the header of the response.
	ResponseHeader time.Duration

	// IdleRead bounds the wait for the next bytes of the body. The time that the reader takes between two reads doesn't count.
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

// Timeout bounds the request as a whole: [Timeouts.Total].
func Timeout(total time.Duration) RequestOption { return Timeouts{Total: total}.option() }

// PhaseTimeouts bounds the phases of the request; zero fields leave the client's bounds as they are.
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

// TimeoutError says which timeout struck. It is a [net.Error] whose Timeout is true, and errors.Is finds [context.DeadlineExceeded] in it.
// A deadline of the caller's own context is not a TimeoutError.
type TimeoutError struct {
	Phase Phase

	// Limit is the time that the phase had. It is 0 where a limit struck that is not known here.
	Limit time.Duration

	// Err is what the transport said, if it was the transport's limit, or what the layers made of a total timeout:
	// the error of the retry layer with its attempts, for instance.
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

// namedTimeout turns the timeouts of h, if it is an *http.Transport, into those that have a name.
// net/http does not export the types of those that are told by their text.
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

// expired is whether the deadline of ctx has passed, which a dialer may notice before ctx does.
func expired(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && !time.Now().Before(deadline) || ctx.Err() != nil
}

// withTotal gives req the deadline end, which is total after its call began, and returns what must see its outcome: the response lives until its body ends, and an error gets its name.
func withTotal(req *http.Request, total time.Duration, end time.Time) (*http.Request, func(*http.Response, error) (*http.Response, error)) {
	struck := &TimeoutError{Phase: PhaseTotal, Limit: total}
	ctx, cancel := context.WithDeadlineCause(req.Context(), end, struck)
	name := func(err error) error {
		if err == nil || err == io.EOF || context.Cause(ctx) != error(struck) {
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
