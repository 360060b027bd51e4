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
	// FormatByType compares JSON and form content by meaning, as its Content-Type says, and everything else byte by byte.
	FormatByType Format = iota

	// FormatRaw compares byte by byte.
	FormatRaw

	// FormatJSON compares without regard to white space and the order of members. Content that is no JSON, that names a member twice,
	// or that has text which is no valid Unicode is compared raw.
	FormatJSON

	// FormatForm compares without regard to the order of different names and to how characters are encoded.
	FormatForm

	// FormatGraphQL compares a GraphQL request: as JSON, and its document without regard to white space, commas and comments.
	// A GET without content is told by its URL. Another request that is no query has no key, so a mutation is never answered from the store. A cache that is told to answer POST takes one that succeeds
	// for a write: it invalidates what is stored for the endpoint, whatever the query of its URL. See Unsafe in the cache's options to say which do.
	FormatGraphQL
)

// BodyOptions say how [Body] reads content. The zero BodyOptions compare [FormatByType].
type BodyOptions struct {
	Format Format

	// Ignore names what makes no difference, such as request ids and timestamps: members of JSON by their path, and form fields. Nil ignores none.
	//
	// "requestId" is that member of the whole content and no other one, "variables.requestId" the one of its member variables. "*" stands for any one member,
	// "**" at the beginning for any number of them: "**.requestId" is that member at any depth. An element of an array has the path of the array.
	// A dot in a name is written as "\\.". A form field is named as it is.
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
	p := &bodyPart{BodyOptions: o}
	p.Ignore = slices.Clone(o.Ignore)
	for _, path := range o.Ignore {
		p.ignored = append(p.ignored, pathOf(path))
	}
	return p
}

type bodyPart struct {
	BodyOptions
	ignored [][]string // the paths of Ignore
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
	if format == FormatGraphQL && len(content) == 0 && (r.Method == "" || r.Method == http.MethodGet || r.Method == http.MethodHead) {
		format = FormatRaw // its URL says all, and GraphQL lets no such request change anything
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
		if p.Format == FormatGraphQL {
			return FormatRaw, "", errors.New("a GraphQL request has more than one Content-Type")
		}
		return FormatRaw, "", nil
	}
	mediaType, fullType := contentType(strings.Join(lines, ""))
	if f = p.Format; f == FormatByType {
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
	case FormatJSON:
		if text, ok := p.json(content); ok {
			return 'j', text, nil
		}
	case FormatForm:
		if text, ok := p.form(content); ok {
			return 'f', text, nil
		}
	case FormatGraphQL:
		text, err := p.graphQL(content)
		return 'g', text, err
	}
	return 'r', content, nil
}

func formatOf(mediaType string) Format {
	switch {
	case mediaType == "application/json", strings.HasPrefix(mediaType, "application/") && strings.HasSuffix(mediaType, "+json"):
		return FormatJSON
	case mediaType == "application/x-www-form-urlencoded":
		return FormatForm
	}
	return FormatRaw
}

// json writes JSON with sorted members and without white space.
func (p *bodyPart) json(content []byte) ([]byte, bool) {
	d := json.NewDecoder(bytes.NewReader(content))
	d.UseNumber()
	value, err := p.value(d, 0, nil)
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
func (p *bodyPart) value(d *json.Decoder, depth int, path []string) (any, error) {
	token, err := d.Token()
	if err != nil || depth > maxDepth {
		return nil, errors.Join(err, errAmbiguous)
	}
	switch token {
	case json.Delim('{'):
		return p.object(d, depth, path)
	case json.Delim('['):
		list := []any{}
		for d.More() {
			element, err := p.value(d, depth+1, path)
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

func (p *bodyPart) object(d *json.Decoder, depth int, path []string) (any, error) {
	object := map[string]any{}
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, _ := token.(string)
		here := append(path, name)
		member, err := p.value(d, depth+1, here)
		if err != nil {
			return nil, err
		}
		if seen[name] || repaired(name) {
			return nil, errAmbiguous
		}
		seen[name] = true
		if !p.ignores(here) {
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

// pathOf splits a path at its dots, but for those behind a backslash.
func pathOf(path string) []string {
	names := []string{""}
	for i := 0; i < len(path); i++ {
		last := len(names) - 1
		switch {
		case path[i] == '\\' && i+1 < len(path) && path[i+1] == '.':
			names[last] += "."
			i++
		case path[i] == '.':
			names = append(names, "")
		default:
			names[last] += path[i : i+1]
		}
	}
	return names
}

// ignores reports whether the member with a path makes no difference.
func (p *bodyPart) ignores(path []string) bool {
	return slices.ContainsFunc(p.ignored, func(ignored []string) bool {
		names := path
		if ignored[0] == "**" && len(ignored) > 1 {
			if ignored = ignored[1:]; len(names) > len(ignored) {
				names = names[len(names)-len(ignored):]
			}
		}
		return slices.EqualFunc(ignored, names, func(pattern, name string) bool { return pattern == "*" || pattern == name })
	})
}
