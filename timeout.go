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
func namedTimeout(err error, h Handler, req *http.Request) error {
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

// exchange performs one exchange under the timeouts of its phases.
func (t Timeouts) exchange(h Handler, req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	p := &phases{limits: t, ctx: ctx, cancel: cancel}
	resp, err := h.RoundTrip(req.WithContext(httptrace.WithClientTrace(ctx, p.trace())))
	if struck := p.finish(); struck != nil {
		err = struck // even if the header came in at that moment: the body can't be read any more
	}
	if err != nil || !hasBody(resp) {
		cancel(nil)
		if resp != nil {
			resp.Request = req
		}
		return resp, err
	}
	resp.Request = req
	if resp.StatusCode == http.StatusSwitchingProtocols {
		if _, ok := h.(*http.Transport); ok {
			cancel(nil) // it has let go of the connection; another kind of transport may not have
		}
		return resp, nil
	}
	if t.IdleRead > 0 {
		resp.Body = &idleBody{ReadCloser: resp.Body, limit: t.IdleRead, phases: p}
	}
	resp.Body = body.Watch(resp.Body, body.Hooks{Done: func(error) { cancel(nil) }})
	return resp, nil
}

// phases runs at most one timer at a time: that of the phase that the exchange is in.
// The hooks come from the goroutines of the transport, also late, from a dial that another request took over.
type phases struct {
	limits Timeouts
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu         sync.Mutex // guards the fields below
	timer      *time.Timer
	connecting bool
	entered    time.Time     // when Connect was last entered
	connect    time.Duration // what is left for it
	finished   bool
	struck     *TimeoutError // what ended the exchange, if it was one of the phases
}

func (p *phases) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn:           func(string) { p.getConn() },
		TLSHandshakeStart: p.startTLS,
		TLSHandshakeDone:  func(tls.ConnectionState, error) { p.endTLS() },
		GotConn:           func(httptrace.GotConnInfo) { p.enter("", 0) },
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			if info.Err == nil {
				p.enter(PhaseResponseHeader, p.limits.ResponseHeader)
			}
		},
	}
}

func (p *phases) getConn() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.connecting = true
	p.connect = p.limits.Connect
	p.toConnect()
}

// startTLS stops the clock of Connect for a request that is still waiting for its connection;
// one that got another connection meanwhile has no part in the handshake.
func (p *phases) startTLS() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.connecting {
		p.connect -= time.Since(p.entered)
		p.set(PhaseTLS, p.limits.TLS, p.limits.TLS)
	}
}

func (p *phases) endTLS() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.connecting {
		p.toConnect()
	}
}

func (p *phases) toConnect() {
	p.entered = time.Now()
	p.set(PhaseConnect, p.limits.Connect, max(p.connect, 0))
}

func (p *phases) enter(phase Phase, limit time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.connecting = false
	p.set(phase, limit, limit)
}

// finish ends the phases before the body. It returns the timeout that has struck, nil for none.
func (p *phases) finish() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set("", 0, 0)
	p.finished = true
	if p.struck == nil {
		return nil
	}
	return p.struck
}

// set starts the timer of a phase that has a limit and some of it left.
func (p *phases) set(phase Phase, limit, left time.Duration) {
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	if p.finished || limit <= 0 {
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(left, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		// A timer that fired while the phase was being left finds another one, or none, in its place.
		if p.timer == timer {
			p.strike(phase, limit)
		}
	})
	p.timer = timer
}

func (p *phases) strike(phase Phase, limit time.Duration) {
	e := &TimeoutError{Phase: phase, Limit: limit}
	if p.cancel(e); context.Cause(p.ctx) == error(e) {
		p.struck = e
	}
}

// name gives err the name of the timeout that caused it.
func (p *phases) name(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil && p.struck != nil {
		return p.struck
	}
	return err
}

// idleBody ends the exchange when a read takes longer than limit.
type idleBody struct {
	io.ReadCloser
	limit  time.Duration
	phases *phases
	timer  *time.Timer // runs during a read; written under phases.mu
}

func (b *idleBody) Read(buf []byte) (int, error) {
	b.start()
	n, err := b.ReadCloser.Read(buf)
	if !b.timer.Stop() {
		b.phases.mu.Lock()
		b.timer = nil
		b.phases.mu.Unlock()
	}
	if err != nil && err != io.EOF {
		err = b.phases.name(err)
	}
	return n, err
}

func (b *idleBody) start() {
	if b.timer != nil {
		b.timer.Reset(b.limit)
		return
	}
	b.phases.mu.Lock()
	defer b.phases.mu.Unlock()
	var timer *time.Timer
	timer = time.AfterFunc(b.limit, func() {
		b.phases.mu.Lock()
		defer b.phases.mu.Unlock()
		// As in phases.set: it is not this timer any more that times the read.
		if b.timer == timer {
			b.phases.strike(PhaseIdleRead, b.limit)
		}
	})
	b.timer = timer
}
