package ply

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// crossesOrigins has the header fields of requests that are known to hold no secret: what is wanted, in which form, under which condition, what the content is,
// and ids that are made for one request. Only these go along to an origin that the request was not meant for.
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

// neverCrosses are the credentials of RFC 9110 §11 and cookies, which net/http ends a redirect with as well.
var neverCrosses = fieldSet("Authorization", "Proxy-Authorization", "Cookie", "Host")

// fieldCrosses reports whether a header field may go to another origin; also has the names of Options.CrossOrigin.
func fieldCrosses(name string, also []string) bool {
	return crossesOrigins[http.CanonicalHeaderKey(name)] ||
		slices.ContainsFunc(also, func(allowed string) bool { return strings.EqualFold(allowed, name) })
}

// checkCrossOrigin refuses names that no option lets out.
func (c *Client) checkCrossOrigin() error {
	for _, name := range c.options.CrossOrigin {
		if canonical := http.CanonicalHeaderKey(name); neverCrosses[canonical] {
			return &OptionError{Option: "CrossOrigin", Reason: "names " + canonical + ", which never goes to another origin: give it to the requests that are for that one"}
		}
	}
	return nil
}

// dropCredentials takes from the header of req, which goes to another origin than the one that it was meant for, all that is not known to be harmless;
// also has the names of Options.CrossOrigin. net/http compares host names only, and lets subdomains, other ports and fields like X-Api-Key pass.
func dropCredentials(req *http.Request, also ...string) {
	for name := range req.Header {
		if !fieldCrosses(name, also) {
			delete(req.Header, name)
		}
	}
}

// stayedAtOrigin is [staysAtOrigin] for a hop of the client's own redirects. What a layer or a transport says in Response.Request,
// if anything, doesn't count.
func stayedAtOrigin(req *http.Request, via []*http.Request) bool {
	origin := via[0].URL
	for _, hop := range via[1:] {
		if !sameOrigin(hop.URL, origin) {
			return false
		}
	}
	return sameOrigin(req.URL, origin) && staysAtOrigin(via[0])
}

// staysAtOrigin is whether no redirect has led req away from the origin of its first request, not even for a while.
// A redirect of which nobody knows where it came from may have done so.
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

// firstRequest is the request that the redirects before req began with.
func firstRequest(req *http.Request) *http.Request {
	for req.Response != nil && req.Response.Request != nil {
		req = req.Response.Request
	}
	return req
}

// trimReferer leaves the origin of a Referer that goes to another one: paths and queries may hold secrets.
// It may be the caller's own, which net/http sends again with each hop.
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

// sameOrigin compares scheme, host and port (RFC 6454 §4).
func sameOrigin(a, b *url.URL) bool {
	return a != nil && b != nil && strings.EqualFold(a.Scheme, b.Scheme) &&
		strings.EqualFold(a.Hostname(), b.Hostname()) &&
		portOf(a) == portOf(b)
}

func portOf(u *url.URL) string {
	if port := u.Port(); port != "" {
		return port
	}
	switch strings.ToLower(u.Scheme) {
	case "http":
		return "80"
	case "https":
		return "443"
	}
	return ""
}
