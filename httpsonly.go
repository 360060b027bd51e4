package ply

import (
	"net/http"
	"net/url"
	"strings"
)

// HTTPSOnlyError says that a request was refused because its URL is not https: see Options.HTTPSOnly. Nothing was sent to that URL.
type HTTPSOnlyError struct {
	// URL is that of the request; its secrets are hidden.
	URL string

	// Redirected says that a server has led there.
	Redirected bool
}

func (e *HTTPSOnlyError) Error() string {
	if e.Redirected {
		return "ply: HTTPSOnly refuses a redirect to " + e.URL
	}
	return "ply: HTTPSOnly refuses " + e.URL + ": its scheme is not https"
}

// RetryableError is false: the next attempt would meet the same refusal.
func (e *HTTPSOnlyError) RetryableError() bool { return false }

// OriginUnavailable is false: a refusal is no failure of the origin that a stale response could stand in for.
func (e *HTTPSOnlyError) OriginUnavailable() bool { return false }

// httpsOnly ends the chain of a client with Options.HTTPSOnly. It refuses what layers have made of a request, and requests of their own, whatever their context.
type httpsOnly struct{ transports *transports }

func (h *httpsOnly) RoundTrip(req *http.Request) (*http.Response, error) {
	if !isHTTPS(req.URL) {
		closeBody(req)
		return nil, newHTTPSOnlyError(req, false)
	}
	return h.transports.RoundTrip(req)
}

func (h *httpsOnly) Unwrap() http.RoundTripper { return h.transports }

func (h *httpsOnly) WrappedRoundTripper() http.RoundTripper { return h.transports }

func (h *httpsOnly) CloseIdleConnections() { h.transports.CloseIdleConnections() }

func isHTTPS(u *url.URL) bool { return strings.EqualFold(u.Scheme, "https") }

func newHTTPSOnlyError(req *http.Request, redirected bool) error {
	_, u := requestOf(&http.Response{Request: req})
	return &HTTPSOnlyError{URL: u, Redirected: redirected || req.Response != nil}
}
