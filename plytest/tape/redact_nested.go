package tape

import (
	"bytes"
	"encoding/json"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/plyhttp/ply/redact"
)

// An encoding is how a text stands in another one: where each of its bytes is there, and the end of the last, and how what replaces a part of it is written.
type encoding struct {
	text  []byte
	at    []int
	write func(string) string
}

// add says that a part of the text is at an offset.
func (e *encoding) add(part []byte, at int) {
	for range part {
		e.at = append(e.at, at)
	}
	e.text = append(e.text, part...)
}

// outer returns where secrets of the text are in the other one.
func (e *encoding) outer(spans []secret) []secret {
	for i, s := range spans {
		spans[i].begin, spans[i].end = e.at[s.begin], e.at[s.end]
		if s.shown != redact.Placeholder {
			spans[i].shown = e.write(s.shown)
		}
	}
	return spans
}

// inJSON decodes what is between the quotes of a string (RFC 8259 §7).
func inJSON(raw []byte) *encoding {
	e := &encoding{write: func(s string) string {
		quoted, _ := json.Marshal(s)
		return string(quoted[1 : len(quoted)-1])
	}}
	for i := 0; i < len(raw); {
		begin := i
		switch {
		case raw[i] != '\\' || i+1 == len(raw):
			i++
			e.add(raw[begin:i], begin)
		case raw[i+1] == 'u':
			var r rune
			r, i = escapedRune(raw, i)
			e.add(utf8.AppendRune(nil, r), begin)
		default:
			i += 2
			c := raw[i-1]
			if n := strings.IndexByte("bfnrt", c); n >= 0 {
				c = "\b\f\n\r\t"[n]
			}
			e.add([]byte{c}, begin)
		}
	}
	e.at = append(e.at, len(raw))
	return e
}

// inside decodes the text once more.
func (e *encoding) inside() *encoding {
	inner := inJSON(e.text)
	for i, at := range inner.at {
		inner.at[i] = e.at[at]
	}
	return inner
}

// escapedRune returns the character that begins with \u at an offset, and where it ends.
func escapedRune(raw []byte, at int) (r rune, end int) {
	unit := func(at int) rune {
		var hex string
		if len(raw) < at+6 || raw[at] != '\\' || json.Unmarshal(slices.Concat([]byte(`"`), raw[at:at+6], []byte(`"`)), &hex) != nil {
			return -1
		}
		var u rune
		for _, c := range bytes.ToLower(raw[at+2 : at+6]) {
			u = u<<4 | rune(strings.IndexByte("0123456789abcdef", c))
		}
		return u
	}
	r = unit(at)
	if r < 0 {
		return utf8.RuneError, min(at+2, len(raw))
	}
	if utf16.IsSurrogate(r) {
		if pair := utf16.DecodeRune(r, unit(at+6)); pair != utf8.RuneError {
			return pair, at + 12
		}
	}
	return r, at + 6
}

// inForm decodes the value of a field of a form.
func inForm(raw []byte) *encoding {
	e := &encoding{write: url.QueryEscape}
	for i := 0; i < len(raw); {
		n := 1
		if raw[i] == '%' && i+3 <= len(raw) {
			n = 3
		}
		part, err := url.QueryUnescape(string(raw[i : i+n]))
		if err != nil {
			part = string(raw[i : i+n])
		}
		e.add([]byte(part), i)
		i += n
	}
	e.at = append(e.at, len(raw))
	return e
}

// looksNested reports whether a text may have secrets that textSpans finds.
func looksNested(text string) bool {
	text = strings.TrimLeft(text, " \t\r\n")
	return text != "" && strings.IndexByte("{[/", text[0]) >= 0 || strings.Contains(text, "://")
}

// textSpans returns where secrets are in a text that stands in other content: in JSON, and in the URLs of any other text.
func (d redaction) textSpans(text []byte) []secret {
	if bytes.IndexAny(bytes.TrimLeft(text, " \t\r\n"), "{[") == 0 {
		return d.jsonSpans(text)
	}
	if len(text) > 0 && text[0] == '/' && !bytes.ContainsAny(text, " \t\r\n\"<>") {
		return d.urlSpan(text, 0, len(text))
	}
	return merged(d.lineSpans(text), d.argumentSpans(text), d.urlSpans(text))
}

// variable is an assignment of a variable of the environment.
var variable = regexp.MustCompile(`^([A-Z][A-Z0-9_]*)=(\S.*)$`)

// lineSpans returns the value of a text that is a line of a header or a variable of the environment, if its name is that of a secret.
func (d redaction) lineSpans(text []byte) []secret {
	at := inLine.FindSubmatchIndex(text)
	if at == nil {
		at = variable.FindSubmatchIndex(text)
	}
	if at == nil || !d.namesSecret(string(text[at[2]:at[3]])) {
		return nil
	}
	value := string(text[at[4]:at[5]])
	return []secret{{at[4], at[5], redact.Placeholder, string(text[at[2]:at[3]]), credential(value)}}
}

// address is a URL in a text.
var address = regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*://[^\s"'<>\\^` + "`" + `{|}]+`)

// urlSpans returns where URLs are that have secrets.
func (d redaction) urlSpans(text []byte) (spans []secret) {
	for _, at := range address.FindAllIndex(text, -1) {
		end := at[0] + len(bytes.TrimRight(text[at[0]:at[1]], ".,;:!?)]*"))
		spans = append(spans, d.urlSpan(text, at[0], end)...)
	}
	return spans
}

// param is what looks like a parameter of a URL, which may be cut.
var param = regexp.MustCompile(`[?&#]([^\s?&#="'<>]+)=([^\s&#"'<>\\]+)`)

// userinfo is what looks like the userinfo of a URL, which may be cut in its password.
var userinfo = regexp.MustCompile(`^[^/]*://(?:([^/?#]*)@|([^/?#:]*:[^/?#]*)$)`)

func (d redaction) userSpans(text []byte) []secret {
	at := userinfo.FindSubmatchIndex(text)
	if at == nil {
		return nil
	}
	begin, end := max(at[2], at[4]), max(at[3], at[5])
	return []secret{{begin, end, redact.Placeholder, "userinfo", string(text[begin:end])}}
}

// paramSpans finds secrets in the URLs of a text that is damaged.
func (d redaction) paramSpans(text []byte) (spans []secret) {
	for _, at := range param.FindAllSubmatchIndex(text, -1) {
		name, err := url.QueryUnescape(string(text[at[2]:at[3]]))
		if err != nil || d.hides(name) {
			spans = append(spans, secret{at[4], at[5], redact.Placeholder, name, string(text[at[4]:at[5]])})
		}
	}
	return spans
}

// urlSpan returns the place of a URL if it has secrets, or something in their place. In markup, it may have references to characters.
func (d redaction) urlSpan(text []byte, begin, end int) []secret {
	was := string(text[begin:end])
	plain, markup := was, strings.Contains(was, "&amp;") || strings.Contains(was, "&#")
	if markup {
		plain = html.UnescapeString(was)
	}
	if _, err := url.Parse(plain); err != nil { // of a template, such as http://%s/
		return moved(merged(d.userSpans(text[begin:end]), d.paramSpans(text[begin:end])), begin)
	}
	shown := d.url("content", plain)
	switch {
	case !strings.Contains(shown, redact.Placeholder):
		return nil
	case shown == plain:
		shown = was
	case markup:
		shown = html.EscapeString(shown)
	}
	return []secret{{begin: begin, end: end, shown: shown}}
}

// merged puts spans in their order. Of those that overlap, the first counts.
func merged(all ...[]secret) (spans []secret) {
	sorted := slices.Concat(all...)
	slices.SortStableFunc(sorted, func(a, b secret) int { return a.begin - b.begin })
	for _, s := range sorted {
		if len(spans) == 0 || s.begin >= spans[len(spans)-1].end {
			spans = append(spans, s)
		}
	}
	return spans
}
