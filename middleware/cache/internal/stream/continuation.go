package stream

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
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// Continuation is a body that broke off for one reader, while the caller has seen the header and the first bytes.
// The rest comes from another answer, if that is provably one of the same representation: it has the same strong tag,
// or it begins with the bytes that have been read.
// For a reader of a fan-out, Answer.Resume makes one; the reader sets Offset, End and Prefix. It has no goroutine and no lock; one goroutine uses it.
type Continuation struct {
	Next    http.RoundTripper
	Request *http.Request // the caller's

	Status       int         // of the answer that broke off
	Header       http.Header // of that answer, with its validators
	Length       int64       // of that answer's whole body, or -1
	Uncompressed bool        // by the transport: then its ranges are of other bytes

	Offset int64 // where to go on
	End    int64 // where to stop, or -1 for the end of the body
	Prefix Proof // the state of the proof after the bytes before offset; nil if it is not known
}

// Proof is a hash by which two bodies can be shown to begin with the same bytes.
type Proof = hashing.Hash

// NewProof returns the proof of no bytes.
func NewProof() Proof { return sha256.New() }

// cloned returns a copy of a proof, or nil if the hash cannot be copied.
// The fan-out's lock is held: the hash that it copies goes on changing.
func cloned(p Proof) Proof {
	// Without a clone the reader that is cut off has no proof, and goes on only by a strong tag.
	if h, ok := p.(hashing.Cloner); ok {
		if c, err := h.Clone(); err == nil {
			return c
		}
	}
	return nil
}

// errBroken is what a reader gets when no other answer can be proved to go on with its body.
// It wraps io.ErrUnexpectedEOF, as a transport's error does when a body ends too early, so that callers need not know of the cache.
var errBroken = fmt.Errorf("cache: the body broke off, and its rest could not be had: %w", io.ErrUnexpectedEOF)

// Open requests the rest. The error is one of the caller's context, or wraps io.ErrUnexpectedEOF.
// It blocks in the next handler, and may then read the first Offset bytes again. No lock is held.
// The caller closes what it returns. On an error nothing is left open.
func (c *Continuation) Open() (io.ReadCloser, error) {
	r, err := c.newRequest()
	if err != nil {
		return nil, errBroken
	}
	resp, err := c.Next.RoundTrip(target.OnWire(r))
	if err == nil && resp == nil {
		err = ErrNoResponse
	}
	// The context comes first: a caller that has gone gets its own reason, whatever the layers below have made of it. Each path closes what was opened.
	switch {
	case r.Context().Err() != nil:
		CloseBody(resp)
		return nil, context.Cause(r.Context())
	case err != nil:
		CloseBody(resp)
		return nil, errBroken
	case resp.Body == nil:
		resp.Body = http.NoBody
	}
	// From here on the body is the reader's to close. Its Close ends a Read that is under way, on whatever goroutine.
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

// CloseBody closes the body of a response, if there is one.
func CloseBody(resp *http.Response) {
	if resp != nil && resp.Body != nil {
		resp.Body.Close()
	}
}

// tag is the entity tag of the answer that broke off.
func (c *Continuation) tag() field.ETag { return field.ParseETag(c.Header.Get("Etag")) }

// newRequest makes the request for the rest: for the missing bytes if a strong tag can prove that they belong to the others (RFC 9110 §13.1.5), and otherwise for all of them.
// The request of the caller is not changed: the copy has a header and a body of its own.
func (c *Continuation) newRequest() (*http.Request, error) {
	// c.Request has the reader's context, so Close of the reader ends this request, too.
	r := *c.Request
	r.Header = c.Request.Header.Clone()
	if r.Header == nil {
		r.Header = make(http.Header, 2)
	}
	// The caller's own conditions are about another question: a 304 to them would bring no bytes.
	for _, name := range [...]string{"If-None-Match", "If-Modified-Since", "Range", "If-Range"} {
		rfc9111.DeleteFold(r.Header, name)
	}
	if r.Method == http.MethodHead {
		return nil, errors.New("cache: a HEAD has no body")
	}
	// The fetch has used up the request's body, or still reads it, so this request needs one of its own.
	if err := Rewind(&r); err != nil {
		return nil, err
	}
	// Without a strong tag the whole is requested, and skip compares its beginning.
	if tag := c.tag(); tag.Strong() && c.Offset > 0 && c.Status == http.StatusOK && !c.Uncompressed {
		missing := "bytes=" + strconv.FormatInt(c.Offset, 10) + "-"
		if c.End >= 0 {
			missing += strconv.FormatInt(c.End-1, 10)
		}
		r.Header["Range"], r.Header["If-Range"] = []string{missing}, []string{tag.String()}
	}
	return &r, nil
}

// rest returns the bytes of an answer that continue the body, or an error if they may not.
// It does not close the body; Open does on an error.
func (c *Continuation) rest(resp *http.Response) (io.Reader, error) {
	// Offset counts bytes as the reader got them. Another coding, or one that the transport has removed, makes it count other bytes.
	tag := field.ParseETag(resp.Header.Get("Etag"))
	if resp.Uncompressed != c.Uncompressed || resp.Header.Get("Content-Encoding") != c.Header.Get("Content-Encoding") {
		return nil, errBroken
	}
	var body io.Reader = resp.Body
	switch {
	// A part whose tag is another one is of another representation, and so is one that begins elsewhere.
	case resp.StatusCode == http.StatusPartialContent && tag.StronglyEquals(c.tag()):
		s, ok := rfc9111.ParseContentRange(resp.Header["Content-Range"])
		if !ok || !c.fits(s) {
			return nil, errBroken
		}
		body = &ExactReader{resp.Body, s.Size()}
	case !c.isWhole(resp) || !c.skip(resp, tag):
		return nil, errBroken
	}
	// The reader has announced a length to its caller, so neither more nor fewer bytes may come than are missing of it.
	switch {
	case c.End >= 0:
		body = &ExactReader{body, c.End - c.Offset}
	case c.Length >= 0:
		body = &ExactReader{body, c.Length - c.Offset}
	}
	return body, nil
}

// fits reports whether a part begins where the body broke off, and goes to its end if that is wanted.
func (c *Continuation) fits(s stored.ContentRange) bool {
	return s.First == c.Offset && (c.Length < 0 || s.Complete < 0 || s.Complete == c.Length) && (c.End >= 0 || s.Last == s.Complete-1)
}

// isWhole reports whether an answer has the whole body, as far as its status and its length show.
func (c *Continuation) isWhole(resp *http.Response) bool {
	return resp.StatusCode == c.Status && c.Status != http.StatusPartialContent && (c.Length < 0 || resp.ContentLength < 0 || resp.ContentLength == c.Length)
}

// skip reads the bytes before the offset, and reports whether they are known to be those that the caller has.
// It blocks until Offset bytes have come. The proof of a fan-out is never written to here: Sum leaves a hash as it is.
func (c *Continuation) skip(resp *http.Response, tag field.ETag) bool {
	// A server may answer a range request with the whole (RFC 9110 §14.2). The tag proves the beginning, so it need not be hashed.
	if tag.StronglyEquals(c.tag()) {
		_, err := io.CopyN(io.Discard, resp.Body, c.Offset)
		return err == nil
	}
	if c.Prefix == nil || c.tag() != tag || resp.Header.Get("Last-Modified") != c.Header.Get("Last-Modified") {
		return false
	}
	// The same beginning proves little about the rest, so the weak validators must agree as well: both hold, or the body stays broken.
	again := NewProof()
	// All of the bytes before Offset come over the connection once more. A caller that leaves ends that by its context.
	if _, err := io.CopyN(again, resp.Body, c.Offset); err != nil {
		return false
	}
	return string(again.Sum(nil)) == string(c.Prefix.Sum(nil))
}
