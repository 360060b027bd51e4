package connection

import (
	"crypto/tls"
	"net/http"
	"reflect"
)

// A Chain is what a stack of handlers ends in.
type Chain struct {
	Identity

	// Opaque says that the transport cannot be seen. Then the common identity is assumed, and the answers are judged by themselves.
	Opaque bool

	given string // the name of what cannot be named, hashed, or ""
}

// A Step is what a handler shows whose type hides what it wraps.
type Step struct {
	Next  http.RoundTripper // what is below, or nil
	Other http.RoundTripper // what else is below for some requests, or nil
	Own   *Identity         // of the connections, if the handler settles it, or nil
}

// See is how the root package lets its own types be seen through, without methods for it. It is set before any chain is looked at.
var See = func(http.RoundTripper) (Step, bool) { return Step{}, false }

// maxHandlers ends a walk through a stack that leads back into itself.
const maxHandlers = 1000

// Under looks through a stack of handlers for the transport that it ends in.
func Under(h http.RoundTripper) Chain {
	steps := maxHandlers
	return under(h, &steps)
}

func under(h http.RoundTripper, steps *int) (c Chain) {
	given := ""
	defer func() {
		if given != "" {
			c.given = hashed("given", given)
		}
	}()
	for ; *steps > 0 && h != nil; *steps-- {
		if t, ok := h.(*http.Transport); ok && t != nil {
			parts := Of(t, t)
			return Chain{Identity: parts.Identity()}
		}
		if named, ok := h.(interface{ ConnectionName() string }); ok && given == "" {
			given = named.ConnectionName()
		}
		step, ok := See(h)
		switch {
		case !ok:
			if step.Next = below(h); step.Next == nil {
				return described(h)
			}
		case step.Own != nil:
			return Chain{Identity: *step.Own}
		case step.Other != nil:
			return fork(under(step.Next, steps), under(step.Other, steps))
		}
		h = step.Next
	}
	return Chain{Opaque: true}
}

// fork is what requests pass that go one way or the other.
func fork(a, b Chain) Chain {
	if a.Foreign != b.Foreign {
		a.Foreign = newToken()
		b.Foreign = a.Foreign
	}
	if a.Identity == b.Identity {
		a.Opaque = a.Opaque || b.Opaque
		return a
	}
	return Chain{Identity: Identity{
		Why: "requests that take different transports cannot be named", Local: newToken(),
		Foreign: a.Foreign, Unverified: a.Unverified || b.Unverified,
	}}
}

// below is the handler that h wraps, as far as h or its type says. Kubernetes knows the second of the two methods.
func below(h http.RoundTripper) http.RoundTripper {
	switch w := h.(type) {
	case interface{ Unwrap() http.RoundTripper }:
		return w.Unwrap()
	case interface{ WrappedRoundTripper() http.RoundTripper }:
		return w.WrappedRoundTripper()
	}
	s := structOf(h)
	if !s.IsValid() {
		return nil
	}
	for _, name := range [...]string{"Transport", "RoundTripper", "Base"} { // embedded, or as oauth2.Transport has it
		f := s.FieldByName(name)
		if !f.IsValid() || !f.CanInterface() || f.Kind() != reflect.Interface && f.Kind() != reflect.Pointer || f.IsNil() {
			continue
		}
		if next, ok := f.Interface().(http.RoundTripper); ok {
			return next
		}
	}
	return nil
}

// described is what a transport that is none of net/http's shows in fields of the usual names, such as those of HTTP/3.
func described(h http.RoundTripper) Chain {
	s := structOf(h)
	if !s.IsValid() {
		return Chain{Opaque: true}
	}
	f := s.FieldByName("TLSClientConfig")
	if !f.IsValid() || !f.CanInterface() {
		return Chain{Opaque: true}
	}
	config, ok := f.Interface().(*tls.Config)
	if !ok {
		return Chain{Opaque: true}
	}
	var p Parts
	if config != nil {
		p.TLS = TLS(config)
	}
	for _, name := range [...]string{"Dial", "DialContext", "DialTLS", "DialTLSContext"} {
		if f := s.FieldByName(name); f.IsValid() && f.Kind() == reflect.Func && !f.IsNil() {
			p.Dial.unverified = true
			p.Dial.unnamed(ownDialer, newToken())
		}
	}
	return Chain{Identity: p.Identity()}
}

// structOf is the struct that h is or points to, or the zero Value.
func structOf(h http.RoundTripper) reflect.Value {
	v := reflect.ValueOf(h)
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return reflect.Value{}
	}
	return v
}
