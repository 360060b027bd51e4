package rfc9111

import (
	"net/http"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// Replaces tells whether an answer that is not stored itself shows that what is stored is no more (RFC 9111 §4.3.3):
// the resource has changed, moved or gone. An error says nothing about it.
func Replaces(status int) bool {
	switch status {
	case http.StatusPartialContent, http.StatusNotModified:
		return false
	case http.StatusNotFound, http.StatusGone:
		return true
	}
	return status >= 200 && status < 400
}

// Ends tells whether an answer that is not stored itself ends a stored response. A 404 or 410 that nobody can use later ends no fresh one:
// for so long the server has vouched for it (RFC 9111 §4.2).
func Ends(old *stored.Entry, status int, now time.Time) bool {
	return Replaces(status) && (status < 400 || old.FreshFor(now) <= 0)
}

// DisplacesServable tells whether an error would take the place of a stored response that can still be served, be it in place of errors
// (RFC 5861 §4). That is left to a 404 or 410 with some lifetime left, which says that the resource is no more; other errors say nothing about it.
func DisplacesServable(old, e *stored.Entry, p *Policy, now time.Time) bool {
	if e.Status < 400 || old == nil || !servable(old, p, now) {
		return false
	}
	return !Replaces(e.Status) || e.FreshFor(now) <= 0
}
