package ply

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"reflect"
)

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
	text := fmt.Sprintf("ply: cannot decode %s (%s) into %s: ", requestLine(e.Method, e.URL), media, e.Type)
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
	case err == errEncoded, err == errNoEventStream:
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
	d.method, d.url = requestOf(resp)
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
		return fmt.Errorf("%w: %s: %d", ErrEmptyBody, requestLine(d.method, d.url), status)
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

// documentOf is the error document of a [*StatusError], and nothing for another error.
func documentOf(err error) document {
	if e, ok := err.(*StatusError); ok {
		return document{content: e.content, header: e.Header, method: e.Method, url: e.URL}
	}
	return document{}
}

// mediaType is that of the Content-Type in header, without its parameters.
func mediaType(header http.Header) string {
	media, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil || len(media) > maxName {
		return ""
	}
	return media
}
