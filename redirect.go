package ply

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/plyhttp/ply/internal/target"
	"github.com/plyhttp/ply/redact"
)

const defaultMaxRedirects = 10

// MaxRedirects limits a request to n redirects; one more is a [*RedirectError].
// The default is 10. n must be positive; [NoRedirects] follows none.
func MaxRedirects(n int) RequestOption {
	return RequestOption{func(d *draft) error {
		if n <= 0 {
			return &OptionError{Option: "MaxRedirects", Reason: "must be positive; NoRedirects follows none"}
		}
		d.settings.maxRedirects = n
		return nil
	}}
}

// NoRedirects returns a redirect to the caller instead of following it, with its body unread. A Location that cannot be parsed is an error, as in net/http.
func NoRedirects() RequestOption {
	return RequestOption{func(d *draft) error {
		d.settings.maxRedirects = noRedirects
		return nil
	}}
}

// RedirectError says that a redirect was not followed: the limit was reached, or the request could not be sent again.
type RedirectError struct {
	// Limit is the number of redirects that were allowed. It is 0 for a redirect that could not be followed: a 307 or 308
	// without a Location, or to a request whose body cannot be sent twice.
	Limit int

	// Response is the redirect that was not followed. Its body is closed; Request.Response has the redirects before it.
	Response *http.Response
}

func (e *RedirectError) Error() string {
	switch e.Limit {
	case 0:
		return e.unfollowed()
	case 1:
		return "ply: stopped after 1 redirect"
	}
	return fmt.Sprintf("ply: stopped after %d redirects", e.Limit)
}

func (e *RedirectError) unfollowed() string {
	if e.Response == nil {
		return "ply: a redirect was not followed"
	}
	text := fmt.Sprintf("ply: %s: a redirect (%d) was not followed: ", requestLineOf(e.Response), e.Response.StatusCode)
	if e.Response.Header.Get("Location") == "" {
		return text + "it names no Location"
	}
	return text + "the body of the request cannot be sent again, so nothing has arrived; give one that can (BodyReader says which), or take the redirect with NoRedirects"
}

// unfollowed returns a [*RedirectError] for a 307 or 308 that could not be followed (RFC 9110 §15.4.8): net/http returns it like any other response,
// and callers would take it for a success. It returns nil if the request chose [NoRedirects] or a single exchange, whose callers expect redirects.
func unfollowed(resp *http.Response) error {
	if resp.StatusCode != http.StatusTemporaryRedirect && resp.StatusCode != http.StatusPermanentRedirect {
		return nil
	}
	if resp.Request != nil {
		if s := settingsOf(resp.Request.Context()); s != nil && (s.maxRedirects == noRedirects || s.single && !s.underHTTPClient) {
			return nil
		}
	}
	if resp.Header.Get("Location") != "" && (resp.Request == nil || canSendAgain(resp.Request)) {
		return nil
	}
	return &RedirectError{Response: resp}
}

// canSendAgain reports whether req has no body or one that can be sent again.
func canSendAgain(req *http.Request) bool {
	return req.GetBody != nil || req.Body == nil || req.Body == http.NoBody
}

// checkRedirect is the redirect policy of every [Client]: req is the next hop, and via are the requests before it.
func (c *Client) checkRedirect(req *http.Request, via []*http.Request) error {
	limit := c.defaults.settings.maxRedirects
	if s := settingsOf(req.Context()); s != nil && (s.resolved || s.maxRedirects != 0) {
		limit = s.maxRedirects
	}
	switch {
	case limit == noRedirects:
		closeBody(req) // net/http opened it for this hop and does not close it
		return http.ErrUseLastResponse
	case limit == 0:
		limit = defaultMaxRedirects
	}
	if len(via) > limit {
		return &RedirectError{Limit: limit, Response: req.Response}
	}
	if c.options.HTTPSOnly && !isHTTPS(req.URL) {
		return newHTTPSOnlyError(req, true)
	}
	req.URL.RawQuery = target.EscapedQuery(req.URL.RawQuery)
	cleanHop(req, via[len(via)-1], via[0])
	if !stayedAtOrigin(req, via) {
		dropCredentials(req, c.options.CrossOrigin...)
		trimReferer(req)
	}
	return nil
}

// cleanHop removes from req what applied only to the requests before it: an Expect and content fields without content, and a Host for another origin.
func cleanHop(req, previous, first *http.Request) {
	if req.Body == nil {
		req.Header.Del("Expect") // RFC 9110 §10.1.1
		if first.Body != nil || methodOf(req) != methodOf(first) {
			dropContentFields(req.Header)
		}
	}
	if !sameOrigin(req.URL, previous.URL) {
		req.Host = "" // net/http would keep the caller's Host, even for "//b.test/", and a jar uses it
	}
}

// dropContentFields removes the fields that describe content, from a request whose content was dropped by a 301, 302 or 303 (RFC 9110 §15.4).
func dropContentFields(header http.Header) {
	for name := range header {
		switch canonical := http.CanonicalHeaderKey(name); canonical {
		case "Digest", "Repr-Digest", "Last-Modified", "Etag", "Trailer", "Transfer-Encoding":
			delete(header, name)
		default:
			if strings.HasPrefix(canonical, "Content-") {
				delete(header, name)
			}
		}
	}
}

// badLocation is how net/http's error for a Location that cannot be parsed begins. The error quotes the Location.
const badLocation = "failed to parse Location header "

// withoutLocation returns err without the secrets that a Location or a layer may have put into its text.
func withoutLocation(r *redact.Redactor, err error) error {
	if strings.HasPrefix(err.Error(), badLocation) {
		return errors.New("ply: the Location of the redirect cannot be parsed")
	}
	return r.Error(err)
}
