package tape

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/plyhttp/ply/redact"
)

// A redaction takes secrets out of exchanges. It is safe for concurrent use, as far as scrub is.
type redaction struct {
	redactor *redact.Redactor
	scrub    func(*Exchange)
	shown    []string // members of content with the name of a secret that are none
	callers  *callers // numbers the credentials of requests; nil if all look the same
}

// hides reports whether a member of content has the name of a secret.
func (d redaction) hides(name string) bool {
	return redact.IsSecretName(name) && !slices.ContainsFunc(d.shown, func(s string) bool { return strings.EqualFold(s, name) })
}

// inURLs hides what in a URL has the name of a secret, and what signs it. All other parameters stay, for they tell requests apart.
var inURLs = &redact.Redactor{HideParams: redact.SignedURLs}

// Redact returns a copy of the tape without secrets: header fields and parameters of URLs with the name of a secret, passwords in URLs, signatures of signed URLs,
// and the members of JSON (also in server-sent events) and the fields of forms (also multipart) with the name of a secret, in requests and responses. What it hides becomes REDACTED, and a number 0.
// The credentials of requests are numbered as they appear, REDACTED-1 and so on, so that the tape says which requests had the same.
// r hides more, if it is not nil: the fields in its HideHeaders, and of URLs all that it does not show.
//
// It knows secrets by their names. What a server says in the middle of a text, or calls by another name, stays, as does content with a coding other than gzip and deflate.
func (t *Tape) Redact(r *redact.Redactor) *Tape { return redaction{redactor: r}.tape(t) }

// tape hides the secrets of a tape. All credentials of requests get their numbers first: a login's answer comes before the requests that have its token.
func (d redaction) tape(t *Tape) *Tape {
	d.callers = &callers{}
	for _, e := range t.Exchanges {
		d.header(e.Request.Header, true)
	}
	c := &Tape{Start: t.Start}
	for _, e := range t.Exchanges {
		c.Exchanges = append(c.Exchanges, d.exchange(e))
	}
	return c
}

func (d redaction) exchange(e *Exchange) *Exchange {
	c := &Exchange{At: e.At, Request: d.request(e.Request)}
	if r := e.Response; r != nil {
		copied := *r
		copied.Header, copied.Trailer = d.header(r.Header, false), d.header(r.Trailer, false)
		copied.Chunks = slices.Clone(r.Chunks)
		copied.redact(d)
		c.Response = &copied
	}
	if f := e.Failure; f != nil {
		c.Failure = &Failure{At: f.At, Kind: f.Kind, Text: d.redactor.Text(f.Text)}
	}
	if d.scrub != nil {
		d.scrub(c)
	}
	return c
}

func (d redaction) request(r Request) Request {
	r.URL = d.url(r.URL)
	r.Header, r.Trailer = d.header(r.Header, true), d.header(r.Trailer, false)
	plain, coded := uncoded(r.Header, r.Body)
	spans := d.numbered(plain, secretSpans(r.Header.Get("Content-Type"), plain, d.hides))
	if len(spans) == 0 {
		return r
	}
	r.Body, _ = replaced(plain, spans, nil)
	if coded {
		r.Header.Del("Content-Encoding")
	}
	if r.Header.Get("Content-Length") != "" {
		r.Header.Set("Content-Length", strconv.Itoa(len(r.Body)))
	}
	return r
}

// numbered has those of the secrets in content that are credentials of requests stand there with their numbers.
func (d redaction) numbered(body []byte, spans []secret) []secret {
	for i, s := range spans {
		if s.shown == redact.Placeholder {
			spans[i].shown = d.callers.placeholder(string(body[s.begin:s.end]))
		}
	}
	return spans
}

func (d redaction) url(address string) string {
	return d.shows().URLText(address)
}

func (d redaction) shows() *redact.Redactor {
	if d.redactor == nil {
		return inURLs
	}
	return d.redactor
}

// hidesField reports whether the values of a header field are hidden.
func (d redaction) hidesField(name string) bool {
	return redact.IsSecretHeader(name) || d.redactor != nil && slices.ContainsFunc(d.redactor.HideHeaders, func(s string) bool { return strings.EqualFold(s, name) })
}

// header hides the secrets of a header. Those of a request are its credentials, which get numbers.
func (d redaction) header(h http.Header, ofRequest bool) http.Header {
	if h == nil {
		return nil
	}
	c := make(http.Header, len(h))
	for _, name := range slices.Sorted(maps.Keys(h)) { // so that numbers come in the same order each time
		hidden := d.hidesField(name)
		field := http.CanonicalHeaderKey(name)
		for _, line := range h[name] {
			switch {
			case hidden && ofRequest && d.callers != nil:
				line = d.callers.number(line)
			case hidden:
				line = redact.Placeholder
			case field == "Location" || field == "Content-Location" || field == "Referer":
				line = d.url(line)
			case field == "Link" || field == "Refresh" || strings.Contains(line, "://"):
				line = d.shows().Text(line)
			}
			c[name] = append(c[name], line)
		}
	}
	return c
}

// uncoded returns content without a coding that can be removed, and whether it had one. Of content that was cut it returns what there is.
func uncoded(h http.Header, body []byte) (plain []byte, coded bool) {
	if coding := h.Get("Content-Encoding"); coding != "" && len(body) > 0 {
		if plain, err := decode(body, coding); err == nil || len(plain) > 0 {
			return plain, true
		}
	}
	return body, false
}

// redact hides secrets in the body. A body with a content coding that has some comes decoded, as one chunk, as if the transport had removed the coding.
func (r *Response) redact(d redaction) {
	body, coded := uncoded(r.Header, r.Body())
	spans := d.numbered(body, secretSpans(r.Header.Get("Content-Type"), body, d.hides))
	if len(spans) == 0 {
		return
	}
	if coded {
		r.Chunks = []Chunk{{At: r.Chunks[len(r.Chunks)-1].At, Data: body}}
		r.Length, r.Uncompressed = -1, true
		r.Header.Del("Content-Encoding")
		r.Header.Del("Content-Length")
	}
	r.hide(spans)
}

// hide replaces spans of the body. What was announced of its length follows.
func (r *Response) hide(spans []secret) {
	ends := make([]int, len(r.Chunks))
	n := 0
	for i, c := range r.Chunks {
		n += len(c.Data)
		ends[i] = n
	}
	body, ends := replaced(r.Body(), spans, ends)
	begin := 0
	for i := range r.Chunks {
		r.Chunks[i].Data = body[begin:ends[i]:ends[i]]
		begin = ends[i]
	}
	r.Chunks = slices.DeleteFunc(r.Chunks, func(c Chunk) bool { return len(c.Data) == 0 })
	if r.Length >= 0 {
		r.Length += int64(len(body) - n)
	}
	switch {
	case r.Header.Get("Content-Length") == "":
	case r.Length >= 0:
		r.Header.Set("Content-Length", strconv.FormatInt(r.Length, 10))
	default:
		r.Header.Del("Content-Length")
	}
}

// A secret is where one is in a text, and what is shown in its place.
type secret struct {
	begin, end int
	shown      string
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

// secretSpans returns where the values of secrets are in content, in their order. Content is known by its type, and JSON also by its first character.
func secretSpans(contentType string, body []byte, hides func(name string) bool) []secret {
	mediaType, params, _ := mime.ParseMediaType(contentType)
	switch {
	case len(body) == 0:
		return nil
	case mediaType == "application/x-www-form-urlencoded":
		return formSpans(body, hides)
	case mediaType == "multipart/form-data" && params["boundary"] != "":
		return partSpans(body, params["boundary"], hides)
	case mediaType == "text/event-stream":
		return eventSpans(body, hides)
	case mediaType == "", strings.HasSuffix(mediaType, "json"), strings.HasPrefix(mediaType, "application/x-amz-json-"), bytes.IndexAny(bytes.TrimLeft(body, " \t\r\n"), "{[") == 0:
		return jsonSpans(body, hides)
	}
	return nil
}

// eventSpans looks into the data of server-sent events. The lines of an event are one text.
func eventSpans(body []byte, hides func(name string) bool) (spans []secret) {
	type piece struct{ at, from int } // where a line is in data, and where in the body
	var data []byte
	var pieces []piece
	end := func() {
		found := jsonSpans(data, hides)
		for i, p := range pieces {
			next := len(data)
			if i+1 < len(pieces) {
				next = pieces[i+1].at
			}
			for len(found) > 0 && found[0].begin < next {
				if begin, end := max(found[0].begin, p.at), min(found[0].end, next-len("\n")); begin < end {
					spans = append(spans, secret{p.from + begin - p.at, p.from + end - p.at, found[0].shown})
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
func partSpans(body []byte, boundary string, hides func(name string) bool) (spans []secret) {
	offset := 0
	for part := range bytes.SplitSeq(body, []byte("--"+boundary)) {
		if head, content, ok := bytes.Cut(part, []byte("\r\n\r\n")); ok {
			begin := offset + len(head) + len("\r\n\r\n")
			content = bytes.TrimSuffix(content, []byte("\r\n"))
			contentType, name := partHeader(head)
			switch {
			case len(content) == 0:
			case hides(name):
				spans = append(spans, secret{begin, begin + len(content), redact.Placeholder})
			case contentType != "":
				spans = append(spans, moved(secretSpans(contentType, content, hides), begin)...)
			}
		}
		offset += len(part) + len("--"+boundary)
	}
	return spans
}

// partHeader returns the type of a part and the name of its field.
func partHeader(head []byte) (contentType, name string) {
	for line := range strings.SplitSeq(string(head), "\r\n") {
		field, value, _ := strings.Cut(line, ":")
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

func formSpans(body []byte, hides func(name string) bool) (spans []secret) {
	offset := 0
	for part := range bytes.SplitSeq(body, []byte("&")) {
		if name, value, ok := bytes.Cut(part, []byte("=")); ok && len(value) > 0 {
			plain, err := url.QueryUnescape(string(name))
			if err != nil || hides(plain) {
				spans = append(spans, secret{offset + len(name) + 1, offset + len(part), redact.Placeholder})
			}
		}
		offset += len(part) + 1
	}
	return spans
}

// jsonSpans returns where the strings and numbers are that are members with the name of a secret, up to where the text is no JSON.
func jsonSpans(body []byte, hides func(name string) bool) (spans []secret) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	type level struct{ object, value, secret bool } // value: the next token is a member's value; secret: its name is that of one
	levels := []level{{}}
	previous := 0
	for {
		before := int(d.InputOffset())
		token, err := d.Token()
		top := &levels[len(levels)-1]
		if err != nil {
			return append(spans, restSpans(body, previous, before, top.secret && !top.object, err, hides)...)
		}
		previous = before
		if delim, is := token.(json.Delim); is {
			if delim == '{' || delim == '[' {
				inherited := top.secret && (top.value || !top.object)
				top.value = false
				levels = append(levels, level{object: delim == '{', secret: inherited && delim == '['})
			} else if levels = levels[:len(levels)-1]; len(levels) == 0 {
				return spans
			}
			continue
		}
		if top.object && !top.value {
			name, _ := token.(string)
			top.value, top.secret = true, hides(name)
			continue
		}
		top.value = false
		if top.secret {
			spans = append(spans, valueSpans(token, body, before, int(d.InputOffset()))...)
		}
	}
}

// restSpans returns the secrets from where the text is no JSON: from the token before that, which may be the name of a member. The rest of a list of secrets is hidden whole.
func restSpans(body []byte, previous, before int, inSecrets bool, err error, hides func(name string) bool) []secret {
	switch {
	case err == io.EOF:
		return nil
	case inSecrets:
		return []secret{{before + blanks(body[before:]), len(body), redact.Placeholder}}
	}
	return moved(memberSpans(body[previous:], hides), previous)
}

// member is what looks like a member of an object: a name and a value, which may be cut.
var member = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"\s*:\s*(?:"((?:[^"\\]|\\.)*\\?)|([^\s"{}\[\],]+))`)

// memberSpans finds the values of secrets in what is no JSON, or not all of it: a body that was cut, a part of one, or a mistake of its author.
func memberSpans(text []byte, hides func(name string) bool) (spans []secret) {
	for _, at := range member.FindAllSubmatchIndex(text, -1) {
		var name string
		if json.Unmarshal(text[at[2]-1:at[3]+1], &name) != nil {
			name = string(text[at[2]:at[3]])
		}
		begin, end := max(at[4], at[6]), max(at[5], at[7])
		if begin < end && hides(name) {
			spans = append(spans, secret{begin, end, redact.Placeholder})
		}
	}
	return spans
}

// blanks returns how many bytes are before the next token of JSON.
func blanks(text []byte) int {
	return len(text) - len(bytes.TrimLeft(text, " \t\r\n:,"))
}

// valueSpans returns where a string or a number is: within the bytes that were read for it, which begin with white space and separators.
func valueSpans(token json.Token, body []byte, before, after int) []secret {
	begin := before + blanks(body[before:after])
	switch token.(type) {
	case string:
		if begin+1 < after-1 {
			return []secret{{begin + 1, after - 1, redact.Placeholder}}
		}
	case json.Number:
		return []secret{{begin, after, "0"}}
	}
	return nil
}
