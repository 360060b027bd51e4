package ply

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// Handler performs one HTTP exchange. It is an alias of [http.RoundTripper] and has the same contract.
type Handler = http.RoundTripper

// Middleware is a layer: given the handler that it wraps, it returns the handler that callers see.
// It runs once, when a chain is put together; the handler that it returns runs for each request,
// from many goroutines at once.
//
// Middleware is an alias: any func(http.RoundTripper) http.RoundTripper is one, without conversion, from any package and under any type name.
type Middleware = func(next Handler) Handler

// HandlerFunc is a function as a [Handler].
type HandlerFunc func(*http.Request) (*http.Response, error)

// RoundTrip calls f.
func (f HandlerFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// Chain combines layers into one. The first is the outermost: it sees the request first and the response last.
// Nil entries are skipped, and an empty chain passes requests through.
// Applied to a nil handler, the chain ends in [http.DefaultTransport].
//
// [Layers] lists each layer of a chain by its name, and [http.Client.CloseIdleConnections] reaches the transport through it.
// Layers need not support either.
func Chain(layers ...Middleware) Middleware {
	layers = slices.DeleteFunc(slices.Clone(layers), func(m Middleware) bool { return m == nil })
	return func(next Handler) Handler {
		next = orDefault(next)
		for _, m := range slices.Backward(layers) {
			next = attach(m, next)
		}
		return next
	}
}

// Named gives a layer the name that [Layers] shows. A chain under a name is shown as one layer.
// A nil m returns nil, which [Chain] skips.
func Named(name string, m Middleware) Middleware {
	if m == nil {
		return nil
	}
	return func(next Handler) Handler {
		next = orDefault(next)
		return &link{handler: apply(m, next), next: next, name: name}
	}
}

// When applies a layer to the requests that match; all others skip the layer.
// match runs for each request, possibly for many at once, and must not modify it. A nil m returns nil, which [Chain] skips.
func When(match func(*http.Request) bool, m Middleware) Middleware {
	if m == nil {
		return nil
	}
	if match == nil {
		return func(Handler) Handler { return &failing{errors.New("ply: When was given no function to match")} }
	}
	return func(next Handler) Handler {
		next = orDefault(next)
		return &branch{match: match, on: attach(m, next), next: next}
	}
}

// Wrap mounts layers into an existing client, inside its redirects and cookies, around its transport; the first is the outermost.
// It returns a copy: hc stays as it is, and both share the transport, the jar and the redirect policy. A nil hc stands for &http.Client{}.
// Calls through the copy can be recorded: see [WithCallInfo].
//
// If [New] would refuse the stack, a cache inside retry for instance, each request of the copy fails with the [*OptionError] of New.
// Layers that hc.Transport already has are part of the stack.
//
// If the client's Timeout is set, net/http starts a goroutine per request, as it does for every transport other than its own.
// A deadline on the request's context, or a [Client], needs none.
func Wrap(hc *http.Client, layers ...Middleware) *http.Client {
	wrapped := &http.Client{}
	if hc != nil {
		*wrapped = *hc
	}
	stack := Chain(layers...)(&exchangeRecorder{orDefault(wrapped.Transport)})
	if err := checkWrapped(stack); err != nil {
		stack = &failing{err}
	}
	wrapped.Transport = recordHops(stack)
	return wrapped
}

// link gives a layer that does not describe itself a name and a way past it.
type link struct {
	handler Handler
	next    Handler
	name    string
}

func (l *link) RoundTrip(req *http.Request) (*http.Response, error) { return l.handler.RoundTrip(req) }

// CloseIdleConnections calls the layer's method, or else that of the next handler.
func (l *link) CloseIdleConnections() {
	if _, ok := l.handler.(idleCloser); ok {
		closeIdle(l.handler)
		return
	}
	closeIdle(l.next)
}

// Unwrap returns the layer if it can be seen through itself, or else the handler that it wraps.
func (l *link) Unwrap() http.RoundTripper {
	switch l.handler.(type) {
	case unwrapper:
		return l.handler
	}
	return l.next
}

func (l *link) WrappedRoundTripper() http.RoundTripper { return l.Unwrap() }

// branch is a layer that [When] applies to some requests.
type branch struct {
	match func(*http.Request) bool
	on    Handler
	next  Handler
}

func (b *branch) RoundTrip(req *http.Request) (*http.Response, error) {
	if b.match(req) {
		return b.on.RoundTrip(req)
	}
	return b.next.RoundTrip(req)
}

// Unwrap returns the layer, which wraps the next one.
func (b *branch) Unwrap() http.RoundTripper { return b.on }

func (b *branch) WrappedRoundTripper() http.RoundTripper { return b.on }

func (b *branch) CloseIdleConnections() { closeIdle(b.on) }

type idleCloser interface{ CloseIdleConnections() }

func closeIdle(h Handler) {
	if c, ok := h.(idleCloser); ok {
		c.CloseIdleConnections()
	}
}

func orDefault(next Handler) Handler {
	if next == nil {
		return http.DefaultTransport
	}
	return next
}

// attach applies m and returns a handler that [Layers] and closeIdle can see through.
func attach(m Middleware, next Handler) Handler {
	h := apply(m, next)
	if same(h, next) {
		return &link{handler: h, next: next, name: funcName(m)} // m does nothing, and Layers lists it all the same
	}
	switch h.(type) {
	case *link, *branch, describer:
		return h
	}
	return &link{handler: h, next: next, name: nameOf(m, h)}
}

// apply returns m(next). If that is nil, it returns a handler whose error names the layer:
// the mistake of a layer becomes an error of its requests, not a nil dereference far from its cause.
func apply(m Middleware, next Handler) Handler {
	if h := m(next); h != nil {
		return h
	}
	return &failing{fmt.Errorf("ply: layer %s returned a nil handler", funcName(m))}
}

// failing is a handler whose requests all fail. It stands for one that cannot be made.
type failing struct{ err error }

func (m *failing) RoundTrip(req *http.Request) (*http.Response, error) {
	closeBody(req)
	return nil, m.err
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}
