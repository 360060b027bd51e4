package tape

import (
	"crypto/sha256"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/plyhttp/ply/internal/field"
)

// conditional are the request fields that choose between a representation, a part of it, and word that nothing changed (RFC 9110 §13.1, §14.2).
var conditional = []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range"}

// A moment is an exchange of the tape as the origin of a replay sees it.
type moment struct {
	*Exchange
	key            string      // of its resource; "" if it has none
	sent           http.Header // of the request, with the dates of the bubble
	representation *Exchange   // whose content the origin had then: the exchange itself, or for a 304 the one it confirms; nil if the tape does not have it
}

// trouble reports whether the origin, or the way to it, failed: what came then says nothing of the representation. What the caller ended is not the origin's doing.
func (m *moment) trouble() bool {
	if m.Failure != nil {
		return !m.endedByCaller()
	}
	switch m.Response.Status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return true
	}
	return m.Response.Status >= 500
}

func (m *moment) endedByCaller() bool {
	if m.Failure == nil {
		return false
	}
	switch m.Failure.Kind {
	case FailureCanceled, FailureDeadline, FailureClosed:
		return true
	}
	return false
}

// outage reports whether the exchange suggests that the origin could not be reached, whatever the URL.
func (m *moment) outage() bool {
	if m.Response == nil {
		return m.trouble()
	}
	switch m.Response.Status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// A timeline has the exchanges of one resource, or of all of a host, in the order of their times.
type timeline []*moment

// last returns the index of the last moment not after at, or -1.
func (l timeline) last(at time.Duration) int {
	i, _ := slices.BinarySearchFunc(l, at, func(m *moment, at time.Duration) int {
		if m.At <= at {
			return -1
		}
		return 1
	})
	return i - 1
}

// interval returns the moment before at if the bad ones include it and the next: nothing on the tape shows that it was good in between.
func (l timeline) interval(at time.Duration, bad func(*moment) bool) *moment {
	i := l.last(at)
	if i < 0 || !bad(l[i]) {
		return nil
	}
	if l[i].At == at || i+1 < len(l) && bad(l[i+1]) {
		return l[i]
	}
	return nil
}

// good returns the moments with a response that is no trouble.
func (l timeline) good() (good timeline) {
	for _, m := range l {
		if m.Response != nil && !m.trouble() {
			good = append(good, m)
		}
	}
	return good
}

// nearest returns the last moment not after at that fits, or else the first after it.
func (l timeline) nearest(at time.Duration, fits func(*moment) bool) *moment {
	i := l.last(at)
	for j := i; j >= 0; j-- {
		if fits(l[j]) {
			return l[j]
		}
	}
	for _, m := range l[i+1:] {
		if fits(m) {
			return m
		}
	}
	return nil
}

// closest returns the fitting moment with the least distance in time.
func (l timeline) closest(at time.Duration, fits func(*moment) bool) *moment {
	before, after := l.nearest(at, fits), (*moment)(nil)
	for _, m := range l[l.last(at)+1:] {
		if fits(m) {
			after = m
			break
		}
	}
	if before == nil || after != nil && after.At-at < (at-before.At).Abs() {
		return after
	}
	return before
}

// resolve finds for each 304 the representation that it confirms: the nearest with its validator. That there may be many of both costs no more for each.
func (l timeline) resolve() {
	complete := map[string]timeline{}
	for _, m := range l {
		if m.Response == nil || m.Failure != nil || m.trouble() || special(m.Response.Status) {
			continue
		}
		m.representation = m.Exchange
		if m.Response.Status == http.StatusOK {
			for _, v := range validators(m.Response.Header) {
				complete[v] = append(complete[v], m)
			}
		}
	}
	for _, m := range l {
		if m.Response == nil || m.Failure != nil || m.Response.Status != http.StatusNotModified {
			continue
		}
		named := validators(m.Response.Header)
		if len(named) == 0 {
			continue
		}
		// The first: a date says nothing beside an entity tag.
		if c := complete[named[0]].nearest(m.At, func(c *moment) bool { return sameVariant(m.Request.Header, c.Exchange) }); c != nil {
			m.representation = c.Exchange
		}
	}
}

// validators returns what a 304 can be about: the entity tag, by weak comparison, and then the date (RFC 9111 §4.3.4).
func validators(h http.Header) (list []string) {
	if tag := field.ParseETag(h.Get("Etag")); tag.Opaque != "" {
		list = append(list, "tag "+tag.Opaque)
	}
	if changed := h.Get("Last-Modified"); changed != "" {
		list = append(list, "date "+changed)
	}
	return list
}

// special reports whether a status answers the conditions or the range of a request, not the resource.
func special(status int) bool {
	switch status {
	case http.StatusNotModified, http.StatusPartialContent, http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable:
		return true
	}
	return false
}

// fits reports whether the moment can answer a request of its resource: with its representation, or as it is to a request with the same conditions.
func (m *moment) fits(r *http.Request) bool {
	if m.Response == nil || m.Failure != nil || m.trouble() || !sameVariant(r.Header, m.Exchange) {
		return false
	}
	return m.representation != nil || sameConditions(r.Header, m.sent)
}

// sameConditions reports whether two requests ask for the same part under the same conditions.
func sameConditions(a, b http.Header) bool {
	for _, name := range conditional {
		if !slices.Equal(a[name], b[name]) {
			return false
		}
	}
	return true
}

// sameVariant reports whether a request has what the recorded one had in the fields that the response varies on (RFC 9110 §12.5.5).
// A request may accept more codings than the recorded one, as long as that of the response is among them. "*" names no field, and so counts for nothing.
func sameVariant(h http.Header, e *Exchange) bool {
	if e.Response == nil {
		return true
	}
	for name := range field.Members(e.Response.Header["Vary"]) {
		name = http.CanonicalHeaderKey(name)
		if sameLines(h[name], e.Request.Header[name]) {
			continue
		}
		if name != "Accept-Encoding" || !accepts(h[name], e.Response.Header.Get("Content-Encoding")) {
			return false
		}
	}
	return true
}

func sameLines(a, b []string) bool {
	return slices.Equal(members(a), members(b))
}

func members(lines []string) []string {
	return slices.Collect(field.Members(lines))
}

func accepts(lines []string, coding string) bool {
	if coding == "" || field.EqualFold(coding, "identity") {
		return true
	}
	return slices.ContainsFunc(members(lines), func(member string) bool {
		name, weight, _ := strings.Cut(member, ";")
		return field.EqualFold(field.TrimOWS(name), coding) && strings.ReplaceAll(weight, " ", "") != "q=0"
	})
}

// resourceKey names what a request is about: its method, what the strategy says of it, and its content. It reports false if the strategy has no key.
func (o *origin) resourceKey(r *http.Request, body []byte) (string, bool) {
	plain := *r
	plain.Header = r.Header.Clone()
	for _, name := range conditional {
		plain.Header.Del(name)
	}
	key := append([]byte(r.Method), 0)
	key, err := o.match.AppendKey(key, &plain)
	if err != nil {
		return "", false
	}
	if len(body) > 0 {
		sum := sha256.Sum256(body)
		key = append(append(key, 0), sum[:]...)
	}
	return string(key), true
}
