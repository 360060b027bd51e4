package cachelint

import "github.com/plyhttp/ply/internal/field"

// variantRules are about content negotiation and Vary (RFC 9111 §4.1).
var variantRules = []singleRule{
	{Rule{"vary-star", Warning, "RFC 9111 §4.1", "Name the request fields that decide, or send no-store: Vary: * leaves nothing to reuse."}, varyStar},
	{Rule{"vary-user-agent", Warning, "RFC 9110 §12.5.5", "Serve all browsers the same, or vary on a field with few values, such as Sec-CH-UA-Mobile: there are thousands of User-Agents, and each is a miss."}, varyUserAgent},
	{Rule{"vary-cookie", Warning, "RFC 9110 §12.5.5", "Send private, or leave out cookies that do not matter here: with Vary: Cookie, each visitor is a miss."}, varyCookie},
	{Rule{"encoding-without-vary", Error, "RFC 9110 §12.5.5, §12.5.3", "Send Vary: Accept-Encoding with each answer of the URL (gzip_vary on, in nginx): a cache may give this one to a client that cannot decode it."}, encodingWithoutVary},
	{Rule{"cors-origin-without-vary", Error, "RFC 9110 §12.5.5, Fetch: CORS protocol and HTTP caches", "Send Vary: Origin with each answer of the URL, or Access-Control-Allow-Origin: *: a cache may give this one to another site, whose browser then refuses it."}, corsWithoutVary},
}

func varyStar(v *view) (text, evidence string) {
	for member := range field.Members(v.header["Vary"]) {
		if member == "*" && v.cacheable() {
			return "Vary: * says that nothing in the request decides, so no cache can reuse the response.", v.lines("Vary", "Cache-Control")
		}
	}
	return "", ""
}

// namesInVary reports whether Vary has a name, other than by a star.
func (v *view) namesInVary(name string) bool {
	for member := range field.Members(v.header["Vary"]) {
		if field.EqualFold(member, name) {
			return true
		}
	}
	return false
}

func varyUserAgent(v *view) (text, evidence string) {
	if v.cacheable() && !v.d.Private && v.namesInVary("User-Agent") {
		return "The response varies on User-Agent, of which almost each client has another one.", v.lines("Vary", "Cache-Control")
	}
	return "", ""
}

func varyCookie(v *view) (text, evidence string) {
	if v.reused() && !v.d.Private && v.namesInVary("Cookie") {
		return "The response varies on Cookie, of which each visitor has another one.", v.lines("Vary", "Cache-Control")
	}
	return "", ""
}

func encodingWithoutVary(v *view) (text, evidence string) {
	if v.complete() && v.cacheable() && v.coding() != "identity" && len(v.request["Accept-Encoding"]) > 0 && !v.varies("Accept-Encoding") {
		return "The content is in a coding that the request asked for, and Vary does not say so.", v.lines("Content-Encoding", "Vary", "Cache-Control")
	}
	return "", ""
}

func corsWithoutVary(v *view) (text, evidence string) {
	allowed := v.header.Get("Access-Control-Allow-Origin")
	if allowed == "" || allowed == "*" || allowed == "null" || !v.cacheable() || v.varies("Origin") {
		return "", ""
	}
	if origin := v.request.Get("Origin"); origin == "" || origin != allowed {
		return "", "" // one site that is always allowed needs no Vary
	}
	return "The response allows the Origin of the request by name, and Vary does not say so.", v.lines("Access-Control-Allow-Origin", "Vary", "Cache-Control")
}
