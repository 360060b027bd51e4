// Package connection says what of a connection decides which answers come over it: the certificates that the client shows,
// whom it trusts, the socket that it goes to, the proxy between. A cache keeps answers that came over different connections apart.
//
// An identity is named by content, so that a name means the same in each process that shares a store. What has no content to name it by,
// a callback for one, has a token of its object, which means something in this process only.
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

// An Identity is what tells a connection from others. It doesn't change, and is comparable. The zero Identity is the common one:
// TCP, with the roots of the system and no certificate of the client.
type Identity struct {
	Name string // of what has content, or "" if that is common
	Why  string // a part of it cannot be named by content, or ""

	// Local are the tokens of what cannot be named. They mean nothing outside this process.
	Local string

	// Foreign is the token of what serves other schemes than those of HTTP: it counts for requests of these alone.
	Foreign string

	// Unverified says that answers may come without a verified chain of certificates, and stay among themselves.
	Unverified bool
}

// Common reports whether connections have nothing that tells them from others.
func (id *Identity) Common() bool { return *id == Identity{} }

// A Part is what one side of a configuration says about connections.
type Part struct {
	content    []string
	why        string
	local      string
	unverified bool
}

func (p *Part) add(kind string, content ...string) {
	p.content = append(append(p.content, kind, fmt.Sprint(len(content))), content...)
}

// unnamed notes that something cannot be named by content; token stands for the object that has it.
func (p *Part) unnamed(why, token string) {
	if p.why == "" {
		p.why, p.local = why, token
	}
}

// Parts are what connections are made of.
type Parts struct {
	TLS, Dial, Proxy Part

	// Foreign is the token of what serves other schemes than those of HTTP, or "".
	Foreign string

	// Environment says that the environment chooses the proxies.
	Environment bool
}

// Identity puts the parts together.
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

// hashed is one name for several strings, always of the same length.
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
	tokens    sync.Map // of a weak pointer to an object: its token
)

// newToken is one that no object has.
func newToken() string { return fmt.Sprintf("~%016x", lastToken.Add(1)) }

// tokenOf is the token of an object, the same as long as the object is there.
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

// forget has the token of an object go with it.
func forget[T any](object *T, at weak.Pointer[T]) {
	runtime.AddCleanup(object, func(at weak.Pointer[T]) { tokens.Delete(at) }, at)
}
