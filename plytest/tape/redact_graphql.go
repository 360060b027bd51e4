package tape

import (
	"bytes"
	"regexp"

	"github.com/plyhttp/ply/redact"
)

// argument is the beginning of an argument, a field or the default of a variable in a document of GraphQL (GraphQL §2.6, §2.9, §2.10), up to its value.
var argument = regexp.MustCompile(`(?:^|[\s,({$])([A-Za-z_]\w*)` + ignored + `:` + ignored + `(?:\[*[A-Za-z_]\w*[!\]]*` + ignored + `=` + ignored + `)?`)

// ignored is what says nothing between the tokens of a document (GraphQL §2.1).
const ignored = `(?:[\s,]|#[^\n]*\n)*`

// graphQLToken is a string or a block string, which may be cut, a bracket, a number, a comment or a name.
var graphQLToken = regexp.MustCompile(`"{3}((?:[^"\\]|\\.|"{1,2}[^"])*)|"((?:[^"\\]|\\.)*\\?)"?|([\[\]{}])|(-?\d[\w.+-]*)|#[^\n]*|[A-Za-z_]\w*`)

// looksGraphQL reports whether a text may be a document with arguments.
func looksGraphQL(text []byte) bool {
	return bytes.IndexByte(text, ':') >= 0 && (bytes.IndexByte(text, '(') >= 0 || bytes.IndexByte(text, '{') >= 0)
}

// argumentSpans finds the values of secrets in a document of GraphQL: strings and numbers, also those in a list or an object.
func (d redaction) argumentSpans(text []byte) (spans []secret) {
	if !looksGraphQL(text) {
		return nil
	}
	done := 0
	for _, at := range argument.FindAllSubmatchIndex(text, -1) {
		if name := string(text[at[2]:at[3]]); at[1] >= done && d.hides(name) {
			var found []secret
			found, done = graphQLValue(text, at[1], name)
			spans = append(spans, found...)
		}
	}
	return spans
}

// graphQLValue returns the strings and numbers of a value that begins at an offset, and where it ends.
func graphQLValue(text []byte, begin int, name string) (spans []secret, end int) {
	depth := 0
	for end = begin; end < len(text); {
		at := graphQLToken.FindSubmatchIndex(text[end:])
		if at == nil {
			return spans, len(text)
		}
		switch from := end; {
		case at[2] < at[3], at[4] < at[5]:
			begin, after := from+max(at[2], at[4]), from+max(at[3], at[5])
			spans = append(spans, secret{begin, after, redact.Placeholder, name, string(text[begin:after])})
		case at[8] >= 0:
			spans = append(spans, secret{from + at[8], from + at[9], "0", name, ""})
		case at[6] >= 0 && bytes.IndexByte([]byte("[{"), text[from+at[6]]) >= 0:
			depth++
		case at[6] >= 0:
			depth--
		}
		if end += at[1]; depth <= 0 {
			break
		}
	}
	return spans, end
}
