package rfc9111

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// ConditionalHeader returns the header of a request with which the origin can confirm stored responses (RFC 9111 §4.3.1):
// If-None-Match lists the tags of all variants beside those of the caller; If-Modified-Since is for the selected response,
// or the caller's own where there is no validator. A nil selected response means that no stored response fits the request.
// line is room for one line, which is the header's from then on.
func ConditionalHeader(h http.Header, selected *stored.Entry, variants []*stored.Entry, a *Request, line *[1]string) http.Header {
	h = maps.Clone(h)
	if h == nil {
		h = make(http.Header, 2)
	}
	DeleteFold(h, "If-None-Match")
	DeleteFold(h, "If-Modified-Since")
	var few [8]string // room, so that few tags allocate nothing
	tags := append(few[:0], callersTags(a)...)
	for _, e := range variants {
		if tag := e.Etag().String(); offerable(e, selected) && !containsMember(tags, tag) {
			tags = append(tags, tag)
		}
	}
	if len(tags) > 0 {
		line[0] = strings.Join(tags, ", ")
		h["If-None-Match"] = line[:]
	}
	if selected != nil && !selected.Modified().IsZero() {
		h["If-Modified-Since"] = []string{selected.Header.Get("Last-Modified")}
	} else if len(tags) == 0 && len(a.modifiedSince) > 0 {
		h["If-Modified-Since"] = slices.Clone(a.modifiedSince)
	}
	return h
}

// offerable reports whether the tag of a stored response belongs in a conditional request: that of the selected one, and those of whole variants.
func offerable(e, selected *stored.Entry) bool {
	return e.Etag().Opaque != "" && (e == selected || e.Part == nil)
}

// callersTags returns the tags that the caller's own If-None-Match lists. An asterisk asks about existence, not about a tag.
func callersTags(a *Request) []string {
	var tags []string
	for member := range field.Tags(a.noneMatch) {
		if member != "*" {
			tags = append(tags, member)
		}
	}
	return tags
}

func containsMember(members []string, s string) bool {
	for _, member := range members {
		if member == s {
			return true
		}
	}
	return false
}

func DeleteFold(h http.Header, name string) {
	for key := range h {
		if field.EqualFold(key, name) {
			delete(h, key)
		}
	}
}

// Confirmed returns the stored response that a 304 confirms, or nil (RFC 9111 §4.3.4).
// A strong tag confirms the response that has it. Where only one response was offered, its tag in the other strength confirms it, too:
// the 304 can mean no other. Weak validators confirm the latest response that they match.
// Without a validator the 304 confirms the selected response, provided that neither the cache nor the caller offered another one.
// The cases of the RFC stand together, strongest validator first.
// Over 15 branches on purpose: apart, the order of the validators would be hidden.
func Confirmed(h http.Header, selected *stored.Entry, variants []*stored.Entry, a *Request) *stored.Entry {
	tag := field.ParseETag(h.Get("Etag"))
	_, dated := field.DateField(h["Last-Modified"], time.Time{})
	if tag.Opaque == "" && !dated {
		if selected != nil && offered(selected, variants) <= 1 && asksNothingElse(a, selected) {
			return selected
		}
		return nil
	}
	sole := offered(selected, variants) == 1
	matches := func(e *stored.Entry) bool {
		switch {
		case tag.Strong() && !(sole && tag.WeaklyEquals(e.Etag()) && asksNothingElse(a, e)):
			return tag.StronglyEquals(e.Etag())
		case tag.Opaque != "":
			return tag.WeaklyEquals(e.Etag())
		}
		modified, _ := field.DateField(h["Last-Modified"], e.Received) // a date with a two-digit year is read as the stored one was
		return e.Modified().Equal(modified)
	}
	if selected != nil && matches(selected) {
		return selected
	}
	var latest *stored.Entry
	for _, e := range variants {
		if offerable(e, selected) && matches(e) && (latest == nil || e.NewerThan(latest)) {
			latest = e
		}
	}
	return latest
}

// asksNothingElse reports whether the caller's own tags, which are sent too, name no other response than e.
func asksNothingElse(a *Request, e *stored.Entry) bool {
	for _, tag := range callersTags(a) {
		if !field.ParseETag(tag).WeaklyEquals(e.Etag()) {
			return false
		}
	}
	return true
}

// offered counts the stored responses that a conditional request asked about.
func offered(selected *stored.Entry, variants []*stored.Entry) int {
	n := 0
	for _, e := range variants {
		if offerable(e, selected) {
			n++
		}
	}
	return n
}

// describesContent reports whether a field describes the stored bytes themselves. An update without content cannot change such a field (RFC 9111 §3.2).
func describesContent(name string) bool {
	switch name {
	case "Content-Digest", "Content-Encoding", "Content-Length", "Content-Md5", "Content-Range":
		return true
	}
	return false
}

// FreshenedHeader returns the stored header brought up to date by a response without content, a 304 or a 200 to HEAD (RFC 9111 §3.2, §4.3.4, §4.3.5).
// It still has the new response's Age, from which the age of the entry is counted. If all lines find room there, they are in room, which is the header's from then on.
func FreshenedHeader(kept stored.Header, update http.Header, received time.Time, room []string) http.Header {
	update = field.WithoutHopByHop(update)
	fields, lines := kept.Len()+1, 0
	for _, values := range update {
		fields++
		lines += len(values)
	}
	for name, old := range kept.All() {
		if update[name] != nil {
			fields--
		}
		lines += old.Len()
	}
	if kept.Has("Date") || update["Date"] != nil {
		fields--
	}
	merged := make(http.Header, fields)
	copied := room[:0]
	if lines > cap(room) {
		copied = make([]string, 0, lines)
	}
	for name, values := range update {
		if !describesContent(name) && !stored.SetsCookies(name) { // cookies are for the caller alone
			from := len(copied)
			copied = append(copied, values...)
			merged[name] = copied[from:len(copied):len(copied)]
		}
	}
	// After the new ones, for a map that is full grows even if it has the key already.
	for name, old := range kept.All() {
		if _, updated := merged[name]; !updated {
			from := len(copied)
			copied = old.AppendTo(copied)
			merged[name] = copied[from:len(copied):len(copied)]
		}
	}
	if tag := field.ParseETag(kept.Get("Etag")); tag.Opaque != "" && !tag.Strong() && tag.WeaklyEquals(field.ParseETag(merged.Get("Etag"))) {
		merged["Etag"] = kept.Lines("Etag") // an update without content cannot make the stored bytes the ones that a strong tag is for (RFC 9110 §8.8.1)
	}
	if len(update["Date"]) == 0 {
		merged["Date"] = []string{received.UTC().Format(http.TimeFormat)}
	}
	return merged
}

// notModified evaluates the caller's own condition against a stored response (RFC 9111 §4.3.2).
// If-None-Match takes precedence over If-Modified-Since (RFC 9110 §13.2.2). Conditions apply to successful responses only (§13.2.1).
func notModified(a *Request, e *stored.Entry, now time.Time) bool {
	if e.Status < 200 || e.Status > 299 {
		return false
	}
	if len(a.noneMatch) > 0 {
		return !field.NoneMatch(a.noneMatch, e.Etag())
	}
	since, ok := field.DateField(a.modifiedSince, now)
	if !ok {
		return false
	}
	switch {
	case !e.Modified().IsZero():
		return !e.Modified().After(since)
	default:
		return !e.Date().After(since)
	}
}

// AnswersCaller reports whether a 304 answers the caller's own condition: it names a tag that the caller listed (RFC 9111 §4.3.3).
func AnswersCaller(h http.Header, a *Request) bool {
	tag := field.ParseETag(h.Get("Etag"))
	for _, listed := range callersTags(a) {
		if field.ParseETag(listed).WeaklyEquals(tag) {
			return true
		}
	}
	return false
}

// Describes reports whether a 200 to HEAD is about a stored response: neither status nor validator nor length differs (RFC 9111 §4.3.5).
func Describes(h http.Header, e *stored.Entry) bool {
	if e.Status != http.StatusOK {
		return false
	}
	tag := field.ParseETag(h.Get("Etag"))
	if tag.Opaque != "" && !tag.WeaklyEquals(e.Etag()) {
		return false
	}
	if lines := h["Last-Modified"]; len(lines) > 0 {
		modified, ok := field.DateField(lines, e.Received)
		if !ok || !modified.Equal(e.Modified()) {
			return false
		}
	}
	length, ok := position(h.Get("Content-Length"))
	sameBytes := tag == e.Etag() || tag.Opaque == "" // another weakness: a server that compresses for GET and not for HEAD has another length for each
	return !ok || !sameBytes || e.Uncompressed || length == e.Body.Size()
}

// CompletingHeader returns the header of a request for the bytes that a stored part lacks.
// If-Range makes the origin send the whole if the part is of an older representation (RFC 9110 §13.1.5).
func CompletingHeader(h http.Header, part *stored.Entry) http.Header {
	h = maps.Clone(h)
	if h == nil {
		h = make(http.Header, 2)
	}
	missing, _ := remainder(part)
	h["Range"] = []string{missing}
	if part.Etag().Strong() {
		h["If-Range"] = []string{part.Etag().String()}
	}
	return h
}

// IsServerError reports whether stale-if-error is for a status (RFC 5861 §4).
func IsServerError(status int) bool {
	switch status {
	case 500, 502, 503, 504:
		return true
	}
	return false
}
