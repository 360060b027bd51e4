package ply

import (
	"net/http"
	"reflect"
)

// Layer is one layer of a stack, as [Layers] finds it.
type Layer struct {
	// Name says which layer it is: the name given by [Named], the one that the layer has for itself,
	// the type of its handler ("*http.Transport") or the function that made it ("auth.New").
	Name string

	// Handler is the layer's handler, the layers below it included.
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

// Layers lists what a request to h passes, outermost first, down to the transport.
// For a [Client] these are the call layers, "redirects and cookies", the exchange layers, and the transport.
//
// Layers that [Chain] put together are all found, whoever wrote them. A layer that was applied by hand is seen through if its handler has
// Unwrap() http.RoundTripper, and names itself if it has LayerName() string; the walk ends at the first handler that it cannot see through.
func Layers(h Handler) []Layer {
	var found []Layer
	walker{visit: func(l Layer) { found = append(found, l) }}.walk(h, nil)
	return found
}

// describer is a handler that needs no [link]: it has a name and shows what it wraps.
type describer interface {
	Handler
	unwrapper
	LayerName() string
}

type unwrapper interface{ Unwrap() http.RoundTripper }

// walker goes through a stack from the outside to the transport.
type walker struct {
	visit func(Layer)

	// deep looks behind the one name of a Named chain as well.
	deep bool

	// hop says that the client further inside follows no redirects: see [Client.HTTPClient].
	hop bool
}

// walk visits the layers from h down to, but without, end (nil: down to the transport).
func (w walker) walk(h, end Handler) {
	for range maxLayers {
		if h == nil || end != nil && same(h, end) {
			return
		}
		switch l := h.(type) {
		case *link:
			w.link(l)
			h = l.next
		case *branch:
			walker{deep: w.deep, visit: func(inner Layer) {
				inner.Conditional = true
				w.visit(inner)
			}}.walk(l.on, l.next)
			h = l.next
		case *Client:
			h = l.call
		case *transports:
			h = l.base
		case *hopRecorder:
			h = l.next
		case *exchangeRecorder:
			h = l.next
		case *asTransport:
			h = l.client
			w.hop = true
		case *follow:
			if !w.hop {
				w.visit(Layer{Name: l.LayerName(), Handler: h})
			}
			h = l.Unwrap()
		case describer:
			w.visit(Layer{Name: l.LayerName(), Handler: h})
			h = l.Unwrap()
		case unwrapper:
			w.visit(Layer{Name: typeName(h), Handler: h})
			h = l.Unwrap()
		default:
			w.visit(Layer{Name: typeName(h), Handler: h})
			return
		}
	}
}

func (w walker) link(l *link) {
	if w.deep {
		switch l.handler.(type) {
		case *link, *branch, describer:
			w.walk(l.handler, l.next)
			return
		}
	}
	w.visit(Layer{Name: l.name, Handler: l.handler})
}

// maxLayers ends a walk through a stack whose Unwrap leads back into itself.
const maxLayers = 1000

// same is a == b without the panic over handlers that cannot be compared.
func same(a, b Handler) bool {
	return reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}
