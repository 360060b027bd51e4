package cachelint

import (
	"strings"
	"time"
)

// validatorRules are about ETag and Last-Modified (RFC 9110 §8.8).
var validatorRules = []singleRule{
	{Rule{"no-validator", Warning, "RFC 9110 §8.8.2.1, §8.8.3.1, RFC 9111 §4.3.1", "Send an ETag or Last-Modified, and answer If-None-Match and If-Modified-Since with 304: without them, what is stale is sent whole again."}, noValidator},
	{Rule{"etag-malformed", Error, "RFC 9110 §8.8.3", "Put the tag into double quotes: ETag: \"abc\"."}, etagMalformed},
	{Rule{"last-modified-invalid", Warning, "RFC 9110 §8.8.2", "Send a date in the format Sun, 06 Nov 1994 08:49:37 GMT."}, lastModifiedInvalid},
	{Rule{"last-modified-in-future", Warning, "RFC 9110 §8.8.2.1", "Send no later time than Date: a server must take Date in its place, and caches can neither validate by it nor guess from it."}, lastModifiedInFuture},
}

func noValidator(v *view) (text, evidence string) {
	if !v.complete() || v.streams() || v.has("Etag") || v.has("Last-Modified") || v.d.NoStore || v.d.Immutable || !v.d.Present && !v.has("Expires") {
		return "", ""
	}
	if v.d.NoCache || v.lifetime.Explicit && v.lifetime.Value == 0 {
		return "Each use must be validated, and there is no validator, so each use fetches the whole.", v.lines("Cache-Control", "Expires")
	}
	return "There is no validator, so the response is sent whole again when it goes stale, even if it has not changed.", v.lines("Cache-Control", "Expires")
}

// streams reports whether the response is an event stream, which no validator is for.
func (v *view) streams() bool {
	mediaType, _, _ := strings.Cut(v.header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(mediaType), "text/event-stream")
}

func etagMalformed(v *view) (text, evidence string) {
	tag := strings.TrimSpace(v.header.Get("Etag"))
	opaque := strings.TrimPrefix(tag, "W/")
	switch {
	case !v.has("Etag"):
	case len(v.header["Etag"]) > 1:
		return "There are several ETags, of which a response has one.", v.lines("Etag")
	case len(opaque) < 2 || opaque[0] != '"' || opaque[len(opaque)-1] != '"' || strings.Contains(opaque[1:len(opaque)-1], `"`):
		return "The ETag is not in double quotes, so that servers and caches may not find it in If-None-Match.", v.lines("Etag")
	}
	return "", ""
}

func lastModifiedInvalid(v *view) (text, evidence string) {
	if _, ok := v.date("Last-Modified"); v.has("Last-Modified") && !ok {
		return "Last-Modified is no date, so nothing can be validated by it.", v.lines("Last-Modified")
	}
	return "", ""
}

func lastModifiedInFuture(v *view) (text, evidence string) {
	modified, ok := v.date("Last-Modified")
	if ok && modified.Sub(v.generated()) > time.Second {
		return "Last-Modified is later than the response itself.", v.lines("Date", "Last-Modified")
	}
	return "", ""
}
