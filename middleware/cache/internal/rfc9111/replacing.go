package rfc9111

import (
	"net/http"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// Replaces reports whether a response that is not stored itself shows that the stored one is out of date (RFC 9111 §4.3.3):
// the resource has changed, moved or gone. Other errors say nothing about the resource.
func Replaces(status int) bool {
	switch status {
	case http.StatusPartialContent, http.StatusNotModified:
		return false
	case http.StatusNotFound, http.StatusGone:
		return true
	}
	return status >= 200 && status < 400
}

// Ends reports whether a response that is not stored itself removes a stored one. A 404 or 410 without a lifetime does not remove a fresh one:
// the server has promised that for its lifetime (RFC 9111 §4.2).
func Ends(old *stored.Entry, status int, now time.Time) bool {
	return Replaces(status) && (status < 400 || old.FreshFor(now) <= 0)
}

// DisplacesServable reports whether an error would take the place of a stored response that can still be served, be it as stale-if-error
// (RFC 5861 §4). Only a 404 or 410 with a lifetime may do that: it says that the resource is gone. Other errors say nothing about the resource.
func DisplacesServable(old, e *stored.Entry, p *Policy, now time.Time) bool {
	if e.Status < 400 || old == nil || !servable(old, p, now) {
		return false
	}
	return !Replaces(e.Status) || e.FreshFor(now) <= 0
}
