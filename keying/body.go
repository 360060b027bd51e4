package keying

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/internal/target"
)

// A Format says how two request contents are compared.
type Format uint8

// The formats of request content.
const (
	// ByType compares JSON and form content by meaning, as its Content-Type says, and everything else byte by byte.
	ByType Format = iota

	// Raw compares byte by byte.
	Raw

	// JSON compares without regard to white space and the order of members. Content that is no JSON, that names a member twice,
	// or that has text which is no valid Unicode is compared raw.
	JSON

	// Form compares without regard to the order of different names and to how characters are encoded.
	Form

	// GraphQL compares a GraphQL request: as JSON, and its document without regard to white space, commas and comments.
	// A request that is no query has no key, so a mutation is never answered from the store.
	GraphQL
)

// BodyOptions say how [Body] reads content. The zero BodyOptions compare [ByType].
type BodyOptions struct {
	Format Format

	// Ignore names members of JSON objects, at any depth, and form fields that make no difference: request ids, timestamps. Nil ignores none.
	Ignore []string

	// MaxBytes bounds the content that is read for a key. A request with more has no key. Zero means 1 MiB.
	MaxBytes int64
}

// Body is the part for the request's content and its Content-Type. It reads a copy of the content, from [http.Request.GetBody];
// a stream without one is never consumed: such a request has no key.
func Body(o BodyOptions) Part {
	if o.MaxBytes <= 0 {
		o.MaxBytes = 1 << 20
	}
	o.Ignore = slices.Clone(o.Ignore)
	return &bodyPart{o}
}

type bodyPart struct {
	BodyOptions
}

func (p *bodyPart) AppendPart(dst []byte, r *http.Request) ([]byte, error) {
	content, err := p.read(r)
	if err != nil {
		return nil, err
	}
	format, fullType, err := p.formatOf(r.Header)
	if err != nil {
		return nil, err
	}
	kind, canonical, err := p.canonical(format, content)
	if err != nil {
		return nil, err
	}
	return appendHashed(dst, func(dst []byte) []byte {
		dst = append(dst, kind)
		if kind == 'r' {
			dst = appendField(dst, r.Header, "Content-Type")
		} else {
			dst = target.Append(dst, fullType)
		}
		dst = appendField(dst, r.Header, "Content-Encoding")
		return append(dst, canonical...)
	}), nil
}

// formatOf says how content is compared that comes with h, and returns its Content-Type. Of several lines nobody knows which one the server reads:
// content under them is compared byte by byte, with all of them in the key. Names are compared without regard to case, as net/http sends them as they are.
func (p *bodyPart) formatOf(h http.Header) (f Format, fullType string, err error) {
	var lines []string
	for name, values := range h {
		if field.EqualFold(name, "Content-Type") {
			lines = append(lines, values...)
		}
	}
	if len(lines) > 1 {
		if p.Format == GraphQL {
			return Raw, "", errors.New("a GraphQL request has more than one Content-Type")
		}
		return Raw, "", nil
	}
	mediaType, fullType := contentType(strings.Join(lines, ""))
	if f = p.Format; f == ByType {
		f = formatOf(mediaType)
	}
	return f, fullType, nil
}

// contentType returns the media type of a Content-Type, alone and with its parameters in a normal form. UTF-8 goes without saying.
func contentType(line string) (mediaType, full string) {
	mediaType, params, err := mime.ParseMediaType(line)
	if err != nil {
		return "", line
	}
	if strings.EqualFold(params["charset"], "utf-8") {
		delete(params, "charset")
	}
	if full = mime.FormatMediaType(mediaType, params); full == "" {
		full = line
	}
	return mediaType, full
}

// read returns a copy of the content.
func (p *bodyPart) read(r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	if r.GetBody == nil {
		return nil, errNoReplay
	}
	if r.ContentLength > p.MaxBytes {
		return nil, errTooLong
	}
	body, err := r.GetBody()
	if err != nil {
		return nil, fmt.Errorf("the request content cannot be read: %w", err)
	}
	defer body.Close()
	content, err := io.ReadAll(io.LimitReader(body, p.MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("the request content cannot be read: %w", err)
	}
	if int64(len(content)) > p.MaxBytes {
		return nil, errTooLong
	}
	return content, nil
}

var errTooLong = errors.New("the request content is too long for a key")

// canonical brings content into the form in which it is compared, with a letter for the form.
func (p *bodyPart) canonical(format Format, content []byte) (kind byte, canonical []byte, err error) {
	switch format {
	case JSON:
		if text, ok := p.json(content); ok {
			return 'j', text, nil
		}
	case Form:
		if text, ok := p.form(content); ok {
			return 'f', text, nil
		}
	case GraphQL:
		text, err := p.graphQL(content)
		return 'g', text, err
	}
	return 'r', content, nil
}

func formatOf(mediaType string) Format {
	switch {
	case mediaType == "application/json", strings.HasPrefix(mediaType, "application/") && strings.HasSuffix(mediaType, "+json"):
		return JSON
	case mediaType == "application/x-www-form-urlencoded":
		return Form
	}
	return Raw
}

// json writes JSON with sorted members and without white space.
func (p *bodyPart) json(content []byte) ([]byte, bool) {
	d := json.NewDecoder(bytes.NewReader(content))
	d.UseNumber()
	value, err := p.value(d, 0)
	if err != nil {
		return nil, false
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, false
	}
	text, err := json.Marshal(value)
	return text, err == nil
}

// maxDepth bounds the nesting of JSON that is compared by meaning.
const maxDepth = 100

var errAmbiguous = errors.New("JSON that readers may understand differently")

// value reads one JSON value. It fails on a member that is named twice, for which one counts differs from reader to reader,
// and on text that the decoder had to repair, for two texts can become one so.
func (p *bodyPart) value(d *json.Decoder, depth int) (any, error) {
	token, err := d.Token()
	if err != nil || depth > maxDepth {
		return nil, errors.Join(err, errAmbiguous)
	}
	switch token {
	case json.Delim('{'):
		return p.object(d, depth)
	case json.Delim('['):
		list := []any{}
		for d.More() {
			element, err := p.value(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, element)
		}
		_, err := d.Token()
		return list, err
	}
	if text, ok := token.(string); ok && repaired(text) {
		return nil, errAmbiguous
	}
	return token, nil
}

// repaired tells whether a decoded text may have had invalid bytes or half a surrogate pair, for which the decoder writes U+FFFD.
func repaired(text string) bool { return strings.ContainsRune(text, utf8.RuneError) }

func (p *bodyPart) object(d *json.Decoder, depth int) (any, error) {
	object := map[string]any{}
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, _ := token.(string)
		member, err := p.value(d, depth+1)
		if err != nil {
			return nil, err
		}
		if seen[name] || repaired(name) {
			return nil, errAmbiguous
		}
		seen[name] = true
		if !slices.Contains(p.Ignore, name) {
			object[name] = member
		}
	}
	_, err := d.Token()
	return object, err
}

// form writes form fields sorted by name. Values of one name keep their order.
func (p *bodyPart) form(content []byte) ([]byte, bool) {
	values, err := url.ParseQuery(string(content))
	if err != nil {
		return nil, false
	}
	for _, name := range p.Ignore {
		values.Del(name)
	}
	return []byte(values.Encode()), true
}

// graphQL writes a GraphQL request in one form for all its spellings. It fails on what is no query.
func (p *bodyPart) graphQL(content []byte) ([]byte, error) {
	var request map[string]any
	text, ok := p.json(content)
	if !ok {
		return nil, errors.New("the request content is no GraphQL request in JSON")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&request); err != nil {
		return nil, errors.New("the request content is no GraphQL request in JSON")
	}
	document, _ := request["query"].(string)
	document = compact(document)
	if !onlyQueries(document) {
		return nil, errors.New("the GraphQL request is no query")
	}
	request["query"] = document
	return json.Marshal(request)
}

// compact replaces what GraphQL ignores (white space, commas, comments) by one space, outside strings.
func compact(document string) string {
	var b strings.Builder
	for i := 0; i < len(document); {
		switch c := document[i]; {
		case c == '"':
			end := stringEnd(document[i:])
			b.WriteString(document[i : i+end])
			i += end
		case c == '#':
			if end := strings.IndexAny(document[i:], "\r\n"); end >= 0 {
				i += end
			} else {
				i = len(document)
			}
		case c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ',':
			i++
			if b.Len() > 0 && !strings.HasSuffix(b.String(), " ") {
				b.WriteByte(' ')
			}
		default:
			b.WriteByte(c)
			i++
		}
	}
	return strings.TrimSuffix(b.String(), " ")
}

// stringEnd returns the length of the GraphQL string that s starts with, a block string among them.
func stringEnd(s string) int {
	if strings.HasPrefix(s, `"""`) {
		for i := 3; i < len(s); i++ {
			if strings.HasPrefix(s[i:], `"""`) && s[i-1] != '\\' {
				return i + 3
			}
		}
		return len(s)
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"', '\n':
			return i + 1
		}
	}
	return len(s)
}

// onlyQueries tells whether a compact document has no operation but queries: at depth zero no other operation type begins.
func onlyQueries(document string) bool {
	depth, word := 0, ""
	found := false
	for i := 0; i < len(document); i++ {
		switch c := document[i]; {
		case c == '"':
			i += stringEnd(document[i:]) - 1
		case c == '{' || c == '(' || c == '[':
			found = found || c == '{'
			depth++
			word = ""
		case c == '}' || c == ')' || c == ']':
			depth--
			word = ""
		case !isNameByte(c):
			word = ""
		case depth == 0:
			if word += string(c); word == "mutation" || word == "subscription" {
				return false
			}
		}
	}
	return found && depth == 0
}

// isNameByte tells which bytes a GraphQL name consists of.
func isNameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
}
