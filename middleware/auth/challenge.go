package auth

import (
	"net/http"
	"slices"
	"strings"

	"github.com/plyhttp/ply/internal/field"
)

// hopeless says why another token would not help after a 401, or is empty. scheme is that of the token, or "" if it has none.
//
// A server names each scheme that it would accept (RFC 9110 §11.6.1). Of the errors of Bearer, those two are not about the token (RFC 6750 §3.1).
// A server that names nothing, as it must not, is given the benefit of the doubt.
func hopeless(resp *http.Response, scheme string) string {
	offered := parseChallenges(resp.Header.Values("Www-Authenticate"))
	if len(offered) == 0 || scheme == "" {
		return ""
	}
	i := slices.IndexFunc(offered, func(c challenge) bool { return field.EqualFold(c.scheme, scheme) })
	if i < 0 {
		return "the server asks for another scheme"
	}
	if code := offered[i].code; code == "insufficient_scope" || code == "invalid_request" {
		return code
	}
	return ""
}

// A challenge is a scheme that a server would accept, and what it says was wrong.
type challenge struct{ scheme, code string }

// parseChallenges reads WWW-Authenticate (RFC 9110 §11.6.1). Commas part both challenges and the parameters of one:
// a member that begins with a word and no equals sign begins a challenge.
func parseChallenges(lines []string) []challenge {
	var all []challenge
	for member := range field.Members(lines) {
		word, rest, _ := strings.Cut(member, " ")
		if !strings.Contains(word, "=") && !strings.HasPrefix(field.TrimOWS(rest), "=") {
			all = append(all, challenge{scheme: word})
			member = rest
		}
		if len(all) == 0 {
			continue
		}
		name, value, _ := strings.Cut(member, "=")
		if field.EqualFold(field.TrimOWS(name), "error") {
			all[len(all)-1].code = strings.ToLower(strings.Trim(field.TrimOWS(value), `"`))
		}
	}
	return all
}
