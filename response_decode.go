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
	// Type is the Go type that the content should have been decoded into.
	Type reflect.Type

	// Method and URL are those of the request. Secrets in the URL are hidden. Both are empty if the response has no request.
	Method, URL string

	// MediaType is the media type in Content-Type, without parameters. It is empty if there is none or it cannot be parsed.
	MediaType string

	// ContentEncoding is the Content-Encoding of content that is still encoded, "br" for instance, because neither the transport nor a layer
	// has decoded it. It is empty for content that is not encoded.
	ContentEncoding string

	// Err is the error of the decoder.
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

// withoutContent returns what a decoder's error says, without quoting the content.
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

// JSON decodes the body of a successful response and closes it. It takes what a call of a [Client] or of an *http.Client returns:
//
//	user, err := ply.JSON[User](client.Get(ctx, "/users/7"))
//
// A non-nil err is returned as it is. A status of 400 or more is a [*StatusError], as from [ErrorForStatus], whose JSON method
// reads the error document; with [AnyStatus] it is no error.
// A response without content (a 204, an empty or blank body) is [ErrEmptyBody].
// Content that is not exactly one JSON value, or does not fit T, is a [*DecodeError].
// JSON is in UTF-8 (RFC 8259 §8.1). Another charset, named by the Content-Type or a byte order mark, is converted if [Text] knows it,
// and is a DecodeError otherwise.
// A truncated body is an [io.ErrUnexpectedEOF], and one above the limit a [*BodyLimitError]: see [WithBodyLimit].
// With any error, the value is the zero T.
func JSON[T any](resp *http.Response, err error) (T, error) {
	return decode[T](document{json: true}, json.Unmarshal, resp, err)
}

// Decode returns a function like [JSON] that uses unmarshal, for another format or another JSON decoder.
// unmarshal gets text in UTF-8, converted from the charset that the Content-Type names, except for XML that declares its own encoding.
// It gets any other content as it was received.
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

// document is content with what is needed to decode it.
type document struct {
	content     []byte
	header      http.Header
	method, url string
	json        bool // it has to be JSON, whatever its media type
}

// decode decodes the document into the value that v points to. Without content it returns ErrEmptyBody.
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

// documentOf returns the error document of a [*StatusError], or the zero document for any other error.
func documentOf(err error) document {
	if e, ok := err.(*StatusError); ok {
		return document{content: e.content, header: e.Header, method: e.Method, url: e.URL}
	}
	return document{}
}

// mediaType returns the media type in Content-Type, without parameters.
func mediaType(header http.Header) string {
	media, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil || len(media) > maxName {
		return ""
	}
	return media
}
