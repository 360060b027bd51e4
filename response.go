package ply

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/plyhttp/ply/redact"
)

// drainLimit is how much of an unwanted body is read for the sake of its connection. To fetch more would cost more than to dial again.
const drainLimit = 64 << 10

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

func bodyError(resp *http.Response, err error) error {
	return fmt.Errorf("ply: reading the body of %s: %w", requestLineOf(resp), redactorFor(resp).Error(err))
}

// redactorFor is the redactor of the request of resp.
func redactorFor(resp *http.Response) *redact.Redactor {
	if resp.Request == nil {
		return nil
	}
	return redact.From(resp.Request.Context())
}

// exchangeOf gives the method of the request of resp and its URL, without secrets.
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

// maxName bounds the names of a response that an error repeats.
const maxName = 100
