package ply

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Part is one part of a [BodyMultipart]. It is made by [PartField], [PartBytes], [PartFile], [PartFunc] or [PartReader];
// its fields may be changed before it is passed to BodyMultipart. The zero Part has no content and is refused.
type Part struct {
	// Name is the name of the form field. It must not be empty.
	Name string

	// Filename is the name that the server sees the content under. Zero means none: a plain field.
	Filename string

	// ContentType is the media type of the part. Zero means none, which a server takes for text/plain (RFC 7578 §4.4).
	ContentType string

	open func() (*content, error)
}

// PartField returns a form field with its value.
func PartField(name, value string) Part {
	return Part{Name: name, open: func() (*content, error) { return inMemory([]byte(value), ""), nil }}
}

// PartBytes returns an upload with the content b, which must not change until the call has ended.
func PartBytes(name, filename string, b []byte) Part {
	return Part{
		Name: name, Filename: filename, ContentType: "application/octet-stream",
		open: func() (*content, error) { return inMemory(b, ""), nil },
	}
}

// PartFile returns an upload of the file at path, under its base name and with the ContentType of its extension.
// Each attempt opens the file when it reaches the part. The rules of [BodyFile] apply to the file.
func PartFile(name, path string) Part {
	return Part{
		Name: name, Filename: filepath.Base(path), ContentType: typeByName(path),
		open: func() (*content, error) { return fromFile(path, path) },
	}
}

// PartFunc returns an upload whose content comes from open. Each attempt calls open when it reaches the part, and closes what it returns:
// always the same bytes from the start, size of them. A size of -1 stands for an unknown number; any other is checked.
// Concurrent attempts call open concurrently.
func PartFunc(name, filename string, size int64, open func() (io.ReadCloser, error)) Part {
	p := Part{Name: name, Filename: filename, ContentType: "application/octet-stream"}
	if open != nil {
		p.open = func() (*content, error) { return fromFunc(max(size, -1), open), nil }
	}
	return p
}

func fromFunc(size int64, open func() (io.ReadCloser, error)) *content {
	if size < 0 {
		return &content{size: size, open: func() (io.ReadCloser, error) { return opened(open) }}
	}
	return &content{size: size, open: func() (io.ReadCloser, error) {
		rc, err := opened(open)
		if err != nil {
			return nil, err
		}
		return &sizedBody{exactReader(rc, size, "the content"), rc}, nil
	}}
}

// opened returns what open returns, with an empty body in the place of nil.
func opened(open func() (io.ReadCloser, error)) (io.ReadCloser, error) {
	rc, err := open()
	if err == nil && isNil(rc) {
		rc = http.NoBody
	}
	return rc, err
}

// PartReader returns an upload of what r returns. The rules of [BodyReader] apply to r: which readers can be read again, and when r is closed.
// A reader that cannot be read again makes the whole body one that is sent once.
func PartReader(name, filename string, r io.Reader) Part {
	return Part{
		Name: name, Filename: filename, ContentType: "application/octet-stream",
		open: func() (*content, error) { return fromReader(r, "the reader"), nil },
	}
}

// BodyMultipart sends parts as multipart/form-data (RFC 7578), in their order. Their contents are streamed one after the other,
// and each is opened when it is reached. The length of the body is known if the lengths of all parts are.
// When the body is sent again, it is the same to the byte, including its boundary.
//
// Names are sent in UTF-8, with a backslash before quotes and backslashes. Control characters are percent-encoded, as browsers do
// with line breaks, because a line break could forge a header. A part without a name, a ContentType with control characters
// and a file that cannot be opened are an [*OptionError], before anything is sent.
func BodyMultipart(parts ...Part) RequestOption {
	parts = slices.Clone(parts)
	return RequestOption{func(d *draft) error {
		c, err := multipartForm(parts, rand.Text())
		if err != nil {
			c.drop()
			return err
		}
		return d.setBody("BodyMultipart", c)
	}}
}

// multipartForm also returns a content with its error, so that the caller can close the readers in it.
func multipartForm(parts []Part, boundary string) (*content, error) {
	form := &content{contentType: "multipart/form-data; boundary=" + boundary}
	var segments []segment
	var readers []*content
	var failed error
	delimiter := "--" + boundary + "\r\n"
	for _, p := range parts {
		c, err := p.content()
		if err != nil {
			failed = err
			continue // to find the readers of the other parts, which must be closed
		}
		readers = append(readers, c)
		form.once = form.once || c.once
		segments = append(segments,
			literalSegment(delimiter+p.header()),
			segment{open: c.open, size: c.size, part: p.Name})
		delimiter = "\r\n--" + boundary + "\r\n"
	}
	segments = append(segments, literalSegment(strings.TrimSuffix(delimiter, "\r\n")+"--\r\n"))

	form.size = totalSize(segments)
	form.discard = func() {
		for _, c := range readers {
			c.drop()
		}
	}
	form.open = func() (io.ReadCloser, error) {
		s := &sequence{rest: segments}
		if form.once {
			// Readers that were not reached are closed with the body.
			s.closed = form.discard
		}
		return s, nil
	}
	return form, failed
}

func (p Part) content() (*content, error) {
	refuse := func(reason string, err error) error {
		return &OptionError{Option: "BodyMultipart", Reason: "part " + strconv.Quote(p.Name) + " " + reason, Err: err}
	}
	if p.open == nil {
		return nil, refuse("has no content: make it with PartField, PartBytes, PartFile, PartFunc or PartReader", nil)
	}
	c, err := p.open()
	switch {
	case err != nil:
		return nil, refuse("cannot be sent", err)
	case p.Name == "":
		err = refuse("has no name", nil)
	case strings.ContainsFunc(p.ContentType, isControl):
		err = refuse("has a ContentType with control characters", nil)
	}
	if err != nil {
		c.drop()
		return nil, err
	}
	return c, nil
}

func (p Part) header() string {
	var b strings.Builder
	fmt.Fprintf(&b, `Content-Disposition: form-data; name="%s"`, quoted(p.Name))
	if p.Filename != "" {
		fmt.Fprintf(&b, `; filename="%s"`, quoted(p.Filename))
	}
	b.WriteString("\r\n")
	if p.ContentType != "" {
		b.WriteString("Content-Type: " + p.ContentType + "\r\n")
	}
	b.WriteString("\r\n")
	return b.String()
}

// quoted escapes s for the inside of a quoted-string (RFC 9110 §5.6.4).
func quoted(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		switch {
		case isControl(rune(c)):
			fmt.Fprintf(&b, "%%%02X", c)
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// segment is a contiguous range of a body: a part's content, or the text around it.
type segment struct {
	open func() (io.ReadCloser, error)
	size int64  // -1 if unknown
	part string // empty between parts
}

func literalSegment(s string) segment {
	return segment{size: int64(len(s)), open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil }}
}

func totalSize(segments []segment) int64 {
	var sum int64
	for _, s := range segments {
		if s.size < 0 {
			return -1
		}
		sum += s.size
	}
	return sum
}

// sequence reads segments one after the other. Close may run concurrently with Read, as over HTTP/2.
type sequence struct {
	rest   []segment // only Read touches it
	err    error     // likewise: what ended the sequence
	closed func()    // runs at the first Close; nil if there is nothing to do

	mu      sync.Mutex // guards the fields below; not held while a segment is opened, read or closed
	current io.ReadCloser
	done    bool // Close has run: a segment that is opened after that is closed at once
}

func (s *sequence) Read(p []byte) (int, error) {
	for s.err == nil {
		rc, err := s.segment()
		if err != nil {
			s.err = err
			break
		}
		n, err := rc.Read(p)
		if err == io.EOF {
			s.next()
			err = nil
		}
		if err != nil {
			s.err = s.named(err)
		}
		if n > 0 || len(p) == 0 {
			return n, s.err
		}
	}
	return 0, s.err
}

// segment returns the current segment, opening it if necessary, or io.EOF after the last.
func (s *sequence) segment() (io.ReadCloser, error) {
	s.mu.Lock()
	rc, done := s.current, s.done
	s.mu.Unlock()
	switch {
	case done:
		return nil, http.ErrBodyReadAfterClose
	case rc != nil:
		return rc, nil
	case len(s.rest) == 0:
		return nil, io.EOF
	}
	rc, err := s.rest[0].open()
	if err != nil {
		return nil, s.named(err)
	}
	s.mu.Lock()
	if s.done {
		s.mu.Unlock()
		rc.Close()
		return nil, http.ErrBodyReadAfterClose
	}
	s.current = rc
	s.mu.Unlock()
	return rc, nil
}

func (s *sequence) named(err error) error {
	if part := s.rest[0].part; part != "" {
		return fmt.Errorf("ply: part %q: %w", part, err)
	}
	return err
}

func (s *sequence) next() {
	s.rest = s.rest[1:]
	s.mu.Lock()
	rc := s.current
	s.current = nil
	s.mu.Unlock()
	if rc != nil { // nil: Close ran first
		rc.Close()
	}
}

func (s *sequence) Close() error {
	s.mu.Lock()
	rc, again := s.current, s.done
	s.current, s.done = nil, true
	s.mu.Unlock()
	if again {
		return nil
	}
	var err error
	if rc != nil {
		err = rc.Close()
	}
	if s.closed != nil {
		s.closed()
	}
	return err
}
