package rfc9111

import (
	"net/http"
	"slices"

	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/internal/freshness"
	"github.com/plyhttp/ply/internal/reqctx"
	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
)

// Storable reports whether a response may be stored, and the reason if not (RFC 9111 §3).
func Storable(c *Candidate, p *Policy) (reason string, ok bool) {
	if why := UnstorableSize(c.Response.Header); why != "" {
		return why, false // before anything of it is read
	}
	d := c.controlling(p)
	for _, why := range [...]string{
		unstorableStatus(c, d, p),
		unstorableDirective(c, d, p),
		UnstorableVary(c.Response.Header),
		unstorableConnection(c.Response.Header, p),
		UnstorableKind(c, p),
		invalidation.UnstorableGroups(c.Response.Header),
		unstorableMethod(c, p),
		worthless(c, d, p),
	} {
		if why != "" {
			return why, false
		}
	}
	return "", true
}

// unstorableStatus judges the status code (RFC 9111 §3, third and fourth rule).
// Over 15 branches on purpose: one switch, whose first case that applies is the reason.
func unstorableStatus(c *Candidate, d *field.Response, p *Policy) string {
	status := c.Response.StatusCode
	switch {
	case status < 200 || status > 599:
		return "status not final"
	case !p.AllowsStatus(status):
		return "status not allowed"
	case status == http.StatusNotModified:
		return "304 answers the caller's condition"
	case status == http.StatusUnauthorized && reqctx.From(c.Request.Context()).Credential != nil:
		return "401 answers a credential that can be renewed"
	case status == http.StatusPreconditionFailed || status == http.StatusRequestedRangeNotSatisfiable:
		return "the answer to a condition or a range, not to the URI"
	case status == http.StatusPartialContent && !storablePart(c):
		return "partial content of another kind than one range of bytes"
	case c.Verdict.AnyStatus && c.Verdict.Overrules():
		return ""
	case d.MustUnderstand && !understood(status):
		return "must-understand, status not understood"
	case c.Verdict.Overrules() && !c.explicit && !freshness.HeuristicStatus(status):
		return "status not cacheable by default"
	case c.Unwanted:
		return "an error without a lifetime of the server's, and the strategy does not name its status"
	}
	return ""
}

// storablePart reports whether a 206 holds one range of bytes, and all of its bytes (RFC 9111 §3.3). Without a declared length, a cut would go unnoticed.
func storablePart(c *Candidate) bool {
	if !c.Confirmed && len(c.Request.Header["Range"]) == 0 {
		return false // no range was asked for
	}
	s, ok := ParseContentRange(c.Response.Header["Content-Range"])
	if ok {
		_, ok = s.Holding(c.Response.ContentLength)
	}
	return ok && len(c.Response.TransferEncoding) == 0 && !c.Response.Uncompressed && !hasType(c.Response.Header, "multipart/")
}

// unstorableDirective judges no-store, private and credentials (RFC 9111 §3, §3.5, §5.2.2).
// A strategy that overrules the server overrules no-store; it never makes a response public.
// Over 15 branches on purpose: one switch, whose first case that applies is the reason.
func unstorableDirective(c *Candidate, d *field.Response, p *Policy) string {
	switch {
	case c.Verdict.Refused():
		return "expiry says do not cache"
	case d.NoStore && !d.MustUnderstand && !c.Verdict.Overrules():
		return "no-store"
	case p.Shared && d.Private:
		return "private"
	case p.Shared:
		return unstorableCredentials(c.Carried, d)
	}
	return ""
}

// unstorableCredentials says why a shared cache must not store a response to a request with these credentials, or is empty (RFC 9111 §3.5).
func unstorableCredentials(sent Carried, d *field.Response) string {
	switch {
	case shareable(d):
	case sent&authorizationCarried != 0 && !d.MustRevalidate:
		return "authorization, and the response is not marked as shareable"
	case sent&cookieCarried != 0:
		return "cookie, and the response is not marked as shareable"
	case sent&OtherCarried != 0:
		return "credentials, and the response is not marked as shareable"
	}
	return ""
}

// UnstorableUpdate says why a response that brings a stored one up to date, or completes it, must not change what is stored, or is empty. In a shared cache it needs
// the permission that a response of its own would need: what it says may be about the one who asked, whatever the stored response permits (RFC 9111 §3.5).
func UnstorableUpdate(h http.Header, sent Carried, p *Policy) string {
	if !p.Shared || sent == 0 {
		return ""
	}
	d, _ := field.Controlling(h, p.Targeted)
	return unstorableCredentials(sent, &d)
}

// shareable reports whether the server allows a response to a request with credentials to be reused for other requests (RFC 9111 §3.5).
// The RFC requires this with Authorization only. This cache requires it with every credential.
func shareable(d *field.Response) bool {
	return d.Public || d.SMaxAge.Set && d.SMaxAge.Value > 0
}

// maxSelectors bounds the request fields that a stored response varies on: each later request is compared in all of them, with each variant.
const maxSelectors = 64

// UnstorableVary judges Vary: a response that varies on everything, or on what is no field name, can never be selected (RFC 9111 §4.1).
func UnstorableVary(h http.Header) string {
	n := 0
	for name := range field.Members(h["Vary"]) {
		switch n++; {
		case name == "*":
			return "vary *"
		case !field.IsToken(name):
			return "vary on an invalid field name"
		case n > maxSelectors:
			return "varies on more than 64 fields"
		}
	}
	return ""
}

// unstorableConnection judges Connection. The fields that it names are not stored, and without those that restrict its use a response would be
// used too widely. RFC 9110 §7.6.1 does not allow Connection to name such fields.
func unstorableConnection(h http.Header, p *Policy) string {
	for name := range field.Members(h["Connection"]) {
		switch name = http.CanonicalHeaderKey(name); {
		case name == "Cache-Control", name == "Expires", name == "Vary",
			slices.ContainsFunc(p.Targeted, func(targeted string) bool { return field.EqualFold(targeted, name) }):
			return "connection names a field that governs caches"
		}
	}
	return ""
}

// UnstorableKind refuses event streams, unless the user wants them, and, in a shared cache, responses that are made for one visitor:
// a response that sets a cookie is shared only if the server gave it a lifetime and the request had no credentials (RFC 9111 §7.3).
func UnstorableKind(c *Candidate, p *Policy) string {
	switch {
	case IsEventStream(c.Response.Header):
		if why := unstorableStream(c, p); why != "" {
			return why
		}
	}
	switch {
	case !p.Shared || len(c.Response.Header["Set-Cookie"]) == 0:
		return ""
	case p.StrictCookie, !c.explicit, c.Carried != 0:
		return "set-cookie"
	}
	return ""
}

// IsEventStream reports whether a response says that it is a stream of server-sent events (HTML §9.2.5).
func IsEventStream(h http.Header) bool { return hasType(h, "text/event-stream") }

// unstorableStream judges an event stream: whether it has ended well can be seen only without a content coding, and only with a 200 it is one (HTML §9.2.3).
func unstorableStream(c *Candidate, p *Policy) string {
	switch {
	case !p.EventStreams:
		return "event stream"
	case c.Response.StatusCode != http.StatusOK:
		return "event stream with another status than 200"
	}
	for coding := range field.Members(c.Response.Header["Content-Encoding"]) {
		if !field.EqualFold(coding, "identity") {
			return "event stream with a content coding"
		}
	}
	for name := range c.Request.Header {
		if classifyField(name) == lastEventID { // also of a POST, which is not bypassed for it
			return "event stream from Last-Event-ID on"
		}
	}
	return ""
}

// maxHeaderBytes bounds the header of a stored response.
const maxHeaderBytes = 64 << 10

// UnstorableSize refuses headers that are too large to be kept beside their bodies.
func UnstorableSize(h http.Header) string {
	var size int64
	for name, values := range h {
		for _, value := range values {
			size += int64(len(name) + len(value) + len(": \r\n"))
		}
	}
	if size > maxHeaderBytes {
		return "header exceeds 64 KiB"
	}
	return ""
}

// unstorableMethod judges the request method (RFC 9111 §3, first rule; RFC 9110 §9.3.3 for POST).
func unstorableMethod(c *Candidate, p *Policy) string {
	method := c.Request.Method
	switch {
	case c.Confirmed || method != http.MethodHead && p.Answers(method):
		return ""
	case method == http.MethodPost && c.explicit && c.Response.StatusCode == http.StatusOK && locatesItself(c.Request, c.Response):
		return ""
	}
	return "method"
}

// worthless refuses a response that could never be used: no rule of RFC 9111 §3 lets it be stored, or it would be neither fresh nor able to be validated.
func worthless(c *Candidate, d *field.Response, p *Policy) string {
	switch {
	case c.Verdict.Overrules():
		if c.Verdict.For(0) == 0 && !validatable(c.Response.Header) {
			return "expires immediately, no validator"
		}
		return ""
	case !c.explicit && !d.Public && (p.Shared || !d.Private) && !freshness.HeuristicStatus(c.Response.StatusCode):
		return "no explicit freshness, and status not cacheable by default"
	case c.explicit, validatable(c.Response.Header), c.Verdict.For(0) > 0, p.Disconnected > 0:
		return ""
	}
	return "no freshness, no validator"
}

func validatable(h http.Header) bool {
	return h.Get("Etag") != "" || h.Get("Last-Modified") != ""
}

// hasType reports whether the media type of a response begins with prefix.
func hasType(h http.Header, prefix string) bool {
	for member := range field.Members(h["Content-Type"]) {
		if len(member) >= len(prefix) && field.EqualFold(member[:len(prefix)], prefix) {
			return true
		}
	}
	return false
}

// understood reports whether this cache implements the caching requirements of a final status (RFC 9111 §3, RFC 9110 §15).
func understood(status int) bool {
	switch status {
	case 200, 203, 204, 206, 300, 301, 302, 303, 307, 308,
		400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 426, 428, 429, 431, 451,
		500, 501, 502, 503, 504, 505, 511:
		return true
	}
	return false
}
