package expiry

import (
	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/internal/freshness"
)

// A Precedence asks the sources of a lifetime in a fixed order: the request's max-age, the response, the choice for the request,
// the choice for its URL, and the default. The zero Precedence asks the first three and then follows RFC 9111.
//
// As the strategy of a cache it asks the choice for the request ([Exchange].PerRequest) in this order. With any other strategy the cache asks that choice first.
type Precedence struct {
	asksPerRequest

	// IgnoreRequest ignores the request's Cache-Control.
	IgnoreRequest bool

	// IgnoreResponse ignores what the server says.
	IgnoreResponse bool

	// IgnorePerRequest ignores what the caller chose for the request.
	IgnorePerRequest bool

	// URLs is the choice by URL, usually from [ByURL]. Nil means none.
	URLs Strategy

	// Default is asked when all others are silent. Nil means [Default].
	Default Strategy
}

// asksPerRequest marks Precedence for caches.
type asksPerRequest = freshness.AsksPerRequest

// Expiry asks the sources in turn.
func (p Precedence) Expiry(x Exchange) Verdict {
	var sources []Strategy
	if !p.IgnoreRequest {
		sources = append(sources, strategyFunc(requested))
	}
	if !p.IgnoreResponse {
		sources = append(sources, FromServer())
	}
	if chosen := x.PerRequest; chosen != nil && !p.IgnorePerRequest {
		sources = append(sources, strategyFunc(func(x Exchange) Verdict {
			x.PerRequest = nil // the choice may be a Precedence itself, which must not ask itself again
			return chosen.Expiry(x)
		}))
	}
	return First(append(sources, p.URLs, p.Default)...).Expiry(x)
}

// requested is the verdict of the request's own directives (RFC 9111 §5.2.1).
func requested(x Exchange) Verdict {
	if x.Request == nil {
		return Verdict{}
	}
	switch d := field.ParseRequest(x.Request.Header["Cache-Control"]); {
	case d.NoStore:
		return Refuse()
	case d.MaxAge.Set && d.MaxAge.Value > 0:
		return Lifetime(d.MaxAge.Value)
	}
	return Verdict{}
}

var (
	_ Strategy                  = Precedence{}
	_ freshness.PerRequestAsker = Precedence{}

	_ = Precedence{}.asksPerRequest // a use that linters see; caches use it through the interface
)
