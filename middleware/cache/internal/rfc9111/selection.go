package rfc9111

import (
	"crypto/sha256"
	"net/http"
	"slices"
	"strings"

	"github.com/plyhttp/ply/internal/credential"
	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/internal/reqctx"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// NewSelectors returns the selectors of a response with this Vary to a request, in a fixed order.
// A response that varies on more than maxSelectors fields is not stored.
func NewSelectors(vary []string, r *http.Request, key *stored.HashKey) []stored.Selector {
	var selectors []stored.Selector
	for name := range field.Members(vary) {
		name = http.CanonicalHeaderKey(name)
		if slices.ContainsFunc(selectors, func(s stored.Selector) bool { return s.Name == name }) {
			continue
		}
		value, present := Selecting(r, name, key)
		s := stored.Selector{Name: name, Present: present, Value: value}
		if lines := r.Header[name]; len(lines) == 1 && !sensitive(name) {
			s.Raw = lines[0]
		}
		if selectors = append(selectors, s); len(selectors) == maxSelectors {
			break
		}
	}
	slices.SortFunc(selectors, func(a, b stored.Selector) int { return strings.Compare(a.Name, b.Name) })
	return selectors
}

// Selecting returns the normalised value of one request field, and whether the field is present at all.
func Selecting(r *http.Request, name string, key *stored.HashKey) (string, bool) {
	lines, present := linesOf(r.Header, name)
	if present && sensitive(name) && reqctx.From(r.Context()).Vouches(name, lines) {
		return ofPrincipal, true
	}
	if credential.Named(name) {
		lines = identities(name, lines)
	}
	value := normalise(name, lines)
	if present && sensitive(name) {
		value = hash(key, value)
	}
	return value, present
}

// SetBelow returns the name of a field that Vary nominates and that the request that was sent has with another value than the one that the cache has seen,
// or "". The selectors have the value that was seen, so they would not tell apart whom the other one tells apart (RFC 9111 §4.1).
// Credentials are not its matter: keys tell them apart. Nor is what says nothing of who asks, and is the same for a whole program more often than not.
func SetBelow(vary []string, seen, sent *http.Request) string {
	n := 0
	for name := range field.Members(vary) {
		if n++; n > maxSelectors { // it is not stored
			break
		}
		name = http.CanonicalHeaderKey(name)
		if !field.IsToken(name) || !tellsApart(name) || credential.Named(name) {
			continue
		}
		value, present := appearing(seen, name)
		if other, there := appearing(sent, name); there != present || other != value {
			return name
		}
	}
	return ""
}

// tellsApart reports whether a field may say who asks, or for whom. The cache itself sends conditions and ranges, and net/http what is the connection's.
func tellsApart(name string) bool {
	switch name {
	case "Cache-Control", "Connection", "Content-Encoding", "Content-Length", "Date", "Expect", "Host", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range",
		"If-Unmodified-Since", "Max-Forwards", "Pragma", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Via":
		return false
	case "Accept-Language":
		return true
	}
	return sensitive(name)
}

// appearing is [Selecting] without a hash.
func appearing(r *http.Request, name string) (string, bool) {
	lines, present := linesOf(r.Header, name)
	return normalise(name, lines), present
}

// linesOf returns all lines of a field, whatever the spelling of its name, and whether there is any.
func linesOf(h http.Header, name string) (lines []string, present bool) {
	for key, values := range h {
		if len(key) == len(name) && field.EqualFold(key, name) && values != nil {
			lines, present = append(lines, values...), true
		}
	}
	return lines, present
}

// hasSecretLine reports whether a request certainly has the value of which a selector keeps the hash, as its one line. It allocates nothing.
// If it is false, [Selecting] decides: about values that are long, in several lines, a list or a signature.
func hasSecretLine(s *stored.Selector, r *http.Request, key *stored.HashKey) bool {
	lines := r.Header[s.Name]
	if !s.Present || key == nil || len(lines) != 1 || !sensitive(s.Name) || stored.Respelled(r.Header, s.Name) || reqctx.From(r.Context()).Vouches(s.Name, lines) {
		return false
	}
	line := lines[0]
	if credential.Named(s.Name) {
		if id, ok := credential.Identity(s.Name, line); ok && id != line {
			return false
		}
	} else if strings.Contains(line, ",") {
		return false
	}
	var room [512]byte
	value := field.TrimOWS(line)
	if len(key)+len(value) > len(room) {
		return false
	}
	sum := sha256.Sum256(append(append(room[:0], key[:]...), value...))
	return string(sum[:]) == s.Value
}

// Selects reports whether a request selects the stored response: all nominated fields match (RFC 9111 §4.1).
func Selects(e *stored.Entry, r *http.Request, key *stored.HashKey) bool {
	for i := range e.Selectors {
		s := &e.Selectors[i]
		if s.Recognises(r.Header) || hasSecretLine(s, r, key) {
			continue
		}
		value, present := Selecting(r, s.Name, key)
		if present == s.Present && value == s.Value {
			continue
		}
		if s.Name != "Accept-Language" || !prefersLanguage(r.Header["Accept-Language"], e.Header.Lines("Content-Language")) {
			return false
		}
	}
	return true
}

// Select returns the stored response to use for a request. Of those that the request selects it prefers one that has the bytes that are asked for,
// and of these the one with the latest Date (RFC 9111 §4).
func Select(s *stored.Variants, a *Request, r *http.Request, key *stored.HashKey) *stored.Entry {
	if e := recognised(s, a, r); e != nil {
		return e
	}
	var best *stored.Entry
	bestHolds := false
	query := ""
	for _, e := range s.Entries {
		if e.Search != nil && query == "" {
			query = stored.Blinded(stored.QueryOf(r))
		}
		_, has := holds(a, e)
		if best != nil && (bestHolds && !has || bestHolds == has && !e.NewerThan(best)) {
			continue
		}
		if (e.Search == nil || e.Search.CoversBlinded(query)) && Selects(e, r, key) {
			best, bestHolds = e, has
		}
	}
	return best
}

// recognised is the fast path of Select: it compares the raw selecting header fields, without bringing them into their normal form.
// If all responses vary on the same fields, the request selects no other one.
func recognised(s *stored.Variants, a *Request, r *http.Request) *stored.Entry {
	// Of several, those of one cookie may have hashes of different keys, as after an import, and then the hash says which is the present one.
	cookieKeyed := a.CookieKeyed && len(s.Entries) == 1
	for _, e := range s.Entries {
		if e.Search != nil || !e.Recognises(r.Header, cookieKeyed) || !enough(a, e) {
			continue
		}
		for _, other := range s.Entries {
			if !e.SameFields(other) {
				return nil
			}
		}
		return e
	}
	return nil
}
