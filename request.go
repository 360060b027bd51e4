package ply

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/plyhttp/ply/internal/target"
	"github.com/plyhttp/ply/internal/urltemplate"
	"github.com/plyhttp/ply/redact"
)

// RequestOption is one thing to say about one request: a parameter, a header, a body, a limit.
// The zero RequestOption says nothing. In [Options.Defaults] it speaks of every request of a client.
//
// Options apply in their order. Two that cannot both hold (two bodies, two TLS settings, credentials and an Authorization header)
// are an [*OptionError], unless one is a default and the other the request's own, which then prevails.
type RequestOption struct{ apply func(*draft) error }

// draft is a request, or the defaults of requests, in the making.
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
	encoding string // of the body: see Compress
	chunked  bool
	progress func(sent, total int64) // see UploadProgress
	settings settings
}

// content is a request body that can be opened.
type content struct {
	// open gives the bytes from the start. once says that it may be called only once.
	open func() (io.ReadCloser, error)
	once bool

	// size is -1 where it is not known in advance.
	size int64

	contentType string

	// discard gives up a body that is not sent after all; nil if there is nothing to close.
	discard func()
}

// NewRequest makes a request for [Client.Do], with the options that it has beyond the client's own.
// A relative url is completed with Options.BaseURL, at once or, without one, by the client that does the request.
// An error is an [*OptionError] or that of [http.NewRequestWithContext], and the body, if one was given as a reader, is closed.
func (c *Client) NewRequest(ctx context.Context, method, url string, opts ...RequestOption) (*http.Request, error) {
	d := &draft{client: c, header: make(http.Header)}
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

// request is the draft as a request, its own settings in the context.
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
		return nil, &OptionError{Option: "ctx", Reason: "is nil; give context.Background() for want of another"}
	}
	ctx = withTemplate(ctx, template)
	u.Host = strings.TrimSuffix(u.Host, ":") // RFC 3986 §6.2.3
	req, err := http.NewRequestWithContext(withSettings(ctx, &d.settings), method, "", nil)
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

// parseReason is what [url.Parse] found wrong, without the URL and the pieces of it that the error quotes: either may hold secrets.
func parseReason(err error) error { return errors.New(redact.ParseReason(err)) }

func addQuery(u *url.URL, query ...string) {
	if u.RawQuery != "" {
		query = append([]string{u.RawQuery}, query...)
	}
	u.RawQuery = strings.Join(query, "&")
}

// Get sends a GET request. The caller closes the body of the response. The errors are those of [Client.Do].
func (c *Client) Get(ctx context.Context, url string, opts ...RequestOption) (*http.Response, error) {
	return c.send(ctx, http.MethodGet, url, opts)
}

// Head sends a HEAD request: as [Client.Get].
func (c *Client) Head(ctx context.Context, url string, opts ...RequestOption) (*http.Response, error) {
	return c.send(ctx, http.MethodHead, url, opts)
}

// Post sends a POST request; its body is one of the options: as [Client.Get].
func (c *Client) Post(ctx context.Context, url string, opts ...RequestOption) (*http.Response, error) {
	return c.send(ctx, http.MethodPost, url, opts)
}

// Put sends a PUT request; its body is one of the options: as [Client.Get].
func (c *Client) Put(ctx context.Context, url string, opts ...RequestOption) (*http.Response, error) {
	return c.send(ctx, http.MethodPut, url, opts)
}

// Patch sends a PATCH request; its body is one of the options: as [Client.Get].
func (c *Client) Patch(ctx context.Context, url string, opts ...RequestOption) (*http.Response, error) {
	return c.send(ctx, http.MethodPatch, url, opts)
}

// Delete sends a DELETE request: as [Client.Get].
func (c *Client) Delete(ctx context.Context, url string, opts ...RequestOption) (*http.Response, error) {
	return c.send(ctx, http.MethodDelete, url, opts)
}

// Options sends an OPTIONS request: as [Client.Get].
func (c *Client) Options(ctx context.Context, url string, opts ...RequestOption) (*http.Response, error) {
	return c.send(ctx, http.MethodOptions, url, opts)
}

func (c *Client) send(ctx context.Context, method, url string, opts []RequestOption) (*http.Response, error) {
	req, err := c.NewRequest(ctx, method, url, opts...)
	if err != nil {
		return nil, err
	}
	return c.Do(req)
}

// Query adds a parameter to the URL, behind those that it has. Values are escaped; a name given twice stands twice.
// As a default it is added where the URL does not have the name, and goes where credentials would: see [BasicAuth]. Options.CrossOrigin can let it go further.
func Query(name string, values ...string) RequestOption {
	return RequestOption{func(d *draft) error {
		for _, v := range values {
			d.query = append(d.query, url.QueryEscape(name)+"="+url.QueryEscape(v))
		}
		return nil
	}}
}

type pathValue struct{ placeholder, value string }

// PathValue puts a value in the place of {name} in the path of the URL:
//
//	client.Get(ctx, "/users/{id}", ply.PathValue("id", id))
//
// The value is escaped as one segment, whatever it contains: "user:42" makes no scheme of the first segment, and "//evil.example" names no host.
// One that no escaping can keep from being read as something else (empty, "." or "..") is an [*OptionError].
// So are a name that the path does not have, and a placeholder in the path for which there is no PathValue;
// a path that has braces of its own has them as %7B and %7D.
func PathValue(name, value string) RequestOption {
	return RequestOption{func(d *draft) error {
		if value == "" || value == "." || value == ".." {
			return &OptionError{Option: "PathValue", Reason: "the value of {" + name + "} would change the path around it"}
		}
		d.path = append(d.path, pathValue{"{" + name + "}", url.PathEscape(value)})
		return nil
	}}
}

// fillPath replaces placeholders in the path of target, all at once: a value is never taken for a placeholder.
func (d *draft) fillPath(target string) (string, error) {
	start, end := pathOf(target)
	path := target[start:end]
	var pairs []string
	for _, p := range d.path {
		if !strings.Contains(path, p.placeholder) {
			return "", &OptionError{Option: "PathValue", Reason: "the path has no " + p.placeholder}
		}
		pairs = append(pairs, p.placeholder, p.value)
	}
	if forgotten := placeholder.FindString(strings.NewReplacer(blanked(pairs)...).Replace(path)); forgotten != "" {
		return "", &OptionError{Option: "PathValue", Reason: "none is given for " + forgotten + " in the path; braces that belong to the path are written %7B and %7D"}
	}
	if len(pairs) == 0 {
		return target, nil
	}
	return target[:start] + strings.NewReplacer(pairs...).Replace(path) + target[end:], nil
}

// blanked is pairs with values that leave no trace, so that only placeholders without one are left.
func blanked(pairs []string) []string {
	blank := slices.Clone(pairs)
	for i := 1; i < len(blank); i += 2 {
		blank[i] = "/"
	}
	return blank
}

// template is the path of a target that has placeholders, "" for one that has none.
func (d *draft) template(target string) string {
	if len(d.path) == 0 {
		return ""
	}
	start, end := pathOf(target)
	return target[start:end]
}

// withTemplate names the template of a request, unless its caller has.
func withTemplate(ctx context.Context, template string) context.Context {
	if template == "" || urltemplate.Of(ctx) != "" {
		return ctx
	}
	return urltemplate.With(ctx, template)
}

// pathOf finds the path in a URL that may have placeholders. It stands behind the authority, which has two slashes before it.
func pathOf(target string) (start, end int) {
	end = len(target)
	if i := strings.IndexAny(target, "?#"); i >= 0 {
		end = i
	}
	scheme := len(literalScheme.FindString(target[:end]))
	if !strings.HasPrefix(target[scheme:end], "//") {
		return 0, end
	}
	start = scheme + len("//")
	if i := strings.IndexByte(target[start:end], '/'); i >= 0 {
		return start + i, end
	}
	return end, end
}

// Edit changes the request in ways that no other option has. It runs last, on a request that is not shared yet;
// its error is returned as it is, and the request is not sent. It cannot be a default: a layer does that.
func Edit(edit func(*http.Request) error) RequestOption {
	return RequestOption{func(d *draft) error {
		if edit == nil {
			return &OptionError{Option: "Edit", Reason: "the function is nil"}
		}
		d.edits = append(d.edits, edit)
		return nil
	}}
}

// QueryValues adds parameters to the URL, behind those that it has, sorted by name.
func QueryValues(values url.Values) RequestOption {
	return RequestOption{func(d *draft) error {
		if len(values) > 0 {
			d.query = append(d.query, values.Encode())
		}
		return nil
	}}
}

// RawQuery adds a query to that of the URL, as it stands: already escaped, in its order.
func RawQuery(query string) RequestOption {
	return RequestOption{func(d *draft) error {
		if query != "" {
			d.query = append(d.query, query)
		}
		return nil
	}}
}

// SetHeader sets a header field of the request: its values replace those of defaults and of Options.Header. "Host" sets Request.Host.
func SetHeader(name string, values ...string) RequestOption {
	name = http.CanonicalHeaderKey(name)
	return RequestOption{func(d *draft) error {
		if name == "Authorization" && d.auth != "" {
			return &OptionError{Option: "SetHeader", Reason: "an Authorization header combined with " + d.auth + ": give one of them"}
		}
		d.header[name] = slices.Clone(values)
		return nil
	}}
}

// OmitHeader leaves out header fields that would be sent otherwise: those of Options.Header and Options.Defaults,
// the User-Agent of net/http, the Content-Type of a body option, and the Accept-Encoding with which the transport asks for gzip
// (then nothing is decompressed either).
func OmitHeader(names ...string) RequestOption {
	return RequestOption{func(d *draft) error {
		for _, name := range names {
			name = http.CanonicalHeaderKey(name)
			d.header[name] = nil
			if name == "Accept-Encoding" {
				d.settings.variant.identity = true
			}
		}
		return nil
	}}
}

// BasicAuth sends credentials in the Authorization header. As a default they go to the origin of Options.BaseURL only,
// or, without one, to the host that a request names; never along with a redirect to another origin.
// A user name with a colon is an [*OptionError]: no server could tell it from the password.
func BasicAuth(user, password string) RequestOption {
	return RequestOption{func(d *draft) error {
		if strings.Contains(user, ":") {
			return &OptionError{Option: "BasicAuth", Reason: "the user name contains a colon"}
		}
		req := http.Request{Header: make(http.Header)}
		req.SetBasicAuth(user, password)
		return d.authorize("BasicAuth", req.Header.Get("Authorization"))
	}}
}

// Bearer sends a token in the Authorization header, where [BasicAuth] would send credentials.
func Bearer(token string) RequestOption {
	return RequestOption{func(d *draft) error { return d.authorize("Bearer", "Bearer "+token) }}
}

func (d *draft) authorize(option, value string) error {
	if d.auth != "" {
		return &OptionError{Option: option, Reason: "combined with " + d.auth + ": give one of them"}
	}
	if _, ok := d.header["Authorization"]; ok {
		return &OptionError{Option: option, Reason: "combined with an Authorization header: give one of them"}
	}
	d.auth = option
	d.header.Set("Authorization", value)
	return nil
}

// Combine makes one option of several.
func Combine(opts ...RequestOption) RequestOption {
	return RequestOption{func(d *draft) error { return d.applyAll(opts) }}
}

func (d *draft) applyAll(opts []RequestOption) error {
	var first error
	for _, o := range opts {
		if o.apply == nil {
			continue
		}
		// After an error the rest is applied all the same, so that every body that was given is known, and closed.
		if err := o.apply(d); first == nil {
			first = err
		}
	}
	return first
}
