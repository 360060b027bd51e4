package cache

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	hashing "hash"
	"io"
	"net/http"
	"strconv"

	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/internal/target"
)

// continuation is a body that broke off for one reader, while the caller has seen the header and the first bytes.
// The rest comes from another answer, if that is provably one of the same representation: it has the same strong tag,
// or it begins with the bytes that have been read.
type continuation struct {
	next    http.RoundTripper
	request *http.Request // the caller's

	status       int         // of the answer that broke off
	header       http.Header // of the same, with its validators
	length       int64       // of its whole body, or -1
	uncompressed bool        // by the transport: then its ranges are of other bytes

	offset int64 // where to go on
	end    int64 // where to stop, or -1 for the end of the body
	prefix proof // the state of the proof after the bytes before offset; nil if it is not known
}

// proof tells whether two bodies begin with the same bytes.
type proof = hashing.Hash

func newProof() proof { return sha256.New() }

// cloned returns a copy of a proof, to go on with.
func cloned(p proof) proof {
	if h, ok := p.(hashing.Cloner); ok {
		if c, err := h.Clone(); err == nil {
			return c
		}
	}
	return nil
}

// errBroken is what a reader gets when no other answer can be proved to go on with its body.
var errBroken = fmt.Errorf("cache: the body broke off, and its rest could not be had: %w", io.ErrUnexpectedEOF)

// open asks for the rest. The error is one of the caller's context, or wraps io.ErrUnexpectedEOF.
func (c *continuation) open() (io.ReadCloser, error) {
	r, err := c.ask()
	if err != nil {
		return nil, errBroken
	}
	resp, err := c.next.RoundTrip(target.OnWire(r))
	if err == nil && resp == nil {
		err = errNoResponse
	}
	switch {
	case r.Context().Err() != nil:
		closeBody(resp)
		return nil, context.Cause(r.Context())
	case err != nil:
		closeBody(resp)
		return nil, errBroken
	case resp.Body == nil:
		resp.Body = http.NoBody
	}
	rest, err := c.rest(resp)
	if err != nil {
		resp.Body.Close()
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{rest, resp.Body}, nil
}

func closeBody(resp *http.Response) {
	if resp != nil && resp.Body != nil {
		resp.Body.Close()
	}
}

// tag is the strong tag of the answer that broke off, if it has one.
func (c *continuation) tag() field.ETag { return field.ParseETag(c.header.Get("Etag")) }

// ask makes the request for the rest: for the bytes that are missing if a strong tag can tell that they belong to the others, and else for all of them.
func (c *continuation) ask() (*http.Request, error) {
	r := *c.request
	r.Header = c.request.Header.Clone()
	if r.Header == nil {
		r.Header = make(http.Header, 2)
	}
	for _, name := range [...]string{"If-None-Match", "If-Modified-Since", "Range", "If-Range"} {
		deleteFold(r.Header, name)
	}
	if r.Method == http.MethodHead {
		return nil, errors.New("cache: a HEAD has no body")
	}
	if err := rewind(&r); err != nil {
		return nil, err
	}
	if tag := c.tag(); tag.Strong() && c.offset > 0 && c.status == http.StatusOK && !c.uncompressed {
		missing := "bytes=" + strconv.FormatInt(c.offset, 10) + "-"
		if c.end >= 0 {
			missing += strconv.FormatInt(c.end-1, 10)
		}
		r.Header["Range"], r.Header["If-Range"] = []string{missing}, []string{tag.String()}
	}
	return &r, nil
}

// rest returns the bytes of an answer that go on with the body, once it is certain that they do.
func (c *continuation) rest(resp *http.Response) (io.Reader, error) {
	tag := field.ParseETag(resp.Header.Get("Etag"))
	if resp.Uncompressed != c.uncompressed || resp.Header.Get("Content-Encoding") != c.header.Get("Content-Encoding") {
		return nil, errBroken
	}
	var body io.Reader
	switch {
	case resp.StatusCode == http.StatusPartialContent && tag.StronglyEquals(c.tag()):
		s, ok := parseContentRange(resp.Header["Content-Range"])
		if !ok || s.first != c.offset || c.length >= 0 && s.complete >= 0 && s.complete != c.length || c.end < 0 && s.last != s.complete-1 {
			return nil, errBroken
		}
		body = &exactly{resp.Body, s.size()}
	case resp.StatusCode == c.status && c.status != http.StatusPartialContent && (c.length < 0 || resp.ContentLength < 0 || resp.ContentLength == c.length):
		if !c.skip(resp, tag) {
			return nil, errBroken
		}
		body = resp.Body
	default:
		return nil, errBroken
	}
	switch {
	case c.end >= 0:
		body = &exactly{body, c.end - c.offset}
	case c.length >= 0:
		body = &exactly{body, c.length - c.offset}
	}
	return body, nil
}

// skip reads the bytes before the offset. It tells whether they are known to be those that the caller has.
func (c *continuation) skip(resp *http.Response, tag field.ETag) bool {
	if tag.StronglyEquals(c.tag()) {
		_, err := io.CopyN(io.Discard, resp.Body, c.offset)
		return err == nil
	}
	if c.prefix == nil || c.tag() != tag || resp.Header.Get("Last-Modified") != c.header.Get("Last-Modified") {
		return false
	}
	again := newProof()
	if _, err := io.CopyN(again, resp.Body, c.offset); err != nil {
		return false
	}
	return string(again.Sum(nil)) == string(c.prefix.Sum(nil))
}
