package keying

import (
	"crypto/sha256"
	"net/http"
	"slices"

	"github.com/plyhttp/ply/internal/credential"
	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/internal/reqctx"
	"github.com/plyhttp/ply/internal/target"
)

// Principal returns the part that separates principals. name identifies the principal of a request; if it is nil, the credentials do; see [Default].
// The key has only a hash of the name. The empty name is a principal, too: the anonymous one. An error of name means that the request has no key.
//
// Use a name where credentials change more often than responses: the identifier of a user, a tenant or a session whose token is renewed.
func Principal(name func(*http.Request) (string, error)) Part {
	return principalPart{name: name}
}

type principalPart struct {
	name  func(*http.Request) (string, error)
	query bool // secret parameters of the query count, because no other part reads them
}

func (p principalPart) AppendPart(dst []byte, r *http.Request) ([]byte, error) {
	if p.name == nil {
		dst, err := appendCredentials(dst, r)
		if err == nil && p.query {
			dst = credential.AppendQuery(dst, target.Plain(r).URL.RawQuery)
		}
		return dst, err
	}
	name, err := p.name(r)
	if err != nil {
		return nil, err
	}
	return appendHashed(dst, func(dst []byte) []byte { return append(dst, name...) }), nil
}

// IgnoreCredentials returns the part for resources that are the same for every principal. It adds nothing to the key, and keeps [New] from adding the credentials.
func IgnoreCredentials() Part { return ignoreCredentialsPart{} }

type ignoreCredentialsPart struct{}

func (ignoreCredentialsPart) AppendPart(dst []byte, _ *http.Request) ([]byte, error) { return dst, nil }

// Header returns the part that separates requests by all values of these header fields. An absent field differs from an empty one.
// The key has only a hash of them. Choose fields that the server uses without listing them in Vary; a field in Vary needs no part.
func Header(names ...string) Part {
	canonical := make([]string, len(names))
	for i, name := range names {
		canonical[i] = http.CanonicalHeaderKey(name)
	}
	return PartFunc(func(dst []byte, r *http.Request) ([]byte, error) {
		return appendHashed(dst, func(dst []byte) []byte {
			for _, name := range canonical {
				dst = appendField(dst, r.Header, name)
			}
			return dst
		}), nil
	})
}

// AllHeaders returns the part that separates requests by all header fields except those named, in any order.
// The key has only a hash of them. It is for servers that send no Vary. Exclude fields that differ from request to request, such as trace identifiers.
func AllHeaders(except ...string) Part {
	excluded := make([]string, len(except))
	for i, name := range except {
		excluded[i] = http.CanonicalHeaderKey(name)
	}
	return PartFunc(func(dst []byte, r *http.Request) ([]byte, error) {
		var names []string
		for key := range r.Header {
			if name := http.CanonicalHeaderKey(key); !slices.Contains(excluded, name) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return appendHashed(dst, func(dst []byte) []byte {
			for _, name := range names {
				dst = appendField(target.Append(dst, name), r.Header, name)
			}
			return dst
		}), nil
	})
}

// anonymous marks the key of a request without credentials.
const anonymous = "\x00"

// appendCredentials appends a hash of the credentials of r, or anonymous if there are none.
func appendCredentials(dst []byte, r *http.Request) ([]byte, error) {
	start := len(dst) + 1
	named := start + len(hashSeed)
	dst, err := credential.Append(append(append(dst, 1), hashSeed...), r)
	if err == nil && len(dst) == named {
		return append(dst[:start-1], anonymous...), nil
	}
	if err != nil && !reqctx.From(r.Context()).Named() { // a principal that is named in the context makes up for credentials that cannot be read
		return nil, err
	}
	return hashedFrom(dst, start), nil
}

// has reports whether h has a field under any spelling of its name: net/http sends the keys of a map as they are.
func has(h http.Header, name string) bool {
	for key := range h {
		if len(key) == len(name) && field.EqualFold(key, name) {
			return true
		}
	}
	return false
}

// appendField appends all values of a field: first those under its canonical name, then those under other spellings.
func appendField(dst []byte, h http.Header, name string) []byte {
	values, ok := h[name]
	if !ok && !has(h, name) {
		return append(dst, 0)
	}
	dst = append(dst, 1)
	for _, value := range values {
		dst = target.Append(append(dst, 1), value)
	}
	for _, key := range otherSpellings(h, name) {
		for _, value := range h[key] {
			dst = target.Append(append(dst, 1), value)
		}
	}
	return append(dst, 0)
}

// otherSpellings returns the keys that spell the name of a field in another case, sorted.
func otherSpellings(h http.Header, name string) []string {
	var found []string
	for key := range h {
		if len(key) == len(name) && key != name && field.EqualFold(key, name) {
			found = append(found, key)
		}
	}
	slices.Sort(found)
	return found
}

// hashSeed is the prefix of all hashed text.
const hashSeed = "ply key\x00"

// appendHashed appends the SHA-256 of what write appends.
func appendHashed(dst []byte, write func([]byte) []byte) []byte {
	start := len(dst)
	return hashedFrom(write(append(dst, hashSeed...)), start)
}

// hashedFrom replaces what follows start in dst by its SHA-256.
func hashedFrom(dst []byte, start int) []byte {
	sum := sha256.Sum256(dst[start:])
	clear(dst[start:]) // the buffer is reused: leave no secret in it
	return append(dst[:start], sum[:]...)
}
