package keying

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/internal/target"
	"github.com/plyhttp/ply/redact"
)

// A Format is a way to compare request content. Content with a Content-Encoding is compared byte by byte, whatever the format, but for [FormatGraphQL],
// to which it is no GraphQL.
type Format uint8

// The formats of request content.
const (
	// FormatByType compares JSON and form content by meaning, as the Content-Type says, and all other content byte by byte.
	FormatByType Format = iota

	// FormatRaw compares byte by byte.
	FormatRaw

	// FormatJSON ignores white space, the order of members, and how characters are escaped. Numbers compare as they are spelled: 1.0 is not 1.
	// Content that is not JSON, repeats a member, contains invalid Unicode or is nested deeper than 100 levels is compared byte by byte.
	FormatJSON

	// FormatForm ignores the order of fields with different names, and how characters are encoded.
	// Content whose Content-Type says that it is no form is compared byte by byte.
	FormatForm

	// FormatGraphQL compares a GraphQL request as JSON, and its document by its tokens: white space, line ends, commas, comments and byte order marks
	// between them make no difference (GraphQL §2.1). Strings and block strings compare as they are written. A document that is no GraphQL equals no other.
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

	// Only lists what alone makes a difference: JSON members by their path, with all that they hold, and form fields by their name. Ignore counts within them. Nil means
	// that all does which Ignore does not name. The paths are those of Ignore. An object or array on the way to such a member counts, too, but of its members only these.
	// Members and fields with the name of a secret, as redact.IsSecretName knows them, count in any case, as they do in a URL: what was made for one token must not answer another.
	// Content that is compared byte by byte counts whole. With [FormatGraphQL], "query" must be among them: a request without a document has no key.
	Only []string

	// MaxBytes bounds the content that is read for a key. A request with more content has no key. Zero means 1 MiB.
	MaxBytes int64
}

// Body returns the part for the request's content and its Content-Type. It reads a copy of the content, from [http.Request.GetBody], once.
// Raw content is hashed as it is read; other content is in memory for that time. A request with content but without GetBody has no key; its content is not read.
func Body(o BodyOptions) Part {
	if o.MaxBytes <= 0 {
		o.MaxBytes = 1 << 20
	}
	p := &bodyPart{BodyOptions: o}
	p.Ignore, p.Only = slices.Clone(o.Ignore), slices.Clone(o.Only)
	p.ignored, p.only = pathsOf(o.Ignore), pathsOf(o.Only)
	return p
}

func pathsOf(texts []string) (paths [][]string) {
	for _, text := range texts {
		paths = append(paths, pathOf(text))
	}
	return paths
}

type bodyPart struct {
	BodyOptions
	ignored [][]string // the paths of Ignore
	only    [][]string // the paths of Only
}

func (p *bodyPart) AppendPart(dst []byte, r *http.Request) ([]byte, error) {
	format, fullType, err := p.formatOf(r.Header)
	if err != nil {
		return nil, err
	}
	s := scanners.Get().(*scanner)
	defer s.free()
	if format == FormatRaw {
		s.begin(dst, 'r', "", r.Header)
		if err := p.read(s, r, true); err != nil {
			return nil, err
		}
		return s.hash.Sum(dst), nil
	}
	if err := p.read(s, r, false); err != nil {
		return nil, err
	}
	if format == FormatForm && len(s.content) > 0 && !isForm(fullType, r.Header) {
		format = FormatRaw
	}
	kind, canonical := byte('r'), s.content
	if format != FormatGraphQL || len(s.content) > 0 || r.Method != "" && r.Method != http.MethodGet && r.Method != http.MethodHead {
		// the URL of a GET has all of it, and GraphQL allows no mutation by GET
		if kind, canonical, err = p.canonical(s, format); err != nil {
			return nil, err
		}
	}
	s.begin(dst, kind, fullType, r.Header)
	s.hash.Write(canonical)
	return s.hash.Sum(dst), nil
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

// isForm reports whether content of this type and header may be read as a form. Nearly every text can be: what is JSON, or compressed (RFC 9110 §8.4),
// would become a form with fields that its sender never wrote. Compressed JSON is found out as it is read.
func isForm(fullType string, h http.Header) bool {
	mediaType, _, _ := strings.Cut(fullType, ";")
	if mediaType != "" && formatOf(mediaType) != FormatForm {
		return false
	}
	for name, values := range h {
		if field.EqualFold(name, "Content-Encoding") && slices.ContainsFunc(values, func(v string) bool { return v != "" && !strings.EqualFold(v, "identity") }) {
			return false
		}
	}
	return true
}

// contentType returns the media type of a Content-Type, alone and with its parameters in a normal form. UTF-8 is the default charset.
func contentType(line string) (mediaType, full string) {
	if line == "application/json" || line == "application/x-www-form-urlencoded" {
		return line, line // the usual cases
	}
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

// begin writes to the hash what comes before the content: how that is compared, its type and its coding. It uses the room behind dst.
func (s *scanner) begin(dst []byte, kind byte, fullType string, h http.Header) {
	start := len(dst)
	dst = append(append(dst, hashSeed...), kind)
	if kind == 'r' {
		dst = appendField(dst, h, "Content-Type")
	} else {
		dst = target.Append(dst, fullType)
	}
	s.hash.Write(appendField(dst, h, "Content-Encoding")[start:])
}

// read reads a copy of the content: into the hash if it is raw, and into the scanner if it is to be read by meaning.
func (p *bodyPart) read(s *scanner, r *http.Request, raw bool) error {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	if r.GetBody == nil {
		return errNoReplay
	}
	if r.ContentLength > p.MaxBytes {
		return errTooLong
	}
	body, err := r.GetBody()
	if err != nil {
		return fmt.Errorf("the request content cannot be read: %w", err)
	}
	defer body.Close()
	room := int64(chunk)
	if !raw {
		room = min(max(r.ContentLength, 0), 1<<20) + bytes.MinRead // beyond that it grows as it comes
	}
	s.content = slices.Grow(s.content, int(room))
	for total := int64(0); err == nil; {
		if len(s.content) == cap(s.content) {
			s.content = slices.Grow(s.content, len(s.content))
		}
		free := s.content[len(s.content):cap(s.content)]
		var n int
		n, err = body.Read(free)
		if total += int64(n); total > p.MaxBytes {
			return errTooLong
		}
		if raw {
			s.hash.Write(free[:n])
			clear(free[:n]) // the buffer is kept: leave no secret in it
		} else {
			s.content = s.content[:len(s.content)+n]
		}
	}
	if err != io.EOF {
		return fmt.Errorf("the request content cannot be read: %w", err)
	}
	return nil
}

// chunk is how much raw content is read at once.
const chunk = 8 << 10

var errNoReplay = errors.New("the request content is a stream that cannot be read twice")

var errTooLong = errors.New("the request content is too long for a key: raise BodyOptions.MaxBytes")

// canonical returns the content that s has read in the form in which it is compared, and a letter for that form.
// The letters j and g stand for forms of JSON that nothing writes any more.
func (p *bodyPart) canonical(s *scanner, format Format) (kind byte, canonical []byte, err error) {
	s.ignored, s.only = p.ignored, p.only
	switch format {
	case FormatJSON:
		if s.json() && !s.ambiguous {
			return 'J', s.out, nil
		}
	case FormatForm:
		if text, ok := p.form(s.content); ok {
			return 'f', text, nil
		}
	case FormatGraphQL:
		err := s.query()
		return 'G', s.out, err
	}
	return 'r', s.content, nil
}

func formatOf(mediaType string) Format {
	switch {
	case mediaType == "application/json", strings.HasPrefix(mediaType, "application/") && strings.HasSuffix(mediaType, "+json"),
		strings.HasPrefix(mediaType, "application/x-amz-json-"): // the AWS SDKs write members in any order
		return FormatJSON
	case mediaType == "application/x-www-form-urlencoded":
		return FormatForm
	}
	return FormatRaw
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
	for name := range values {
		if len(p.Only) > 0 && !slices.Contains(p.Only, name) && !redact.IsSecretName(name) {
			delete(values, name)
		}
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
