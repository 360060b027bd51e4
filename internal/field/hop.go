package field

import (
	"net/http"
	"slices"
)

// hopByHop are the fields that belong to one connection (RFC 9110 §7.6.1) or to one proxy (RFC 9111 §3.1).
var hopByHop = [...]string{
	"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization",
}

// RemoveHopByHop deletes from h the fields that belong to a connection or a proxy, and those that Connection names.
func RemoveHopByHop(h http.Header) {
	for name := range Members(h["Connection"]) {
		h.Del(name)
	}
	for _, name := range hopByHop {
		delete(h, name)
	}
}

// WithoutHopByHop returns h without what RemoveHopByHop removes. It does not change h: it returns a copy, or h itself if there is nothing to remove.
func WithoutHopByHop(h http.Header) http.Header {
	if HasHopByHop(h) {
		h = h.Clone()
		RemoveHopByHop(h)
	}
	return h
}

// HasHopByHop reports whether RemoveHopByHop would remove anything from h.
func HasHopByHop(h http.Header) bool {
	for _, name := range hopByHop {
		if _, found := h[name]; found {
			return true
		}
	}
	return false
}

// IsHopByHop reports whether a field belongs to a connection or a proxy, whatever Connection names.
func IsHopByHop(name string) bool {
	return slices.ContainsFunc(hopByHop[:], func(hop string) bool { return EqualFold(hop, name) })
}
