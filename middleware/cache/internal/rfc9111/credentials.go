package rfc9111

import (
	"net/http"

	"github.com/plyhttp/ply/internal/credential"
	"github.com/plyhttp/ply/internal/field"
)

// Carried says which kinds of credentials a request has.
type Carried uint8

const (
	authorizationCarried Carried = 1 << iota
	cookieCarried
	OtherCarried
)

func CarriedIn(name string) Carried {
	switch {
	case field.EqualFold(name, "Authorization"):
		return authorizationCarried
	case field.EqualFold(name, "Cookie"):
		return cookieCarried
	}
	return OtherCarried
}

func CarriedBy(r *http.Request) (c Carried) {
	if r.URL != nil && r.URL.User != nil {
		c = authorizationCarried
	}
	for name := range r.Header {
		if credential.Named(name) {
			c |= CarriedIn(name)
		}
	}
	return c
}
