package redact

import (
	"encoding/base64"
	"net/netip"
	"strings"
)

// announced hides the values in s that follow the name of a secret, or of an authentication scheme.
func announced(s string) string {
	var b strings.Builder
	done := 0
	for i := 0; i < len(s); i++ {
		var start, end int
		switch s[i] {
		case '=', ':':
			name, marked := nameBefore(s[:i])
			if strings.EqualFold(name, "key") && endsIn(strings.TrimSuffix(s[:i], name), "api ") {
				name, marked = "api key", true
			}
			if (IsSecretName(name) || fieldOfCredentials(name)) && !(s[i] == ':' && ofPath(s[:i], name)) {
				start, end = valueAfter(s, i, name, marked || tight(s, i, name))
			}
		case ' ':
			if start, end = credentialsAfter(s, i); end <= start {
				start, end = quotedAfter(s, i)
			}
		}
		if end <= start {
			continue
		}
		b.WriteString(s[done:start])
		b.WriteString(Placeholder)
		done, i = end, end-1
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}

func nameByte(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.' || c >= 0x80
}

// nameBefore returns the name that s ends in, without quotes and spaces after it. marked reports that quotes, punctuation or an inner capital
// distinguish the name from a word of prose.
func nameBefore(s string) (name string, marked bool) {
	const longest = 64
	bare := strings.TrimRight(s, " \t")
	s = strings.TrimRight(bare, quotes+`\]`)
	marked = len(s) < len(bare)
	start := len(s)
	for start > 0 && len(s)-start < longest && nameByte(s[start-1]) {
		start--
	}
	name = s[start:]
	if marked = marked || strings.ContainsAny(name, "_-"); !marked {
		for i := 1; i < len(name); i++ {
			marked = marked || name[i-1] >= 'a' && name[i] >= 'A' && name[i] <= 'Z'
		}
	}
	return name, marked
}

// ofPath reports whether the name that s ends in is the end of a path or a host, and so not a name in spite of quotes and a colon: `Post "https://a.test/token": EOF`.
func ofPath(s, name string) bool {
	first := strings.LastIndex(s, name)
	return first > 0 && s[first-1] == '/'
}

// tight reports whether a name and its value are an entry of what %v or %+v prints, without a space between them: "{Password:x}", "map[password:x]".
// "auth:8080" is an address.
func tight(s string, i int, name string) bool {
	before, adjacent := strings.CutSuffix(s[:i], name)
	if !adjacent || before != "" && strings.IndexByte(" \t\r\n{[(,;&|", before[len(before)-1]) < 0 {
		return false
	}
	return strings.Trim(s[i+1:i+1+wordEnd(s[i+1:])], "0123456789:.") != ""
}

// alone reports whether a name and its value, up to end, are a line of their own in a longer text, as in YAML.
func alone(s string, i int, name string, end int) bool {
	indent := strings.TrimRight(strings.TrimSuffix(s[:i], name), " \t-")
	return strings.HasSuffix(indent, "\n") && (end == len(s) || s[end] == '\r' || s[end] == '\n')
}

// valueAfter returns the position of the value that follows the separator at i, an empty one if there is nothing to hide.
func valueAfter(s string, i int, name string, marked bool) (start, end int) {
	start = i + 1
	for start < len(s) && strings.IndexByte(" \t=>", s[start]) >= 0 {
		start++
	}
	if start == len(s) {
		return start, start
	}
	if delimiter := quoteAt(strings.TrimPrefix(s[start:], "b")); delimiter != "" { // b'x' is how Python prints bytes
		start += strings.Index(s[start:], delimiter) + len(delimiter)
		return start, start + closing(s[start:], delimiter)
	}
	if rest, hidden := strings.CutPrefix(s[start:], Placeholder); hidden && strings.Trim(rest[:min(len(rest), 1)], ",}]") == "" { // the text is here for the second time
		return start, start
	}
	end = start + literalEnd(s[start:])
	switch {
	case fieldOfCredentials(name):
		return start, max(end, start+lineEnd(s[start:]))
	case end > start:
		return start, end
	}
	return bareValue(s, i, start, name, marked)
}

// literalEnd returns the length of the object, the list or the Go literal, such as []string{"x"}, that s begins with, or 0.
func literalEnd(s string) int {
	const longest = 64 // of a type
	switch {
	case s[0] != '{' && s[0] != '[':
		return 0
	case !strings.HasPrefix(s, "[]"):
		return bracketsEnd(s)
	}
	brace := strings.IndexAny(s[:min(len(s), longest)], "{\r\n,;")
	if brace < 0 || s[brace] != '{' {
		brace = 0
	}
	return brace + bracketsEnd(s[brace:])
}

// bareValue returns the position of the value without quotes or brackets that begins at start, after the separator at i and the name before it:
// one word, or the credentials too if that is the name of a scheme.
func bareValue(s string, i, start int, name string, marked bool) (_, end int) {
	end = start + len(strings.TrimRight(s[start:start+wordEnd(s[start:])], ":.!"))
	if s[i] == ':' && !marked && !alone(s, i, name, end) && (strings.EqualFold(name, "key") || !looksSecret(wordOf(s[start:]))) {
		return start, start
	}
	scheme := strings.ToLower(s[start:end])
	switch {
	case !schemes[scheme] || !strings.HasPrefix(s[end:], " "):
		return start, end
	case scheme == "digest":
		return start, start + lineEnd(s[start:])
	}
	end = credentialsStart(s, end)
	return start, end + wordEnd(s[end:])
}

// fieldOfCredentials reports whether name is that of a header field whose whole value, spaces included, is secret.
func fieldOfCredentials(name string) bool {
	for _, field := range secretFields {
		if strings.EqualFold(name, field) {
			return true
		}
	}
	return false
}

// quoteAt returns the quotation mark that s begins with, which may be escaped or tripled, or "".
func quoteAt(s string) string {
	escapes := len(s) - len(strings.TrimLeft(s, `\`))
	if escapes == len(s) || strings.IndexByte(quotes, s[escapes]) < 0 {
		return ""
	}
	one := s[:escapes+1]
	if strings.HasPrefix(s, one+one+one) {
		return one + one + one
	}
	return one
}

// closing returns the length of s up to its closing delimiter, or all of s. Quotes with more escapes than the delimiter belong to the text.
func closing(s, delimiter string) int {
	for i := 0; ; {
		n := strings.Index(s[i:], delimiter)
		if n < 0 {
			return len(s)
		}
		if i += n; i == 0 || s[i-1] != '\\' {
			return i
		}
		i += len(delimiter)
	}
}

// lineEnd returns the length of a value that goes on to the end of its line, or to the quote that encloses it. A quote after "=" belongs to a parameter of the value: Digest username="x".
func lineEnd(s string) int {
	for end := 0; ; {
		i := strings.IndexAny(s[end:], "\r\n"+quotes)
		if i < 0 {
			return len(s)
		}
		end += i
		before := strings.TrimRight(s[:end], `\`)
		if strings.IndexByte(quotes, s[end]) < 0 || !strings.HasSuffix(before, "=") {
			return end
		}
		end++
		delimiter := s[len(before):end]
		end += closing(s[end:], delimiter)
		end = min(len(s), end+len(delimiter))
	}
}

// wordEnd returns the length of a value without quotes.
func wordEnd(s string) int { return until(s, separators+",;&") }

// wordOf is the first word of s, or enough of it to classify it.
func wordOf(s string) string {
	const enough = 256
	s = s[:min(len(s), enough)]
	return s[:wordEnd(s)]
}

// bracketsEnd returns the length of s up to the bracket that closes its first one, or all of s. Brackets in double quotes do not count.
func bracketsEnd(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		case '"':
			delimiter := s[len(strings.TrimRight(s[:i], `\`)) : i+1]
			i += closing(s[i+1:], delimiter) + len(delimiter)
		}
	}
	return len(s)
}

// schemes are the authentication schemes that are recognized in a text.
var schemes = set("bearer", "basic", "negotiate", "ntlm", "token", "apikey", "dpop", "digest")

// schemeBefore returns the authentication scheme that s ends in, in lower case, or "".
func schemeBefore(s string) string {
	const longest = len("negotiate") + 1
	first := len(s)
	for first > 0 && len(s)-first < longest && nameByte(s[first-1]) {
		first--
	}
	if scheme := strings.ToLower(s[first:]); schemes[scheme] {
		return scheme
	}
	return ""
}

// credentialsAfter returns the position of the credentials, an empty one unless the word before the space at i is an authentication scheme.
func credentialsAfter(s string, i int) (start, end int) {
	scheme := schemeBefore(s[:i])
	if scheme == "" {
		return i, i
	}
	start = credentialsStart(s, i)
	end = start + len(strings.TrimRight(s[start:start+wordEnd(s[start:])], ":.!"))
	word := s[start:end]
	switch {
	case !credentialsOf(scheme, word), strings.HasSuffix(word, "=") && quoteAt(s[end:]) != "": // realm="x" of a challenge
		return i, i
	case scheme == "digest": // it has several parameters, with spaces between
		return start, len(s)
	}
	return start, end
}

// credentialsStart returns the position of what follows a scheme and the spaces, quotes or "<" that begin at i.
func credentialsStart(s string, i int) int {
	return len(s) - len(strings.TrimLeft(s[i:], " <\\"+quotes))
}

// credentialsOf reports whether word, which follows the name of a scheme, is credentials and not prose.
func credentialsOf(scheme, word string) bool {
	switch scheme {
	case "bearer", "apikey", "dpop":
		return !prose[strings.ToLower(word)] && !strings.Contains(strings.TrimRight(word, "="), "=")
	case "digest":
		return strings.HasPrefix(word, "username=")
	case "basic":
		if login64(word) {
			return true
		}
	}
	return looksSecret(word) || encoded(word)
}

// quotedAfter returns the position of the quoted value that directly follows the name of a secret: wrong password "x". A quoted key is more likely that of a map.
func quotedAfter(s string, i int) (start, end int) {
	delimiter := quoteAt(s[i+1:])
	if delimiter == "" {
		return i, i
	}
	name, _ := nameBefore(s[:i])
	if strings.EqualFold(name, "key") || !IsSecretName(name) || endsIn(strings.TrimSuffix(s[:i], name), "unexpected ") { // of a parser
		return i, i
	}
	start = i + 1 + len(delimiter)
	return start, start + closing(s[start:], delimiter)
}

// endsIn reports whether s ends in suffix, without regard to case.
func endsIn(s, suffix string) bool {
	return len(s) >= len(suffix) && strings.EqualFold(s[len(s)-len(suffix):], suffix)
}

// prose are the words that follow "bearer" in a sentence.
var prose = set(
	"", "a", "and", "are", "as", "auth", "authentication", "authorization", "be", "but", "by", "cannot", "challenge", "credential", "credentials", "error", "expected", "expired", "failed",
	"for", "from", "has", "header", "headers", "in", "invalid", "is", "missing", "must", "not", "of", "or", "rejected", "required", "scheme", "schemes", "should", "to", "token", "tokens",
	"type", "was", "were", "with", "without",
)

// looksSecret reports whether word may be a secret: it is no word of prose, status, address or prefix of an error ("x509:").
func looksSecret(word string) bool {
	switch {
	case len(word) > 100:
		return true
	case strings.HasSuffix(word, ":"):
		return false
	}
	word = strings.TrimRight(word, ".,;!")
	digits := 0
	for i := range len(word) {
		if word[i] >= '0' && word[i] <= '9' {
			digits++
		}
	}
	if _, err := netip.ParseAddrPort(word); err == nil {
		return false
	}
	if _, err := netip.ParseAddr(word); err == nil {
		return false
	}
	return len(word) >= 24 || digits > 0 && len(word) >= 4
}

// login64 reports whether word is "user:password" in base64.
func login64(word string) bool {
	text, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(word, "="))
	return err == nil && strings.Contains(string(text), ":")
}

// encoded reports whether word may be base64 and not prose.
func encoded(word string) bool {
	if len(word) < 6 {
		return false
	}
	for i := range len(word) {
		if c := word[i]; !nameByte(c) && c != '+' && c != '/' && c != '=' {
			return false
		}
	}
	return strings.ToLower(word[1:]) != word[1:] || strings.HasSuffix(word, "=")
}
