// Package keying says what makes two requests the same.
//
// A cache asks a [Strategy] for the key of each request; requests with equal keys share stored responses, as far as Vary lets them.
// [Default] is the target URI together with the credentials of the request, so that one cache can serve many principals.
// [New] builds a strategy from parts. What is not keyed is shared: leave a part out only if it makes no difference to the answer.
package keying

import (
	"bytes"
	"net/http"
	"slices"

	"github.com/plyhttp/ply/internal/target"
)

// A Strategy writes the key of a request.
//
// AppendKey appends the key to dst and returns the extended slice, as append does. It must not retain dst or r, change r or read its body
// (see [http.Request.GetBody] for a copy that may be read), and it must be safe for concurrent use.
// An error means that this request has no key: it is not cached, and Cache-Status says why, so no secret belongs into the error.
//
// Keys are compared as a whole. A strategy that puts several parts into one key must keep them apart, by their lengths for example:
// otherwise "/a" with "bc" is "/ab" with "c". Secrets belong into a key only as a hash.
type Strategy interface {
	AppendKey(dst []byte, r *http.Request) ([]byte, error)
}

// Func is a [Strategy] made of one function. It has to care for everything that its requests can differ in, credentials included.
type Func func(dst []byte, r *http.Request) ([]byte, error)

// AppendKey calls f.
func (f Func) AppendKey(dst []byte, r *http.Request) ([]byte, error) {
	return f(dst, r)
}

// A ResourceStrategy is a [Strategy] that says which URLs it takes for one. A write to one of them, or a removal by its URL,
// ends what is stored for all (RFC 9111 §4.4).
//
// The strategies of this package are ResourceStrategies. One of your own need be none if its keys depend on the URL in the same way whatever else
// the request says: then a cache compares the keys of requests that have a URL and nothing else.
type ResourceStrategy interface {
	Strategy

	// AppendResource appends what the key says of the URL of r, under the terms of AppendKey: requests with equal keys have equal resources,
	// whoever asks and whatever for. The URL and the Host of r are all that counts. With an error the URL stands for itself alone.
	AppendResource(dst []byte, r *http.Request) ([]byte, error)
}

// Default returns the strategy that a private cache uses if none is chosen: the target URI as it is sent (RFC 9111 §2), without fragment and userinfo,
// and a hash of the request's credentials. Scheme and authority compare as RFC 9110 §4.2.3 says; path and query count byte for byte,
// because a server may answer "/a/../b" or "/%61" with a redirect to "/b" or "/a".
// Two requests with other credentials, or one with and one without, never share a response. It allocates nothing.
//
// Credentials are the header fields that redact.IsSecretHeader knows (Authorization, Cookie, X-Api-Key, the token fields of vendors), in any spelling,
// and the userinfo of the URL, which net/http sends as Authorization. A signature changes with each request: what counts of it is the key that it names,
// as SigV4, Digest, OAuth 1.0 and HTTP Message Signatures (RFC 9421) do. A signature that names none, one of NTLM for example, gives a request no key.
//
// The price: a client that sends a new cookie with each request never hits. If it acts for one person only, see [SingleUser].
func Default() Strategy {
	return perPrincipal{}
}

type perPrincipal struct{}

// AppendKey appends the target URI and a hash of the credentials.
func (perPrincipal) AppendKey(dst []byte, r *http.Request) ([]byte, error) {
	return appendCredentials(target.AppendURI(dst, r), r)
}

// AppendResource appends the target URI.
func (perPrincipal) AppendResource(dst []byte, r *http.Request) ([]byte, error) {
	return target.AppendURI(dst, r), nil
}

// AppendSearchKey appends the key of r for responses that do not vary on the whole query: bare is r without it.
func (perPrincipal) AppendSearchKey(dst []byte, bare, r *http.Request) ([]byte, error) {
	return appendCredentials(target.AppendURI(dst, bare), r)
}

// AnonymousKey tells a cache what follows the target URI in the key of a request without credentials:
// one that has read the header knows that there are none, under no spelling, and need not have it searched again.
func (perPrincipal) AnonymousKey() string { return anonymous }

// SingleUser returns the strategy for a client that acts for one person: the target URI and nothing else.
// Requests share responses whatever their credentials say, as RFC 9111 lets private caches do,
// unless a response's Vary tells them apart. It allocates nothing.
func SingleUser() Strategy {
	return onePerson{}
}

type onePerson struct{}

// AppendKey appends the target URI.
func (onePerson) AppendKey(dst []byte, r *http.Request) ([]byte, error) {
	return target.AppendURI(dst, r), nil
}

// AppendResource appends the target URI.
func (onePerson) AppendResource(dst []byte, r *http.Request) ([]byte, error) {
	return target.AppendURI(dst, r), nil
}

// AppendSearchKey appends the target URI of bare.
func (onePerson) AppendSearchKey(dst []byte, bare, _ *http.Request) ([]byte, error) {
	return target.AppendURI(dst, bare), nil
}

// AnonymousKey tells a cache that nothing follows the target URI in the key of a request without credentials.
func (onePerson) AnonymousKey() string { return "" }

// A Part is one thing that a key is made of.
type Part interface {
	// AppendPart appends the part to dst under the terms of [Strategy]. How parts are kept apart is not its concern.
	AppendPart(dst []byte, r *http.Request) ([]byte, error)
}

// PartFunc is a [Part] made of one function.
type PartFunc func(dst []byte, r *http.Request) ([]byte, error)

// AppendPart calls f.
func (f PartFunc) AppendPart(dst []byte, r *http.Request) ([]byte, error) {
	return f(dst, r)
}

// New returns the strategy whose key has these parts, in this order. Nil parts are left out.
// Without a [URL] among them, the whole target URI comes first. Without a [Principal] or [IgnoreCredentials], a hash of the credentials comes last, as in [Default],
// so that nothing is shared between principals by oversight. With URLOptions.Only, parameters whose names say that they are secret
// ("api_key", "access_token") belong to the credentials.
func New(parts ...Part) Strategy {
	s := &composed{}
	var hasPrincipal bool
	for _, part := range parts {
		switch part := part.(type) {
		case nil:
			continue
		case *urlPart:
			s.urls = append(s.urls, part)
		case principalPart:
			hasPrincipal = true
		case *bodyPart:
			s.content = true
			if part.Format == FormatGraphQL {
				s.graphQL = part
			}
		case anyonePart:
			hasPrincipal = true
			continue
		}
		s.parts = append(s.parts, part)
	}
	if len(s.urls) == 0 {
		s.parts = append([]Part{targetPart{}}, s.parts...)
	}
	if !hasPrincipal {
		s.parts = append(s.parts, Principal(nil))
	}
	if slices.ContainsFunc(s.urls, func(p *urlPart) bool { return p.only != nil }) {
		for i, part := range s.parts {
			if p, ok := part.(principalPart); ok {
				p.query = true
				s.parts[i] = p
			}
		}
	}
	return s
}

// targetPart is the whole target URI.
type targetPart struct{}

func (targetPart) AppendPart(dst []byte, r *http.Request) ([]byte, error) {
	return target.AppendURI(dst, r), nil
}

// composed is a strategy made of parts.
type composed struct {
	parts   []Part
	urls    []*urlPart // those of parts that are about the URL
	content bool
	graphQL *bodyPart // the one that reads GraphQL, or nil
}

// AppendKey appends the parts, each behind its length.
func (s *composed) AppendKey(dst []byte, r *http.Request) ([]byte, error) {
	return s.AppendSearchKey(dst, r, r)
}

// AppendSearchKey appends the key of r for responses that do not vary on the whole query: bare is r without it.
// Only the parts about the URL do without; who asks, for one, is what the whole request says.
func (s *composed) AppendSearchKey(dst []byte, bare, r *http.Request) ([]byte, error) {
	for _, part := range s.parts {
		of := r
		switch part.(type) {
		case targetPart, *urlPart:
			of = bare
		}
		start := len(dst)
		var err error
		if dst, err = part.AppendPart(target.Open(dst), of); err != nil {
			return nil, err
		}
		target.Close(dst, start)
	}
	return dst, nil
}

// AppendResource appends what the parts about the URL let count of it.
func (s *composed) AppendResource(dst []byte, r *http.Request) ([]byte, error) {
	if len(s.urls) == 0 {
		return target.AppendURI(dst, r), nil
	}
	for _, part := range s.urls {
		dst = part.appendResource(dst, r)
	}
	return dst, nil
}

// WholeURI tells a cache that the resource of a request is its target URI.
func (s *composed) WholeURI() bool {
	for _, part := range s.urls {
		if !part.allParams() || len(part.paths) > 0 || len(part.hosts) > 0 {
			return false
		}
	}
	return true
}

// Aliased returns r, or a request for the host that stands for r's in the key: a cache takes the two for one origin.
func (s *composed) Aliased(r *http.Request) *http.Request {
	for _, part := range s.urls {
		r = part.aliased(r)
	}
	return r
}

// Mirrors returns requests for the same by the other hosts that the strategy takes for r's.
func (s *composed) Mirrors(r *http.Request) []*http.Request {
	var mirrors []*http.Request
	origin := target.AppendOrigin(nil, s.Aliased(r))
	for _, part := range s.urls {
		for from, to := range part.hosts {
			for _, host := range [...]string{from, to} {
				u := *r.URL
				u.Host = host
				mirror := &http.Request{Method: r.Method, URL: &u}
				if bytes.Equal(target.AppendOrigin(nil, s.Aliased(mirror)), origin) {
					mirrors = append(mirrors, mirror)
				}
			}
		}
	}
	return mirrors
}

// Mutates tells a cache whether a request that has no key may be one that changes something: a GraphQL mutation, which has the method of a query.
func (s *composed) Mutates(r *http.Request) bool { return s.graphQL != nil && s.graphQL.mutates(r) }

// ReadsGraphQL tells a cache that Mutates can be true.
func (s *composed) ReadsGraphQL() bool { return s.graphQL != nil }

// KeysContent tells a cache that the key has the request's content in it, in the form that the strategy's author found right.
// Without it the cache adds the content of a QUERY request itself (RFC 10008 §2.7).
func (s *composed) KeysContent() bool { return s.content }
