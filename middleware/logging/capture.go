package logging

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
)

// capture keeps the beginning of a body as it passes.
type capture struct {
	mediaType string
	limit     int

	mu        sync.Mutex // guards the fields below: a request body may still be read when its record is written
	data      []byte
	truncated bool
}

// newCapture returns nil for a body of which nothing is kept.
func newCapture(h http.Header, limit int) *capture {
	mediaType, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if limit <= 0 || err != nil || !textual(mediaType) || !readable(params["charset"]) {
		return nil
	}
	if coding := h.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return nil
	}
	return &capture{mediaType: mediaType, limit: limit}
}

// readable reports whether a mask can find names in text of this charset.
func readable(charset string) bool {
	switch strings.ToLower(charset) {
	case "", "utf-8", "utf8", "us-ascii", "iso-8859-1", "windows-1252":
		return true
	}
	return false
}

func textual(mediaType string) bool {
	if mediaType == "text/event-stream" {
		return false
	}
	_, subtype, _ := strings.Cut(mediaType, "/")
	return strings.HasPrefix(mediaType, "text/") || mediaType == "application/x-www-form-urlencoded" ||
		subtype == "json" || strings.HasSuffix(subtype, "+json") || subtype == "xml" || strings.HasSuffix(subtype, "+xml")
}

// keep keeps p, which begins at the given offset of the body, as far as it is new: a body may be read from its start several times.
func (c *capture) keep(offset int, p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p = p[min(len(p), max(0, len(c.data)-offset)):]
	n := min(len(p), c.limit-len(c.data))
	c.data = append(c.data, p[:n]...)
	c.truncated = c.truncated || n < len(p)
}

// text returns the masked beginning of the body. It reports false if there is none.
func (c *capture) text(mask func(string, []byte) []byte) (text string, truncated, ok bool) {
	if c == nil {
		return "", false, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.data) == 0 || bytes.IndexByte(c.data, 0) >= 0 { // a zero byte is part of a wider encoding
		return "", false, false
	}
	return string(mask(c.mediaType, append([]byte(nil), c.data...))), c.truncated, true
}

// tee copies what is read to a capture.
type tee struct {
	io.ReadCloser
	capture *capture
	read    int
}

// Unwrap returns the body that is read.
func (t *tee) Unwrap() io.ReadCloser { return t.ReadCloser }

func (t *tee) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	t.capture.keep(t.read, p[:n])
	t.read += n
	return n, err
}

// tapped returns rc, or a body that copies what is read to c.
func tapped(rc io.ReadCloser, c *capture) io.ReadCloser {
	if c == nil {
		return rc
	}
	return &tee{ReadCloser: rc, capture: c}
}
