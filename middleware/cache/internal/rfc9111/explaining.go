package rfc9111

import (
	"net/http"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// IsHashed reports whether the values of a field are kept as hashes, for they may be credentials.
func IsHashed(name string) bool { return sensitive(name) }

// Matches reports whether a request has what a response varies on in one of its selecting header fields (§4.1).
func Matches(e *stored.Entry, s stored.Selector, r *http.Request, key *stored.HashKey) bool {
	return Selects(&stored.Entry{Selectors: []stored.Selector{s}, Header: e.Header}, r, key)
}

// LacksBytes reports whether a stored response is a part without all the bytes that a request asks for (§3.3).
func LacksBytes(a *Request, e *stored.Entry) bool { return !enough(a, e) }
