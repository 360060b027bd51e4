package ply

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"time"

	"github.com/plyhttp/ply/internal/body"
)

// Timeouts bound the phases of a request. A zero field leaves the phase to the next wider choice:
// the request's to the client's, and the client's to what the transport does by itself
// (the transport that ply makes gives Connect 30 seconds and TLS 10, the rest has no bound).
// A negative field takes back the client's bound. A request cannot have more time for Connect and TLS than its transport allows.
// A timeout that strikes is a [*TimeoutError].
type Timeouts struct {
	// Total runs from the call to the last byte of the body, over redirects, retries and waits.
	Total time.Duration

	// Connect bounds what it takes to get a connection: waiting for one to become free, resolving the name, dialing.
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

// LimitTime bounds the phases of the request; zero fields leave the client's bounds as they are.
func LimitTime(t Timeouts) RequestOption { return t.option() }

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

	// Limit is the time that the phase had. It is 0 where the transport's own limit struck.
	Limit time.Duration

	// Err is what the transport said, if it was the transport's limit.
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

// namedTimeout turns the timeouts of *http.Transport into those that have a name.
// net/http does not export the types of the two that are told by their text.
func namedTimeout(err error) error {
	var named *TimeoutError
	if errors.As(err, &named) {
		return err
	}
	var dial *net.OpError
	var timeout net.Error
	switch {
	case !errors.As(err, &timeout) || !timeout.Timeout():
		return err
	case errors.As(err, &dial) && dial.Op == "dial":
		return &TimeoutError{Phase: PhaseConnect, Err: err}
	case timeout.Error() == "net/http: TLS handshake timeout":
		return &TimeoutError{Phase: PhaseTLS, Err: err}
	case timeout.Error() == "net/http: timeout awaiting response headers":
		return &TimeoutError{Phase: PhaseResponseHeader, Err: err}
	}
	return err
}

// withTotal gives req a deadline and returns what must see its outcome: the response lives until its body ends, and an error gets its name.
func withTotal(req *http.Request, total time.Duration) (*http.Request, func(*http.Response, error) (*http.Response, error)) {
	struck := &TimeoutError{Phase: PhaseTotal, Limit: total}
	ctx, cancel := context.WithTimeoutCause(req.Context(), total, struck)
	name := func(err error) error {
		if err == nil || err == io.EOF || context.Cause(ctx) != error(struck) {
			return err
		}
		if e, ok := err.(*url.Error); ok {
			return &url.Error{Op: e.Op, URL: e.URL, Err: struck}
		}
		return struck
	}
	return req.WithContext(ctx), func(resp *http.Response, err error) (*http.Response, error) {
		switch {
		case err != nil:
			err = name(err)
			cancel()
			return nil, err
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

// exchange performs one exchange under the timeouts of its phases.
func (t Timeouts) exchange(h Handler, req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	p := &phases{limits: t, cancel: cancel}
	resp, err := h.RoundTrip(req.WithContext(httptrace.WithClientTrace(ctx, p.trace())))
	p.finish()
	if err != nil {
		err = p.name(err)
		cancel(nil)
		return nil, err
	}
	resp.Request = req
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return resp, nil
	}
	if t.IdleRead > 0 {
		resp.Body = newIdleBody(resp.Body, t.IdleRead, p)
	}
	resp.Body = body.Watch(resp.Body, body.Hooks{Done: func(error) { cancel(nil) }})
	return resp, nil
}

// phases runs at most one timer at a time: that of the phase that the exchange is in.
// The hooks come from the goroutines of the transport, also late, from a dial that another request took over.
type phases struct {
	limits Timeouts
	cancel context.CancelCauseFunc

	mu         sync.Mutex // guards the fields below
	timer      *time.Timer
	connecting bool
	finished   bool
	struck     *TimeoutError
}

func (p *phases) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn:           func(string) { p.enter(PhaseConnect, p.limits.Connect, true) },
		TLSHandshakeStart: func() { p.handshake(PhaseTLS, p.limits.TLS) },
		TLSHandshakeDone:  func(tls.ConnectionState, error) { p.handshake(PhaseConnect, p.limits.Connect) },
		GotConn:           func(httptrace.GotConnInfo) { p.enter("", 0, false) },
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			if info.Err == nil {
				p.enter(PhaseResponseHeader, p.limits.ResponseHeader, false)
			}
		},
	}
}

// handshake changes the phase of a request that is still waiting for its connection;
// one that got another connection meanwhile has no part in it.
func (p *phases) handshake(phase Phase, limit time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.connecting {
		p.set(phase, limit)
	}
}

func (p *phases) enter(phase Phase, limit time.Duration, connecting bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.connecting = connecting
	p.set(phase, limit)
}

func (p *phases) finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set("", 0)
	p.finished = true
}

func (p *phases) set(phase Phase, limit time.Duration) {
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	if p.finished || limit <= 0 {
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(limit, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		// A timer that fired while the phase was being left finds another one, or none, in its place.
		if p.timer == timer {
			p.strike(&TimeoutError{Phase: phase, Limit: limit})
		}
	})
	p.timer = timer
}

func (p *phases) strike(e *TimeoutError) {
	p.struck = e
	p.cancel(e)
}

func (p *phases) name(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.struck != nil {
		return p.struck
	}
	return err
}

// idleBody ends the exchange when a read takes longer than limit.
type idleBody struct {
	io.ReadCloser
	limit  time.Duration
	phases *phases
}

func newIdleBody(rc io.ReadCloser, limit time.Duration, p *phases) *idleBody {
	return &idleBody{ReadCloser: rc, limit: limit, phases: p}
}

func (b *idleBody) Read(buf []byte) (int, error) {
	timer := time.AfterFunc(b.limit, func() {
		b.phases.mu.Lock()
		defer b.phases.mu.Unlock()
		b.phases.strike(&TimeoutError{Phase: PhaseIdleRead, Limit: b.limit})
	})
	n, err := b.ReadCloser.Read(buf)
	if !timer.Stop() && err != nil && err != io.EOF {
		err = b.phases.name(err)
	}
	return n, err
}
