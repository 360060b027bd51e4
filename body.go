package ply

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"strings"
	"sync"
)

// BodyBytes sends b, which must not change until the call has ended. There is no Content-Type unless [SetHeader] gives one;
// a server may take the bytes for application/octet-stream then (RFC 9110 §8.3).
func BodyBytes(b []byte) RequestOption {
	return RequestOption{func(d *draft) error { return d.setBody("BodyBytes", inMemory(b, "")) }}
}

// BodyString sends s as text/plain in UTF-8, unless [SetHeader] gives another Content-Type.
func BodyString(s string) RequestOption {
	return RequestOption{func(d *draft) error {
		return d.setBody("BodyString", &content{
			open:        func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil },
			size:        int64(len(s)),
			contentType: "text/plain; charset=utf-8",
		})
	}}
}

// BodyJSON sends v as application/json, as Options.EncodeJSON or else [json.Marshal] encodes it.
// That happens when the request is made; a value that cannot be encoded is an [*OptionError].
func BodyJSON(v any) RequestOption {
	return RequestOption{func(d *draft) error {
		if err := d.checkBody("BodyJSON"); err != nil {
			return err
		}
		b, err := d.client.encodeJSON(v)
		if err != nil {
			return &OptionError{Option: "BodyJSON", Reason: "the value cannot be encoded", Err: err}
		}
		return d.setBody("BodyJSON", inMemory(b, "application/json"))
	}}
}

// BodyForm sends values as application/x-www-form-urlencoded, sorted by name; the values of one name keep their order.
func BodyForm(values url.Values) RequestOption {
	return RequestOption{func(d *draft) error {
		return d.setBody("BodyForm", inMemory([]byte(values.Encode()), "application/x-www-form-urlencoded"))
	}}
}

// BodyReader sends what r gives from where it stands, as it is read: nothing is gathered in memory.
// Only [SetHeader] knows its Content-Type. A nil r is an empty body, and so is a nil pointer of whatever type.
//
// A request can be sent again, after a 307 redirect or by a retry, if r is a [*bytes.Reader], a [*bytes.Buffer], a [*strings.Reader]
// or has both io.ReaderAt and io.Seeker, as a regular [*os.File] has. Each attempt then reads a section of its own:
// attempts don't disturb each other, and r stays where it stands. It must not change until the call has ended.
// Any other r is read once, and its length is not known in advance; who knows it sets Request.ContentLength on what [Client.NewRequest] returns.
//
// If r is an io.Closer it is closed, exactly once: when the request cannot be made, or else when it has been read and no attempt will read it again,
// which for one that can be read again is when [Client.Do] has returned. If such a request is done by anything but a Client, r stays the caller's to close.
func BodyReader(r io.Reader) RequestOption {
	return RequestOption{func(d *draft) error { return d.setBody("BodyReader", fromReader(r, "ply: BodyReader: the reader")) }}
}

// BodyFile sends the file at path, as it is read, its Content-Type chosen by the extension of its name.
// Each attempt opens it anew. A path that is neither a regular file nor a pipe, or cannot be opened, is an [*OptionError] that names it, before anything is sent.
//
// The length is that of the file when the request is made. Bytes appended while an attempt is under way are not sent;
// an attempt fails if the file becomes shorter, and none is begun after the length has changed.
// A file that says it is empty and is not, as those of /proc, is sent to its end, its length not known in advance.
// So is a pipe, once: a named one is opened when the body is read, which waits for its writer.
//
// A request from [Client.NewRequest] holds the file open until its Body is closed, which [Client.Do] takes care of.
func BodyFile(path string) RequestOption {
	return RequestOption{func(d *draft) error {
		if err := d.checkBody("BodyFile"); err != nil {
			return err
		}
		c, err := fromFile(path, "ply: BodyFile: "+path)
		if err != nil {
			return &OptionError{Option: "BodyFile", Reason: "the file cannot be sent", Err: err}
		}
		return d.setBody("BodyFile", c)
	}}
}

// Chunked sends the body with Transfer-Encoding: chunked, or without a length over HTTP/2, also where its length is known.
// An empty body, or none, still says that it has no bytes.
func Chunked() RequestOption {
	return RequestOption{func(d *draft) error {
		d.chunked = true
		return nil
	}}
}

// ExpectContinue asks the server, with Expect: 100-continue, whether it wants the body before it is sent (RFC 9110 §10.1.1).
// The transport waits for the answer as long as its ExpectContinueTimeout says. A request without content does not ask.
// A 417 (Expectation Failed) has the request sent again without asking, once, if its body can be.
func ExpectContinue() RequestOption {
	return RequestOption{func(d *draft) error {
		d.header.Set("Expect", "100-continue")
		return nil
	}}
}

// UploadProgress calls f as the transport reads the body, with the bytes read so far, as they are sent: after [CompressBody],
// and with their total, -1 if it is not known. When the body is sent again, the count begins again. An empty body makes no calls.
//
// f runs on a goroutine of the transport and must not block. The calls of one attempt follow each other; those of attempts
// that run at once, hedged ones for instance, may overlap.
func UploadProgress(f func(sent, total int64)) RequestOption {
	return RequestOption{func(d *draft) error {
		d.progress = f
		return nil
	}}
}

func (d *draft) setBody(option string, c *content) error {
	if err := d.checkBody(option); err != nil {
		c.drop()
		return err
	}
	d.body, d.bodyFrom = c, option
	return nil
}

func (d *draft) checkBody(option string) error {
	if d.body != nil {
		return &OptionError{Option: option, Reason: "combined with " + d.bodyFrom + ": a request has one body"}
	}
	return nil
}

// attachBody gives req the body of the draft and what its header says about it.
func (d *draft) attachBody(req *http.Request) error {
	if d.body == nil || d.body.size == 0 {
		// RFC 9110 §10.1.1: no expectation in a request without content.
		if strings.EqualFold(req.Header.Get("Expect"), "100-continue") {
			req.Header.Del("Expect")
		}
	}
	if d.body == nil {
		return nil
	}
	if err := d.checkHeader(req.Header); err != nil {
		return err
	}
	if _, given := req.Header["Content-Type"]; !given && d.body.contentType != "" {
		req.Header.Set("Content-Type", d.body.contentType)
	}
	if d.body.size == 0 {
		d.discardBody()
		req.GetBody = func() (io.ReadCloser, error) { return http.NoBody, nil }
		req.Body = http.NoBody
		return nil
	}
	return d.attachContent(req)
}

// checkHeader finds header fields that contradict the options for the body.
func (d *draft) checkHeader(header http.Header) error {
	if _, given := header["Content-Encoding"]; given && d.encoding != "" {
		return &OptionError{Option: "CompressBody", Reason: "combined with a Content-Encoding header: give one of them"}
	}
	if _, given := header["Content-Length"]; given && d.chunked {
		return &OptionError{Option: "Chunked", Reason: "combined with a Content-Length header: give one of them"}
	}
	if header.Get("Content-Type") != "" && strings.HasPrefix(d.body.contentType, "multipart/") {
		return &OptionError{Option: d.bodyFrom, Reason: "combined with a Content-Type header: leave it to the option, which knows the boundary"}
	}
	return nil
}

// attachContent stacks what happens to the bytes, innermost first: compression, then counting.
func (d *draft) attachContent(req *http.Request) error {
	open, size := d.body.open, d.body.size
	if d.encoding != "" {
		open, size = compressed(open, d.encoding), -1
		req.Header.Set("Content-Encoding", d.encoding)
	}
	if d.progress != nil {
		open = counted(open, size, d.progress)
	}
	if d.chunked {
		size = -1
	}
	rc, err := open()
	if err != nil {
		return &OptionError{Option: d.bodyFrom, Reason: "cannot be opened", Err: err}
	}
	req.Body, req.ContentLength = rc, size
	if d.body.once {
		return nil
	}
	from := d.bodyFrom
	req.GetBody = func() (io.ReadCloser, error) {
		rc, err := open()
		if err != nil {
			return nil, fmt.Errorf("ply: %s: cannot be sent again: %w", from, err)
		}
		return rc, nil
	}
	if d.body.discard != nil {
		*req = *req.WithContext(context.WithValue(req.Context(), releaseKey{}, d.body.discard))
	}
	return nil
}

// discardBody closes a reader that the caller gave, if no attempt has it: the request is not made. It may be called again.
func (d *draft) discardBody() {
	if d.body != nil {
		d.body.drop()
	}
}

type releaseKey struct{}

// takeRelease returns what to call when the call of req has ended, nil for nothing: a reader that the caller gave is then closed as soon as
// no attempt reads it. The request returned has it no more: bodies of others that layers send with its context are not this one.
func takeRelease(req *http.Request) (*http.Request, func()) {
	release, _ := req.Context().Value(releaseKey{}).(func())
	if release == nil {
		return req, nil
	}
	return req.WithContext(context.WithValue(req.Context(), releaseKey{}, nil)), release
}

func (c *content) drop() {
	if c.discard != nil {
		c.discard()
	}
}

func inMemory(b []byte, contentType string) *content {
	return &content{
		open:        func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil },
		size:        int64(len(b)),
		contentType: contentType,
	}
}

// fromReader is what r gives. Errors that are not its own call it name.
func fromReader(r io.Reader, name string) *content {
	if isNil(r) {
		return inMemory(nil, "")
	}
	switch r := r.(type) {
	case *bytes.Buffer:
		return inMemory(r.Bytes(), "")
	case *bytes.Reader:
		start := *r
		return &content{size: int64(r.Len()), open: func() (io.ReadCloser, error) {
			again := start
			return io.NopCloser(&again), nil // net/http knows the type and sends header and body in one packet
		}}
	case *strings.Reader:
		start := *r
		return &content{size: int64(r.Len()), open: func() (io.ReadCloser, error) {
			again := start
			return io.NopCloser(&again), nil
		}}
	}
	if r == http.NoBody {
		return inMemory(nil, "")
	}
	g := &given{}
	g.closer, _ = r.(io.Closer)
	if at, start, size, ok := sections(r); ok {
		return &content{size: size, discard: g.end, open: func() (io.ReadCloser, error) {
			return g.lend(exactly(io.NewSectionReader(at, start, size), size, name))
		}}
	}
	return &content{size: -1, once: true, discard: g.end, open: func() (io.ReadCloser, error) {
		rc, err := g.lend(r)
		g.end()
		return rc, err
	}}
}

// isNil reports whether r is nil, or a nil of a type that cannot be read.
func isNil(r io.Reader) bool {
	if r == nil {
		return true
	}
	switch v := reflect.ValueOf(r); v.Kind() {
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Chan:
		return v.IsNil()
	}
	return false
}

// sections tells whether r can be read at any offset, and what is left of it from where it stands.
func sections(r io.Reader) (at io.ReaderAt, start, size int64, ok bool) {
	if f, isFile := r.(*os.File); isFile {
		// Devices seek without an error, to nowhere.
		if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
			return nil, 0, 0, false
		}
	}
	at, isAt := r.(io.ReaderAt)
	seeker, isSeeker := r.(io.Seeker)
	if !isAt || !isSeeker {
		return nil, 0, 0, false
	}
	start, err := seeker.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, 0, 0, false
	}
	end, err := seeker.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, 0, 0, false
	}
	if _, err := seeker.Seek(start, io.SeekStart); err != nil {
		return nil, 0, 0, false
	}
	if end <= start && !endsAt(at, start) {
		return nil, 0, 0, false // its size is not known: /proc
	}
	return at, start, max(end-start, 0), true
}

// given is something that the caller handed over to be closed. It is closed once: when nothing reads it and nothing will.
type given struct {
	closer io.Closer // nil if there is nothing to close

	mu    sync.Mutex // guards the fields below
	lent  int        // attempts that read
	ended bool       // no further attempt reads
}

var errEnded = errors.New("the reader is closed since its call ended; make a new request")

// lend returns a body that reads r and counts as an attempt until it is closed.
func (g *given) lend(r io.Reader) (io.ReadCloser, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended {
		return nil, errEnded
	}
	g.lent++
	return &loan{Reader: r, giveBack: sync.OnceValue(g.takeBack)}, nil
}

func (g *given) takeBack() error {
	g.mu.Lock()
	g.lent--
	last := g.ended && g.lent == 0
	g.mu.Unlock()
	if last {
		return g.close()
	}
	return nil
}

func (g *given) end() {
	g.mu.Lock()
	idle := !g.ended && g.lent == 0
	g.ended = true
	g.mu.Unlock()
	if idle {
		g.close()
	}
}

func (g *given) close() error {
	if g.closer == nil {
		return nil
	}
	return g.closer.Close()
}

type loan struct {
	io.Reader
	giveBack func() error
}

func (l *loan) Close() error { return l.giveBack() }

// endsAt reports whether r has nothing at offset and behind it.
func endsAt(r io.ReaderAt, offset int64) bool {
	n, _ := r.ReadAt(make([]byte, 1), offset)
	return n == 0
}

type sizedBody struct {
	io.Reader
	io.Closer
}

// exactly reads r to its end and fails if that comes before or after size bytes:
// where no Content-Length stands beside the body, the server would take it for complete.
func exactly(r io.Reader, size int64, name string) io.Reader {
	return &exact{r: r, left: size, size: size, name: name}
}

type exact struct {
	r          io.Reader
	left, size int64
	name       string
}

func (e *exact) Read(p []byte) (int, error) {
	if e.left == 0 {
		return e.readEnd()
	}
	if int64(len(p)) > e.left {
		p = p[:e.left]
	}
	n, err := e.r.Read(p)
	e.left -= int64(n)
	if err == io.EOF && e.left > 0 {
		err = fmt.Errorf("%s ended %d bytes before the %d announced: %w", e.name, e.left, e.size, io.ErrUnexpectedEOF)
	}
	return n, err
}

func (e *exact) readEnd() (int, error) {
	var more [1]byte
	n, err := e.r.Read(more[:])
	if n > 0 {
		return 0, fmt.Errorf("%s has more than the %d bytes announced", e.name, e.size)
	}
	return 0, err
}

// counted reports what is read of each body that open gives.
func counted(open func() (io.ReadCloser, error), total int64, report func(sent, total int64)) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) {
		rc, err := open()
		if err != nil {
			return nil, err
		}
		return &counter{ReadCloser: rc, total: total, report: report}, nil
	}
}

// counter hides an io.WriterTo, which would send everything before the first report.
type counter struct {
	io.ReadCloser
	sent, total int64
	report      func(sent, total int64)
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if n > 0 {
		c.sent += int64(n)
		c.report(c.sent, c.total)
	}
	return n, err
}
