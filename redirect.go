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

// MaxRedirects lets a request follow n redirects at most; one more is a [*RedirectError].
// Without it the limit is 10. n must be positive: see [NoRedirects].
func MaxRedirects(n int) RequestOption {
	return RequestOption{func(d *draft) error {
		if n <= 0 {
			return &OptionError{Option: "MaxRedirects", Reason: "must be positive; NoRedirects follows none"}
		}
		d.settings.maxRedirects = n
		return nil
	}}
}

// NoRedirects hands a redirect to the caller as it came, its body unread. One whose Location cannot be parsed is an error, as it is for net/http.
func NoRedirects() RequestOption {
	return RequestOption{func(d *draft) error {
		d.settings.maxRedirects = noRedirects
		return nil
	}}
}

// RedirectError says that a redirect was not followed: the limit was reached, or the request could not be sent again.
type RedirectError struct {
	// Limit is the number of redirects that were allowed. It is 0 for a redirect that could not be followed: a 307 or 308
	// to a request whose body cannot be sent twice, or without a Location.
	Limit int

	// Response is the redirect that was not followed, its body closed.
	// Its history, by way of Request.Response, is whole.
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

// unfollowed returns a [*RedirectError] for a 307 or 308 that the caller of a request takes for its outcome though it is none (RFC 9110 §15.4.8):
// net/http returns it like any other response. Who chose [NoRedirects], or a single exchange, expects it.
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

// canSendAgain reports whether the body of req, if it has one, can be sent another time.
func canSendAgain(req *http.Request) bool {
	return req.GetBody != nil || req.Body == nil || req.Body == http.NoBody
}

// checkRedirect is the redirect policy of every [Client]; req is the next hop, via the requests so far.
func (c *Client) checkRedirect(req *http.Request, via []*http.Request) error {
	limit := c.defaults.settings.maxRedirects
	if s := settingsOf(req.Context()); s != nil && (s.resolved || s.maxRedirects != 0) {
		limit = s.maxRedirects
	}
	switch {
	case limit == noRedirects:
		closeBody(req) // net/http has opened it for this hop and leaves it open
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

// cleanHop takes from req what was true of the request that was redirected to it, and of the first, and is not of this one.
func cleanHop(req, previous, first *http.Request) {
	if req.Body == nil {
		req.Header.Del("Expect") // RFC 9110 §10.1.1
		if first.Body != nil || methodOf(req) != methodOf(first) {
			dropContentFields(req.Header)
		}
	}
	if !sameOrigin(req.URL, previous.URL) {
		req.Host = "" // net/http keeps one that the caller chose for "//b.test/" too, and a jar goes by it
	}
}

// dropContentFields takes what speaks of content from the header of a request that has lost its own to a redirect: a 303, or a 301 or 302 (RFC 9110 §15.4).
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

// badLocation begins the error of net/http for a Location that cannot be parsed, which it quotes.
const badLocation = "failed to parse Location header "

// withoutLocation is err without the secrets that a Location may have brought into it, or a layer.
func withoutLocation(r *redact.Redactor, err error) error {
	if strings.HasPrefix(err.Error(), badLocation) {
		return errors.New("ply: the Location of the redirect cannot be parsed")
	}
	return r.Error(err)
}
