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
// its fields can be changed before it is given away. The zero Part has no content and is refused.
type Part struct {
	// Name is that of the form field. It must not be empty.
	Name string

	// Filename is the name that the server sees the content under. Zero means none: a plain field.
	Filename string

	// ContentType is that of the part. Zero means none, which a server takes for text/plain (RFC 7578 §4.4).
	ContentType string

	open func() (*content, error)
}

// PartField is a field of a form with its value.
func PartField(name, value string) Part {
	return Part{Name: name, open: func() (*content, error) { return inMemory([]byte(value), ""), nil }}
}

// PartBytes is an upload with b as its content, which must not change until the call has ended.
func PartBytes(name, filename string, b []byte) Part {
	return Part{
		Name: name, Filename: filename, ContentType: "application/octet-stream",
		open: func() (*content, error) { return inMemory(b, ""), nil },
	}
}

// PartFile is an upload of the file at path, under its base name, its ContentType chosen by the extension.
// It is opened when its turn comes in an attempt; what [BodyFile] says of the file holds for this one.
func PartFile(name, path string) Part {
	return Part{
		Name: name, Filename: filepath.Base(path), ContentType: typeByName(path),
		open: func() (*content, error) { return fromFile(path, path) },
	}
}

// PartFunc is an upload of what open gives, each time that the body is sent: always the same size bytes from the start, or, where size is -1,
// as many as there are. The number of bytes is checked. open runs when the turn of the part comes, and what it returns is closed.
// Attempts that run at once call it at once.
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

// opened is what open returns, an empty body for nil.
func opened(open func() (io.ReadCloser, error)) (io.ReadCloser, error) {
	rc, err := open()
	if err == nil && isNil(rc) {
		rc = http.NoBody
	}
	return rc, err
}

// PartReader is an upload of what r gives. What [BodyReader] says of its reader holds for this one:
// which readers can be read again, and that r is closed. One that cannot makes a body that is sent once.
func PartReader(name, filename string, r io.Reader) Part {
	return Part{
		Name: name, Filename: filename, ContentType: "application/octet-stream",
		open: func() (*content, error) { return fromReader(r, "the reader"), nil },
	}
}

// BodyMultipart sends parts as multipart/form-data (RFC 7578), in their order. Their contents are streamed:
// one after the other, each opened when its turn comes. The length of the body is known if those of all parts are.
// Sent again, the body is the same to the byte, its boundary included.
//
// Names are sent in UTF-8, quotes and backslashes with a backslash before them. Control characters, of which line breaks could
// forge a header, are percent-encoded, as browsers do with line breaks. A part without a name, one with a ContentType that contains
// control characters and a file that cannot be opened are an [*OptionError], before anything is sent.
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

// multipartForm returns a content also along with an error, for its readers to be closed.
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
			continue // the readers of the others are still to be found
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
			// Readers whose turn did not come are closed with the body.
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

// quoted is s for the inside of a quoted-string (RFC 9110 §5.6.4).
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

// segment is a stretch of a body.
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

// sequence reads segments one after the other. Close may run concurrently with Read, as HTTP/2 has it.
type sequence struct {
	rest   []segment // only Read touches it
	err    error     // likewise: what ended the sequence
	closed func()    // runs at the first Close; nil if there is nothing to do

	mu      sync.Mutex // guards the fields below, and is not held while a segment is opened, read or closed
	current io.ReadCloser
	done    bool // closed, whatever is opened from now on is closed at once
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

// segment returns the one that is being read, opened if need be, or io.EOF after the last.
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
	if rc != nil { // nil: Close came first
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
