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
// (a copy of the body comes from [http.Request.GetBody]), and it must be safe for concurrent use.
// An error means that the request has no key: it is not cached. Cache-Status shows the error, which must therefore hold no secret.
//
// Keys compare as a whole. A strategy that puts several parts into one key must delimit them, by their lengths for example:
// otherwise "/a" with "bc" equals "/ab" with "c". A secret belongs in a key only as a hash.
type Strategy interface {
	AppendKey(dst []byte, r *http.Request) ([]byte, error)
}

// Func is a [Strategy] that is a function. Its key must include everything that changes the response, credentials included.
type Func func(dst []byte, r *http.Request) ([]byte, error)

// AppendKey calls f.
func (f Func) AppendKey(dst []byte, r *http.Request) ([]byte, error) {
	return f(dst, r)
}

// A ResourceStrategy is a [Strategy] that says which URLs name one resource. A write to one of these URLs, or a purge of it,
// removes what is stored for all of them (RFC 9111 §4.4).
//
// The strategies of this package implement it. A strategy of your own needs it only if the URL's share of the key depends on the rest of the request.
// Without it a cache compares the keys of requests that have only a URL.
type ResourceStrategy interface {
	Strategy

	// AppendResource appends the URL's share of the key of r, under the terms of AppendKey. Requests with equal keys have equal resources.
	// Only the URL and the Host of r count. An error means that the URL is a resource of its own.
	AppendResource(dst []byte, r *http.Request) ([]byte, error)
}

// Default returns the default strategy of a private cache: the target URI as it is sent (RFC 9111 §2), without fragment and userinfo,
// and a hash of the request's credentials. Scheme and authority compare as RFC 9110 §4.2.3 says. Path and query compare byte by byte,
// because a server may answer "/a/../b" or "/%61" with a redirect to "/b" or "/a".
// Requests with different credentials never share a response, nor does one with credentials and one without. It allocates nothing.
//
// Credentials are the header fields that redact.IsSecretHeader knows (Authorization, Cookie, X-Api-Key, the token fields of vendors), in any spelling,
// and the userinfo of the URL, which net/http sends as Authorization. A signature changes with each request, so the key that it names counts in its place,
// as in SigV4, Digest, OAuth 1.0 and HTTP Message Signatures (RFC 9421), and beside it each parameter of the field that is not known to change with each request,
// such as a nonce. A request whose signature names no key, as with NTLM, has no cache key.
//
// A client that sends a new cookie with each request never gets a hit. If it acts for one user only, use [SingleUser].
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

// AppendSearchKey appends the key of r for responses that do not vary on the whole query (No-Vary-Search). bare is r without its query.
func (perPrincipal) AppendSearchKey(dst []byte, bare, r *http.Request) ([]byte, error) {
	return appendCredentials(target.AppendURI(dst, bare), r)
}

// AnonymousKey returns what follows the target URI in the key of a request without credentials.
// A cache that has read the header already uses it to skip another search for credentials.
func (perPrincipal) AnonymousKey() string { return anonymous }

// KeysCookies reports that requests with equal keys have the same cookies.
// A cache need not compare them once more for a response that varies on them.
func (perPrincipal) KeysCookies() bool { return true }

// SingleUser returns the strategy for a client that acts for one user: the target URI and nothing else.
// Requests share responses whatever their credentials are, as RFC 9111 lets private caches do,
// unless the Vary of a response separates them. It allocates nothing.
func SingleUser() Strategy {
	return singleUser{}
}

type singleUser struct{}

// AppendKey appends the target URI.
func (singleUser) AppendKey(dst []byte, r *http.Request) ([]byte, error) {
	return target.AppendURI(dst, r), nil
}

// AppendResource appends the target URI.
func (singleUser) AppendResource(dst []byte, r *http.Request) ([]byte, error) {
	return target.AppendURI(dst, r), nil
}

// AppendSearchKey appends the target URI of bare.
func (singleUser) AppendSearchKey(dst []byte, bare, _ *http.Request) ([]byte, error) {
	return target.AppendURI(dst, bare), nil
}

// AnonymousKey returns "": nothing follows the target URI.
func (singleUser) AnonymousKey() string { return "" }

// A Part is one component of a key.
type Part interface {
	// AppendPart appends the part to dst under the terms of [Strategy]. [New] delimits the parts.
	AppendPart(dst []byte, r *http.Request) ([]byte, error)
}

// PartFunc is a [Part] that is a function.
type PartFunc func(dst []byte, r *http.Request) ([]byte, error)

// AppendPart calls f.
func (f PartFunc) AppendPart(dst []byte, r *http.Request) ([]byte, error) {
	return f(dst, r)
}

// New returns the strategy whose key consists of these parts, in this order. It skips nil parts.
// Without a [URL] part, the whole target URI comes first. Without a [Principal] or [IgnoreCredentials] part, a hash of the credentials comes last, as in [Default],
// so that principals do not share responses by oversight. With URLOptions.Only, query parameters with the name of a secret
// ("api_key", "access_token") count as credentials.
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
		case ignoreCredentialsPart:
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

// composed is the strategy that New returns.
type composed struct {
	parts   []Part
	urls    []*urlPart // the parts for the URL
	content bool       // there is a part for the content
	graphQL *bodyPart  // the one that reads GraphQL, or nil
}

// AppendKey appends the parts, each after its length.
func (s *composed) AppendKey(dst []byte, r *http.Request) ([]byte, error) {
	return s.AppendSearchKey(dst, r, r)
}

// AppendSearchKey appends the key of r for responses that do not vary on the whole query (No-Vary-Search). bare is r without its query.
// Only the parts for the URL read bare. All others, the credentials among them, read r.
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

// AppendResource appends what the parts for the URL leave of it.
func (s *composed) AppendResource(dst []byte, r *http.Request) ([]byte, error) {
	if len(s.urls) == 0 {
		return target.AppendURI(dst, r), nil
	}
	for _, part := range s.urls {
		dst = part.appendResource(dst, r)
	}
	return dst, nil
}

// WholeURI reports whether the resource of a request is its target URI.
func (s *composed) WholeURI() bool {
	for _, part := range s.urls {
		if !part.allParams() || len(part.paths) > 0 || len(part.hosts) > 0 {
			return false
		}
	}
	return true
}

// Aliased returns r, or a request for the host that replaces that of r in the key. A cache treats the two as one origin.
func (s *composed) Aliased(r *http.Request) *http.Request {
	for _, part := range s.urls {
		r = part.aliased(r)
	}
	return r
}

// Mirrors returns requests for the same resource at the other hosts that share keys with that of r.
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

// Mutates reports whether a request may be a GraphQL mutation, which has no key and the same method as a query.
func (s *composed) Mutates(r *http.Request) bool { return s.graphQL != nil && s.graphQL.mutates(r) }

// ReadsGraphQL reports whether Mutates can be true.
func (s *composed) ReadsGraphQL() bool { return s.graphQL != nil }

// KeysCookies reports whether requests with equal keys have the same cookies: whether the credentials are a part.
func (s *composed) KeysCookies() bool {
	return slices.ContainsFunc(s.parts, func(part Part) bool {
		p, ok := part.(principalPart)
		return ok && p.name == nil
	})
}

// KeysContent reports whether the key includes the request's content.
// If it does not, the cache adds the content of a QUERY request itself (RFC 10008 §2.7).
func (s *composed) KeysContent() bool { return s.content }
