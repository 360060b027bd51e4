package ply

import (
	"net/http"
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
