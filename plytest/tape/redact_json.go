package tape

import (
	"bytes"
	"encoding/json"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/plyhttp/ply/redact"
)

// A jsonLevel is an object or a list that has begun and not yet ended.
type jsonLevel struct {
	object, value, secret bool // value: the next token is a member's value; secret: its name is that of one
	name                  string

	within bool     // it is the value of a secret, or in one: {"password": {"new": "…"}}
	named  bool     // a member says the name of a secret: {"name": "password", "value": "…"}
	values []secret // of the members that are secrets if so
}

// holds reports whether a member or an element of a secret, or one beside the name of a secret, has its value.
func (d redaction) holds(name string) bool {
	return slices.Contains([]string{"value", "values", "val", "v", "new", "old", "current", "previous", "raw", "plain", "plaintext", "text", "data", "content"}, strings.ToLower(name)) && !d.isShown(name)
}

// labels reports whether a member or an attribute says the name of another.
func labels(name string) bool {
	return slices.Contains([]string{"name", "key", "field", "header", "parameter", "param", "variable", "property", "attribute", "k"}, strings.ToLower(name))
}

// begin takes down the name of a member.
func (l *jsonLevel) begin(d redaction, name string) {
	l.value, l.name = true, name
	l.secret = d.hides(name) || l.within && d.holds(name)
}

// inner returns the level of an object or a list that is the next value.
func (l *jsonLevel) inner(object bool) jsonLevel {
	inherited := l.secret && (l.value || !l.object)
	l.value = false
	return jsonLevel{object: object, secret: inherited && !object, within: l.within || inherited, name: l.name}
}

// scalar takes down a value that is no object and no list: what of it is secret is in spans.
func (l *jsonLevel) scalar(d redaction, token json.Token, spans []secret) (secrets []secret) {
	if text, _ := token.(string); l.object && labels(l.name) && !strings.Contains(text, " ") && (d.hides(text) || d.hidesField(text)) {
		l.named = true
	}
	if l.secret {
		return spans
	}
	if l.object && d.holds(l.name) {
		l.values = append(l.values, spans...)
	}
	return nil
}

// end returns the secrets that only the whole object tells.
func (l *jsonLevel) end() []secret {
	if !l.named {
		return nil
	}
	return l.values
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
			for i := range levels {
				spans = merged(spans, levels[i].end())
			}
			return merged(spans, d.restSpans(body, previous, before, top, err))
		}
		previous = before
		if delim, is := token.(json.Delim); is {
			if delim == '{' || delim == '[' {
				levels = append(levels, top.inner(delim == '{'))
				continue
			}
			spans = append(spans, top.end()...)
			if levels = levels[:len(levels)-1]; len(levels) == 0 {
				return merged(spans)
			}
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
		if text, is := token.(string); is && len(found) == 0 && (looksNested(text) || strings.Contains(text, ":")) {
			begin := before + blanks(body[before:after]) + 1
			inner := inJSON(body[begin : after-1])
			spans = append(spans, moved(inner.outer(merged(d.argumentSpans(inner.text), d.textSpans(inner.text))), begin)...)
		}
	}
}

// restSpans returns the secrets from where the text is no JSON: from the token before that, which may be the name of a member. The rest of a list of secrets is hidden whole.
func (d redaction) restSpans(body []byte, previous, before int, top *jsonLevel, err error) []secret {
	switch {
	case err == io.EOF:
		return nil
	case top.secret && !top.object:
		begin := before + blanks(body[before:])
		return []secret{{begin, len(body), redact.Placeholder, "", string(body[begin:])}}
	}
	rest := body[previous:]
	found := d.memberSpans(rest, top.within || top.named)
	inner := inJSON(rest)
	for range maxNested { // it may be JSON in a string of JSON
		found = merged(found, inner.outer(d.memberSpans(inner.text, false)), inner.outer(d.argumentSpans(inner.text)), inner.outer(d.urlSpans(inner.text)), inner.outer(d.paramSpans(inner.text)))
		inner = inner.inside()
	}
	return moved(found, previous)
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

// argument is an argument or a field of GraphQL with a string (GraphQL §2.6, §2.9.4), which may be cut.
var argument = regexp.MustCompile(`(?:^|[\s,({])([A-Za-z_]\w*)\s*:\s*"{1,3}((?:[^"\\]|\\.)+\\?)`)

// argumentSpans finds the values of secrets in a document of GraphQL.
func (d redaction) argumentSpans(text []byte) (spans []secret) {
	for _, at := range argument.FindAllSubmatchIndex(text, -1) {
		if name := string(text[at[2]:at[3]]); d.hides(name) {
			spans = append(spans, secret{at[4], at[5], redact.Placeholder, name, string(text[at[4]:at[5]])})
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
		if begin+1 < after-1 {
			return []secret{{begin + 1, after - 1, redact.Placeholder, name, token}}
		}
	case json.Number:
		return []secret{{begin, after, "0", name, ""}}
	}
	return nil
}
