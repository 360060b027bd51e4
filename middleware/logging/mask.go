package logging

import (
	"encoding/json"
	"strings"

	"github.com/plyhttp/ply/redact"
)

// MaskSecrets hides secrets in the beginning of a body: members of JSON objects with the name of a secret
// (token, password, api_key …), whatever the media type, the values of form fields, and what [redact.Redactor.Text] hides in a text.
// XML is hidden entirely. It is the default of Options.Mask.
func MaskSecrets(mediaType string, body []byte) []byte {
	return MaskMembers()(mediaType, body)
}

// MaskMembers returns a mask that hides what [MaskSecrets] hides, and the JSON members with these names at any depth. Case does not matter.
//
//	logging.Options{BodyBytes: 4096, Mask: logging.MaskMembers("email", "iban")}
func MaskMembers(names ...string) func(mediaType string, body []byte) []byte {
	secret := func(name string) bool {
		for _, n := range names {
			if strings.EqualFold(n, name) {
				return true
			}
		}
		return redact.IsSecretName(name)
	}
	return func(mediaType string, body []byte) []byte {
		text := string(body)
		switch inside := strings.TrimLeft(text, " \t\r\n\ufeff"); {
		case inside == "":
			return body
		case strings.HasSuffix(mediaType, "xml"), inside[0] == '<' && mediaType != "text/html", strings.HasPrefix(inside, "<?xml"):
			return []byte(redact.Placeholder)
		case strings.HasSuffix(mediaType, "json") && looksJSON(inside):
			return maskJSON(text, secret, 0)
		case inside[0] == '{', inside[0] == '[', inside[0] == '"':
			return []byte(redact.Text(string(maskJSON(text, secret, 0)))) // it may not be JSON
		case mediaType == "application/x-www-form-urlencoded":
			return []byte(redact.Query(text))
		}
		return []byte(lines(text))
	}
}

// lines hides the secrets of a text. The line break in front makes its first line one like the others: in an error it would begin with the name of a package.
func lines(text string) string { return strings.TrimPrefix(redact.Text("\n"+text), "\n") }

// looksJSON reports whether a text begins like JSON, and not like JavaScript or a form.
func looksJSON(s string) bool {
	if s[0] == '{' || s[0] == '[' {
		s = strings.TrimLeft(s[1:], " \t\r\n")
	}
	return s == "" || strings.IndexByte("\"{}[]-0123456789tfn", s[0]) >= 0
}

// maskJSON replaces the values of secret members. It reads tokens, not the grammar, so that any beginning of a text will do,
// and hides what follows the name of a secret up to the end of that value or of the text.
func maskJSON(s string, secret func(string) bool, depth int) []byte {
	out := make([]byte, 0, len(s))
	named := false // this object has named a secret whose value is another member: {"name":"password","value":"x"}
	for s != "" {
		if s[0] != '"' {
			named = named && s[0] != '{' && s[0] != '}'
			out, s = append(out, s[0]), s[1:]
			continue
		}
		token := s[:stringEnd(s)]
		out, s = append(out, maskString(token, secret, depth)...), s[len(token):]
		colon := len(s) - len(strings.TrimLeft(s, " \t\r\n"))
		if colon == len(s) || s[colon] != ':' {
			continue
		}
		value := colon + 1
		value += len(s[value:]) - len(strings.TrimLeft(s[value:], " \t\r\n"))
		member := unquoted(token)
		if strings.EqualFold(member, "name") || strings.EqualFold(member, "key") {
			named = strings.HasPrefix(s[value:], `"`) && secret(unquoted(s[value:value+stringEnd(s[value:])]))
		}
		if !secret(member) && !(named && strings.EqualFold(member, "value")) {
			continue
		}
		out = append(out, s[:value]...)
		out, s = append(out, `"`+redact.Placeholder+`"`...), s[value:]
		s = s[valueEnd(s):]
	}
	return out
}

// unquoted returns the text of a JSON string. Escapes can spell any name.
func unquoted(token string) string {
	var plain string
	if json.Unmarshal([]byte(token), &plain) == nil {
		return plain
	}
	return unescaped(token)
}

// stringEnd returns the length of the string that s begins with.
func stringEnd(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(s)
}

// valueEnd returns the length of the value that s begins with: a string, an object or array with all in it, or a literal.
func valueEnd(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			i += stringEnd(s[i:]) - 1
			if depth == 0 {
				return min(i+1, len(s))
			}
		case '{', '[':
			depth++
		case '}', ']', ',':
			if s[i] != ',' {
				depth--
			}
			switch {
			case depth < 0 || depth == 0 && s[i] == ',':
				return i
			case depth == 0:
				return i + 1
			}
		}
	}
	return len(s)
}
