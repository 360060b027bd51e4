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

	// Err is what the decoder said.
	Err error
}

func (e *DecodeError) Error() string {
	media := e.MediaType
	if media == "" {
		media = "no media type"
	}
	return fmt.Sprintf("ply: cannot decode %s (%s) into %s: %s", exchangeName(e.Method, e.URL), media, e.Type, withoutContent(e.Err))
}

func (e *DecodeError) Unwrap() error { return e.Err }

// withoutContent tells what a decoder found without what it found there.
func withoutContent(err error) string {
	var syntax *json.SyntaxError
	var mismatch *json.UnmarshalTypeError
	switch {
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
// An err given is returned as it is. A status of 400 or more is a [*StatusError], as from [RaiseForStatus].
// A response without content (a 204, an empty or blank body) gives the zero T and [ErrEmptyBody], to be found with errors.Is.
// Content that is no JSON value, or not that alone, or does not fit T, is a [*DecodeError]; a byte order mark is passed over.
// A body that is cut short is an [io.ErrUnexpectedEOF] and one above the limit a [*BodyLimitError]: see [WithBodyLimit].
// T is its zero value whenever there is an error.
func JSON[T any](resp *http.Response, err error) (T, error) {
	return decode[T](json.Unmarshal, resp, err)
}

// Decode is [JSON] for another format, or with another decoder of JSON: it is given the function that decodes,
// and returns the one that takes a response.
//
//	feed, err := ply.Decode[Feed](xml.Unmarshal)(client.Get(ctx, "/feed"))
func Decode[T any](unmarshal func(data []byte, v any) error) func(*http.Response, error) (T, error) {
	return func(resp *http.Response, err error) (T, error) { return decode[T](unmarshal, resp, err) }
}

func decode[T any](unmarshal func([]byte, any) error, resp *http.Response, err error) (T, error) {
	var none T
	resp, err = RaiseForStatus(resp, err)
	if err != nil {
		return none, err
	}
	content, err := readContent(resp)
	if err != nil {
		return none, err
	}
	if content == nil {
		return none, fmt.Errorf("%w: %s: %d", ErrEmptyBody, nameOfExchange(resp), resp.StatusCode)
	}
	var v T
	if err := unmarshal(content, &v); err != nil {
		e := &DecodeError{Type: reflect.TypeFor[T](), MediaType: mediaType(resp), Err: err}
		e.Method, e.URL = exchangeOf(resp)
		return none, e
	}
	return v, nil
}

// readContent returns nil where there is nothing to decode.
func readContent(resp *http.Response) ([]byte, error) {
	switch resp.StatusCode {
	case http.StatusNoContent, http.StatusResetContent, http.StatusNotModified:
		return nil, Discard(resp, nil)
	}
	content, err := readBody(resp)
	if err != nil {
		return nil, err
	}
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	if len(bytes.TrimSpace(content)) == 0 {
		return nil, nil
	}
	return content, nil
}

// Bytes reads the body of a response, whatever its status, and closes it. An err given is returned as it is.
// A body that is cut short is an [io.ErrUnexpectedEOF] and one above the limit a [*BodyLimitError]: see [WithBodyLimit].
// There are no bytes with an error. Together with [RaiseForStatus]:
//
//	data, err := ply.Bytes(ply.RaiseForStatus(client.Get(ctx, "/report")))
func Bytes(resp *http.Response, err error) ([]byte, error) {
	if resp, err = received(resp, err); err != nil {
		return nil, err
	}
	return readBody(resp)
}

// Discard reads what is left of a body, up to 64 KiB, and closes it, so that the connection can serve again.
// A longer body is closed unread: that costs the connection and is no error. An err given is returned as it is,
// and so is one of the body, which may be that of the caller's context: a body that never ends blocks until then.
func Discard(resp *http.Response, err error) error {
	if resp, err = received(resp, err); err != nil {
		return err
	}
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
	return fmt.Errorf("ply: reading the body of %s: %w", nameOfExchange(resp), err)
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

// mediaType is that of the Content-Type of resp, without its parameters.
func mediaType(resp *http.Response) string {
	media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || len(media) > maxName {
		return ""
	}
	return media
}

// maxName bounds the names of a response that an error repeats.
const maxName = 100
