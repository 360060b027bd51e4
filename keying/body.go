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

// A Format is a way to compare request content.
type Format uint8

// The formats of request content.
const (
	// FormatByType compares JSON and form content by meaning, as the Content-Type says, and all other content byte by byte.
	FormatByType Format = iota

	// FormatRaw compares byte by byte.
	FormatRaw

	// FormatJSON ignores white space and the order of members. Content that is not JSON, repeats a member,
	// contains invalid Unicode or is nested deeper than 100 levels is compared byte by byte.
	FormatJSON

	// FormatForm ignores the order of fields with different names, and how characters are encoded.
	FormatForm

	// FormatGraphQL compares a GraphQL request as JSON, and ignores white space, commas and comments in its document.
	// A GET without content is identified by its URL. Any other request that is not a query has no key, so a mutation is never answered from the store.
	// In a cache whose Methods include POST, a mutation that succeeds is a write: it invalidates what is stored for the endpoint, whatever the query of its URL.
	// The option Unsafe of the cache can say which requests do.
	FormatGraphQL
)

// BodyOptions say how [Body] compares content. The zero value compares it [FormatByType].
type BodyOptions struct {
	Format Format

	// Ignore lists what makes no difference, such as request ids and timestamps: JSON members by their path, and form fields by their name. Nil ignores none.
	//
	// "requestId" is a member of the top-level object, and "variables.requestId" a member of its member variables. "*" stands for any one member.
	// A leading "**" stands for any number of them: "**.requestId" is that member at any depth. An element of an array has the path of the array.
	// A dot in a name is written as "\\.".
	Ignore []string

	// MaxBytes bounds the content that is read for a key. A request with more content has no key. Zero means 1 MiB.
	MaxBytes int64
}

// Body returns the part for the request's content and its Content-Type. It reads a copy of the content, from [http.Request.GetBody].
// A request with content but without GetBody has no key; its content is not read.
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
		format = FormatRaw // the URL has all of it, and GraphQL allows no mutation by GET
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

// formatOf returns the format for content with the header h, and its Content-Type. It is not known which one of several Content-Type lines a server reads:
// their content is compared byte by byte, with all lines in the key. Names compare without regard to case, because net/http sends the keys of a map as they are.
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

// contentType returns the media type of a Content-Type, alone and with its parameters in a normal form. UTF-8 is the default charset.
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

var errNoReplay = errors.New("the request content is a stream that cannot be read twice")

var errTooLong = errors.New("the request content is too long for a key: raise BodyOptions.MaxBytes")

// canonical returns content in the form in which it is compared, and a letter for that form.
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

var errAmbiguous = errors.New("JSON is ambiguous or nested too deeply")

// value reads one JSON value. It fails on a repeated member, because readers differ in which one counts,
// and on text that the decoder had to repair, because two texts could become one.
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

// repaired reports whether a decoded text may have had invalid bytes or half a surrogate pair, which the decoder replaces by U+FFFD.
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

// pathOf splits a path at its dots, except those after a backslash.
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
