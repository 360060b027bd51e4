package ply

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/plyhttp/ply/internal/target"
)

// crossesOrigins lists the request header fields that are known to hold no secret: content negotiation, conditions, descriptions of the content,
// and ids that are made for one request. Only these are sent to an origin that the request was not meant for.
var crossesOrigins = fieldSet(
	"Accept", "Accept-Charset", "Accept-Datetime", "Accept-Encoding", "Accept-Language", "Prefer", "Priority", "Save-Data", "Dnt", "Sec-Gpc", "Te",
	"Want-Content-Digest", "Want-Repr-Digest", "Want-Digest",
	"Cache-Control", "Pragma", "Max-Forwards", "Expect", "Date", "User-Agent", "Referer", "X-Requested-With", // Referer as trimReferer leaves it
	"Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since",
	"Content-Type", "Content-Encoding", "Content-Language", "Content-Length", "Content-Disposition", "Content-Range", "Content-Digest", "Content-Md5", "Digest", "Repr-Digest",
	"Connection", "Transfer-Encoding", "Trailer", "Upgrade",
	"Idempotency-Key", "X-Idempotency-Key", "X-Request-Id", "X-Correlation-Id", "Traceparent", "Upgrade-Insecure-Requests",
)

func fieldSet(names ...string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}

// neverCrosses lists fields that Options.CrossOrigin must not name: the credentials of RFC 9110 §11, cookies, and Host.
var neverCrosses = fieldSet("Authorization", "Proxy-Authorization", "Cookie", "Host")

// fieldCrosses reports whether a header field may go to another origin. also lists further names, those of Options.CrossOrigin.
func fieldCrosses(name string, also []string) bool {
	return crossesOrigins[http.CanonicalHeaderKey(name)] ||
		slices.ContainsFunc(also, func(allowed string) bool { return strings.EqualFold(allowed, name) })
}

// checkCrossOrigin refuses names in Options.CrossOrigin that never cross.
func (c *Client) checkCrossOrigin() error {
	for _, name := range c.options.CrossOrigin {
		if canonical := http.CanonicalHeaderKey(name); neverCrosses[canonical] {
			return &OptionError{Option: "CrossOrigin", Reason: "names " + canonical + ", which never goes to another origin: give it to the requests that are for that one"}
		}
	}
	return nil
}

// dropCredentials removes every header field that is not known to be harmless from req, which goes to another origin than it was meant for.
// also lists the names of Options.CrossOrigin. net/http is laxer: it compares host names only, and lets subdomains, other ports and fields like X-Api-Key pass.
func dropCredentials(req *http.Request, also ...string) {
	for name := range req.Header {
		if !fieldCrosses(name, also) {
			delete(req.Header, name)
		}
	}
}

// stayedAtOrigin is staysAtOrigin for a hop of the client's own redirects. It goes by the requests that were made,
// not by the Response.Request that a layer or a transport may have set.
func stayedAtOrigin(req *http.Request, via []*http.Request) bool {
	origin := via[0].URL
	for _, hop := range via[1:] {
		if !sameOrigin(hop.URL, origin) {
			return false
		}
	}
	return sameOrigin(req.URL, origin) && staysAtOrigin(via[0])
}

// staysAtOrigin reports whether all redirects before req stayed at the origin of the first request. A redirect whose request is unknown counts as one that left it.
func staysAtOrigin(req *http.Request) bool {
	origin := firstRequest(req).URL
	for req.Response != nil {
		if req.Response.Request == nil || !sameOrigin(req.URL, origin) {
			return false
		}
		req = req.Response.Request
	}
	return true
}

// firstRequest returns the request that the redirects before req began with.
func firstRequest(req *http.Request) *http.Request {
	for req.Response != nil && req.Response.Request != nil {
		req = req.Response.Request
	}
	return req
}

// trimReferer reduces a Referer that goes to another origin to its own origin, because paths and queries may hold secrets.
// That includes a Referer of the caller's, which net/http sends with each hop.
func trimReferer(req *http.Request) {
	value := req.Header.Get("Referer")
	if value == "" {
		return
	}
	ref, err := url.Parse(value)
	switch {
	case err != nil || ref.Host == "":
		req.Header.Del("Referer")
	case !sameOrigin(ref, req.URL):
		req.Header.Set("Referer", ref.Scheme+"://"+ref.Host+"/")
	}
}

// sameOrigin reports whether a and b have the same scheme, host and port (RFC 6454 §5). Hosts compare as net/http connects to them:
// "\u03c2" and "\u03c3" are two letters in a name (RFC 5891 §4.4), and one to strings.EqualFold.
func sameOrigin(a, b *url.URL) bool {
	return a != nil && b != nil && strings.EqualFold(a.Scheme, b.Scheme) && target.SameAuthority(a.Scheme, a.Host, b.Host)
}
