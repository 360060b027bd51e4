package tape

import (
	"encoding/base64"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/plyhttp/ply/redact"
)

// A numbering numbers the secrets of requests in the order in which they appear on a tape: REDACTED-1, REDACTED-2. So a tape without secrets still says which requests had the same
// credentials, and which had others. It is not safe for concurrent use.
type numbering struct {
	noted   []string // identities, in their order
	numbers map[string]int
	taken   map[string]bool // placeholders with a number that are on the tape already
}

// note takes down a secret.
func (n *numbering) note(_, value string) string {
	id := identity(value)
	_, known := n.numbers[id]
	switch {
	case isPlaceholder(id):
		n.taken[id] = true
	case !known:
		n.noted, n.numbers[id] = append(n.noted, id), 0
	}
	return redact.Placeholder
}

// keep takes down what stands on the tape for a secret already, with a number that no other secret gets.
func (n *numbering) keep(_, value string) string {
	if id := identity(value); isPlaceholder(id) {
		n.taken[id] = true
	}
	return redact.Placeholder
}

// assign gives the secrets that were noted their numbers: none that the tape has for others.
func (n *numbering) assign() {
	next := 1
	for _, id := range n.noted {
		for n.taken[numbered(next)] {
			next++
		}
		n.numbers[id] = next
		next++
	}
}

// pseudonym is what stands for a secret. One that no request has, and what stands for a secret already, has no number of the tape's.
func (n *numbering) pseudonym(_, value string) string {
	id := identity(value)
	if number := n.numbers[id]; number > 0 {
		return numbered(number)
	}
	if isPlaceholder(id) {
		return id
	}
	return redact.Placeholder
}

func numbered(n int) string { return redact.Placeholder + "-" + strconv.Itoa(n) }

// isPlaceholder reports whether a text is REDACTED, or REDACTED with a number.
func isPlaceholder(s string) bool {
	rest, ok := strings.CutPrefix(s, redact.Placeholder)
	if !ok || rest == "" {
		return ok
	}
	n, err := strconv.Atoi(strings.TrimPrefix(rest, "-"))
	return err == nil && n > 0 && s == numbered(n)
}

// credential returns what of a field's line is secret: "Bearer abc" is abc, which a login's answer may have by itself.
func credential(line string) string {
	line = strings.TrimSpace(line)
	scheme, rest, ok := strings.Cut(line, " ")
	if !ok || !isToken(scheme) {
		return line
	}
	rest = strings.TrimSpace(rest)
	if signed.MatchString(rest) {
		if who := signers.FindAllString(rest, -1); who != nil {
			return strings.Join(who, ",")
		}
	}
	if account, _, ok := strings.Cut(rest, ":"); ok && slices.Contains([]string{"SharedKey", "SharedKeyLite", "AWS", "GOOG1", "OSS"}, scheme) {
		return account // its signature follows
	}
	return rest
}

// What of the parameters of a signature says whose it is. The others change with each request: AWS Signature Version 4, RFC 7616, RFC 5849, RFC 9421.
var (
	signed  = regexp.MustCompile(`(?i)(?:signature|response|mac|sig)=`)
	signers = regexp.MustCompile(`(?i)\b(?:credential|keyid|username|oauth_consumer_key|oauth_token|id)="?[^",;&/\s]+`)
)

// isToken reports whether a text may be the name of a scheme (RFC 9110 §11.1), and is not the beginning of parameters or cookies.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-')
	})
}

// changing are words in the names of secrets that say nothing of a person: they are others with each request.
// A key or a password is none of these, whatever it is for; "otp" is a word of its own, not a part of "hubspotToken".
var (
	changing = regexp.MustCompile(`(?i)signature|nonce|[cx]srf|authenticity|requestverification|dpop|verifier|challenge|timestamp|hmac|policy$|\b(?:sig|se|st|_token)$|` +
		`(?-i:(?:^|[^A-Za-z])[Tt]?(?:otp|OTP|Otp)(?:$|[^a-z])|[a-z]T?O(?:TP|tp)(?:$|[^a-z]))`)
	lasting = regexp.MustCompile(`(?i)(?:key|password|passphrase|secret)$`)
)

// changes reports whether the value of a name differs from request to request of the same caller.
func changes(name string) bool { return changing.MatchString(name) && !lasting.MatchString(name) }

// renewedClaims are the claims of a JSON Web Token that are others in each token of the same subject: its number, and what is said of a login (OpenID Connect Core §2, §3.3.2.11).
var renewedClaims = []string{"jti", "auth_time", "nonce", "at_hash", "c_hash", "s_hash", "sid", "session_state", "origin_jti", "event_id", "uti", "aio", "rh"}

// identity is a secret without what changes when it is renewed: the times of a JSON Web Token that says whose it is (RFC 7519 §4.1), and the scope of a signature after the key.
func identity(secret string) string {
	if key, scope, ok := strings.Cut(secret, "/"); ok && strings.HasSuffix(scope, "_request") {
		return key // of X-Amz-Credential and X-Goog-Credential
	}
	parts := strings.Split(secret, ".")
	if len(parts) != 3 {
		return secret
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims map[string]any
	if err != nil || json.Unmarshal(text, &claims) != nil {
		return secret
	}
	for _, name := range []string{"exp", "nbf", "iat"} {
		delete(claims, name)
	}
	if _, ok := claims["sub"]; ok { // otherwise these may be what says whose it is
		for _, name := range renewedClaims {
			delete(claims, name)
		}
	}
	if text, err = json.Marshal(claims); err != nil || len(claims) == 0 {
		return secret
	}
	return string(text)
}
