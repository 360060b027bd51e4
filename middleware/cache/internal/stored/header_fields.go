package stored

import "net/http"

// SetsCookies reports whether a response field sets cookies. A stored response does not set them again, unless the user wants that:
// a cookie jar would take the old values for new ones.
func SetsCookies(name string) bool { return name == "Set-Cookie" || name == "Set-Cookie2" }

// WithoutCookies returns h without the fields that set cookies, and reports whether there were any.
func (h Header) WithoutCookies() (Header, bool) {
	if !h.Has("Set-Cookie") && !h.Has("Set-Cookie2") {
		return h, false
	}
	m := h.Map()
	RemoveCookies(m)
	return NewHeader(m), true
}

// RemoveCookies removes the fields that set cookies. It reports whether there were any.
func RemoveCookies(h http.Header) bool {
	had := len(h)
	delete(h, "Set-Cookie")
	delete(h, "Set-Cookie2")
	return len(h) < had
}

// notModifiedHeader removes from the header of a stored response what a 304 does not carry (RFC 9110 §15.4.5).
func notModifiedHeader(h http.Header) {
	for _, name := range [...]string{"Content-Encoding", "Content-Language", "Content-Length", "Content-Range", "Content-Type"} {
		delete(h, name)
	}
}
