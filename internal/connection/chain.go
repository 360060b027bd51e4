package connection

import (
	"crypto/tls"
	"net/http"
	"reflect"

	"github.com/plyhttp/ply/internal/stack"
)

// A Chain is what a stack of handlers ends in.
type Chain struct {
	Identity

	// Opaque says that the transport cannot be seen. Then the common identity is assumed, and the answers are judged by themselves.
	Opaque bool

	given  string // the name of what cannot be named, hashed, or ""
	signed string // the principals for whom signers on the way sign, hashed, or ""
}

// A Step is what a handler shows whose type hides what it wraps.
type Step struct {
	Next  http.RoundTripper // what is below, or nil
	Other http.RoundTripper // what else is below for some requests, or nil
	Own   *Identity         // of the connections, if the handler settles it, or nil
}

// See is how the root package lets its own types be seen through, without methods for it. It is set before any chain is looked at.
var See = func(http.RoundTripper) (Step, bool) { return Step{}, false }

// Under looks through a stack of handlers for the transport that it ends in.
func Under(h http.RoundTripper) Chain {
	left := stack.Limit
	return under(h, &left)
}

func under(h http.RoundTripper, left *int) Chain {
	end, given, signed := Chain{Opaque: true}, "", []string(nil)
	stack.Walk(h, left, func(h http.RoundTripper) (next http.RoundTripper) {
		if t, ok := h.(*http.Transport); ok && t != nil {
			parts := Of(t, t)
			end = Chain{Identity: parts.Identity()}
			return nil
		}
		if named, ok := h.(interface{ ConnectionName() string }); ok && given == "" {
			given = named.ConnectionName()
		}
		if signer, ok := h.(interface{ SignsAs() string }); ok && signer.SignsAs() != "" {
			signed = append(signed, signer.SignsAs())
		}
		step, ok := See(h)
		switch {
		case !ok:
			if step.Next = below(h); step.Next == nil {
				end = described(h)
			}
		case step.Own != nil:
			end = Chain{Identity: *step.Own}
			return nil
		case step.Other != nil:
			end = fork(under(step.Next, left), under(step.Other, left))
			return nil
		}
		return step.Next
	})
	if signed != nil {
		end.signed = hashed(append(signed, "signed", end.signed)...)
	}
	if given != "" {
		end.given = hashed("given", given)
	}
	return end
}

// fork is what requests pass that go one way or the other.
func fork(a, b Chain) Chain {
	if a.Foreign != b.Foreign {
		a.Foreign = newToken()
		b.Foreign = a.Foreign
	}
	if a.signed != b.signed { // then nothing is known of who signs
		a.signed, b.signed = "", ""
	}
	if a.Identity == b.Identity {
		a.Opaque = a.Opaque || b.Opaque
		return a
	}
	return Chain{Identity: Identity{
		Why: "requests that take different transports cannot be named", Local: newToken(),
		Foreign: a.Foreign, Unverified: a.Unverified || b.Unverified,
	}, signed: a.signed}
}

// below is the handler that h wraps, as far as h or the fields of its type say.
func below(h http.RoundTripper) http.RoundTripper {
	if next := stack.Next(h); next != nil {
		return next
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
