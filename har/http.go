package har

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
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

// NewContent returns content of a type: as text if it is UTF-8, and otherwise in base64.
func NewContent(body []byte, mimeType string) Content {
	text, encoding := string(body), ""
	if !utf8.Valid(body) {
		text, encoding = base64.StdEncoding.EncodeToString(body), "base64"
	}
	return Content{Size: int64(len(body)), MimeType: mimeType, Text: &text, Encoding: encoding}
}

// ErrNoText is the error of [Content.Bytes] for content that was not recorded.
var ErrNoText = errors.New("har: the archive does not have the content")

// Bytes returns the content.
func (c *Content) Bytes() ([]byte, error) {
	switch {
	case c.Text == nil && c.Size > 0:
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
		body = strings.NewReader(p.content())
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

// content is the content of a request as text: of a form, in the form that browsers send.
func (p *PostData) content() string {
	if p.Text != "" || len(p.Params) == 0 {
		return p.Text
	}
	var b strings.Builder
	for i, param := range p.Params {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(param.Name) + "=" + url.QueryEscape(param.Value))
	}
	return b.String()
}

// HTTP returns the response with its header, and its body in memory. Browsers record content decoded: then there is no Content-Encoding, as net/http has it where it decodes.
func (r *Response) HTTP() (*http.Response, error) {
	body, err := r.Content.Bytes()
	if err != nil {
		return nil, err
	}
	h := header(r.Headers)
	resp := &http.Response{
		StatusCode: r.Status, Status: strconv.Itoa(r.Status) + " " + cmp.Or(r.StatusText, http.StatusText(r.Status)),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h, Body: io.NopCloser(strings.NewReader(string(body))), ContentLength: int64(len(body)),
	}
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
