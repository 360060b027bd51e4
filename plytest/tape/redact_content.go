package tape

import (
	"bytes"
	"html"
	"mime"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/plyhttp/ply/redact"
)

// A secret is where one is in a text, and what is shown in its place.
type secret struct {
	begin, end int
	shown      string
	name       string // of the member, the field or the element that it is the value of
	value      string // decoded
}

// replaced puts what is shown in the place of secrets of a text, and moves offsets into it. An offset within a secret becomes the end of what replaces it.
func replaced(text []byte, spans []secret, offsets []int) ([]byte, []int) {
	if len(spans) == 0 {
		return text, offsets
	}
	var out []byte
	begin, moved := 0, make([]int, 0, len(offsets))
	for _, s := range spans {
		for len(moved) < len(offsets) && offsets[len(moved)] <= s.begin {
			moved = append(moved, len(out)+offsets[len(moved)]-begin)
		}
		out = append(append(out, text[begin:s.begin]...), s.shown...)
		for len(moved) < len(offsets) && offsets[len(moved)] <= s.end {
			moved = append(moved, len(out))
		}
		begin = s.end
	}
	for len(moved) < len(offsets) {
		moved = append(moved, len(out)+offsets[len(moved)]-begin)
	}
	return append(out, text[begin:]...), moved
}

// secretSpans returns where the values of secrets are in content, in their order. Content is known by its type, and JSON also by its first character. Of other text, URLs are looked into.
func (d redaction) secretSpans(contentType string, body []byte) []secret {
	mediaType, params, _ := mime.ParseMediaType(contentType)
	switch {
	case len(body) == 0:
		return nil
	case mediaType == "application/x-www-form-urlencoded" && !startsJSON(body): // as curl -d sends it
		return d.formSpans(body)
	case strings.HasPrefix(mediaType, "multipart/") && params["boundary"] != "":
		return d.partSpans(body, params["boundary"])
	case mediaType == "application/http", mediaType == "message/http":
		return d.messageSpans(body)
	case mediaType == "text/event-stream":
		return merged(d.eventSpans(body), d.urlSpans(body))
	case strings.HasSuffix(mediaType, "xml"), bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n\ufeff"), []byte("<?xml")):
		return merged(d.xmlSpans(body), d.urlSpans(body))
	case strings.HasPrefix(mediaType, "application/") && strings.Contains(mediaType, "json") && !form.Match(body), startsJSON(body):
		return d.jsonSpans(body)
	case mediaType == "application/graphql":
		return merged(d.argumentSpans(body), d.urlSpans(body))
	case mediaType == "" || mediaType == "text/plain" || mediaType == "text/html" || strings.Contains(mediaType, "json"):
		if form.Match(body) {
			return d.formSpans(body)
		}
		return d.urlSpans(body)
	case strings.HasPrefix(mediaType, "text/"):
		return d.urlSpans(body)
	}
	return nil
}

// startsJSON reports whether content begins as an object or a list of JSON, whatever its type says.
func startsJSON(body []byte) bool {
	return bytes.IndexAny(bytes.TrimLeft(body, " \t\r\n\ufeff\x1e"), "{[") == 0
}

// form is a form that has another type, or none: the token endpoints of many servers answer with one as text.
var form = regexp.MustCompile(`^[\w.~%+\[\]-]+=[^\s&<>"{}]*(?:&(?:[\w.~%+\[\]-]+(?:=[^\s&<>"{}]*)?)?)*\s*$`)

// eventSpans looks into the data of server-sent events. The lines of an event are one text.
func (d redaction) eventSpans(body []byte) (spans []secret) {
	type piece struct{ at, from int } // where a line is in data, and where in the body
	var data []byte
	var pieces []piece
	end := func() {
		found := d.jsonSpans(data)
		for i, p := range pieces {
			next := len(data)
			if i+1 < len(pieces) {
				next = pieces[i+1].at
			}
			for len(found) > 0 && found[0].begin < next {
				if begin, end := max(found[0].begin, p.at), min(found[0].end, next-len("\n")); begin < end {
					s := found[0]
					s.begin, s.end = p.from+begin-p.at, p.from+end-p.at
					spans = append(spans, s)
				}
				if found[0].end > next { // it goes on in the next line
					break
				}
				found = found[1:]
			}
		}
		data, pieces = nil, nil
	}
	offset := 0
	for line := range bytes.SplitAfterSeq(body, []byte("\n")) {
		text := bytes.TrimRight(line, "\r\n")
		if content, ok := bytes.CutPrefix(text, []byte("data:")); ok {
			pieces = append(pieces, piece{len(data), offset + len("data:")})
			data = append(append(data, content...), '\n')
		} else if len(text) == 0 {
			end()
		}
		offset += len(line)
	}
	end()
	return spans
}

// partSpans hides the parts of a form whose names are those of secrets (RFC 7578), and looks into the others by their types.
func (d redaction) partSpans(body []byte, boundary string) (spans []secret) {
	offset := 0
	for part := range bytes.SplitSeq(body, []byte("--"+boundary)) {
		if head, content, ok := cutHead(part); ok {
			begin := offset + len(part) - len(content)
			content = bytes.TrimSuffix(bytes.TrimSuffix(content, []byte("\n")), []byte("\r"))
			contentType, name := partHeader(head)
			switch {
			case len(content) == 0:
			case d.hides(name):
				spans = append(spans, secret{begin, begin + len(content), redact.Placeholder, name, string(content)})
			case contentType != "":
				spans = append(spans, moved(d.secretSpans(contentType, content), begin)...)
			default:
				spans = append(spans, moved(d.textSpans(content), begin)...)
			}
		}
		offset += len(part) + len("--"+boundary)
	}
	return spans
}

// cutHead cuts a part after its header. Some clients end lines with a line feed alone.
func cutHead(part []byte) (head, content []byte, ok bool) {
	if head, content, ok = bytes.Cut(part, []byte("\r\n\r\n")); ok {
		return head, content, ok
	}
	return bytes.Cut(part, []byte("\n\n"))
}

// messageSpans looks into a message of HTTP/1.1 (RFC 9112 §10), as batches of requests have them.
func (d redaction) messageSpans(body []byte) (spans []secret) {
	head, content, _ := bytes.Cut(body, []byte("\r\n\r\n"))
	offset, contentType := 0, ""
	for line := range bytes.SplitAfterSeq(head, []byte("\r\n")) {
		text := bytes.TrimRight(line, "\r\n")
		name, value, ok := strings.Cut(string(text), ":")
		switch begin := offset + len(text) - len(strings.TrimLeft(value, " \t")); {
		case offset == 0: // the request line
			for _, at := range link.FindAllSubmatchIndex(text, -1) {
				spans = append(spans, d.urlSpan(text, max(at[2], at[4]), max(at[3], at[5]))...)
			}
			spans = merged(spans, d.urlSpans(text))
		case ok && d.hidesField(name) && begin < offset+len(text):
			spans = append(spans, secret{begin, offset + len(text), redact.Placeholder, name, credential(string(body[begin : offset+len(text)]))})
		case ok && strings.EqualFold(name, "Content-Type"):
			contentType = strings.TrimSpace(value)
		case ok:
			spans = append(spans, d.referenceSpans(body, offset, offset+len(text))...)
		}
		offset += len(line)
	}
	return append(spans, moved(d.secretSpans(contentType, content), len(body)-len(content))...)
}

// partHeader returns the type of a part and the name of its field.
func partHeader(head []byte) (contentType, name string) {
	for line := range strings.Lines(string(head)) {
		field, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch strings.ToLower(field) {
		case "content-type":
			contentType = strings.TrimSpace(value)
		case "content-disposition":
			_, params, _ := mime.ParseMediaType(value)
			name = params["name"]
		}
	}
	return contentType, name
}

func moved(spans []secret, by int) []secret {
	for i := range spans {
		spans[i].begin += by
		spans[i].end += by
	}
	return spans
}

func (d redaction) formSpans(body []byte) (spans []secret) {
	offset := 0
	for part := range bytes.SplitSeq(body, []byte("&")) {
		if name, value, ok := bytes.Cut(part, []byte("=")); ok && len(value) > 0 {
			plain, err := url.QueryUnescape(string(name))
			if err != nil || d.hides(plain) || d.authorizes(string(part), string(body)) {
				decoded, err := url.QueryUnescape(string(value))
				if err != nil {
					decoded = string(value)
				}
				spans = append(spans, secret{offset + len(name) + 1, offset + len(part), redact.Placeholder, plain, decoded})
			} else if inner := inForm(value); looksNested(string(inner.text)) || looksGraphQL(inner.text) {
				spans = append(spans, moved(inner.outer(d.textSpans(inner.text)), offset+len(name)+1)...)
			}
		}
		offset += len(part) + 1
	}
	return spans
}

// inXML has the state of a search through elements.
type inXML struct {
	redaction
	body   []byte
	hidden int  // up to where a text is hidden
	within int  // up to where an element is that has the name of a secret and others in it
	beside bool // the element before is the name of a secret: the next text that holds is its value
}

// xmlSpans returns where the text of elements and the values of attributes are that have the name of a secret, without their prefix. Of an element with others in it,
// those are secrets that hold its value; beside an element that has such a name for its text, the next one.
func (d redaction) xmlSpans(body []byte) (spans []secret) {
	x := &inXML{redaction: d, body: body}
	for _, at := range tag.FindAllSubmatchIndex(body, -1) {
		if at[0] < x.hidden { // in a comment of a text that is hidden
			continue
		}
		name := string(body[at[2]:at[3]])
		attributes, labelled := x.attributeSpans(at[3], at[1])
		spans = append(spans, attributes...)
		if body[at[1]-1] == '>' && body[at[1]-2] != '/' {
			spans = append(spans, x.elementSpans(at, name)...)
			x.beside = x.beside || labelled
		}
	}
	return spans
}

// secretName reports whether a name is that of a secret. The name Key alone is that of an object in the APIs of object stores.
func (x *inXML) secretName(name string) bool { return !strings.EqualFold(name, "key") && x.hides(name) }

// elementSpans returns the text of an element if it is a secret, and takes down what it says of those after it.
func (x *inXML) elementSpans(at []int, name string) []secret {
	isSecret := x.secretName(name)
	holds := at[0] < x.within && x.holds(name) || x.beside && (x.holds(name) || slices.Contains(ofXMLRPC, strings.ToLower(name)))
	if !isSecret && !holds && !x.beside && !labels(name) {
		return nil
	}
	text := x.body[at[1] : at[1]+textLength(x.body[at[1]:])]
	value := bytes.TrimSpace(text)
	switch {
	case len(value) == 0 && isSecret: // up to its end, or that of content that was cut
		end := bytes.Index(x.body[at[1]:], []byte(name+">"))
		if end < 0 {
			end = len(x.body) - at[1]
		}
		x.within = max(x.within, at[1]+end)
	case len(value) == 0:
	case isSecret || holds:
		x.hidden, x.beside = at[1]+len(text), false
		return []secret{xmlSecret(at[1]+bytes.Index(text, value), value, name)}
	default:
		x.beside = labels(name) && x.namesSecret(string(value)) && x.secretName(string(value))
	}
	return nil
}

// ofXMLRPC are the elements of values in XML-RPC and in property lists.
var ofXMLRPC = []string{"string", "base64", "int", "i4", "integer"}

// attributeSpans looks into the attributes of a tag: those with the name of a secret, and the value of one that another names, as in <add key="password" value="…"/>.
// labelled reports whether one names a secret.
func (x *inXML) attributeSpans(from, to int) (spans []secret, labelled bool) {
	all := attribute.FindAllSubmatchIndex(x.body[from:to], -1)
	labelled = slices.ContainsFunc(all, func(a []int) bool {
		value := string(x.body[from+max(a[4], a[6]) : from+max(a[5], a[7])])
		return labels(string(x.body[from+a[2]:from+a[3]])) && x.secretName(value)
	})
	for _, a := range all {
		begin, end := from+max(a[4], a[6]), from+max(a[5], a[7])
		if name := string(x.body[from+a[2] : from+a[3]]); begin < end && (x.secretName(name) || labelled && x.holds(name)) {
			spans = append(spans, xmlSecret(begin, x.body[begin:end], name))
		}
	}
	return spans, labelled
}

// xmlSecret is the secret that is a text. XML does not say which text is a number: one of digits becomes 0, as in JSON, so that it still decodes.
func xmlSecret(begin int, text []byte, name string) secret {
	if len(bytes.Trim(text, "0123456789")) == 0 {
		return secret{begin, begin + len(text), "0", name, ""}
	}
	return secret{begin, begin + len(text), redact.Placeholder, name, html.UnescapeString(string(text))}
}

var (
	tag       = regexp.MustCompile(`<(?:[\pL_][\pL\d_.-]*:)?([\pL_][\pL\d_.-]*)(?:[^<>"']|"[^"]*"?|'[^']*'?)*>?`)
	attribute = regexp.MustCompile(`[\s:]([\pL_][\pL\d_.-]*)\s*=\s*(?:"([^"]*)|'([^']*))`)
)

// textLength returns the length of the text that an element begins with, comments and sections of CDATA included, or 0 if another element follows it.
func textLength(rest []byte) int {
	for i := 0; i < len(rest); {
		n := bytes.IndexByte(rest[i:], '<')
		if n < 0 {
			break
		}
		i += n
		end := ""
		switch after := rest[i+1:]; {
		case bytes.HasPrefix(after, []byte("/")), len(after) == 0:
			return i
		case bytes.HasPrefix(after, []byte("![CDATA[")):
			end = "]]>"
		case bytes.HasPrefix(after, []byte("!")):
			end = "-->"
		case bytes.HasPrefix(after, []byte("?")):
			end = "?>"
		default:
			return 0
		}
		n = bytes.Index(rest[i:], []byte(end))
		if n < 0 {
			break
		}
		i += n + len(end)
	}
	return len(rest)
}
