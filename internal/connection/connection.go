// Package connection identifies connections by what determines the responses that come over them: the certificates that the client shows,
// the roots that it trusts, the socket and the proxy. A cache keeps responses apart that came over connections with different identities.
//
// An identity is named by content, so that a name means the same in each process that shares a store. A part without content,
// such as a callback, is named by a token of its object, which is valid only in this process.
//
// Where to look: connection.go has the identity and its parts, describe.go those of a transport, roots.go that of a pool of certificates;
// chain.go looks through a stack of handlers for the transport, path.go for what a request chooses; dialer.go and gate.go are a dialer and a Proxy
// that are known by their code.
package connection

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"weak"
)

// An Identity distinguishes connections. It does not change, and is comparable. The zero Identity is the common one:
// TCP, with the roots of the system and no certificate of the client.
type Identity struct {
	Name string // the name of the parts with content, or "" if they are common
	Why  string // why a part cannot be named by content, or ""

	// Local has the tokens of the parts that cannot be named by content. They mean nothing outside this process.
	Local string

	// Foreign is the token of round trippers for other schemes than http and https. It counts only for requests with such schemes.
	Foreign string

	// Unverified is true if responses may come without a verified chain of certificates. A cache keeps them apart from all others.
	Unverified bool
}

// Common reports whether id is the common identity.
func (id *Identity) Common() bool { return *id == Identity{} }

// A Part is one part of a connection's identity, such as its TLS configuration or its proxy.
type Part struct {
	content    []string
	why        string
	local      string
	unverified bool
}

func (p *Part) add(kind string, content ...string) {
	p.content = append(append(p.content, kind, fmt.Sprint(len(content))), content...)
}

// unnamedConnection notes why something cannot be named by content. token stands for its object.
func (p *Part) unnamed(why, token string) {
	if p.why == "" {
		p.why, p.local = why, token
	}
}

// Parts are all parts of a connection's identity.
type Parts struct {
	TLS, Dial, Proxy Part

	// Foreign is the token of round trippers for other schemes than http and https, or "".
	Foreign string

	// Environment is true if the environment chooses the proxies.
	Environment bool
}

// Identity returns the identity that the parts make.
func (p *Parts) Identity() Identity {
	id := Identity{Foreign: p.Foreign}
	var content []string
	for _, part := range [...]*Part{&p.TLS, &p.Dial, &p.Proxy} {
		content = append(content, part.content...)
		id.Unverified = id.Unverified || part.unverified
		if part.why == "" {
			continue
		}
		if id.Why == "" {
			id.Why = part.why
		}
		if !slices.Contains(tokensOf(id.Local), part.local) {
			id.Local += part.local
		}
	}
	if len(content) > 0 {
		id.Name = hashed(content...)
	}
	return id
}

// hashed returns one name for several strings. All names have the same length.
func hashed(content ...string) string {
	h := sha256.New()
	var length [8]byte
	for _, s := range content {
		binary.BigEndian.PutUint64(length[:], uint64(len(s)))
		h.Write(length[:])
		h.Write([]byte(s))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

const tokenLength = 17

func tokensOf(local string) []string {
	var tokens []string
	for ; local != ""; local = local[tokenLength:] {
		tokens = append(tokens, local[:tokenLength])
	}
	return tokens
}

var (
	lastToken atomic.Uint64
	tokens    sync.Map // from a weak pointer to an object to its token
)

// newToken returns a token that no object has.
func newToken() string { return fmt.Sprintf("~%016x", lastToken.Add(1)) }

// tokenOf returns the token of an object, which stays the same as long as the object lives.
func tokenOf[T any](object *T) string {
	at := weak.Make(object)
	if token, ok := tokens.Load(at); ok {
		return token.(string)
	}
	token, known := tokens.LoadOrStore(at, newToken())
	if !known {
		forget(object, at)
	}
	return token.(string)
}

// forget removes the token of an object when the object is collected.
func forget[T any](object *T, at weak.Pointer[T]) {
	runtime.AddCleanup(object, func(at weak.Pointer[T]) { tokens.Delete(at) }, at)
}
