package reqctx

import (
	"context"
	"crypto/sha256"
	"iter"
	"net/http"
	"strings"
)

// A Credential is what a layer has added to a request for a principal that it names. It doesn't change.
type Credential struct {
	Field string // the header field that holds it, or "" if none does
	Value string // of the field

	principal string // a hash of the name
	before    string // Values.Principal outside
	outer     *Credential
}

// A SignatureWatch hears what a signer has made of a request that a cache has sent down.
type SignatureWatch interface {
	// Signed compares a request before and after it was signed for the principal of that name. It may be called from any goroutine.
	Signed(principal string, before, after *http.Request)

	// Added says that a layer has put a credential of which the cache knows nothing into the header field, or elsewhere if that is empty.
	// The cache could not tell by itself if the name is none that a secret is known to have. It may be called from any goroutine.
	Added(field string)
}

// HashPrincipal is the form in which a principal's name stands in Values, and in the keys and tags of caches.
func HashPrincipal(name string) string {
	sum := sha256.Sum256(append([]byte("ply principal\x00"), name...))
	return string(sum[:])
}

// WithCredential returns a context for a request whose header field has the value, which a layer has added for the principal of that name.
// Of a credential that is no field, such as a parameter of the query, the name alone counts. A principal that the context has already counts beside it.
// With an empty name the value stands for itself: it keeps requests apart, and says no more of who asks.
func WithCredential(ctx context.Context, field, value, name string) context.Context {
	v := From(ctx)
	v.Unnamed = name == "" && !v.Named()
	if name == "" {
		name = "credential\x00" + value
	}
	c := &Credential{Field: field, Value: value, principal: HashPrincipal(name), before: v.Principal, outer: v.Credential}
	if c.outer != nil && c.outer.Field == field { // the context is that of an older request
		c.outer = c.outer.outer
	}
	switch v.Principal {
	case c.principal:
	case "":
		v.Principal = c.principal
	default:
		sum := sha256.Sum256([]byte("ply principals\x00" + v.Principal + c.principal))
		v.Principal = string(sum[:])
	}
	v.Credential = c
	return With(ctx, v)
}

// Named reports whether the program, or a layer above, has said who asks.
func (v Values) Named() bool { return v.Principal != "" && !v.Unnamed }

// Vouches reports whether all that a field holds is a credential that a layer has added for a principal which it names.
// Then the principal says who asks, and the value, which may be another tomorrow, says no more.
func (v Values) Vouches(field string, values []string) bool {
	if len(values) != 1 {
		return false
	}
	for c := v.Credential; c != nil; c = c.outer {
		if c.Field != "" && strings.EqualFold(c.Field, field) && c.Value == values[0] {
			return true
		}
	}
	return false
}

// Principals yields the hashes of all names that have gone into Principal, and Principal.
func (v Values) Principals() iter.Seq[string] {
	return func(yield func(string) bool) {
		if v.Principal != "" && !yield(v.Principal) {
			return
		}
		for c := v.Credential; c != nil; c = c.outer {
			for _, hashed := range [...]string{c.principal, c.before} {
				if hashed != "" && hashed != v.Principal && !yield(hashed) {
					return
				}
			}
		}
	}
}
