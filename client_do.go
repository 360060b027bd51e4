package ply

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/plyhttp/ply/redact"
)

// Do sends a request and returns the response of the last hop, with the redirects before it in Request.Response. The caller closes its body.
// req may come from [Client.NewRequest] or from [http.NewRequestWithContext]. It is not modified; its body is closed in any case.
//
// An error of the exchanges is a [*url.Error] as from http.Client.Do, with the secrets of its URLs hidden.
// errors.As finds the cause in it: a [*TimeoutError], a [*RedirectError], the error of an exchange layer or of the transport.
// [ErrClientClosed] and an [*OptionError] say that nothing was sent. They are returned as they are, and so are the errors of call layers and of [CheckStatus],
// unless their text has a secret: then an error with a clean text wraps them.
// A status is no error, unless CheckStatus makes it one.
func (c *Client) Do(req *http.Request) (*http.Response, error) { return c.redactErrors(req, false) }

// RoundTrip performs a single exchange with the defaults and the layers of the client, but without redirects, cookies of the jar and [CheckStatus].
// It makes a client a [Handler]: the transport of an *http.Client, or the end of another chain.
// The error is that of the layers or the transport, without secrets in its text.
func (c *Client) RoundTrip(req *http.Request) (*http.Response, error) {
	return c.redactErrors(req, true)
}

// redactErrors calls do and hides the secrets in the text of errors that others made: call layers, checks and, for a single exchange, transports.
func (c *Client) redactErrors(req *http.Request, single bool) (*http.Response, error) {
	resp, err := c.do(req, single)
	if err == nil {
		return resp, nil
	}
	if _, ok := err.(*url.Error); ok && !single {
		return nil, err // redactErrors has nothing to do, and callers find it without errors.As
	}
	r := c.options.Redactor
	if r == nil || redact.HasRedactor(req.Context()) {
		r = redact.From(req.Context())
	}
	return nil, r.Error(err)
}

func (c *Client) do(req *http.Request, single bool) (*http.Response, error) {
	if r := c.options.Redactor; r != nil && !redact.HasRedactor(req.Context()) {
		req = req.WithContext(redact.With(req.Context(), r))
	}
	recorder := recorderOf(req.Context())
	if recorder == nil {
		return c.perform(req, nil, single)
	}
	record := recorder.start(req)
	resp, err := c.perform(req, record, single)
	if err != nil {
		record.failed(err)
	}
	return resp, err
}

// perform makes the call, which is noted in record unless that is nil.
func (c *Client) perform(req *http.Request, record *callRecord, single bool) (*http.Response, error) {
	if req.GetBody != nil {
		taken, release := takeBodyRelease(req)
		req = taken
		if release != nil && !single { // the caller of a single exchange may send the body again
			defer release()
		}
	}
	out, s, err := c.prepare(req, record, single)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	if s == nil {
		return checkContract(c.call.RoundTrip(out))
	}
	finish := checkContract
	if s.timeouts.Total > 0 {
		out, finish = withTotal(out, s.timeouts.Total, time.Now().Add(s.timeouts.Total))
	}
	resp, err := finish(checkContract(c.call.RoundTrip(out)))
	if err != nil {
		return nil, err
	}
	s.reportProgress(resp)
	if single {
		return resp, nil
	}
	return s.checked(resp)
}

var errNoResponse = errors.New("ply: a call layer returned neither a response nor an error")

// checkContract holds call layers to the contract of http.RoundTripper: either a response or an error. http.Client does so for the layers inside it.
func checkContract(resp *http.Response, err error) (*http.Response, error) {
	switch {
	case err != nil:
		if resp != nil && resp.Body != nil {
			resp.Body.Close()
		}
		return nil, err
	case resp == nil:
		return nil, errNoResponse
	case resp.Body == nil:
		resp.Body = http.NoBody
	}
	return resp, nil
}

// redirectLayer is the innermost call layer: the redirects of net/http, and the jar, around the exchange layers.
type redirectLayer struct{ client *Client }

func (f *redirectLayer) RoundTrip(req *http.Request) (*http.Response, error) {
	if s := settingsOf(req.Context()); s != nil && s.single {
		return f.client.exchange.RoundTrip(req)
	}
	resp, err := f.client.http.Do(req)
	if err == nil {
		return resp, nil
	}
	if e, ok := err.(*url.Error); ok {
		r := redact.From(req.Context())
		// resp is not nil after a refused redirect. Its body is closed, and the RedirectError has it.
		return nil, &url.Error{Op: e.Op, URL: r.URLText(e.URL), Err: withoutLocation(r, e.Err)}
	}
	return nil, err
}

func (f *redirectLayer) LayerName() string { return "redirects and cookies" }

func (f *redirectLayer) Unwrap() http.RoundTripper { return f.client.exchange }

func (f *redirectLayer) WrappedRoundTripper() http.RoundTripper { return f.client.exchange }

func (f *redirectLayer) CloseIdleConnections() { closeIdle(f.client.exchange) }
