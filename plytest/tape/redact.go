package tape

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
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
	depth    int      // of URLs in parameters of URLs

	// pseudonym returns what stands for a secret: the value of a name. It is called for the secrets of requests in the order in which they appear. Nil is REDACTED for each.
	pseudonym func(name, value string) string
}

// hides reports whether a member of content has the name of a secret.
func (d redaction) hides(name string) bool {
	return redact.IsSecretName(name) && !d.isShown(name)
}

// isShown reports whether a member is none of a secret in this API, whatever its name.
func (d redaction) isShown(name string) bool {
	return slices.ContainsFunc(d.shown, func(s string) bool { return strings.EqualFold(s, name) })
}

// inURLs hides what in a URL has the name of a secret, and what signs it. All other parameters stay, for they tell requests apart.
var inURLs = &redact.Redactor{HideParams: redact.SignedURLs}

// Redact returns a copy of the tape without secrets: header fields, cookies and parameters of URLs with the name of a secret, userinfo, signatures of signed URLs,
// the members of JSON (also in server-sent events), the elements of XML and the fields of forms (also multipart) with the name of a secret, in requests and in responses,
// and what reason phrases and errors quote. What it hides becomes REDACTED, and a number 0.
// The secrets of requests are numbered as they appear, REDACTED-1 and so on, so that the tape says which requests had the same. A tape without secrets stays as it is.
// r hides more, if it is not nil: the fields in its HideHeaders, and of URLs all that it does not show.
//
// It knows secrets by their names. What a server says in the middle of a text, or calls by another name, stays, as does content with a coding other than gzip and deflate;
// docs/tape.md has what is not searched.
func (t *Tape) Redact(r *redact.Redactor) *Tape { return redaction{redactor: r}.tape(t) }

// tape hides the secrets of a tape. All secrets of requests get their numbers first: a login's answer comes before the requests that have its token.
func (d redaction) tape(t *Tape) *Tape {
	n := &numbering{numbers: map[string]int{}, taken: map[string]bool{}}
	for _, e := range t.Exchanges {
		d.pseudonym = n.note
		d.request(e.Request)
		if e.Response.hasNumbers() {
			d.pseudonym = n.keep
			d.response(e.Response)
		}
	}
	n.assign()
	d.pseudonym = n.pseudonym
	c := &Tape{Start: t.Start}
	for _, e := range t.Exchanges {
		c.Exchanges = append(c.Exchanges, d.exchange(e))
	}
	return c
}

func (d redaction) exchange(e *Exchange) *Exchange {
	c := &Exchange{At: e.At, Request: d.request(e.Request)}
	if e.Response != nil {
		c.Response = d.response(e.Response)
	}
	if f := e.Failure; f != nil {
		c.Failure = &Failure{At: f.At, Kind: f.Kind, Text: d.redactor.ErrorText(errors.New(f.Text))}
	}
	if d.scrub != nil {
		d.scrub(c)
	}
	return c
}

func (d redaction) response(r *Response) *Response {
	c := *r
	c.Header, c.Trailer = d.header(r.Header), d.header(r.Trailer)
	c.Reason = d.shows().Text(r.Reason)
	c.Chunks = slices.Clone(r.Chunks)
	c.redact(d)
	return &c
}

// hasNumbers reports whether a response may have something with a number in the place of a secret.
func (r *Response) hasNumbers() bool {
	const beginning = redact.Placeholder + "-"
	return r != nil && (bytes.Contains(r.Body(), []byte(beginning)) || strings.Contains(fmt.Sprint(r.Header, r.Trailer), beginning))
}

func (d redaction) request(r Request) Request {
	address, _, _ := strings.Cut(r.URL, "#") // which is not sent
	r.Header, r.URL, r.Trailer = d.header(r.Header), d.url("query", address), d.header(r.Trailer)
	plain, coded := uncoded(r.Header, r.Body)
	spans := d.numbered("content ", d.secretSpans(r.Header.Get("Content-Type"), plain))
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

// hide returns what stands for the value of a name, which is a secret.
func (d redaction) hide(name, value string) string {
	if d.pseudonym == nil || changes(name) {
		return redact.Placeholder
	}
	return d.pseudonym(name, value)
}

// numbered has the secrets in content stand there with their numbers.
func (d redaction) numbered(prefix string, spans []secret) []secret {
	for i, s := range spans {
		if s.shown == redact.Placeholder {
			spans[i].shown = d.hide(prefix+s.name, s.value)
		}
	}
	return spans
}

// url hides the secrets of a URL, which is the value of a name. One that does not parse has its secrets anywhere; what stands for it does not parse either.
func (d redaction) url(name, address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "://" + redact.Placeholder
	}
	hidden := d.query(name, u, d.shows().URLText(address))
	if _, fragment, ok := strings.Cut(address, "#"); ok {
		text := []byte("#" + fragment)
		text, _ = replaced(text, d.numbered(name+" ", d.paramSpans(text)), nil)
		hidden += string(text)
	}
	return hidden
}

// query numbers what is hidden of a URL: its userinfo, and parameters.
func (d redaction) query(name string, u *url.URL, hidden string) string {
	if u.User != nil {
		value := u.User.Username()
		password, both := u.User.Password()
		if both && password != value { // it was a placeholder that is there twice
			value += ":" + password
		}
		shown := d.hide(name+" userinfo", value)
		for _, before := range []string{redact.Placeholder + ":" + redact.Placeholder, redact.Placeholder} {
			if was := "//" + before + "@"; strings.Contains(hidden, was) {
				hidden = strings.Replace(hidden, was, "//"+strings.ReplaceAll(before, redact.Placeholder, shown)+"@", 1)
				break
			}
		}
	}
	base, query, _ := strings.Cut(hidden, "?")
	sent, shown := strings.Split(u.RawQuery, "&"), strings.Split(query, "&")
	if query == "" || len(sent) != len(shown) {
		return hidden
	}
	for i := range shown {
		if d.authorizes(sent[i], u.RawQuery) {
			shown[i] = "code=" + redact.Placeholder
		}
		shown[i] = d.param(name, sent[i], shown[i])
	}
	return base + "?" + strings.Join(shown, "&")
}

// authorizes reports whether a parameter is an authorization code (RFC 6749 §4.1.2), by those beside it: by itself, a code may be any.
func (d redaction) authorizes(param, query string) bool {
	return strings.HasPrefix(param, "code=") && len(param) > len("code=") && !slices.Contains(d.shown, "code") &&
		slices.ContainsFunc(strings.Split(query, "&"), func(p string) bool {
			return strings.HasPrefix(p, "state=") || strings.HasPrefix(p, "session_state=") || strings.HasPrefix(p, "code_verifier=") || p == "grant_type=authorization_code"
		})
}

// param has the secret of a part of a query stand there with its number.
func (d redaction) param(name, sent, shown string) string {
	key, value, _ := strings.Cut(shown, "=")
	switch {
	case shown == redact.Placeholder:
		return d.hide(name, sent)
	case value != redact.Placeholder && d.depth == maxNested:
		if looksNested(string(inForm([]byte(value)).text)) {
			return shown[:len(shown)-len(value)] + redact.Placeholder
		}
		return shown
	case value != redact.Placeholder: // it may be a URL, or JSON
		d.depth++
		inner := inForm([]byte(value))
		text, _ := replaced([]byte(value), d.numbered(name+" ", inner.outer(d.textSpans(inner.text))), nil)
		return shown[:len(shown)-len(value)] + string(text)
	}
	_, value, _ = strings.Cut(sent, "=")
	if plain, err := url.QueryUnescape(value); err == nil {
		value = plain
	}
	if plain, err := url.QueryUnescape(key); err == nil {
		name += " " + plain
	}
	return key + "=" + d.hide(name, value)
}

func (d redaction) shows() *redact.Redactor {
	if d.redactor == nil {
		return inURLs
	}
	return d.redactor
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
	spans := d.numbered("content ", d.secretSpans(r.Header.Get("Content-Type"), body))
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
