package logging

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/plyhttp/ply/redact"
)

// maxDepth bounds how deep JSON in the strings of JSON is masked.
const maxDepth = 5

// maskString hides the secrets of a JSON string, which includes its quotes and may be cut: those in its text, or, if it is JSON itself, those of its members.
func maskString(token string, secret func(string) bool, depth int) string {
	text, closed := content(token)
	inside := strings.TrimLeft(text, " \t\r\n")
	if depth == maxDepth || inside == "" || inside[0] != '{' && inside[0] != '[' && inside[0] != '"' {
		return redact.Text(token)
	}
	masked := string(maskJSON(text, secret, depth+1))
	if masked == text {
		return redact.Text(token)
	}
	quoted := quotedJSON(masked)
	if !closed {
		quoted = strings.TrimSuffix(quoted, `"`)
	}
	return quoted
}

// content returns the text of a JSON string, and whether it has its closing quote.
func content(token string) (text string, closed bool) {
	closed = len(token) > 1 && stringEnd(token[:len(token)-1]) == len(token)-1 && token[len(token)-1] == '"' && !endsInEscape(token[:len(token)-1])
	if closed {
		return unquoted(token), true
	}
	for cut := 0; cut < 6 && cut < len(token); cut++ { // an escape that was cut has up to five bytes
		if json.Unmarshal([]byte(token[:len(token)-cut]+`"`), &text) == nil {
			return text, false
		}
	}
	return unescaped(token), false
}

func endsInEscape(s string) bool {
	n := len(s) - len(strings.TrimRight(s, `\`))
	return n%2 == 1
}

// unescaped returns the text of a string that is not valid JSON.
func unescaped(token string) string {
	return strings.NewReplacer(`\"`, `"`, `\\`, `\`, `\/`, `/`).Replace(strings.Trim(token, `"`))
}

func quotedJSON(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(s) != nil {
		return `"` + redact.Placeholder + `"`
	}
	return strings.TrimSuffix(b.String(), "\n")
}
