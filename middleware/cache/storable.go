package cache

import (
	"net/http"
	"slices"
	"time"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/internal/reqctx"
)

// rules is what a stored response says about its own use.
type rules struct {
	lifetime       time.Duration // freshness lifetime (RFC 9111 §4.2.1)
	noCache        bool          // validate before each use (RFC 9111 §5.2.2.4)
	mustRevalidate bool          // never serve stale (RFC 9111 §5.2.2.2; §5.2.2.8 and §5.2.2.10 in a shared cache)
	immutable      bool          // RFC 8246 §2
	sliding        bool          // each use begins the lifetime anew

	staleWhileRevalidate, staleIfError time.Duration // RFC 5861 §3, §4
}

// mayServeStale tells whether a stale response may be used at all (RFC 9111 §4.2.4).
func (r *rules) mayServeStale() bool {
	return !r.noCache && !r.mustRevalidate
}

// candidate is a response that might be stored, with what is needed to judge it.
type candidate struct {
	request  *http.Request
	response *http.Response
	age      time.Duration  // at receipt (RFC 9111 §4.2.3)
	verdict  expiry.Verdict // of the expiry strategy
	explicit bool           // the server gave it a lifetime (RFC 9111 §4.2.1)
	carried  carried        // the credentials that were sent for it

	confirmed bool // it is stored already, and the origin has confirmed it
	failure   bool // an error that no strategy has named by its status: the server's word about it counts
	unwanted  bool // such an error that the server gave no lifetime
}

// storable says whether a response may be stored, or why not (RFC 9111 §3).
func storable(c *candidate, p *posture) (reason string, ok bool) {
	if why := unstorableSize(c.response.Header); why != "" {
		return why, false // before anything of it is read
	}
	d, _ := field.Controlling(c.response.Header, p.targeted)
	for _, why := range [...]string{
		unstorableStatus(c, &d, p),
		unstorableDirective(c, &d, p),
		unstorableVary(c.response.Header),
		unstorableConnection(c.response.Header, p),
		unstorableKind(c, p),
		unstorableGroups(c.response.Header),
		unstorableMethod(c, p),
		worthless(c, &d, p),
	} {
		if why != "" {
			return why, false
		}
	}
	return "", true
}

// unstorableStatus judges the status code (RFC 9111 §3, third and fourth rule).
func unstorableStatus(c *candidate, d *field.Response, p *posture) string {
	status := c.response.StatusCode
	switch {
	case status < 200 || status > 599:
		return "status not final"
	case !p.allowsStatus(status):
		return "status not allowed"
	case status == http.StatusNotModified:
		return "304 answers the caller's condition"
	case status == http.StatusUnauthorized && reqctx.From(c.request.Context()).Credential != nil:
		return "401 answers a credential that can be renewed"
	case status == http.StatusPreconditionFailed || status == http.StatusRequestedRangeNotSatisfiable:
		return "the answer to a condition or a range, not to the URI"
	case status == http.StatusPartialContent && !storablePart(c):
		return "partial content of another kind than one range of bytes"
	case c.verdict.AnyStatus && c.verdict.Overrules():
		return ""
	case d.MustUnderstand && !understood(status):
		return "must-understand, status not understood"
	case c.verdict.Overrules() && !c.explicit && !expiry.HeuristicStatus(status):
		return "status not cacheable by default"
	case c.unwanted:
		return "an error without a lifetime of the server's, and the strategy does not name its status"
	}
	return ""
}

// storablePart tells whether a 206 holds one range of bytes and all of it (RFC 9111 §3.3). One whose length is not declared could be cut short unnoticed.
func storablePart(c *candidate) bool {
	if !c.confirmed && len(c.request.Header["Range"]) == 0 {
		return false // nobody asked for a part
	}
	s, ok := parseContentRange(c.response.Header["Content-Range"])
	if ok {
		_, ok = s.holding(c.response.ContentLength)
	}
	return ok && len(c.response.TransferEncoding) == 0 && !c.response.Uncompressed && !hasType(c.response.Header, "multipart/")
}

// unstorableDirective judges no-store, private and credentials (RFC 9111 §3, §3.5, §5.2.2).
// A strategy that overrules the server overrules no-store; it never makes a response public.
func unstorableDirective(c *candidate, d *field.Response, p *posture) string {
	switch {
	case c.verdict.Refused():
		return "expiry says do not cache"
	case d.NoStore && !d.MustUnderstand && !c.verdict.Overrules():
		return "no-store"
	case p.shared && d.Private:
		return "private"
	case p.shared && c.carried&authorizationCarried != 0 && !shareable(d) && !d.MustRevalidate:
		return "authorization, and the response is not marked as shareable"
	case p.shared && c.carried&cookieCarried != 0 && !shareable(d):
		return "cookie, and the response is not marked as shareable"
	case p.shared && c.carried&otherCarried != 0 && !shareable(d):
		return "credentials, and the response is not marked as shareable"
	}
	return ""
}

// shareable tells whether the server says that a response may go to others than the one it was made for (RFC 9111 §3.5).
// RFC 9111 asks for this with Authorization only. We ask for it with every credential.
func shareable(d *field.Response) bool {
	return d.Public || d.SMaxAge.Set && d.SMaxAge.Value > 0
}

// maxSelectors bounds the request fields that a stored response varies on: each later request is compared in all of them, with each variant.
const maxSelectors = 64

// unstorableVary judges Vary: a response that varies on everything, or on what is no field name, can never be selected (RFC 9111 §4.1).
func unstorableVary(h http.Header) string {
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

// unstorableConnection judges Connection: what it names is not stored, and a response without the fields that restrict its use would be used
// beyond them. RFC 9110 §7.6.1 forbids to name such fields.
func unstorableConnection(h http.Header, p *posture) string {
	for name := range field.Members(h["Connection"]) {
		switch name = http.CanonicalHeaderKey(name); {
		case name == "Cache-Control", name == "Expires", name == "Vary",
			slices.ContainsFunc(p.targeted, func(targeted string) bool { return field.EqualFold(targeted, name) }):
			return "connection names a field that governs caches"
		}
	}
	return ""
}

// unstorableKind refuses streams without end and, in a shared cache, what is made for one visitor:
// an answer that sets a cookie is shared only if the server gave it a lifetime and the request had no credentials (RFC 9111 §7.3).
func unstorableKind(c *candidate, p *posture) string {
	switch {
	case hasType(c.response.Header, "text/event-stream"):
		return "event stream"
	case !p.shared || len(c.response.Header["Set-Cookie"]) == 0:
		return ""
	case p.strictCookie, !c.explicit, c.carried != 0:
		return "set-cookie"
	}
	return ""
}

// maxHeaderBytes bounds the header of a stored response.
const maxHeaderBytes = 64 << 10

// unstorableSize refuses headers that are too large to be kept beside their bodies.
func unstorableSize(h http.Header) string {
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
func unstorableMethod(c *candidate, p *posture) string {
	method := c.request.Method
	switch {
	case c.confirmed || method != http.MethodHead && p.answers(method):
		return ""
	case method == http.MethodPost && c.explicit && c.response.StatusCode == http.StatusOK && locatesItself(c.request, c.response):
		return ""
	}
	return "method"
}

// worthless refuses what could never be used: no rule of RFC 9111 §3 lets it be stored, or it would be neither fresh nor able to be validated.
func worthless(c *candidate, d *field.Response, p *posture) string {
	switch {
	case c.verdict.Overrules():
		if c.verdict.For(0) == 0 && !validatable(c.response.Header) {
			return "expires immediately, no validator"
		}
		return ""
	case !c.explicit && !d.Public && (p.shared || !d.Private) && !expiry.HeuristicStatus(c.response.StatusCode):
		return "no explicit freshness, and status not cacheable by default"
	case c.explicit, validatable(c.response.Header), c.verdict.For(0) > 0, p.disconnected > 0:
		return ""
	}
	return "no freshness, no validator"
}

func validatable(h http.Header) bool {
	return h.Get("Etag") != "" || h.Get("Last-Modified") != ""
}

// replaces tells whether an answer that is not stored itself shows that what is stored is no more (RFC 9111 §4.3.3):
// the resource has changed, moved or gone. An error says nothing about it.
func replaces(status int) bool {
	switch status {
	case http.StatusPartialContent, http.StatusNotModified:
		return false
	case http.StatusNotFound, http.StatusGone:
		return true
	}
	return status >= 200 && status < 400
}

// ends tells whether an answer that is not stored itself ends a stored response. A 404 or 410 that nobody can use later ends no fresh one:
// for so long the server has vouched for it (RFC 9111 §4.2).
func ends(old *Entry, status int, now time.Time) bool {
	return replaces(status) && (status < 400 || old.left(now) <= 0)
}

// displacesInVain tells whether an error would take the place of a stored response that can still be served, be it in place of errors
// (RFC 5861 §4). That is left to a 404 or 410 with some lifetime left, which says that the resource is no more; other errors say nothing about it.
func displacesInVain(old, e *Entry, p *posture, now time.Time) bool {
	if e.status < 400 || old == nil || !old.servable(p, now) {
		return false
	}
	return !replaces(e.status) || e.left(now) <= 0
}

// servable tells whether a stored response can still be served without a validation: it is fresh, or within a window in which it may be stale.
func (e *Entry) servable(p *posture, now time.Time) bool {
	left := e.left(now)
	switch {
	case e.rules.noCache:
		return false
	case left > 0:
		return true
	}
	return e.rules.mayServeStale() && -left <= max(e.rules.staleWhileRevalidate, e.rules.staleIfError, p.disconnected)
}

// newRules collects what a stored response says about its use.
func newRules(c *candidate, p *posture) rules {
	d, _ := field.Controlling(c.response.Header, p.targeted)
	ownWhileRevalidate, ownIfError := p.staleWhileRevalidate, p.staleIfError
	if c.failure {
		ownWhileRevalidate, ownIfError = 0, 0 // the cache's own windows never keep an error either
	}
	r := rules{
		lifetime:             c.verdict.For(c.age),
		immutable:            d.Immutable,
		sliding:              c.verdict.Sliding,
		staleWhileRevalidate: window(c.verdict.StaleWhileRevalidate, d.StaleWhileRevalidate, ownWhileRevalidate),
		staleIfError:         window(c.verdict.StaleIfError, d.StaleIfError, ownIfError),
	}
	if c.verdict.Overrules() {
		r.noCache = c.verdict.For(0) == 0
		return r
	}
	r.noCache = d.NoCache || pragmaNoCache(c.response.Header, &d)
	r.mustRevalidate = d.MustRevalidate || p.shared && (d.ProxyRevalidate || d.SMaxAge.Set)
	return r
}

// window picks a stale window: the strategy's, else the server's, else the cache's own.
func window(chosen time.Duration, said field.Seconds, own time.Duration) time.Duration {
	switch {
	case chosen != 0:
		return max(chosen, 0)
	case said.Set:
		return said.Value
	}
	return own
}

// pragmaNoCache reads Pragma in a response, which no RFC gives a meaning but many servers mean as no-cache.
// It counts only where Cache-Control is silent: on doubt, validate.
func pragmaNoCache(h http.Header, d *field.Response) bool {
	return !d.Present && len(h["Pragma"]) > 0 && saysNoCache(h["Pragma"])
}

// hasType tells whether a media type begins with prefix.
func hasType(h http.Header, prefix string) bool {
	for member := range field.Members(h["Content-Type"]) {
		if len(member) >= len(prefix) && field.EqualFold(member[:len(prefix)], prefix) {
			return true
		}
	}
	return false
}

// initialAge is corrected_initial_age (RFC 9111 §4.2.3).
func initialAge(h http.Header, requested, received time.Time) time.Duration {
	age, _ := field.Age(h["Age"])
	age += max(received.Sub(requested), 0)
	if date, ok := field.DateField(h["Date"], received); ok {
		age = max(age, received.Sub(date))
	}
	return min(age, field.MaxDelta*time.Second)
}

// understood tells whether this cache knows the caching requirements of a final status (RFC 9111 §3, RFC 9110 §15).
func understood(status int) bool {
	switch status {
	case 200, 203, 204, 206, 300, 301, 302, 303, 307, 308,
		400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 426, 428, 429, 431, 451,
		500, 501, 502, 503, 504, 505, 511:
		return true
	}
	return false
}

// storedHeader returns the header of a response as it is stored (RFC 9111 §3.1): without fields of a connection or a proxy
// and without those that a qualified no-cache or, in a shared cache, a qualified private names.
func storedHeader(h http.Header, received time.Time, overruled bool, p *posture) http.Header {
	stored := h.Clone()
	if stored == nil {
		stored = make(http.Header, 1)
	}
	keepStored(stored, received, overruled, p)
	return stored
}

// keepStored makes h what storedHeader makes of it, by changing it.
func keepStored(h http.Header, received time.Time, overruled bool, p *posture) {
	d, _ := field.Controlling(h, p.targeted)
	field.RemoveHopByHop(h)
	if !overruled {
		removeNamed(h, d.NoCacheFields)
	}
	if p.shared {
		removeNamed(h, d.PrivateFields)
	}
	delete(h, "Age")
	if !p.replayCookies {
		removeCookies(h)
	}
	if others := foreign(h[cacheStatus]); len(others) > 0 {
		h[cacheStatus] = others
	} else {
		delete(h, cacheStatus)
	}
	if len(h["Date"]) == 0 {
		h["Date"] = []string{received.UTC().Format(http.TimeFormat)} // RFC 9110 §6.6.1
	}
}

// setsCookies tells which fields of a response set cookies. A stored response does not set them again, unless the user wants that:
// they are the cookies of another moment, and a jar would take them for new ones.
func setsCookies(name string) bool { return name == "Set-Cookie" || name == "Set-Cookie2" }

// removeCookies removes the fields that set cookies. It tells whether there were any.
func removeCookies(h http.Header) bool {
	had := len(h)
	delete(h, "Set-Cookie")
	delete(h, "Set-Cookie2")
	return len(h) < had
}

// addCookies gives an answer the cookies that the origin sets at this moment, in place of those that are stored.
func addCookies(answer, origin http.Header) {
	for name, values := range origin {
		if setsCookies(name) {
			answer[name] = slices.Clone(values)
		}
	}
}

// addValidatedFields gives an answer that the origin has just confirmed those fields of the confirmation that are not stored
// because a qualified no-cache names them: after a validation they may be sent (RFC 9111 §5.2.2.4).
func addValidatedFields(answer, confirmation http.Header, p *posture) {
	d, _ := field.Controlling(answer, p.targeted)
	for _, name := range d.NoCacheFields {
		name = http.CanonicalHeaderKey(name)
		if values := confirmation[name]; len(values) > 0 && len(answer[name]) == 0 {
			answer[name] = slices.Clone(values)
		}
	}
}

func removeNamed(h http.Header, names []string) {
	for _, name := range names {
		h.Del(name)
	}
}
