package ply

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/plyhttp/ply/redact"
)

// drainLimit is how much of an unwanted body is read so that its connection can be used again. Reading more would cost more than a new connection.
const drainLimit = 64 << 10

// readContent returns nil for a status that has no content.
func readContent(resp *http.Response) ([]byte, error) {
	switch resp.StatusCode {
	case http.StatusNoContent, http.StatusResetContent, http.StatusNotModified:
		return nil, discard(resp)
	}
	return readBody(resp)
}

// Bytes reads the body of a successful response and closes it. A non-nil err is returned as it is.
// A status of 400 or more is a [*StatusError], as from [ErrorForStatus], and the bytes are then the error document, up to 64 KiB;
// with [AnyStatus] it is no error. A truncated body is an [io.ErrUnexpectedEOF], and one above the limit a [*BodyLimitError]: see [WithBodyLimit].
// With any other error the bytes are nil.
//
//	data, err := ply.Bytes(client.Get(ctx, "/report"))
func Bytes(resp *http.Response, err error) ([]byte, error) {
	if resp, err = successful(resp, err); err != nil {
		return documentOf(err).content, err
	}
	return readBody(resp)
}

// Discard reads up to 64 KiB of the body of a response and closes it, so that the connection can be used again.
// A longer body is closed unread, which costs the connection and is no error. A non-nil err is returned as it is.
// A status of 400 or more is a [*StatusError], as from [ErrorForStatus]; with [AnyStatus] it is no error.
// Errors of reading the body are returned, including that of the caller's context: on a body that never ends, Discard blocks until then.
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
// It is empty for a response without redirects, and for a nil one.
func History(resp *http.Response) []*http.Response {
	var history []*http.Response
	for resp != nil && resp.Request != nil && resp.Request.Response != nil {
		resp = resp.Request.Response
		history = append(history, resp)
	}
	slices.Reverse(history)
	return history
}

// checkResponse returns resp with a body that is not nil, or err. The response that may come with an error is not the caller's to close.
func checkResponse(resp *http.Response, err error) (*http.Response, error) {
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

// readBody reads and closes the body of resp. It does not read beyond the limit.
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

func bodyError(resp *http.Response, err error) error {
	return fmt.Errorf("ply: reading the body of %s: %w", requestLineOf(resp), redactorFor(resp).Error(err))
}

// redactorFor returns the redactor of the request of resp.
func redactorFor(resp *http.Response) *redact.Redactor {
	if resp.Request == nil {
		return nil
	}
	return redact.From(resp.Request.Context())
}

// requestOf returns the method and the URL, without secrets, of the request of resp.
func requestOf(resp *http.Response) (method, url string) {
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

func requestLineOf(resp *http.Response) string { return requestLine(requestOf(resp)) }

func requestLine(method, url string) string {
	if method == "" {
		return "a response"
	}
	return method + " " + url
}

// maxName bounds the length of names from a response that an error quotes.
const maxName = 100
