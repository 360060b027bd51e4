package ply

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// BodyBytes sends b, which must not change until the call has ended. It sets no Content-Type, which [SetHeader] can do;
// without one, a server may take the bytes for application/octet-stream (RFC 9110 §8.3).
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

// BodyJSON sends v as application/json, encoded by Options.EncodeJSON or, if that is nil, by [json.Marshal].
// The value is encoded when the request is made; one that cannot be encoded is an [*OptionError].
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

// BodyReader sends what r returns from its current position, streaming it. It sets no Content-Type, which [SetHeader] can do.
// A nil r is an empty body, and so is a nil pointer of any type.
//
// A request can be sent again, after a 307 redirect or by a retry, if r is a [*bytes.Reader], a [*bytes.Buffer], a [*strings.Reader]
// or has both io.ReaderAt and io.Seeker, as a regular [*os.File] has. Each attempt then reads a section of its own:
// attempts don't disturb each other, and the position of r does not change. The content must not change until the call has ended.
// Any other r is read once, and its length is not known in advance; a caller that knows it sets ContentLength on the request that [Client.NewRequest] returns.
//
// If r is an io.Closer it is closed exactly once: when the request cannot be made, or when no attempt will read it any more.
// For a reader that can be read again that is when [Client.Do] has returned. If something other than a Client sends such a request, the caller closes r.
func BodyReader(r io.Reader) RequestOption {
	return RequestOption{func(d *draft) error { return d.setBody("BodyReader", fromReader(r, "ply: BodyReader: the reader")) }}
}

// BodyFile streams the file at path. Its Content-Type follows from the extension of its name.
// Each attempt opens the file again. A path that is neither a regular file nor a pipe, or cannot be opened, is an [*OptionError] that names it, before anything is sent.
//
// The length is that of the file when the request is made. Bytes appended while an attempt is under way are not sent;
// an attempt fails if the file becomes shorter, and none is begun after the length has changed.
// A file that reports no size but has content, such as those of /proc, is sent to its end without a length in advance.
// A pipe is sent that way too, once: a named pipe is opened when the body is read, and that waits for its writer.
//
// A request from [Client.NewRequest] holds the file open until its Body is closed; [Client.Do] closes it.
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

// Chunked sends the body with Transfer-Encoding: chunked, or without a length over HTTP/2, even if its length is known.
// An empty body, or none, is still sent with its length of zero.
func Chunked() RequestOption {
	return RequestOption{func(d *draft) error {
		d.chunked = true
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

// attachBody sets the body of req and the header fields that describe it.
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

// checkHeader refuses header fields that contradict the options for the body.
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

// attachContent wraps the body's readers, innermost first: compression, then progress.
func (d *draft) attachContent(req *http.Request) error {
	open, size := d.body.open, d.body.size
	if d.encoding != "" {
		open, size = compressed(open, d.encoding), -1
		req.Header.Set("Content-Encoding", d.encoding)
	}
	if d.progress != nil {
		open = withProgress(open, size, d.progress)
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

// discardBody closes the caller's reader for a request that is not made. It may be called more than once.
func (d *draft) discardBody() {
	if d.body != nil {
		d.body.drop()
	}
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

// content is a request body that can be opened.
type content struct {
	// open gives the bytes from the start. once says that it may be called only once.
	open func() (io.ReadCloser, error)
	once bool

	// size is -1 where it is not known in advance.
	size int64

	contentType string

	// discard closes what a body that is not sent after all holds; nil if there is nothing to close.
	discard func()
}
