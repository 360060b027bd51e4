// Package cachestatus reads what a ply cache has written into Cache-Status (RFC 9211), for layers that do not import it.
package cachestatus

import (
	"net/http"
	"strings"

	"github.com/plyhttp/ply/internal/field"
)

// Of reads the member that the nearest ply cache wrote, which is the last one. Status is one word: hit, stale, revalidated,
// refreshed, miss, bypassed or refused; reason is the detail that the cache gives, or else why it asked the origin.
// Both are empty if the last member is not from a ply cache.
func Of(h http.Header) (status, reason string) {
	lines := h["Cache-Status"]
	if len(lines) == 0 {
		return "", ""
	}
	var last string
	for member := range field.Members(lines) {
		last = member
	}
	name, params := parameters(last)
	if name != "ply" {
		return "", ""
	}
	if reason, _ = field.Unquote(params["detail"]); reason == "" {
		reason = params["fwd"]
	}
	if _, shared := params["collapsed"]; shared {
		reason = strings.TrimPrefix(reason+", collapsed", ", ")
	}
	return word(params), reason
}

func word(params map[string]string) string {
	fwd, asked := params["fwd"]
	_, hit := params["hit"]
	detail, _ := field.Unquote(params["detail"])
	switch {
	case hit && strings.HasPrefix(params["ttl"], "-"), strings.HasPrefix(detail, "served from store: "):
		return "stale"
	case hit:
		return "hit"
	case !asked:
		return "refused"
	case params["fwd-status"] == "304" && (fwd == "stale" || fwd == "request" || fwd == "miss"):
		return "revalidated"
	case fwd == "stale" || fwd == "request":
		return "refreshed"
	case fwd == "bypass" || fwd == "method":
		return "bypassed"
	}
	return "miss"
}

// parameters splits a member at the semicolons outside its quoted strings.
func parameters(member string) (name string, params map[string]string) {
	params = map[string]string{}
	for i, part := range splitUnquoted(member) {
		key, value, _ := strings.Cut(field.TrimOWS(part), "=")
		if i == 0 {
			name = key
			continue
		}
		params[key] = value
	}
	return name, params
}

func splitUnquoted(s string) (parts []string) {
	quoted, start := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ';' && !quoted:
			parts, start = append(parts, s[start:i]), i+1
		}
	}
	return append(parts, s[start:])
}
