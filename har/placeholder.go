package har

import (
	"regexp"
	"slices"
	"strings"

	"github.com/plyhttp/ply/redact"
)

// An entry may come without secrets already, from a tape that has a number for each: REDACTED-1, REDACTED-2. Such a placeholder says that two requests had the same secret, and nothing of it.
const (
	placeholder = redact.Placeholder + `(?:-[1-9][0-9]*)?`
	cookiePair  = "[\\w!#$%&'*+.^|~`-]+=(?:" + placeholder + `)?`
)

var (
	onlyPlaceholder = regexp.MustCompile(`^` + placeholder + `$`)

	// someNumber is a placeholder with a number in a longer text.
	someNumber = regexp.MustCompile(`\b` + redact.Placeholder + `-[1-9][0-9]*\b`)

	// onlyUserinfo is the userinfo of a URL that has no secrets, and what is before it.
	onlyUserinfo = regexp.MustCompile(`^[^/?#]*//` + placeholder + `(?::` + placeholder + `)?@`)

	// onlyPair is a cookie that has a placeholder for its value, or for both.
	onlyPair = regexp.MustCompile(`^ *(?:` + cookiePair + `|` + placeholder + `)$`)

	// attribute is one of a cookie (RFC 6265 §5.2). Where cookies are folded into one line, the next may follow (RFC 6265 §3).
	attribute = regexp.MustCompile(`^ *(?:(?i:secure|httponly|partitioned)|(?i:domain|path|max-age|samesite|priority)=[^,=]*|(?i:expires)=(?:[A-Za-z]+, )?[^,=]*)(?:, *` + cookiePair + `)?$`)
)

// isPlaceholder reports whether a value stands for a secret, with a number or without.
func isPlaceholder(value string) bool { return onlyPlaceholder.MatchString(value) }

// HeaderValue returns what the archive has of a value of the header field name: for trailers and other fields in a program's own members of it.
func (o *Options) HeaderValue(name, value string) string {
	switch {
	case o.KeepSecrets || isPlaceholder(value):
		return value
	case strings.EqualFold(name, "Cookie"):
		return cookieLine(value)
	case strings.EqualFold(name, "Set-Cookie"):
		return setCookieLine(value)
	}
	shown := withPlaceholders(value, o.Redactor.HeaderValue(name, value))
	if numbers := slices.Compact(someNumber.FindAllString(value, -1)); shown == redact.Placeholder && len(numbers) == 1 {
		return numbers[0] // it has one secret, and what else it has is hidden
	}
	return shown
}

// cookieLine returns a line of Cookie with the pairs that have no secrets.
func cookieLine(line string) string {
	pairs, known := strings.Split(line, ";"), false
	for i, pair := range pairs {
		if onlyPair.MatchString(pair) {
			known = true
		} else {
			pairs[i] = " " + redact.Placeholder
		}
	}
	if !known {
		return redact.Placeholder
	}
	return strings.TrimLeft(strings.Join(pairs, ";"), " ")
}

// setCookieLine returns a line of Set-Cookie with its attributes, if its cookie has no secret.
func setCookieLine(line string) string {
	pair, rest, _ := strings.Cut(line, ";")
	if !onlyPair.MatchString(pair) {
		return redact.Placeholder
	}
	for part := range strings.SplitSeq(rest, ";") {
		if attribute.MatchString(part) {
			pair += ";" + part
		}
	}
	return pair
}

// url returns what the archive has of a URL.
func (o *Options) url(address string) string {
	return withPlaceholders(address, o.Redactor.URLText(address))
}

// withPlaceholders returns the text of a URL with hidden values, which have their numbers again where the URL had them.
func withPlaceholders(address, shown string) string {
	if before, hidden := onlyUserinfo.FindString(address), onlyUserinfo.FindString(shown); before != "" && hidden != "" {
		shown = before + strings.TrimPrefix(shown, hidden)
	}
	address, _, _ = strings.Cut(address, "#")
	base, query, _ := strings.Cut(shown, "?")
	_, sent, _ := strings.Cut(address, "?")
	before, after := strings.Split(sent, "&"), strings.Split(query, "&")
	if query == "" || len(before) != len(after) {
		return shown
	}
	for i, param := range after {
		name, value, _ := strings.Cut(param, "=")
		if was, number, _ := strings.Cut(before[i], "="); value == redact.Placeholder && was == name && isPlaceholder(number) {
			after[i] = before[i]
		}
	}
	return base + "?" + strings.Join(after, "&")
}
