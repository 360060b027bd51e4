package ply

import (
	"net/http"
	"reflect"

	"github.com/plyhttp/ply/internal/stack"
)

// Layer is one layer of a stack, as [Layers] finds it.
type Layer struct {
	// Name is the name given by [Named], the layer's own LayerName, the type of its handler ("*http.Transport"),
	// or the function that made it ("auth.New").
	Name string

	// Handler is the layer's handler. It includes the layers below.
	Handler Handler

	// Conditional is true for a layer that only some requests pass: see [When].
	Conditional bool
}

// String returns the name, with a question mark behind that of a conditional layer.
func (l Layer) String() string {
	if l.Conditional {
		return l.Name + "?"
	}
	return l.Name
}

// Layers lists the layers that a request to h passes, outermost first, down to the transport.
// For a [Client] they are the call layers, "redirects and cookies", the exchange layers, and the transport.
//
// Layers that [Chain] put together are all found, whichever package they are from. A layer that was applied by hand is seen through if its handler has
// Unwrap() http.RoundTripper or, as Kubernetes' libraries know it, WrappedRoundTripper() http.RoundTripper, and names itself if it has LayerName() string.
// The list ends at the first handler that shows nothing below it.
func Layers(h Handler) []Layer {
	var found []Layer
	walk(h, false, func(l Layer) { found = append(found, l) })
	return found
}

// describer is a handler that needs no link: it has a name and shows what it wraps.
type describer interface {
	Handler
	unwrapper
	LayerName() string
}

type unwrapper interface{ Unwrap() http.RoundTripper }

// walker goes through a stack from the outside to the transport.
type walker struct {
	visit func(Layer)

	// deep includes the layers within a Named chain.
	deep bool

	// hop is true below a Client.HTTPClient, whose Client follows no redirects.
	hop bool

	left int // handlers that may still be visited: see [stack.Walk]
}

// walk visits the layers from h down to the transport.
func walk(h Handler, deep bool, visit func(Layer)) {
	w := walker{visit: visit, deep: deep, left: stack.Limit}
	w.until(h, nil)
}

// until visits the layers from h down to, but without, end. A nil end stands for what is below the transport.
func (w *walker) until(h, end Handler) {
	stack.Walk(h, &w.left, func(h Handler) Handler {
		if end != nil && same(h, end) {
			return nil
		}
		return w.step(h)
	})
}

// step visits the layer of h, if h is one, and returns the handler below it.
func (w *walker) step(h Handler) (next Handler) {
	switch l := h.(type) {
	case *link:
		w.link(l)
		return l.next
	case *branch:
		w.branch(l)
		return l.next
	case *Client:
		return l.call
	case *transports:
		return l.base
	case *hopRecorder, *exchangeRecorder, *httpsOnly:
	case *asTransport:
		w.hop = true
		return l.client
	case *redirectLayer:
		if !w.hop {
			w.visit(Layer{Name: l.LayerName(), Handler: h})
		}
	case describer:
		w.visit(Layer{Name: l.LayerName(), Handler: h})
	default:
		w.visit(Layer{Name: typeName(h), Handler: h})
	}
	return stack.Next(h)
}

func (w *walker) link(l *link) {
	if w.deep {
		switch l.handler.(type) {
		case *link, *branch, describer:
			w.until(l.handler, l.next)
			return
		}
	}
	w.visit(Layer{Name: l.name, Handler: l.handler})
}

// branch visits the layers that only some requests pass.
func (w *walker) branch(b *branch) {
	conditional := walker{deep: w.deep, left: w.left, visit: func(l Layer) {
		l.Conditional = true
		w.visit(l)
	}}
	conditional.until(b.on, b.next)
	w.left = conditional.left
}

// same reports whether a == b; handlers that cannot be compared are not the same.
func same(a, b Handler) bool {
	return reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}
