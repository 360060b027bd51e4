package rfc9111

import (
	"net/http"
	"slices"
	"time"
)

// Policy is how the cache was set up, as far as the rules care.
type Policy struct {
	Shared        bool
	OneIdentity   bool          // Credentials that are added below are one principal's
	Methods       []string      // that are answered from the store; nil for the usual ones
	Statuses      []int         // that are stored and served; nil for all that may be
	StrictCookie  bool          // a shared cache stores nothing that sets a cookie
	ReplayCookies bool          // Cookies are stored and set again
	Targeted      []string      // fields that are obeyed before Cache-Control (RFC 9213)
	Disconnected  time.Duration // how stale an answer may be when the origin cannot be reached

	StaleWhileRevalidate, StaleIfError time.Duration // for responses that do not say
}

// methodQuery is the safe method with content (RFC 10008).
const methodQuery = "QUERY"

// Answers tells which methods can be answered from the store (RFC 9110 §9.2.3, RFC 10008 §2.7).
func (p *Policy) Answers(method string) bool {
	if method == "" {
		method = http.MethodGet
	}
	if p.Methods != nil {
		return slices.Contains(p.Methods, method)
	}
	return method == http.MethodGet || method == http.MethodHead || method == methodQuery
}

// AllowsStatus tells whether the user lets responses with a status be stored and served.
func (p *Policy) AllowsStatus(status int) bool {
	return p.Statuses == nil || slices.Contains(p.Statuses, status)
}
