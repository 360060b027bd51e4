package cachelint

import "github.com/plyhttp/ply/internal/field"

// scopeRules are about whom a response is for, and about fields for one kind of cache.
var scopeRules = []singleRule{
	{Rule{"set-cookie-shared", Error, "RFC 9111 §7.3", "Send private or no-store with what sets a cookie, or do not set it here: a shared cache may give the cookie to all who ask."}, setCookieShared},
	{Rule{"surrogate-control-leaks", Note, "Edge Architecture Specification, RFC 9213 §3", "Have the CDN remove it, or send CDN-Cache-Control, which may go further: Surrogate-Control is for the next proxy alone."}, surrogateLeaks},
	{Rule{"cdn-cache-control-malformed", Error, "RFC 9213 §2.1", "Write it as a structured dictionary: lower case, whole numbers without quotes. One mistake voids the whole field."}, cdnMalformed},
	{Rule{"connection-names-caching-field", Error, "RFC 9110 §7.6.1", "Take the name out of Connection: proxies remove the field, and what governs caches gets lost."}, connectionNames},
}

func setCookieShared(v *view) (text, evidence string) {
	d := &v.d
	if v.has("Set-Cookie") && !d.NoStore && !d.Private && !d.NoCache && (d.Public || d.SMaxAge.Set && d.SMaxAge.Value > 0) {
		return "The response sets a cookie, and shared caches are told to keep it.", v.lines("Cache-Control", "Set-Cookie")
	}
	return "", ""
}

func surrogateLeaks(v *view) (text, evidence string) {
	if v.has("Surrogate-Control") {
		return "Surrogate-Control has reached the client, for which it is not meant.", v.lines("Surrogate-Control")
	}
	return "", ""
}

func cdnMalformed(v *view) (text, evidence string) {
	lines := v.header["Cdn-Cache-Control"]
	if len(lines) == 0 {
		return "", ""
	}
	if _, ok := field.Controlling(v.header, []string{"CDN-Cache-Control"}); !ok {
		return "CDN-Cache-Control is no structured dictionary, so caches ignore it and go by Cache-Control.", v.lines("Cdn-Cache-Control", "Cache-Control")
	}
	return "", ""
}

func connectionNames(v *view) (text, evidence string) {
	for name := range field.Members(v.header["Connection"]) {
		for _, governs := range []string{"Cache-Control", "Expires", "Vary", "Etag", "Age", "Date", "Last-Modified"} {
			if field.EqualFold(name, governs) && v.has(governs) {
				return "Connection names " + governs + ", which the next proxy therefore removes.", v.lines("Connection", governs)
			}
		}
	}
	return "", ""
}
