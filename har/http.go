package har

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Headers returns the fields of a header by name, each line a pair.
func Headers(h http.Header) []Pair {
	pairs := []Pair{}
	for name, values := range h {
		for _, v := range values {
			pairs = append(pairs, Pair{Name: name, Value: v})
		}
	}
	slices.SortStableFunc(pairs, func(a, b Pair) int { return cmp.Compare(a.Name, b.Name) })
	return pairs
}

// Query returns the parameters of a URL in their order. What is not well-formed stays as it is.
func Query(u *url.URL) []Pair {
	pairs := []Pair{}
	for part := range strings.SplitSeq(u.RawQuery, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		pairs = append(pairs, Pair{Name: unescaped(name), Value: unescaped(value)})
	}
	return pairs
}

func unescaped(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

// NewContent returns content of a type: as text if it is UTF-8 and its type names no other charset for it, and otherwise in base64.
func NewContent(body []byte, mimeType string) Content {
	text, encoding := string(body), ""
	if !utf8.Valid(body) || otherCharset(mimeType, text) {
		text, encoding = base64.StdEncoding.EncodeToString(body), "base64"
	}
	return Content{Size: int64(len(body)), MimeType: mimeType, Text: &text, Encoding: encoding}
}

// ErrNoText is the error of [Content.Bytes] for content that was not recorded.
var ErrNoText = errors.New("har: the archive does not have the content")

// Bytes returns the content.
func (c *Content) Bytes() ([]byte, error) {
	switch {
	case c.Text == nil && c.Size != 0: // -1 if its size is not known either
		return nil, ErrNoText
	case c.Text == nil:
		return nil, nil
	case c.Encoding == "":
		return []byte(*c.Text), nil
	case strings.EqualFold(c.Encoding, "base64"):
		body, err := base64.StdEncoding.DecodeString(*c.Text)
		if err != nil {
			return nil, fmt.Errorf("har: content: %w", err)
		}
		return body, nil
	}
	return nil, fmt.Errorf("har: content in an encoding that is not known: %.20q", c.Encoding)
}

// HTTP returns the request that was sent, without the fields that HTTP/2 has in place of a request line. Its content can be read again (GetBody).
func (r *Request) HTTP() (*http.Request, error) {
	var body io.Reader
	if p := r.PostData; p != nil {
		content, err := p.content()
		if err != nil {
			return nil, err
		}
		body = strings.NewReader(content)
	}
	req, err := http.NewRequest(r.Method, r.URL, body)
	if err != nil {
		return nil, fmt.Errorf("har: request: %w", err)
	}
	req.URL.Fragment, req.URL.RawFragment = "", ""
	req.Header = header(r.Headers)
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	req.Header.Del("Host")
	return req, nil
}

// NewPostData returns the content of a request: as text if it is UTF-8, and otherwise in base64.
func NewPostData(body []byte, mimeType string) *PostData {
	c := NewContent(body, mimeType)
	return &PostData{MimeType: mimeType, Text: *c.Text, Encoding: c.Encoding}
}

// content is the content of a request: of a form, in the form that browsers send.
func (p *PostData) content() (string, error) {
	if p.Text != "" || len(p.Params) == 0 {
		body, err := (&Content{Text: &p.Text, Encoding: p.Encoding}).Bytes()
		return string(body), err
	}
	var b strings.Builder
	for i, param := range p.Params {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(param.Name) + "=" + url.QueryEscape(param.Value))
	}
	return b.String(), nil
}

// HTTP returns the response with its header, and its body in memory. Browsers record content decoded: then there is no Content-Encoding, as net/http has it where it decodes.
// They record text in UTF-8 whatever its charset was: then Content-Type says utf-8, for that is what the body is.
func (r *Response) HTTP() (*http.Response, error) {
	body, err := r.Content.Bytes()
	if err != nil {
		return nil, err
	}
	h := header(r.Headers)
	if t := h.Get("Content-Type"); r.Content.Encoding == "" && otherCharset(t, string(body)) {
		h.Set("Content-Type", withUTF8(t))
	}
	resp := &http.Response{
		StatusCode: r.Status, Status: strconv.Itoa(r.Status) + " " + cmp.Or(r.StatusText, http.StatusText(r.Status)),
		Header: h, Body: io.NopCloser(strings.NewReader(string(body))), ContentLength: int64(len(body)),
	}
	resp.Proto, resp.ProtoMajor, resp.ProtoMinor = version(r.HTTPVersion)
	if h.Get("Content-Encoding") != "" {
		resp.Uncompressed, resp.ContentLength = true, -1
		h.Del("Content-Encoding")
		h.Del("Content-Length")
	} else if len(body) > 0 {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	h.Del("Transfer-Encoding")
	return resp, nil
}

// otherCharset reports whether a media type names a charset in which text, which is in UTF-8, would have other bytes.
func otherCharset(mimeType, text string) bool {
	_, params, err := mime.ParseMediaType(mimeType)
	charset := strings.ToLower(params["charset"])
	switch {
	case err != nil, charset == "", charset == "utf-8", charset == "utf8":
		return false
	case strings.HasPrefix(charset, "utf-16"), strings.HasPrefix(charset, "utf-32"):
		return text != ""
	}
	return strings.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf })
}

// withUTF8 returns a media type that otherCharset has parsed with another charset.
func withUTF8(mimeType string) string {
	t, params, _ := mime.ParseMediaType(mimeType)
	params["charset"] = "utf-8"
	return mime.FormatMediaType(t, params)
}

// version returns the protocol of a response, which browsers name in ways of their own, such as h2. HTTP/1.1 stands for what is not known.
func version(name string) (proto string, major, minor int) {
	switch strings.ToLower(name) {
	case "h2", "http/2", "http/2.0":
		return "HTTP/2.0", 2, 0
	case "h3", "http/3", "http/3.0":
		return "HTTP/3.0", 3, 0
	case "http/1.0":
		return "HTTP/1.0", 1, 0
	}
	return "HTTP/1.1", 1, 1
}

// header makes a header of pairs. Several lines of one field may stand in one pair.
func header(pairs []Pair) http.Header {
	h := make(http.Header, len(pairs))
	for _, p := range pairs {
		if strings.HasPrefix(p.Name, ":") {
			continue
		}
		for line := range strings.SplitSeq(p.Value, "\n") {
			h.Add(p.Name, strings.TrimSpace(line))
		}
	}
	return h
}

// Milliseconds is a duration as HAR has it.
func Milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
