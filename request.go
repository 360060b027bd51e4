package ply

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/plyhttp/ply/internal/parseerror"
	"github.com/plyhttp/ply/internal/target"
	"github.com/plyhttp/ply/redact"
)

// RequestOption sets one property of a request: a parameter, a header field, a body, a limit.
// The zero RequestOption does nothing. In [Options.Defaults] an option applies to every request of a client.
//
// Options apply in their order. Two that contradict each other (two bodies, two TLS settings, credentials and an Authorization header)
// are an [*OptionError], unless one of them is a default: then the request's own option wins.
type RequestOption struct{ apply func(*draft) error }

// draft collects the options of a request, or of a client's defaults.
type draft struct {
	client   *Client // whose codec encodes bodies; nil while the defaults are made
	path     []pathValue
	edits    []func(*http.Request) error
	query    []string
	header   http.Header
	auth     string // the option that gave Authorization
	cookies  []cookie
	body     *content
	bodyFrom string // the option that gave body
	encoding string // of the body: see CompressBody
	chunked  bool
	progress func(sent, total int64) // see UploadProgress
	settings settings
}

// NewRequest makes a request for [Client.Do] with options of its own, which Do completes with the client's defaults.
// A relative url is joined to Options.BaseURL, at once or, if c has none, by the client that sends the request.
// The error is an [*OptionError] or that of [http.NewRequestWithContext]; a reader that was given as the body is then closed.
func (c *Client) NewRequest(ctx context.Context, method, url string, opts ...RequestOption) (*http.Request, error) {
	d := &draft{client: c, header: make(http.Header)} // its header becomes that of the request
	err := d.applyAll(opts)
	if err == nil {
		var req *http.Request
		if req, err = d.request(ctx, method, url); err == nil {
			return req, nil
		}
	}
	d.discardBody()
	return nil, err
}

// request returns the draft as a request, with its settings in the context.
func (d *draft) request(ctx context.Context, method, given string) (*http.Request, error) {
	template := d.template(given)
	filled, err := d.fillPath(given)
	if err != nil {
		return nil, err
	}
	u, err := parseTarget(given, filled)
	if err != nil {
		return nil, &OptionError{Option: "url", Reason: "cannot be parsed", Err: parseReason(err)}
	}
	if u.User != nil && d.auth != "" {
		return nil, &OptionError{Option: d.auth, Reason: "combined with credentials in the URL: give one of them"}
	}
	if len(d.query) > 0 {
		addQuery(u, d.query...)
	}
	u.RawQuery = target.EscapedQuery(u.RawQuery)
	if !u.IsAbs() && d.client.base != nil {
		if u, err = d.client.absolute(u); err != nil {
			return nil, err
		}
	}
	if ctx == nil {
		return nil, &OptionError{Option: "ctx", Reason: "is nil: give context.Background() if there is no other"}
	}
	ctx = withTemplate(ctx, template)
	u.Host = strings.TrimSuffix(u.Host, ":") // RFC 3986 §6.2.3
	req, err := newBareRequest(withOwnSettings(ctx, d.settings), method)
	if err != nil {
		return nil, err
	}
	req.URL, req.Host, req.Header = u, cmp.Or(d.header.Get("Host"), u.Host), d.header
	delete(d.header, "Host")
	if len(d.cookies) > 0 {
		req.Header["Cookie"] = []string{cookieField(append(cookiesIn(req.Header), d.cookies...))}
	}
	if err := d.attachBody(req); err != nil {
		return nil, err
	}
	for _, edit := range d.edits {
		if err := edit(req); err != nil {
			closeBody(req)
			return nil, err
		}
	}
	return req, nil
}

// newBareRequest returns a request that has neither URL nor header. The error is that of [http.NewRequestWithContext].
func newBareRequest(ctx *settingsContext, method string) (*http.Request, error) {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		// Valid, and so is all that net/http would set: nothing has to be made only to be replaced.
		return ctx.request(ctx, &http.Request{Method: method, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}), nil
	}
	return http.NewRequestWithContext(ctx, method, "", nil)
}

// parseReason returns the reason in an error of [url.Parse], without the URL and the pieces of it that the error quotes, which may hold secrets.
func parseReason(err error) error { return errors.New(parseerror.Reason(err, redact.Placeholder)) }

// Edit changes the request in ways that no other option can. edit runs after all other options, on a request that is not shared yet;
// if it fails, its error is returned as it is and nothing is sent. Edit cannot be a default: write a layer for that.
func Edit(edit func(*http.Request) error) RequestOption {
	return RequestOption{func(d *draft) error {
		if edit == nil {
			return &OptionError{Option: "Edit", Reason: "the function is nil"}
		}
		d.edits = append(d.edits, edit)
		return nil
	}}
}

// Combine returns one option that applies several in order.
func Combine(opts ...RequestOption) RequestOption {
	return RequestOption{func(d *draft) error { return d.applyAll(opts) }}
}

func (d *draft) applyAll(opts []RequestOption) error {
	var first error
	for _, o := range opts {
		if o.apply == nil {
			continue
		}
		// Apply the rest even after an error, so that every body is known and gets closed.
		if err := o.apply(d); first == nil {
			first = err
		}
	}
	return first
}
