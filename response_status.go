package ply

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/plyhttp/ply/internal/retryafter"
	"github.com/plyhttp/ply/redact"
)

// excerptLimit is how much of the body the Excerpt of a [StatusError] has, and errorLimit is how much [StatusError.JSON] can read.
// Reading errorLimit costs no more than a new connection would: see drainLimit.
const (
	excerptLimit = 4 << 10
	errorLimit   = drainLimit
)

// StatusError is the error for a response whose status says that the request failed. [ErrorForStatus] and every function
// that reads a response return it. Its methods JSON and Decode decode the body, which may be an error document of the API:
//
//	user, err := ply.JSON[User](client.Get(ctx, "/users/7"))
//	var failed *ply.StatusError
//	if errors.As(err, &failed) {
//		var problem Problem
//		if failed.JSON(&problem) == nil {
type StatusError struct {
	// Method and URL are those of the request, the last one after redirects. Secrets in the URL are hidden.
	// Both are empty if the response has no request.
	Method, URL string

	// StatusCode is the status code, 404 for instance, and Status the status with its reason phrase, "404 Not Found".
	StatusCode int
	Status     string

	// Header is a copy of the response's.
	Header http.Header

	// Excerpt is the beginning of the body as it was received, up to 4 KiB. APIs often explain the failure there.
	Excerpt []byte

	content []byte // the body, up to errorLimit
	cut     error  // why content is incomplete; nil if it is complete
}

// JSON decodes the body of the failed response into the value that v points to, as the function [JSON] does for a successful one.
// A body of more than 64 KiB is a [*BodyLimitError], and a truncated body is the error that ended it.
// A response without content is [ErrEmptyBody], and content that is not JSON or does not fit v is a [*DecodeError];
// v may have been changed in part then. JSON may be called more than once.
func (e *StatusError) JSON(v any) error {
	return e.decode(document{json: true}, json.Unmarshal, v)
}

// Decode is like [StatusError.JSON] with another decoder or for another format.
func (e *StatusError) Decode(unmarshal func(data []byte, v any) error, v any) error {
	return e.decode(document{}, unmarshal, v)
}

func (e *StatusError) decode(d document, unmarshal func([]byte, any) error, v any) error {
	d.content, d.header, d.method, d.url = e.content, e.Header, e.Method, e.URL
	if e.content == nil {
		d.content = e.Excerpt // the caller made the error by hand
	}
	if e.cut != nil {
		return fmt.Errorf("ply: reading the body of %s: %w", requestLine(e.Method, e.URL), e.cut)
	}
	return d.decode(e.StatusCode, unmarshal, v)
}

// Error returns the method, the URL and the status. It quotes neither header nor body, which may hold secrets.
// Printed or logged in any way, the error shows no more than that; its JSON has the header fields that may be shown, too.
func (e *StatusError) Error() string { return e.text() }

func (e StatusError) text() string {
	status := strconv.Itoa(e.StatusCode)
	if text := http.StatusText(e.StatusCode); text != "" {
		status += " " + text
	}
	if e.Method == "" {
		return status
	}
	return fmt.Sprintf("%s %s: %s", e.Method, e.URL, status)
}

// RetryAfter returns how long the server asked to wait before another attempt, counted from its response (RFC 9110 §10.2.3), as the retry layer reads it.
// ok is false if the server did not ask, or if the value is malformed. A wait that is too long for a duration is the longest duration.
func (e *StatusError) RetryAfter() (wait time.Duration, ok bool) {
	return retryafter.Delay(e.Header, time.Now())
}

// ErrorForStatus turns a response with a status of 400 or more into a [*StatusError], and closes its body.
// It returns any other response, and a non-nil err, as they are. It takes what a call of a [Client] or of an *http.Client returns.
// [JSON], [Text] and all other functions that read a response do the same; use ErrorForStatus if you go on with the response itself.
//
//	resp, err := ply.ErrorForStatus(client.Get(ctx, "/feed"))
//
// A 307 or 308 that could not be followed is a [*RedirectError]: it had no Location, or the body of the request was a stream, which cannot be sent twice.
// With [NoRedirects] such a response is returned.
//
// Up to 64 KiB of an error's body are read, so that the connection can be used again, and kept for [StatusError.JSON].
// A slow body delays ErrorForStatus until the timeouts or the context of the request end it, which only truncates the kept content.
func ErrorForStatus(resp *http.Response, err error) (*http.Response, error) {
	if resp, err = checkResponse(resp, err); err != nil {
		return nil, err
	}
	if err = Below400(resp); err == nil {
		return resp, nil
	}
	resp.Body.Close()
	return nil, err
}

// Below400 is [ErrorForStatus] as a check for [CheckStatus]: a status of 400 or more is a [*StatusError], and a 307 or 308
// that could not be followed is a [*RedirectError]. It does not close the body; CheckStatus does.
func Below400(resp *http.Response) error {
	if err := unfollowed(resp); err != nil {
		return err
	}
	if resp.StatusCode < http.StatusBadRequest {
		return nil
	}
	return statusError(resp)
}

// statusError returns the error for resp. It reads what the error keeps of the body.
func statusError(resp *http.Response) *StatusError {
	e := &StatusError{StatusCode: resp.StatusCode, Status: resp.Status, Header: resp.Header.Clone()}
	e.Method, e.URL = requestOf(resp)
	if resp.Body == nil {
		return e
	}
	length := lengthOf(resp)
	if length > errorLimit { // a new connection is cheaper
		e.Excerpt, _ = io.ReadAll(io.LimitReader(resp.Body, excerptLimit))
		e.content, e.cut = e.Excerpt, &BodyLimitError{errorLimit}
		return e
	}
	content, err := io.ReadAll(io.LimitReader(resp.Body, errorLimit+1))
	switch {
	case len(content) > errorLimit:
		content, e.cut = content[:errorLimit], &BodyLimitError{errorLimit}
	case err != nil:
		e.cut = err
	case int64(len(content)) < length:
		e.cut = io.ErrUnexpectedEOF
	}
	excerpt := min(len(content), excerptLimit)
	e.content, e.Excerpt = content, content[:excerpt:excerpt]
	return e
}

// AnyStatus lets [JSON], [Decode], [Bytes], [Text], [CopyTo] and [Discard] read a response with any status, without a [*StatusError].
// It takes what a call returns:
//
//	page, err := ply.Text(ply.AnyStatus(client.Get(ctx, "/status")))
//
// [Save] still needs a status from 200 to 299. A non-nil err is returned as it is. The response is resp itself, with another Body.
func AnyStatus(resp *http.Response, err error) (*http.Response, error) {
	if resp, err = checkResponse(resp, err); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols { // the body of a 101 is a connection
		resp.Body = &anyStatus{resp.Body}
	}
	return resp, nil
}

// anyStatus marks the body of a response that AnyStatus returned.
type anyStatus struct{ io.ReadCloser }

// successful is checkResponse with the rule about statuses that all functions which read a response share.
func successful(resp *http.Response, err error) (*http.Response, error) {
	if resp, err = checkResponse(resp, err); err != nil {
		return nil, err
	}
	if _, ok := resp.Body.(*anyStatus); ok {
		return resp, nil
	}
	return ErrorForStatus(resp, nil)
}

// StatusIs reports whether err is, or wraps, a [*StatusError] with one of the codes, or with any code if none is given:
//
//	if ply.StatusIs(err, http.StatusNotFound, http.StatusGone) {
func StatusIs(err error, codes ...int) bool {
	var e *StatusError
	return errors.As(err, &e) && (len(codes) == 0 || slices.Contains(codes, e.StatusCode))
}

// CheckStatus makes [Client.Do] fail with the error that check returns for the final response, whose body is then closed.
// check may read the body but must not close it. The usual check is [Below400]:
//
//	ply.CheckStatus(ply.Below400)
//
// A nil check turns off a default one. The check sees responses from a cache like any others.
func CheckStatus(check func(*http.Response) error) RequestOption {
	return RequestOption{func(d *draft) error {
		d.settings.status, d.settings.statusChosen = check, true
		return nil
	}}
}

// checked returns resp if it passes the check of [CheckStatus]. Otherwise it closes the body and returns the error.
func (s *settings) checked(resp *http.Response) (*http.Response, error) {
	if s.status == nil {
		return resp, nil
	}
	err := unfollowed(resp)
	if err == nil {
		err = s.status(resp)
	}
	if err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// Errors are printed with any verb, and encoded by loggers. No way of printing may show what their text hides.

// Format prints the text of the error for every verb, because header and body may hold secrets.
func (e StatusError) Format(f fmt.State, verb rune) {
	fmt.Fprintf(f, fmt.FormatString(f, verb), e.text())
}

// MarshalJSON encodes the request, the status, and the header fields that may be shown.
func (e StatusError) MarshalJSON() ([]byte, error) {
	var r *redact.Redactor
	return json.Marshal(struct {
		Method, URL string
		StatusCode  int
		Header      http.Header
	}{e.Method, e.URL, e.StatusCode, r.Header(e.Header)})
}

// LogValue lets log/slog write the error as its text.
func (e StatusError) LogValue() slog.Value { return slog.StringValue(e.text()) }
