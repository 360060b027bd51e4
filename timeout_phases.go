package ply

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"

	"github.com/plyhttp/ply/internal/body"
)

// exchange performs one exchange under the timeouts of its phases.
func (t Timeouts) exchange(h Handler, req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	p := &phaseTimer{limits: t, ctx: ctx, cancel: cancel}
	resp, err := h.RoundTrip(req.WithContext(httptrace.WithClientTrace(ctx, p.trace())))
	if timeout := p.finish(); timeout != nil {
		err = timeout // even if the header arrived at that moment: the body can no longer be read
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
			cancel(nil) // an http.Transport no longer watches the context of this connection; others may
		}
		return resp, nil
	}
	if t.IdleRead > 0 {
		resp.Body = &idleBody{ReadCloser: resp.Body, limit: t.IdleRead, phases: p}
	}
	resp.Body = body.Watch(resp.Body, body.Hooks{Done: func(error) { cancel(nil) }})
	return resp, nil
}

// phaseTimer times the phases of an exchange, with at most one running timer: that of the current phase.
// The transport calls the hooks from goroutines of its own, possibly after the exchange, from a dial that another request took over.
type phaseTimer struct {
	limits Timeouts
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu         sync.Mutex // guards the fields below
	timer      *time.Timer
	connecting bool
	entered    time.Time     // when PhaseConnect was last entered
	connect    time.Duration // how much of its limit is left
	finished   bool
	expired    *TimeoutError // what ended the exchange, if it was one of the phases
}

func (p *phaseTimer) trace() *httptrace.ClientTrace {
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

func (p *phaseTimer) getConn() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.connecting = true
	p.connect = p.limits.Connect
	p.toConnect()
}

// startTLS pauses PhaseConnect during a handshake. If the request has got another connection meanwhile, the handshake is not for it.
func (p *phaseTimer) startTLS() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.connecting {
		p.connect -= time.Since(p.entered)
		p.set(PhaseTLS, p.limits.TLS, p.limits.TLS)
	}
}

func (p *phaseTimer) endTLS() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.connecting {
		p.toConnect()
	}
}

func (p *phaseTimer) toConnect() {
	p.entered = time.Now()
	p.set(PhaseConnect, p.limits.Connect, max(p.connect, 0))
}

func (p *phaseTimer) enter(phase Phase, limit time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.connecting = false
	p.set(phase, limit, limit)
}

// finish ends the phases before the body. It returns the timeout that has expired, or nil.
func (p *phaseTimer) finish() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set("", 0, 0)
	p.finished = true
	if p.expired == nil {
		return nil
	}
	return p.expired
}

// set stops the timer and starts that of a phase, if the phase has a limit. The caller holds p.mu.
func (p *phaseTimer) set(phase Phase, limit, left time.Duration) {
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
		// If this timer fired while the phase was ending, p.timer is another one by now, or nil.
		if p.timer == timer {
			p.expire(phase, limit)
		}
	})
	p.timer = timer
}

func (p *phaseTimer) expire(phase Phase, limit time.Duration) {
	e := &TimeoutError{Phase: phase, Limit: limit}
	if p.cancel(e); context.Cause(p.ctx) == error(e) {
		p.expired = e
	}
}

// wrap returns the timeout that caused err, or err.
func (p *phaseTimer) wrap(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil && p.expired != nil {
		return p.expired
	}
	return err
}

// idleBody ends the exchange when a read takes longer than limit.
type idleBody struct {
	io.ReadCloser
	limit  time.Duration
	phases *phaseTimer
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
		err = b.phases.wrap(err)
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
		// If this timer fired while the read was ending, b.timer is another one by now, or nil: see phaseTimer.set.
		if b.timer == timer {
			b.phases.expire(PhaseIdleRead, b.limit)
		}
	})
	b.timer = timer
}

func (t Timeouts) phased() bool {
	return t.Connect > 0 || t.TLS > 0 || t.ResponseHeader > 0 || t.IdleRead > 0
}
