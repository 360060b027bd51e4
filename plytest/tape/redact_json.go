package tape

import (
	"bytes"
	"encoding/json"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/plyhttp/ply/redact"
)

// A jsonLevel is an object or a list that has begun and not yet ended.
type jsonLevel struct {
	object, value, secret bool // value: the next token is a member's value; secret: its name is that of one
	name                  string

	within bool     // it is the value of a secret, or in one: {"password": {"new": "…"}}
	held   bool     // it is the value of a member that holds
	named  bool     // a member says the name of a secret: {"name": "password", "value": "…"}
	values []secret // of the members that are secrets if so

	listed bool     // it is a list in a list, or in no other value, as a pair of a name and a value is
	count  int      // of the elements of a list before the next one
	after  bool     // the element before the next one is the name of a secret
	pair   []secret // the second element of a pair
}

// typed are the members in which an API has a value by its type: DynamoDB, Firestore.
var typed = []string{"S", "N", "B", "SS", "NS", "BS", "stringValue", "integerValue", "bytesValue"}

// holds reports whether a member or an element of a secret, or one beside the name of a secret, has its value.
func (d redaction) holds(name string) bool {
	return (slices.Contains([]string{"value", "values", "val", "v", "new", "old", "current", "previous", "raw", "plain", "plaintext", "text", "data", "content", "parametervalue", "headervalue"}, strings.ToLower(name)) ||
		slices.Contains(typed, name)) && !d.isShown(name)
}

// labels reports whether a member or an attribute says the name of another.
func labels(name string) bool {
	return slices.Contains([]string{"name", "key", "field", "header", "parameter", "param", "variable", "property", "attribute", "k", "parameterkey", "parametername", "headername"}, strings.ToLower(name))
}

// aName reports whether a text may be the name of a member, of a header field or of a parameter in a hierarchy: 1 to 100 letters, digits and signs.
func aName(text string) bool {
	n := 0
	for _, r := range text {
		if n++; n > 100 || !unicode.IsLetter(r) && !strings.ContainsRune("0123456789_./$:[]-", r) {
			return false
		}
	}
	return n > 0
}

// namesSecret reports whether a text is the name of a secret or of a header field with one.
func (d redaction) namesSecret(text string) bool {
	return aName(text) && (d.hides(text) || d.hidesField(text))
}

// begin takes down the name of a member.
func (l *jsonLevel) begin(d redaction, name string) {
	l.value, l.name = true, name
	l.secret = d.hides(name) || l.within && d.holds(name)
}

// inner returns the level of an object or a list that is the next value.
func (l *jsonLevel) inner(d redaction, object bool) jsonLevel {
	inherited := l.secret && (l.value || !l.object)
	held := l.held && !l.object || l.object && d.holds(l.name)
	l.value, l.after = false, false
	l.count++
	return jsonLevel{object: object, secret: inherited && !object, within: l.within || inherited, held: held, listed: !object && !l.object, name: l.name}
}

// scalar takes down a value that is no object and no list: what of it is secret is in spans.
func (l *jsonLevel) scalar(d redaction, token json.Token, spans []secret) (secrets []secret) {
	text, _ := token.(string)
	if !l.object {
		if l.element(d, text, spans) {
			return spans
		}
	} else if labels(l.name) && d.namesSecret(text) {
		l.named = true
	}
	if l.secret || text != "" && isCredential(text) {
		return spans
	}
	if l.object && d.holds(l.name) || !l.object && l.held {
		l.values = append(l.values, spans...)
	}
	return nil
}

// element takes down an element of a list that is no object and no list. It reports whether the one before it says that it is a secret, as in a list of the names and values of fields.
// Of a pair, such as ["Authorization", "…"] among others, only the end says that it is one.
func (l *jsonLevel) element(d redaction, text string, spans []secret) (isSecret bool) {
	fields := !l.listed && strings.EqualFold(l.name, "rawHeaders") // of Node.js; a list "headers" has names alone
	if l.after {
		l.pair = append(l.pair, spans...)
	}
	isSecret = l.after && fields
	l.after = l.count%2 == 0 && (fields || l.listed && l.count == 0) && d.namesSecret(text)
	l.count++
	return isSecret
}

// isCredential reports whether a text shows by itself that it is a secret: "Basic plan" does not.
func isCredential(text string) bool {
	return inAnyField.MatchString(text) && (strings.HasPrefix(text, "eyJ") || redact.Text(text) != text)
}

// end returns the secrets that only the whole object tells. If it is the value of a member that holds, it is for the object around it to say.
func (l *jsonLevel) end(around *jsonLevel) []secret {
	switch {
	case l.named:
		return l.values
	case l.held:
		around.values = append(around.values, l.values...)
	}
	if l.count > 2 {
		return nil
	}
	return l.pair
}

// jsonSpans returns where the strings and numbers are that are members with the name of a secret, up to where the text is no JSON.
func (d redaction) jsonSpans(body []byte) (spans []secret) {
	tokens := json.NewDecoder(bytes.NewReader(body))
	tokens.UseNumber()
	levels := []jsonLevel{{}}
	previous := 0
	for {
		before := int(tokens.InputOffset())
		token, err := tokens.Token()
		top := &levels[len(levels)-1]
		if err != nil {
			named := isNamed(levels)
			for i := len(levels) - 1; i > 0; i-- {
				spans = append(spans, levels[i].end(&levels[i-1])...)
			}
			return merged(spans, d.restSpans(body, previous, before, top, named, err))
		}
		previous = before
		if delim, is := token.(json.Delim); is {
			if delim == '{' || delim == '[' {
				levels = append(levels, top.inner(d, delim == '{'))
				continue
			}
			if len(levels) == 1 { // the decoder refuses that before
				return merged(spans)
			}
			spans = append(spans, top.end(&levels[len(levels)-2])...)
			levels = levels[:len(levels)-1]
			continue
		}
		if top.object && !top.value {
			name, _ := token.(string)
			top.begin(d, name)
			continue
		}
		top.value = false
		after := int(tokens.InputOffset())
		found := top.scalar(d, token, valueSpans(top.name, token, body, before, after))
		spans = append(spans, found...)
		if text, is := token.(string); is && len(found) == 0 && (looksNested(text) || strings.ContainsAny(text, ":=")) {
			begin := before + blanks(body[before:after]) + 1
			inner := inJSON(body[begin : after-1])
			spans = append(spans, moved(inner.outer(merged(d.argumentSpans(inner.text), d.textSpans(inner.text))), begin)...)
		}
	}
}

// isNamed reports whether the last level is the value of a member that stands beside the name of a secret, or in one, or has such a name itself.
func isNamed(levels []jsonLevel) bool {
	i := len(levels) - 1
	for ; levels[i].held && !levels[i].named; i-- {
	}
	return levels[i].named
}

// restSpans returns the secrets from where the text is no JSON: from the token before that, which may be the name of a member. The rest of a list of secrets is hidden whole.
// named reports whether it is in what stands beside the name of a secret.
func (d redaction) restSpans(body []byte, previous, before int, top *jsonLevel, named bool, err error) []secret {
	switch {
	case err == io.EOF:
		return nil
	case !top.object && (top.secret || top.after || named):
		begin := before + blanks(body[before:])
		return []secret{{begin, len(body), redact.Placeholder, "", string(body[begin:])}}
	}
	rest := body[previous:]
	found := d.memberSpans(rest, top.within || named)
	inner := inJSON(rest)
	for range maxNested { // it may be JSON in a string of JSON
		found = merged(found, inner.outer(d.memberSpans(inner.text, false)), inner.outer(d.pairSpans(inner.text)), inner.outer(d.argumentSpans(inner.text)), inner.outer(d.urlSpans(inner.text)), inner.outer(d.paramSpans(inner.text)))
		inner = inner.inside()
	}
	found = moved(merged(found, d.pairSpans(rest), credentialSpans(rest)), previous)
	if begin := before + blanks(body[before:]); begin < len(body) && body[begin] == '"' { // a string that was cut
		cut := inJSON(body[begin+1:])
		found = merged(found, moved(cut.outer(d.lineSpans(cut.text)), begin+1))
	}
	return found
}

// credentialSpans finds what shows by itself that it is a secret, in what is no JSON.
func credentialSpans(text []byte) (spans []secret) {
	for _, at := range someCredential.FindAllIndex(text, -1) {
		if value := string(text[at[0]:at[1]]); isCredential(value) {
			spans = append(spans, secret{at[0], at[1], redact.Placeholder, "", credential(value)})
		}
	}
	return spans
}

// pair is what looks like a list of a name and a value, which may be cut.
var pair = regexp.MustCompile(`\[\s*"((?:[^"\\]|\\.)*)"\s*,\s*"((?:[^"\\]|\\.)+\\?)`)

// pairSpans finds the values of secrets in pairs, in what is no JSON.
func (d redaction) pairSpans(text []byte) (spans []secret) {
	for _, at := range pair.FindAllSubmatchIndex(text, -1) {
		if name := string(text[at[2]:at[3]]); d.namesSecret(name) {
			spans = append(spans, secret{at[4], at[5], redact.Placeholder, name, string(text[at[4]:at[5]])})
		}
	}
	return spans
}

// maxNested is how deep JSON in strings of JSON is looked into where it is damaged, and URLs in parameters of URLs.
const maxNested = 3

// member is what looks like a member of an object: a name and a value, which may be cut.
var member = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"\s*:\s*(?:"((?:[^"\\]|\\.)*\\?)|([^\s"{}\[\],]+))`)

// memberSpans finds the values of secrets in what is no JSON, or not all of it: a body that was cut, a part of one, or a mistake of its author.
// within says that it begins in an object whose members may hold a secret.
func (d redaction) memberSpans(text []byte, within bool) (spans []secret) {
	for _, at := range member.FindAllSubmatchIndex(text, -1) {
		var name string
		if json.Unmarshal(text[at[2]-1:at[3]+1], &name) != nil {
			name = string(text[at[2]:at[3]])
		}
		begin, end := max(at[4], at[6]), max(at[5], at[7])
		if begin < end && (d.hides(name) || within && d.holds(name)) {
			spans = append(spans, secret{begin, end, redact.Placeholder, name, string(text[begin:end])})
		}
	}
	return spans
}

// blanks returns how many bytes are before the next token of JSON.
func blanks(text []byte) int {
	return len(text) - len(bytes.TrimLeft(text, " \t\r\n:,"))
}

// valueSpans returns where a string or a number is: within the bytes that were read for it, which begin with white space and separators.
func valueSpans(name string, token json.Token, body []byte, before, after int) []secret {
	begin := before + blanks(body[before:after])
	switch token := token.(type) {
	case string:
		if isCredential(token) {
			token = credential(token)
		}
		if begin+1 < after-1 {
			return []secret{{begin + 1, after - 1, redact.Placeholder, name, token}}
		}
	case json.Number:
		return []secret{{begin, after, "0", name, ""}}
	}
	return nil
}
