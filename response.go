package ply

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"slices"

	"github.com/plyhttp/ply/redact"
)

// DefaultBodyLimit is how many bytes of a body [JSON], [Decode], [Bytes] and [Text] read unless [WithBodyLimit] says otherwise: 10 MiB.
const DefaultBodyLimit int64 = 10 << 20

// drainLimit is how much of an unwanted body is read for the sake of its connection. To fetch more would cost more than to dial again.
const drainLimit = 64 << 10

// ahead is the largest announced length for which memory is set aside before any of it has arrived.
const ahead = 1 << 20

type bodyLimitKey struct{}

// WithBodyLimit sets how many bytes of the body the functions that take a response read, for the requests made with the context:
// at most n, and no limit if n is negative. With 0 it is [DefaultBodyLimit] again.
// The limit is on what the reader of the body gets: a transport that decompresses has done so before.
//
//	report, err := ply.Bytes(client.Get(ply.WithBodyLimit(ctx, 100<<20), "/report"))
func WithBodyLimit(ctx context.Context, n int64) context.Context {
	return context.WithValue(ctx, bodyLimitKey{}, n)
}

// bodyLimit is the limit that the caller chose for resp, unchosen if there is none. A negative one is no limit.
func bodyLimit(resp *http.Response, unchosen int64) int64 {
	if resp.Request != nil {
		if n, _ := resp.Request.Context().Value(bodyLimitKey{}).(int64); n != 0 {
			return n
		}
	}
	return unchosen
}

// BodyLimitError says that a body is larger than what its reader accepts. Nothing is left of it, and its connection is closed.
type BodyLimitError struct {
	// Limit is the number of bytes that were allowed.
	Limit int64
}

func (e *BodyLimitError) Error() string {
	return fmt.Sprintf("body exceeds the limit of %d bytes: raise it with ply.WithBodyLimit, or read resp.Body as a stream", e.Limit)
}

// DecodeError says that the content of a response is not what the caller asked for.
// Its text quotes nothing of the content. That of Err may do so.
type DecodeError struct {
	// Type is the Go type that was asked for.
	Type reflect.Type

	// Method and URL are those of the request; secrets in the URL are hidden. Both are empty if the response has no request.
	Method, URL string

	// MediaType is that of the Content-Type, without its parameters. It is empty if there is none that can be parsed.
	MediaType string

	// ContentEncoding is the field of that name, "br" for instance, if the content is still encoded: neither the transport nor a layer
	// has removed what it names. It is empty for content that is as it should be.
	ContentEncoding string

	// Err is what the decoder said.
	Err error
}

func (e *DecodeError) Error() string {
	media := e.MediaType
	if media == "" {
		media = "no media type"
	}
	text := fmt.Sprintf("ply: cannot decode %s (%s) into %s: ", exchangeName(e.Method, e.URL), media, e.Type)
	if e.ContentEncoding != "" {
		text += fmt.Sprintf("nothing has removed its Content-Encoding %q: list a layer that does, or leave Accept-Encoding to the transport: ", e.ContentEncoding)
	}
	return text + withoutContent(e.Err)
}

func (e *DecodeError) Unwrap() error { return e.Err }

// withoutContent tells what a decoder found without what it found there.
func withoutContent(err error) string {
	var syntax *json.SyntaxError
	var mismatch *json.UnmarshalTypeError
	var charset *charsetError
	switch {
	case errors.As(err, &charset):
		return charset.Error()
	case err == errEncoded:
		return err.Error()
	case errors.As(err, &syntax):
		return fmt.Sprintf("invalid JSON at byte %d", syntax.Offset)
	case errors.As(err, &mismatch) && mismatch.Field != "":
		return fmt.Sprintf("field %s at byte %d does not fit %s", mismatch.Field, mismatch.Offset, mismatch.Type)
	case errors.As(err, &mismatch):
		return fmt.Sprintf("the value at byte %d does not fit %s", mismatch.Offset, mismatch.Type)
	}
	return fmt.Sprintf("the decoder gave a %T (errors.As has it; its text may quote content)", err)
}

// JSON decodes the body of a successful response, and closes it. It takes what a call returns, of a [Client] or of an *http.Client:
//
//	user, err := ply.JSON[User](client.Get(ctx, "/users/7"))
//
// An err given is returned as it is. A status of 400 or more is a [*StatusError], as from [ErrorForStatus], and [StatusError.JSON]
// reads what it says; [AnyStatus] takes all.
// A response without content (a 204, an empty or blank body) gives the zero T and [ErrEmptyBody], to be found with errors.Is.
// Content that is no JSON value, or not that alone, or does not fit T, is a [*DecodeError].
// JSON is in UTF-8 (RFC 8259 §8.1); another charset that the Content-Type names or a byte order mark shows is obeyed if [Text] knows it,
// and a DecodeError otherwise.
// A body that is cut short is an [io.ErrUnexpectedEOF] and one above the limit a [*BodyLimitError]: see [WithBodyLimit].
// T is its zero value whenever there is an error.
func JSON[T any](resp *http.Response, err error) (T, error) {
	return decode[T](document{json: true}, json.Unmarshal, resp, err)
}

// Decode is [JSON] for another format, or with another decoder of JSON: it is given the function that decodes,
// and returns the one that takes a response. That function gets text in UTF-8, whatever charset the Content-Type names,
// but for XML that declares its own encoding, and anything else as it came.
//
//	feed, err := ply.Decode[Feed](xml.Unmarshal)(client.Get(ctx, "/feed"))
func Decode[T any](unmarshal func(data []byte, v any) error) func(*http.Response, error) (T, error) {
	return func(resp *http.Response, err error) (T, error) { return decode[T](document{}, unmarshal, resp, err) }
}

func decode[T any](d document, unmarshal func([]byte, any) error, resp *http.Response, err error) (T, error) {
	var none, v T
	resp, err = successful(resp, err)
	if err != nil {
		return none, err
	}
	if d.content, err = readContent(resp); err != nil {
		return none, err
	}
	d.header = resp.Header
	d.method, d.url = exchangeOf(resp)
	if err := d.decode(resp.StatusCode, unmarshal, &v); err != nil {
		return none, err
	}
	return v, nil
}

// document is content, and what is known of how to read it.
type document struct {
	content     []byte
	header      http.Header
	method, url string
	json        bool // it has to be JSON, whatever its media type
}

// decode decodes the document into what v points to. No content is ErrEmptyBody.
func (d document) decode(status int, unmarshal func([]byte, any) error, v any) error {
	failed := &DecodeError{Type: reflect.TypeOf(v).Elem(), Method: d.method, URL: d.url, MediaType: mediaType(d.header), ContentEncoding: encodingOf(d.header)}
	content, err := d.content, error(nil)
	if failed.ContentEncoding == "" {
		content, err = d.inUTF8(failed.MediaType)
	}
	if err == nil && len(bytes.TrimSpace(content)) == 0 {
		return fmt.Errorf("%w: %s: %d", ErrEmptyBody, exchangeName(d.method, d.url), status)
	}
	if err == nil {
		err = unmarshal(content, v)
	}
	if err == nil {
		return nil
	}
	failed.Err = err
	return failed
}

// readContent returns nil for a status that has no content.
func readContent(resp *http.Response) ([]byte, error) {
	switch resp.StatusCode {
	case http.StatusNoContent, http.StatusResetContent, http.StatusNotModified:
		return nil, discard(resp)
	}
	return readBody(resp)
}

// Bytes reads the body of a successful response, and closes it. An err given is returned as it is.
// A status of 400 or more is a [*StatusError], as from [ErrorForStatus]; the bytes that come with it are those of the error document,
// up to 64 KiB. [AnyStatus] takes all.
// A body that is cut short is an [io.ErrUnexpectedEOF] and one above the limit a [*BodyLimitError]: see [WithBodyLimit].
// With any other error there are no bytes.
//
//	data, err := ply.Bytes(client.Get(ctx, "/report"))
func Bytes(resp *http.Response, err error) ([]byte, error) {
	if resp, err = successful(resp, err); err != nil {
		return documentOf(err).content, err
	}
	return readBody(resp)
}

// documentOf is the error document of a [*StatusError], and nothing for another error.
func documentOf(err error) document {
	if e, ok := err.(*StatusError); ok {
		return document{content: e.content, header: e.Header, method: e.Method, url: e.URL}
	}
	return document{}
}

// Discard reads what is left of the body of a response, up to 64 KiB, and closes it, so that the connection can serve again.
// A longer body is closed unread: that costs the connection and is no error. An err given is returned as it is,
// a status of 400 or more is a [*StatusError], as from [ErrorForStatus], unless [AnyStatus] takes it,
// and an error of the body is returned, which may be that of the caller's context: a body that never ends blocks until then.
func Discard(resp *http.Response, err error) error {
	if resp, err = successful(resp, err); err != nil {
		return err
	}
	return discard(resp)
}

func discard(resp *http.Response) error {
	defer resp.Body.Close()
	if lengthOf(resp) > drainLimit {
		return nil
	}
	if _, err := io.CopyN(io.Discard, resp.Body, drainLimit+1); err != nil && err != io.EOF {
		return bodyError(resp, err)
	}
	return nil
}

// History lists the redirects that led to a response, oldest first. Their bodies are closed.
// It is empty for a response that came at once, and for a nil one.
func History(resp *http.Response) []*http.Response {
	var history []*http.Response
	for resp != nil && resp.Request != nil && resp.Request.Response != nil {
		resp = resp.Request.Response
		history = append(history, resp)
	}
	slices.Reverse(history)
	return history
}

// received completes what a call returned, so that a response without error has a body.
// With an error the response, if any, is not the caller's to close.
func received(resp *http.Response, err error) (*http.Response, error) {
	switch {
	case err != nil:
		return nil, err
	case resp == nil:
		return nil, errors.New("ply: neither a response nor an error was given")
	case resp.Body == nil:
		resp.Body = http.NoBody
	}
	return resp, nil
}

// readBody reads and closes the body of resp. Bytes above the limit are not fetched.
func readBody(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	limit, length := bodyLimit(resp, DefaultBodyLimit), lengthOf(resp)
	if limit >= 0 && length > limit {
		return nil, bodyError(resp, &BodyLimitError{limit})
	}
	content, err := readAll(resp.Body, limit, length)
	if err == nil && int64(len(content)) < length {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, bodyError(resp, err)
	}
	return content, nil
}

// readAll reads up to limit bytes of r; length is how many were announced, or -1.
// It keeps room for one byte more, by which it sees that there is none.
func readAll(r io.Reader, limit, length int64) ([]byte, error) {
	buf := make([]byte, 0, firstRoom(length))
	for idle := 0; idle < maxIdleReads; {
		n, err := r.Read(buf[len(buf) : len(buf)+within(cap(buf)-len(buf), limit, len(buf))])
		buf = buf[:len(buf)+n]
		switch {
		case limit >= 0 && int64(len(buf)) > limit:
			return nil, &BodyLimitError{limit}
		case err == io.EOF:
			return buf, nil
		case err != nil:
			return nil, err
		case n == 0:
			idle++
			continue
		}
		idle = 0
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, moreRoom(len(buf), limit, length))
		}
	}
	return nil, io.ErrNoProgress
}

// maxIdleReads is how often in a row a reader may return nothing at all.
const maxIdleReads = 100

// firstRoom trusts a small length. A large one may be a lie, and memory for it is had as the bytes arrive.
func firstRoom(length int64) int64 {
	switch {
	case length < 0:
		return 512
	case length > ahead:
		return 64 << 10
	}
	return length + 1
}

// moreRoom doubles the room for n bytes, but not past what was announced, or is allowed.
func moreRoom(n int, limit, length int64) int {
	room := within(max(n, 512), limit, n)
	if length >= int64(n) {
		room = within(room, length, n)
	}
	return room
}

// within is room, or as much of it as n bytes leave under the limit and one byte more. A negative limit is none.
func within(room int, limit int64, n int) int {
	if left := limit - int64(n); limit >= 0 && int64(room) > left {
		return int(left) + 1
	}
	return room
}

// lengthOf is the length of the body that resp announces, or -1. That of an answer to HEAD tells of a body that does not come.
func lengthOf(resp *http.Response) int64 {
	switch {
	case resp.Body == http.NoBody, resp.Request != nil && resp.Request.Method == http.MethodHead:
		return -1
	case resp.StatusCode == http.StatusNotModified:
		return -1
	}
	return resp.ContentLength
}

func bodyError(resp *http.Response, err error) error {
	return fmt.Errorf("ply: reading the body of %s: %w", nameOfExchange(resp), redactorFor(resp).Error(err))
}

// redactorFor is the redactor of the request of resp.
func redactorFor(resp *http.Response) *redact.Redactor {
	if resp.Request == nil {
		return nil
	}
	return redact.From(resp.Request.Context())
}

// exchangeOf gives the method of the request of resp and its URL, without secrets.
func exchangeOf(resp *http.Response) (method, url string) {
	req := resp.Request
	if req == nil {
		return "", ""
	}
	if method = req.Method; method == "" {
		method = http.MethodGet
	}
	if req.URL != nil {
		url = redact.From(req.Context()).URL(req.URL)
	}
	return method, url
}

func nameOfExchange(resp *http.Response) string { return exchangeName(exchangeOf(resp)) }

func exchangeName(method, url string) string {
	if method == "" {
		return "a response"
	}
	return method + " " + url
}

// mediaType is that of the Content-Type in header, without its parameters.
func mediaType(header http.Header) string {
	media, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil || len(media) > maxName {
		return ""
	}
	return media
}

// maxName bounds the names of a response that an error repeats.
const maxName = 100
