package tape

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/plyhttp/ply/redact"
)

// certificates are fields in which a proxy says what certificate its client has shown (RFC 9440): whose the request is.
var certificates = []string{"X-Forwarded-Client-Cert", "Client-Cert", "Client-Cert-Chain", "X-Client-Cert", "X-Client-Certificate", "X-Ssl-Cert", "X-Ssl-Client-Cert", "Ssl-Client-Cert", "X-Amzn-Mtls-Clientcert", "X-Amzn-Mtls-Clientcert-Leaf", "X-Arr-Clientcert"}

// hidesField reports whether the values of a header field are hidden.
func (d redaction) hidesField(name string) bool {
	return redact.IsSecretHeader(name) || slices.ContainsFunc(certificates, func(s string) bool { return strings.EqualFold(s, name) }) || d.redactor != nil && slices.ContainsFunc(d.redactor.HideHeaders, func(s string) bool { return strings.EqualFold(s, name) })
}

// header hides the secrets of a header.
func (d redaction) header(h http.Header) http.Header {
	if h == nil {
		return nil
	}
	c := make(http.Header, len(h))
	for _, name := range slices.Sorted(maps.Keys(h)) { // so that numbers come in the same order each time
		hidden := d.hidesField(name)
		field := http.CanonicalHeaderKey(name)
		for _, line := range h[name] {
			if hidden {
				line = d.line(field, line)
			} else {
				line = d.otherLine(field, line)
			}
			c[name] = append(c[name], line)
		}
	}
	return c
}

// otherLine hides the secrets in a line of a field that is not hidden itself.
func (d redaction) otherLine(field, line string) string {
	switch {
	case inAnyField.MatchString(line), isPlaceholder(line): // of an archive, which has no more of it
		return d.hide(field, credential(line))
	case field == "Location" || field == "Content-Location" || field == "Referer":
		return d.url(field, line)
	case startsJSON([]byte(line)):
		return d.json(line)
	case inLine.MatchString(line):
		return d.fieldLine(line)
	case field == "Sec-Websocket-Protocol":
		return d.subprotocols(line)
	case mayHaveURLs(field, line):
		return d.text(line)
	}
	return line
}

func mayHaveURLs(field, line string) bool {
	return field == "Link" || field == "Refresh" || strings.HasPrefix(field, "X-") && strings.Contains(line, "=") || strings.Contains(line, "://") || strings.Contains(line, "?")
}

// inAnyField are credentials that show by themselves what they are, in a field of any name: those of a proxy, say, or the JSON Web Token of a load balancer.
var (
	inAnyField     = regexp.MustCompile(`^(?:` + itself + `)$`)
	someCredential = regexp.MustCompile(`\b(?:` + itself + `)`)
)

const itself = `(?i:bearer|basic|dpop) +[\w.~+/=-]+|eyJ[\w-]+\.[\w-]+\.[\w-]*`

// inLine is a line of a header with credentials, in a field that has another.
var inLine = regexp.MustCompile(`^(?i:((?:proxy-)?authorization|cookie|set-cookie|x-[\w-]+)):[ \t]*(\S.*)$`)

// fieldLine hides the value of a line of a header, if its field is hidden.
func (d redaction) fieldLine(line string) string {
	at := inLine.FindStringSubmatchIndex(line)
	if !d.hidesField(line[at[2]:at[3]]) {
		return d.text(line)
	}
	return line[:at[4]] + d.line(http.CanonicalHeaderKey(line[at[2]:at[3]]), line[at[4]:])
}

// json hides the secrets of a field that is JSON.
func (d redaction) json(line string) string {
	text, _ := replaced([]byte(line), d.numbered("", d.jsonSpans([]byte(line))), nil)
	return string(text)
}

// subprotocol is one of those that a WebSocket offers: browsers can send credentials in no other field.
var subprotocol = regexp.MustCompile(`[^\s,]+`)

// subprotocols hides tokens among the protocols of a WebSocket: those after a word for one (bearer, abc), behind one (openai-insecure-api-key.abc), JSON Web Tokens,
// and a header in base64, as AppSync has it (header-abc).
func (d redaction) subprotocols(line string) string {
	var spans []secret
	named := false // by the one before
	for _, at := range subprotocol.FindAllStringIndex(line, -1) {
		word, begin := line[at[0]:at[1]], at[0]
		behind := strings.LastIndexAny(word, ".=:~")
		switch {
		case named, inAnyField.MatchString(word):
			named = false
		case strings.HasPrefix(strings.ToLower(word), "header-"):
			begin += len("header-")
		case behind >= 0 && namesToken(word[:behind]):
			begin += behind + 1
		default:
			named = namesToken(word)
			continue
		}
		if begin < at[1] {
			spans = append(spans, secret{begin, at[1], redact.Placeholder, "Sec-Websocket-Protocol", line[begin:at[1]]})
		}
	}
	text, _ := replaced([]byte(line), d.numbered("", spans), nil)
	return string(text)
}

// namesToken reports whether a protocol of a WebSocket, or what is before a dot in it, is a word for a token.
func namesToken(word string) bool {
	return redact.IsSecretName(word) || strings.EqualFold(word, "authorization") || strings.HasSuffix(word, "bearer.authorization.k8s.io")
}

// folded is a further cookie in a line of Set-Cookie, where a server or a library has put several into one.
var folded = regexp.MustCompile(`,[ \t]*[^\s=;,]+[ \t]*=[^;,]*`)

// line hides a line of a field that is hidden. Of cookies the names stay, so that the cookies of a replay come and go as they did.
func (d redaction) line(field, line string) string {
	switch field {
	case "Cookie":
		pairs := strings.Split(line, ";")
		for i, pair := range pairs {
			blanks := pair[:len(pair)-len(strings.TrimLeft(pair, " "))]
			pairs[i] = blanks + d.cookie(strings.TrimSpace(pair))
		}
		return strings.Join(pairs, ";")
	case "Set-Cookie":
		pair, attributes, more := strings.Cut(line, ";")
		shown := d.cookie(strings.TrimSpace(pair))
		if !more || !strings.Contains(shown, "=") {
			return shown
		}
		return shown + ";" + folded.ReplaceAllStringFunc(d.shows().Text(attributes), func(next string) string {
			return ", " + d.cookie(strings.TrimLeft(next, ", "))
		})
	case "Www-Authenticate", "Proxy-Authenticate":
		return d.challenge(field, line)
	}
	return d.hide(field, credential(line))
}

// cookie hides the value of a pair, or all of it if its name may be a secret.
func (d redaction) cookie(pair string) string {
	name, value, named := strings.Cut(pair, "=")
	if named && value == "" {
		return pair
	}
	if !named || !strings.HasSuffix(redact.Query(name+"=1"), "="+redact.Placeholder) {
		return d.hide("Cookie", pair)
	}
	return name + "=" + d.hide("Cookie "+name, value)
}

// inChallenge is a parameter of a challenge, or a word (RFC 9110 §11.3): the name of a scheme, or what a scheme says without parameters.
var inChallenge = regexp.MustCompile(`([\w-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*\\?)"?|([^\s,="][^\s,]*))|[^\s,]+`)

// inTheOpen are the parameters of challenges that are no secrets, and that a client needs to answer them.
var inTheOpen = []string{"realm", "charset", "algorithm", "qop", "stale", "domain", "userhash", "service", "scope", "error", "error_description", "error_uri", "resource_metadata", "max_age", "acr_values", "authorization_uri"}

// schemes may stand alone in a challenge.
var schemes = []string{"basic", "bearer", "digest", "dpop", "negotiate", "ntlm", "kerberos", "hoba", "mutual", "oauth", "gnap", "privatetoken", "vapid"}

// challenge hides the secrets of challenges. Schemes stay, and the parameters that are none, so that a client answers as it did.
func (d redaction) challenge(field, line string) string {
	var spans []secret
	text, found, end := []byte(line), inChallenge.FindAllStringSubmatchIndex(line, -1), 0
	for i, at := range found {
		first := i == 0 || strings.TrimSpace(line[end:at[0]]) != "" // after a comma
		end = at[1]
		if at[2] < 0 {
			params := i+1 < len(found) && found[i+1][2] >= 0 && strings.TrimSpace(line[end:found[i+1][0]]) == ""
			if word := line[at[0]:at[1]]; !first || !isToken(word) || !params && !slices.Contains(schemes, strings.ToLower(word)) {
				spans = append(spans, secret{at[0], at[1], redact.Placeholder, field, word})
			}
			continue
		}
		switch begin, end := max(at[4], at[6]), max(at[5], at[7]); {
		case begin == end:
		case slices.Contains(inTheOpen, strings.ToLower(line[at[2]:at[3]])):
			spans = append(spans, d.referenceSpans(text, begin, end)...)
		default:
			spans = append(spans, secret{begin, end, redact.Placeholder, field, line[begin:end]})
		}
	}
	text, _ = replaced(text, d.numbered("", spans), nil)
	return string(text)
}

// link is what may be a relative URL in a field.
var link = regexp.MustCompile(`<([^<>\s]*)>|(?:^|[\s;,="'(])(/[^\s"'<>;,]*)`)

// referenceSpans returns where URLs are in a part of a field that have secrets.
func (d redaction) referenceSpans(text []byte, begin, end int) []secret {
	part := text[begin:end]
	found := d.urlSpans(part)
	for _, at := range link.FindAllSubmatchIndex(part, -1) {
		found = append(found, d.urlSpan(part, max(at[2], at[4]), max(at[3], at[5]))...)
	}
	return moved(merged(found), begin)
}

// text hides the secrets of a field that may have URLs: these with their numbers, so that a client that follows them is known.
func (d redaction) text(line string) string {
	var b strings.Builder
	text, done := []byte(line), 0
	for _, s := range d.referenceSpans(text, 0, len(text)) {
		b.WriteString(d.shows().Text(line[done:s.begin]))
		b.WriteString(s.shown)
		done = s.end
	}
	b.WriteString(d.shows().Text(line[done:]))
	return b.String()
}
