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

// Principal is the part that keeps principals apart. Of whom a request speaks is what name returns, or, if name is nil,
// what its credentials say; see [Default]. Only a hash of it stands in the key. An empty name is a principal of its own: nobody.
//
// Name a user, a tenant or a session by their identifier where the credentials change more often than the answers, tokens that are renewed for one.
func Principal(name func(*http.Request) (string, error)) Part {
	return principalPart{name: name}
}

type principalPart struct {
	name  func(*http.Request) (string, error)
	query bool // secret parameters of the query count, for no other part looks at them
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

// IgnoreCredentials is the part that says: whoever asks gets the same answer. It adds nothing to the key, and keeps [New] from adding the credentials.
func IgnoreCredentials() Part { return anyonePart{} }

type anyonePart struct{}

func (anyonePart) AppendPart(dst []byte, _ *http.Request) ([]byte, error) { return dst, nil }

// Header is the part that keeps requests apart by fields of their header, by all values of each. An absent field is not an empty one.
// Only a hash stands in the key. Choose fields that the server uses without saying so in Vary; a field in Vary needs no part.
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

// AllHeaders is the part that keeps requests apart by all the fields of their header but those named. Their order makes no difference.
// Only a hash stands in the key. It is for servers that say nothing in Vary; name what differs from request to request, such as trace identifiers.
func AllHeaders(except ...string) Part {
	left := make([]string, len(except))
	for i, name := range except {
		left[i] = http.CanonicalHeaderKey(name)
	}
	return PartFunc(func(dst []byte, r *http.Request) ([]byte, error) {
		var names []string
		for key := range r.Header {
			if name := http.CanonicalHeaderKey(key); !slices.Contains(left, name) && !slices.Contains(names, name) {
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

// anonymous stands in a key for the credentials that a request lacks.
const anonymous = "\x00"

// appendCredentials appends a hash of who asks by the credentials of r, or a mark that there are none.
func appendCredentials(dst []byte, r *http.Request) ([]byte, error) {
	if !credential.In(r) {
		return append(dst, anonymous...), nil
	}
	start := len(dst) + 1
	dst, err := credential.Append(append(append(dst, 1), hashSeed...), r)
	if err != nil && reqctx.From(r.Context()).Principal == "" { // else the program says who asks
		return nil, err
	}
	return hashedFrom(dst, start), nil
}

// has tells whether h has a field, whatever case its name is written in: a map filled by hand is sent as it is.
func has(h http.Header, name string) bool {
	for key := range h {
		if len(key) == len(name) && field.EqualFold(key, name) {
			return true
		}
	}
	return false
}

// appendField appends all values of a field: those under its canonical name first, and then those under any other spelling.
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

// otherSpellings returns the keys that name a field in another case, in a fixed order.
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

// hashSeed begins what is hashed.
const hashSeed = "ply key\x00"

// appendHashed appends the SHA-256 of what write appends.
func appendHashed(dst []byte, write func([]byte) []byte) []byte {
	start := len(dst)
	return hashedFrom(write(append(dst, hashSeed...)), start)
}

// hashedFrom puts the SHA-256 of what stands behind start in its place.
func hashedFrom(dst []byte, start int) []byte {
	sum := sha256.Sum256(dst[start:])
	clear(dst[start:]) // the buffer is used again: leave no secret in it
	return append(dst[:start], sum[:]...)
}
