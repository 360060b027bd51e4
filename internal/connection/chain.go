package connection

import (
	"crypto/tls"
	"net/http"
	"reflect"

	"github.com/plyhttp/ply/internal/stack"
)

// A Chain is what can be seen of a stack of handlers: above all, the identity of the connections that its transport makes.
type Chain struct {
	Identity

	// Opaque is true if the transport cannot be seen. Then the common identity is assumed, and each response is judged by itself.
	Opaque bool

	// mixed is true if requests take different transports, and which one is not known before a response is there. Each is judged by itself then, too.
	mixed bool

	given   string // the name of what cannot be named, hashed, or ""
	signers string // the principals for whom signers on the way sign, a hash of each, or ""
	signed  string // the same, hashed as one, or ""
	adds    bool   // a layer on the way adds credentials, with or without a principal
}

// A Step is what See returns for a handler of the root package.
type Step struct {
	Next  http.RoundTripper // the handler below, or nil
	Other http.RoundTripper // the handler below for some requests, or nil
	Held  http.RoundTripper // what the handler holds beside Next, and may send requests to instead, or nil
	Own   *Identity         // the identity of its connections, if the handler determines it, or nil
}

// See returns what a handler of the root package wraps, so that its types need no exported methods for it. The root package sets it when it is initialized.
var See = func(http.RoundTripper) (Step, bool) { return Step{}, false }

// Under returns what can be seen of the stack that begins with h.
func Under(h http.RoundTripper) Chain {
	left := stack.Limit
	return under(h, &left)
}

func under(h http.RoundTripper, left *int) Chain {
	end, given, signed, adds := Chain{Opaque: true}, "", []string(nil), false
	stack.Walk(h, left, func(h http.RoundTripper) (next http.RoundTripper) {
		if t, ok := h.(*http.Transport); ok && t != nil {
			parts := Of(t, t)
			end = Chain{Identity: parts.Identity()}
			return nil
		}
		if named, ok := h.(interface{ ConnectionName() string }); ok && given == "" {
			given = named.ConnectionName()
		}
		if signer, ok := h.(interface{ SignsAs() string }); ok {
			if adds = true; signer.SignsAs() != "" {
				signed = append(signed, signer.SignsAs())
			}
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
		case step.Held != nil:
			if held := under(step.Held, left); !held.Opaque {
				end = fork(under(step.Next, left), held)
				return nil
			}
		}
		return step.Next
	})
	end.adds = end.adds || adds
	if signed != nil {
		for _, principal := range signed {
			end.signers += signerOf(principal)
		}
		end.signed = hashed(append(signed, "signed", end.signed)...)
	}
	if given != "" {
		end.given = hashed("given", given)
	}
	return end
}

// signerOf is how a principal stands in Chain.signers.
func signerOf(principal string) string { return hashed("signer", principal) }

// fork combines the chains of requests that go either way.
func fork(a, b Chain) Chain {
	if a.Foreign != b.Foreign {
		a.Foreign = newToken()
		b.Foreign = a.Foreign
	}
	if a.signed != b.signed { // the signer is unknown
		a.signed, a.signers = "", ""
	}
	a.adds = a.adds || b.adds
	if a.Identity == b.Identity {
		a.Opaque, a.mixed = a.Opaque || b.Opaque, a.mixed || b.mixed
		return a
	}
	return Chain{Identity: Identity{
		Why: "requests that take different transports cannot be named", Local: newToken(),
		Foreign: a.Foreign, Unverified: a.Unverified && b.Unverified,
	}, mixed: true, signed: a.signed, signers: a.signers, adds: a.adds}
}

// below returns the handler that h wraps, according to its methods or the fields of its type, or nil.
func below(h http.RoundTripper) http.RoundTripper {
	if next := stack.Next(h); next != nil {
		return next
	}
	return Held(h)
}

// Held returns the handler in a field of h's type that has one of the usual names, or nil.
func Held(h http.RoundTripper) http.RoundTripper {
	s := structOf(h)
	if !s.IsValid() {
		return nil
	}
	for _, name := range [...]string{"Transport", "RoundTripper", "Base"} { // embedded, or as in oauth2.Transport
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

// described returns what a transport of another package, such as one for HTTP/3, shows in fields with the usual names.
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

// structOf returns the struct that h is or points to, or the zero Value.
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
