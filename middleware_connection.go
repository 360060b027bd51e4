package ply

import (
	"net/http"

	"github.com/plyhttp/ply/internal/connection"
)

func init() { connection.See = unwrapStep }

// unwrapStep returns what a handler of this package wraps, for packages that look for the transport at the end of a chain and do not import this one.
func unwrapStep(h http.RoundTripper) (connection.Step, bool) {
	switch h := h.(type) {
	case *link:
		switch h.handler.(type) {
		case *http.Transport, *Client, *asTransport: // a layer that ends the chain
			return connection.Step{Next: h.handler}, true
		case unwrapper:
			return connection.Step{}, false
		}
		if held := connection.Held(h.handler); held != nil && !same(held, h.next) {
			return connection.Step{Next: h.next, Held: held}, true
		}
	case *branch:
		return connection.Step{Next: h.next, Other: h.on}, true
	case *transports:
		return connection.Step{Next: h.base}, true
	case *asTransport:
		return connection.Step{Next: h.client}, true
	case *Client:
		if s := h.resolved; s != nil && s.transport != nil {
			if choice := s.transport.choice(); choice != nil {
				return connection.Step{Own: choice.Own}, true
			}
		}
		return connection.Step{Next: h.call}, true
	}
	return connection.Step{}, false
}
