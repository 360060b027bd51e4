package rfc9111

import (
	"net/http"
	"slices"
	"time"
)

// Policy is the part of the cache's options that the rules use.
type Policy struct {
	Shared        bool
	OneIdentity   bool          // credentials that are added below the cache belong to one principal
	Methods       []string      // that can be answered from the store; nil for GET, HEAD and QUERY
	Statuses      []int         // that are stored and served; nil for all that may be
	StrictCookie  bool          // a shared cache stores nothing that sets a cookie
	ReplayCookies bool          // cookies are stored and set again
	EventStreams  bool          // event streams are stored
	Targeted      []string      // fields that are obeyed before Cache-Control (RFC 9213)
	Disconnected  time.Duration // how stale a response may be while the origin cannot be reached

	StaleWhileRevalidate, StaleIfError time.Duration // for responses that do not say
}

// methodQuery is the safe method with content (RFC 10008).
const methodQuery = "QUERY"

// Answers reports whether requests with a method can be answered from the store (RFC 9110 §9.2.3, RFC 10008 §2.7).
func (p *Policy) Answers(method string) bool {
	if method == "" {
		method = http.MethodGet
	}
	if p.Methods != nil {
		return slices.Contains(p.Methods, method)
	}
	return method == http.MethodGet || method == http.MethodHead || method == methodQuery
}

// AllowsStatus reports whether responses with a status may be stored and served under the user's options.
func (p *Policy) AllowsStatus(status int) bool {
	return p.Statuses == nil || slices.Contains(p.Statuses, status)
}
