package redact

import (
	"strings"
)

// Text returns s without the secrets that it quotes: those of URLs, credentials after the name of their scheme ("Bearer x"), values after the name
// of a secret ("token=x", "api_key: x", "X-Api-Key: x", also in JSON, XML, GraphQL or a string of them), logins before a host ("user:pw@host"),
// and private keys in PEM.
// What looks like a URL but does not parse is hidden entirely.
//
// A secret without such a mark is not recognized. Prose stays as it is where it can be recognized, as in "fetch token: EOF".
func (r *Redactor) Text(s string) string {
	if !strings.ContainsAny(s, "=:@?< ") {
		return s
	}
	if strings.Contains(s, "://") || strings.Contains(s, "?") {
		s = r.urls(s)
	}
	return logins(announced(privateKeys(elements(s))))
}

// urls hides the secrets of the URLs in s. A run without spaces, quotes or brackets that contains "://" or a query is a URL.
func (r *Redactor) urls(s string) string {
	var b strings.Builder
	before := byte(' ')
	for s != "" {
		end := runEnd(s, before)
		b.WriteString(r.run(s[:end]))
		if end < len(s) {
			before = s[end]
			b.WriteByte(before)
			end++
		}
		s = s[end:]
	}
	return b.String()
}

const (
	separators = " \t\r\n\"'`<>()[]{}"
	quotes     = "\"'`"
)

// runEnd returns the length of the run that s begins with. before is the byte before s. Brackets that open in a query belong to the query, as do quotes inside them,
// because JSON in a query need not be escaped. A quoted URL ends at its quote, whatever spaces it has. An unquoted query ends where it stops continuing in its line: "q=a b&token=x".
func runEnd(s string, before byte) int {
	end := until(s, separators)
	if n := addressEnd(s, end); n > 0 {
		end = n + until(s[n:], separators)
	}
	if end == len(s) {
		return end
	}
	quoted := strings.IndexByte(quotes, before) >= 0 && strings.Contains(s[:end], "://") && closes(s[end:], before)
	if !quoted && !strings.Contains(s[:end], "?") {
		return end
	}
	return bracketedEnd(s, end, before, quoted)
}

// addressEnd returns where an IPv6 address in brackets ends that is the host of a URL and begins at i, or 0 if there is none.
func addressEnd(s string, i int) int {
	if i == len(s) || s[i] != '[' {
		return 0
	}
	_, authority, ok := strings.Cut(s[:i], "://")
	n := strings.IndexByte(s[i:], ']')
	if !ok || authority != "" && !strings.HasSuffix(authority, "@") || n < 0 || strings.ContainsAny(s[i+1:i+n], separators+"/?#") {
		return 0
	}
	return i + n + 1
}

// bracketedEnd returns where a run ends that goes on beyond end with what is in brackets, or, if it is quoted, up to that quote.
func bracketedEnd(s string, end int, quote byte, quoted bool) int {
	for depth := 0; end < len(s); end++ {
		switch c := s[end]; c {
		case '\r', '\n':
			return end
		case ' ', '\t':
			if !quoted {
				return end + queryGoesOn(s[end:])
			}
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			if depth--; depth < 0 {
				if !quoted {
					return end
				}
				depth = 0
			}
		case '"', '\'', '`', '<', '>':
			if depth <= 0 && (!quoted || c == quote) {
				return end
			}
		}
	}
	return end
}

// closes reports whether the quote occurs in the first line of s.
func closes(s string, quote byte) bool {
	i := strings.IndexAny(s, "\r\n"+string(quote))
	return i >= 0 && s[i] == quote
}

// queryGoesOn returns the length of the part of s, which begins with a space, that still belongs to a query: up to its last "&name=value".
func queryGoesOn(s string) int {
	const far = 1 << 10
	line := s[:min(len(s), far)]
	line = line[:until(line, "\r\n"+quotes)]
	if i := strings.Index(line, "://"); i >= 0 { // another URL
		line = line[:strings.LastIndexByte(line[:i], ' ')]
	}
	for amp := strings.LastIndexByte(line, '&'); amp >= 0; amp = strings.LastIndexByte(line[:amp], '&') {
		if word := line[amp:]; strings.IndexByte(word[:until(word, separators)], '=') > 1 {
			return amp + until(s[amp:], separators) // the line may be cut
		}
	}
	return 0
}

// until returns the length of s up to the first of the given bytes, or all of it.
func until(s, bytes string) int {
	if i := strings.IndexAny(s, bytes); i >= 0 {
		return i
	}
	return len(s)
}

func (r *Redactor) run(s string) string {
	body := strings.TrimRight(s, ":,.;!")
	if !strings.Contains(body, "://") && !(strings.Contains(body, "?") && (strings.Contains(body, "=") || body[0] == '/')) {
		return s
	}
	return r.URLText(body) + s[len(body):]
}

// logins hides the user and the password of "user:pw@host" without a scheme.
func logins(s string) string {
	if !strings.Contains(s, "@") {
		return s
	}
	var b strings.Builder
	for s != "" {
		end := until(s, separators)
		b.WriteString(login(s[:end]))
		if end < len(s) {
			b.WriteByte(s[end])
			end++
		}
		s = s[end:]
	}
	return b.String()
}

func login(run string) string {
	at := strings.LastIndexByte(run, '@')
	if at < 0 || at+1 == len(run) || strings.Contains(run, "://") {
		return run
	}
	user, _, ok := strings.Cut(run[:at], ":")
	switch {
	case !ok, user == "", strings.EqualFold(user, "mailto"), strings.EqualFold(user, "acct"):
		return run
	}
	return Placeholder + ":" + Placeholder + run[at:]
}
