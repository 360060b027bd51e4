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

// excerptLimit is how much of the body the Excerpt of a [StatusError] has, and errorLimit how much [StatusError.JSON] can read.
// A body of that length costs no more than its connection is worth: see drainLimit.
const (
	excerptLimit = 4 << 10
	errorLimit   = drainLimit
)

// StatusError is a response whose status says that the request failed. It comes from [ErrorForStatus] and from every function
// that reads a response. Its JSON and Decode read the body, an error document of the API perhaps, into a type of the caller's:
//
//	user, err := ply.JSON[User](client.Get(ctx, "/users/7"))
//	var failed *ply.StatusError
//	if errors.As(err, &failed) {
//		var problem Problem
//		if failed.JSON(&problem) == nil {
type StatusError struct {
	// Method and URL are those of the request that was answered, the last one after redirects; secrets in the URL are hidden.
	// Both are empty if the response has no request.
	Method, URL string

	// StatusCode is the status, 404 for instance, and Status the line that came with it, "404 Not Found".
	StatusCode int
	Status     string

	// Header is a copy of the response's.
	Header http.Header

	// Excerpt is the beginning of the body, up to 4 KiB, in the encoding that it came in. An API may say there what is wrong.
	Excerpt []byte

	content []byte // the body, up to errorLimit
	cut     error  // why content is not all of it; nil if it is
}

// JSON decodes the body of the response that failed into the value that v points to, as [JSON] decodes that of one that did not.
// It has up to 64 KiB of the body: a longer one is a [*BodyLimitError], and one that broke off has the error that ended it.
// A response without content is [ErrEmptyBody], and content that is no JSON or does not fit v a [*DecodeError].
// v may have been changed in part by then. JSON can be called more than once.
func (e *StatusError) JSON(v any) error {
	return e.decode(document{json: true}, json.Unmarshal, v)
}

// Decode is [StatusError.JSON] for another format, with the function that decodes it.
func (e *StatusError) Decode(unmarshal func(data []byte, v any) error, v any) error {
	return e.decode(document{}, unmarshal, v)
}

func (e *StatusError) decode(d document, unmarshal func([]byte, any) error, v any) error {
	d.content, d.header, d.method, d.url = e.content, e.Header, e.Method, e.URL
	if e.content == nil {
		d.content = e.Excerpt // of an error that was put together by hand
	}
	if e.cut != nil {
		return fmt.Errorf("ply: reading the body of %s: %w", requestLine(e.Method, e.URL), e.cut)
	}
	return d.decode(e.StatusCode, unmarshal, v)
}

// Error names the request and the status, and quotes neither header nor body, which may hold secrets.
// However the error is printed or logged, it shows no more than that; in JSON it has the fields of the header that may be shown, too.
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

// RetryAfter is how long the server asked to wait before another attempt, counted from its answer (RFC 9110 §10.2.3), as the retry layer reads it.
// ok is false if it didn't ask, or not in a way that can be understood. A wait that is too long for a duration is the longest one.
func (e *StatusError) RetryAfter() (wait time.Duration, ok bool) {
	return retryafter.Delay(e.Header, time.Now())
}

// ErrorForStatus makes an error of a response with a status of 400 or more: it closes the body and returns a [*StatusError].
// Any other response, and an err given, are returned as they are. It takes what a call returns, of a [Client] or of an *http.Client.
// [JSON], [Text] and all others that read a response do the same by themselves: it is for those who go on with the response.
//
//	resp, err := ply.ErrorForStatus(client.Get(ctx, "/feed"))
//
// A 307 or 308 that was not followed is a [*RedirectError]: the body of the request was a stream, which cannot be sent twice, or there was no Location,
// and nothing has arrived anywhere. Those of a request with [NoRedirects] are returned.
//
// As much of the body as the connection needs to serve again is read, 64 KiB at most, and kept for [StatusError.JSON].
// On a body that trickles this waits, as any reader would, until the timeouts or the context of the request end it.
// That cuts the content short and changes nothing else.
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

// Below400 is the check for [CheckStatus] that [ErrorForStatus] makes: a status of 400 or more is a [*StatusError], and a 307 or 308
// that could not be followed a [*RedirectError]. It leaves the body to be closed by its caller.
func Below400(resp *http.Response) error {
	if err := unfollowed(resp); err != nil {
		return err
	}
	if resp.StatusCode < http.StatusBadRequest {
		return nil
	}
	return statusError(resp)
}

// statusError reads what a [StatusError] keeps of the body of resp.
func statusError(resp *http.Response) *StatusError {
	e := &StatusError{StatusCode: resp.StatusCode, Status: resp.Status, Header: resp.Header.Clone()}
	e.Method, e.URL = requestOf(resp)
	if resp.Body == nil {
		return e
	}
	length := lengthOf(resp)
	if length > errorLimit { // worth neither memory nor its connection
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

// AnyStatus lets a response pass through [JSON], [Decode], [Bytes], [Text], [CopyTo] and [Discard] whatever its status:
// they read what there is, and make no [*StatusError] of it. It takes what a call returns, and goes around the call:
//
//	page, err := ply.Text(ply.AnyStatus(client.Get(ctx, "/status")))
//
// [Save] keeps to its rule. An err given is returned as it is. The response is the one given, with another Body.
func AnyStatus(resp *http.Response, err error) (*http.Response, error) {
	if resp, err = checkResponse(resp, err); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols { // whose body is a connection, and no failure
		resp.Body = &anyStatus{resp.Body}
	}
	return resp, nil
}

// anyStatus marks the body of a response whose status is no error.
type anyStatus struct{ io.ReadCloser }

// successful is [received] with the rule that all functions share which read a response.
func successful(resp *http.Response, err error) (*http.Response, error) {
	if resp, err = checkResponse(resp, err); err != nil {
		return nil, err
	}
	if _, ok := resp.Body.(*anyStatus); ok {
		return resp, nil
	}
	return ErrorForStatus(resp, nil)
}

// StatusIs tells whether err is, or wraps, a [*StatusError] with one of the codes:
//
//	if ply.StatusIs(err, http.StatusNotFound, http.StatusGone) {
//
// Without codes any StatusError will do.
func StatusIs(err error, codes ...int) bool {
	var e *StatusError
	return errors.As(err, &e) && (len(codes) == 0 || slices.Contains(codes, e.StatusCode))
}

// CheckStatus makes [Client.Do] and the verbs look at each final response with check and fail with the error that it returns,
// the body closed. check may read the body but not close it. The usual one is [Below400]:
//
//	ply.CheckStatus(ply.Below400)
//
// A nil check takes back one given as a default. The check sees answers from a cache like any other.
func CheckStatus(check func(*http.Response) error) RequestOption {
	return RequestOption{func(d *draft) error {
		d.settings.status, d.settings.statusChosen = check, true
		return nil
	}}
}

// checked returns resp if the check of [CheckStatus] lets it pass, and closes it otherwise.
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

// Errors and records are printed by people who look for a fault, with whatever verb, and encoded by loggers. None of that may show what their text hides.

// Format prints the text of the error, whatever the verb: header and body may hold secrets.
func (e StatusError) Format(f fmt.State, verb rune) {
	fmt.Fprintf(f, fmt.FormatString(f, verb), e.text())
}

// MarshalJSON encodes the request and the status, and of the header what may be shown.
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
