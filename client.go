package ply

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply/internal/attempt"
	"github.com/plyhttp/ply/internal/connection"
	"github.com/plyhttp/ply/internal/netrc"
	"github.com/plyhttp/ply/internal/target"
	"github.com/plyhttp/ply/redact"
)

// Options make a [Client]. The zero value makes one that does what &http.Client{} does,
// over a transport of its own that asks no environment for proxies.
type Options struct {
	// BaseURL completes the relative URLs of requests: their path is joined below its path, whether it begins with a slash or not,
	// and "..", also in the shape of "%2e%2e", leads up to it and no further. "" and "?page=2" ask BaseURL itself, with no slash added.
	// A URL that begins with two slashes names another host, and is refused: one made of a base and a hostile identifier would look like that.
	// It is also the origin that default credentials are for. Zero means that URLs must be absolute.
	BaseURL string

	// Header has fields that each request gets unless it has fields of the same name.
	// To another origin than BaseURL's go only those that are known to be harmless: see CrossOrigin.
	// Zero means none beyond those of net/http.
	Header http.Header

	// Defaults are options of each request, before its own. Bodies, PathValue and Edit cannot be among them. Zero means none.
	Defaults []RequestOption

	// CrossOrigin names what may leave its origin beside the header fields that are known to be harmless (Accept, Content-Type, Range, User-Agent
	// and the like): header fields that may follow a redirect to another origin, and header fields and query parameters of the defaults
	// that may go to another origin than BaseURL's. Case does not matter for fields, but for parameters.
	// Authorization, Proxy-Authorization, Cookie and Host cannot be among them. Zero means that nothing else leaves its origin.
	CrossOrigin []string

	// Timeouts bound each request. Zero means no bound but the transport's 30 seconds to connect and 10 for TLS.
	Timeouts Timeouts

	// Jar keeps cookies. Zero means that none are kept.
	Jar http.CookieJar

	// Use has the exchange layers, outermost first. They run once per hop, inside redirects and cookies: they see each request
	// as it is sent and each response as it arrives. Zero means none. The canonical order is
	//
	//	logging, auth, cache, retry, hedge, breaker, limit, attempt log, telemetry
	//
	// Most layers belong here. A cache outside of retry answers without spending attempts, and what is stored is the final answer.
	Use []Middleware

	// UseCall has the call layers, outermost first. They run once per call, outside redirects and cookies,
	// for what concerns the call as a whole: its log, its id. An [Client.HTTPClient] follows redirects itself, and has them run once per hop. Zero means none.
	UseCall []Middleware

	// Transport ends the chain. It stays the caller's: Close does not touch it. Zero means a transport of the client's own.
	Transport Handler

	// TrustEnv takes proxies from the environment (if Transport is zero: another transport decides on its proxies itself), as [http.ProxyFromEnvironment] reads it:
	// HTTP_PROXY, HTTPS_PROXY and NO_PROXY, or the same in lower case. A proxy that cannot be used is an error of [New], never a direct connection.
	// It also takes credentials for hosts from the netrc file that NETRC names, ~/.netrc without it. Zero means neither.
	TrustEnv bool

	// Redactor decides what may be shown of the requests of this client, in its errors and in what its layers write, unless they have one of their own.
	// Zero means the default, which hides all that may be secret.
	Redactor *redact.Redactor

	// EncodeJSON encodes the values given to [BodyJSON]. Zero means json.Marshal.
	EncodeJSON func(v any) ([]byte, error)
}

// Client is an HTTP client made of layers. It is made by [New], doesn't change, and is safe for concurrent use. The zero Client cannot be used.
//
// A Client is also a [Handler], the counterpart of a bare transport, and [Client.HTTPClient] gives an *http.Client to those who want one.
type Client struct {
	options    Options
	base       *url.URL // ends in a slash; nil if there is none
	itself     *url.URL // BaseURL as it was given, for relative URLs without a path
	defaults   draft
	resolved   *settings // of a request that has none of its own; nil if there are none at all
	netrc      *netrc.File
	call       Handler // the call layers and all that is below
	exchange   Handler // the exchange layers and all that is below
	http       *http.Client
	jar        *cookieJar // outside the exchange layers; nil without a jar
	transports *transports
	owner      bool // of transports
	retries    bool // there is a retry layer, whose attempts the hops of a call share
	closed     atomic.Bool
}

// New makes a client. It refuses, with an [*OptionError], options that cannot be carried out
// and stacks of layers that cannot mean what they say, such as a cache inside retry.
func New(o Options) (*Client, error) { return newClient(o, nil) }

func newClient(o Options, shared *transports) (*Client, error) {
	o = o.clone()
	c := &Client{options: o, transports: shared, owner: shared == nil}
	for _, step := range []func() error{c.parseBase, c.checkCrossOrigin, c.makeTransports, c.makeDefaults, c.readNetrc} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	c.exchange = recordHops(Chain(o.Use...)(c.transports))
	c.http = &http.Client{Transport: c.exchange, CheckRedirect: c.checkRedirect}
	if o.Jar != nil {
		c.jar = &cookieJar{jar: o.Jar, defaults: c.defaults.cookies, next: c.exchange}
		c.http.Transport = c.jar
	}
	inside := &follow{c}
	c.call = Chain(o.UseCall...)(inside)
	if err := checkStack(c.call, inside); err != nil {
		return nil, err
	}
	c.retries = hasLayer(c.exchange, retryLayer)
	return c, nil
}

func (o Options) clone() Options {
	o.Header = o.Header.Clone()
	o.Defaults = slices.Clone(o.Defaults)
	o.CrossOrigin = slices.Clone(o.CrossOrigin)
	o.Use = slices.Clone(o.Use)
	o.UseCall = slices.Clone(o.UseCall)
	return o
}

func (c *Client) parseBase() error {
	if c.options.BaseURL == "" {
		return nil
	}
	u, err := url.Parse(c.options.BaseURL)
	switch {
	case err != nil:
		return &OptionError{Option: "BaseURL", Reason: "cannot be parsed", Err: parseReason(err)}
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return &OptionError{Option: "BaseURL", Reason: "must be absolute and begin with http:// or https://"}
	case u.RawQuery != "" || u.Fragment != "":
		return &OptionError{Option: "BaseURL", Reason: "has a query or a fragment; give parameters with Query in Defaults"}
	case u.User != nil:
		return &OptionError{Option: "BaseURL", Reason: "has credentials; give them with BasicAuth in Defaults"}
	}
	if forgotten := placeholder.FindString(u.Path); forgotten != "" {
		return &OptionError{Option: "BaseURL", Reason: "has the placeholder " + forgotten + ", which PathValue fills in the URLs of requests alone"}
	}
	u.Host = strings.TrimSuffix(u.Host, ":") // RFC 3986 §6.2.3
	if u.Path == "" {
		u.Path = "/"
	}
	c.itself = u.ResolveReference(u)
	if !strings.HasSuffix(u.EscapedPath(), "/") {
		u.Path += "/"
		if u.RawPath != "" {
			u.RawPath += "/"
		}
	}
	c.base = u.ResolveReference(u) // its own dot segments are gone
	return nil
}

func (c *Client) makeTransports() error {
	if c.transports != nil {
		return nil
	}
	if c.options.Transport != nil {
		c.transports = newTransports(c.options.Transport, false)
		return nil
	}
	o := TransportOptions{ConnectTimeout: c.options.Timeouts.Connect, TLSHandshakeTimeout: c.options.Timeouts.TLS}
	if c.options.TrustEnv {
		if err := checkProxies(); err != nil {
			return err
		}
		o.Proxy = http.ProxyFromEnvironment
	}
	t, err := NewTransport(o)
	if err == nil {
		c.transports = newTransports(t, true)
	}
	return err
}

func (c *Client) makeDefaults() error {
	d := draft{header: make(http.Header)}
	if err := d.applyAll(c.options.Defaults); err != nil {
		return err
	}
	if hasField(d.header, "Host") || hasField(c.options.Header, "Host") {
		return &OptionError{Option: "Defaults", Reason: "set Host, which would go to every server: give it to the requests"}
	}
	if len(d.path) > 0 || len(d.edits) > 0 {
		return &OptionError{Option: "Defaults", Reason: "contain PathValue or Edit: give it to the requests, or write a layer"}
	}
	if d.body != nil || d.encoding != "" || d.chunked || d.progress != nil {
		return &OptionError{Option: "Defaults", Reason: "contain a body: give it to the requests"}
	}
	for _, name := range slices.Sorted(maps.Keys(c.options.Header)) { // of two spellings the canonical one comes first
		values := c.options.Header[name]
		name = http.CanonicalHeaderKey(name)
		if _, ok := d.header[name]; !ok {
			d.header[name] = values
		}
	}
	d.settings.timeouts = d.settings.timeouts.over(c.options.Timeouts)
	c.defaults = d
	return c.resolveDefaults()
}

// resolveDefaults makes c.resolved, so that a request without options of its own need not.
func (c *Client) resolveDefaults() error {
	s, err := c.resolve(settings{})
	if err != nil {
		return err
	}
	if s.timeouts != (Timeouts{}) || s.maxRedirects != 0 || s.status != nil || s.progress != nil || s.transport != nil {
		c.resolved = s
	}
	return nil
}

func (c *Client) resolve(own settings) (*settings, error) {
	s := own.over(c.defaults.settings)
	t, err := c.transports.variant(s.variant)
	if err != nil {
		return nil, err
	}
	s.transport, s.resolved = t, true
	return &s, nil
}

func (c *Client) readNetrc() error {
	if !c.options.TrustEnv {
		return nil
	}
	f, err := netrc.Read("")
	if err != nil {
		return &OptionError{Option: "TrustEnv", Reason: "the netrc file cannot be used", Err: err}
	}
	c.netrc = f
	return nil
}

func (c *Client) encodeJSON(v any) ([]byte, error) {
	if c != nil && c.options.EncodeJSON != nil {
		return c.options.EncodeJSON(v)
	}
	return json.Marshal(v)
}

// Do sends a request, which may come from [Client.NewRequest] or from [http.NewRequestWithContext],
// and returns the response: of the last hop, its history in Request.Response. The caller closes its body.
// req is not modified; its body is closed in any case.
//
// An error of the exchanges is a [*url.Error] as from http.Client.Do, with the secrets of the URLs in it hidden.
// errors.As finds in it what went wrong: a [*TimeoutError], a [*RedirectError], the error of an exchange layer or of the transport.
// [ErrClientClosed] and an [*OptionError], which say that nothing was sent, the errors of call layers and those of [CheckStatus] come as they are.
// If the text of an error has a secret, an error without it is around them, which errors.Is and errors.As see through.
// A status is no error, unless CheckStatus makes it one.
func (c *Client) Do(req *http.Request) (*http.Response, error) { return c.cleaned(req, false) }

// RoundTrip performs a single exchange: with the defaults and the layers of the client, without redirects, cookies of the jar and [CheckStatus].
// That makes a client a [Handler], for an *http.Client to go around or another chain to end in.
// The error is that of the layers and the transport, without secrets in its text.
func (c *Client) RoundTrip(req *http.Request) (*http.Response, error) { return c.cleaned(req, true) }

// cleaned is [Client.do] with the secrets taken from an error that somebody else has made: a call layer, a check, or, of a single exchange, a transport.
func (c *Client) cleaned(req *http.Request, single bool) (*http.Response, error) {
	resp, err := c.do(req, single)
	if err == nil {
		return resp, nil
	}
	if _, ok := err.(*url.Error); ok && !single {
		return nil, err // clean, and to be found without errors.As
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
	if asked := askedBy(req.Context()); asked != nil {
		return asked.record(req, func(req *http.Request) (*http.Response, error) { return c.do(req, single) })
	}
	if req.GetBody != nil {
		taken, release := takeRelease(req)
		req = taken
		if release != nil && !single { // around a single exchange others may try again
			defer release()
		}
	}
	out, s, err := c.prepare(req, single)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	if s == nil {
		return oneOf(c.call.RoundTrip(out))
	}
	finish := oneOf
	if s.timeouts.Total > 0 {
		out, finish = withTotal(out, s.timeouts.Total, time.Now().Add(s.timeouts.Total))
	}
	resp, err := finish(oneOf(c.call.RoundTrip(out)))
	if err != nil {
		return nil, err
	}
	s.reportProgress(resp)
	if single {
		return resp, nil
	}
	return s.checked(resp)
}

var errNoOutcome = errors.New("ply: a call layer returned neither a response nor an error")

// oneOf holds call layers to the contract, as http.Client does with those inside it.
func oneOf(resp *http.Response, err error) (*http.Response, error) {
	switch {
	case err != nil:
		if resp != nil && resp.Body != nil {
			resp.Body.Close()
		}
		return nil, err
	case resp == nil:
		return nil, errNoOutcome
	case resp.Body == nil:
		resp.Body = http.NoBody
	}
	return resp, nil
}

// prepare completes a request with what the client adds to it, in a copy, before any layer sees it:
// a cache's key is then made of the request that is sent. s is nil where nothing was chosen.
func (c *Client) prepare(req *http.Request, single bool) (out *http.Request, s *settings, err error) {
	if c.closed.Load() {
		return nil, nil, ErrClientClosed
	}
	ctx := req.Context()
	own := settingsOf(ctx)
	switch {
	case own != nil && !own.resolved:
		s, err = c.resolve(*own)
	case single || own != nil && c.resolved == nil, c.resolved != nil && c.resolved.transport != nil:
		s, err = c.resolve(settings{}) // a variant is looked up each time, so that it isn't the one that makes room
	default:
		s = c.resolved
	}
	if err != nil {
		return nil, nil, err
	}
	if s != nil {
		if s.single != single {
			copied := *s
			copied.single = single
			s = &copied
		}
		ctx = withSettings(ctx, s)
	}
	if choice := c.connection(s); choice != nil && !connection.Has(ctx, choice) {
		ctx = connection.With(ctx, choice)
	}
	if c.retries && !single {
		ctx, _ = attempt.WithTally(ctx)
	}
	out = req
	if ctx != req.Context() {
		out = req.WithContext(ctx)
	}
	if req.URL == nil {
		return nil, nil, &OptionError{Option: "url", Reason: "is nil"}
	}
	out, err = c.complete(out, req)
	return out, s, err
}

// connection is what answers are kept apart by that come over the connections of a request with these settings, or nil if that is nothing.
func (c *Client) connection(s *settings) *connection.Choice {
	if s != nil && s.transport != nil {
		return s.transport.choice()
	}
	return c.transports.choice()
}

// complete adds base URL, query, header fields, cookies and credentials to out, which may be the caller's req itself.
func (c *Client) complete(out, req *http.Request) (*http.Request, error) {
	own := func() {
		if out == req {
			out = req.WithContext(req.Context())
		}
	}
	u, err := c.completeURL(req)
	if err != nil {
		return nil, err
	}
	if u != req.URL {
		own()
		out.URL = u
		if out.Host == "" {
			out.Host = u.Host
		}
	}
	if header := c.completeHeader(out); header != nil {
		own()
		out.Header = header
	}
	if out.Header == nil {
		own()
		out.Header = make(http.Header) // layers may count on it, as round trippers do
	}
	return out, nil
}

// completeURL returns the URL of req itself if there is nothing to add.
func (c *Client) completeURL(req *http.Request) (*url.URL, error) {
	u := req.URL
	if !u.IsAbs() {
		var err error
		if u, err = c.absolute(u); err != nil {
			return nil, err
		}
	}
	if query := target.EscapedQuery(u.RawQuery); query != u.RawQuery {
		escaped := *u
		escaped.RawQuery = query
		u = &escaped
	}
	if len(c.defaults.query) == 0 {
		return u, nil
	}
	given, trusted := u.Query(), c.trusts(req, u)
	var missing []string
	for _, q := range c.defaults.query {
		for pair := range strings.SplitSeq(q, "&") {
			name, _, _ := strings.Cut(pair, "=")
			name, err := url.QueryUnescape(name)
			if err == nil && given.Has(name) || !trusted && !slices.Contains(c.options.CrossOrigin, name) {
				continue
			}
			missing = append(missing, pair)
		}
	}
	if len(missing) == 0 {
		return u, nil
	}
	more := *u
	addQuery(&more, missing...)
	return &more, nil
}

// absolute completes a relative URL with BaseURL. One without a path is BaseURL itself (RFC 3986 §5.2.2), with a query perhaps.
func (c *Client) absolute(u *url.URL) (*url.URL, error) {
	switch {
	case c.base == nil:
		return nil, &OptionError{Option: "url", Reason: "is relative: make it absolute, or set Options.BaseURL"}
	case u.Host != "":
		return nil, &OptionError{Option: "url", Reason: "begins with //, which names another host than BaseURL's: write its scheme, or drop a slash"}
	case u.Path == "" && u.Opaque == "" && u.User == nil:
		itself := *u
		itself.Scheme, itself.Host, itself.Path, itself.RawPath = c.itself.Scheme, c.itself.Host, c.itself.Path, c.itself.RawPath
		return &itself, nil
	}
	return below(c.base, u), nil
}

// below joins the path of a relative URL to that of base, which ends in a slash.
// Dot segments, which may come from outside as part of an identifier, lead up to base and no further.
func below(base, u *url.URL) *url.URL {
	if u.Host != "" || u.User != nil || u.Opaque != "" {
		return base.ResolveReference(u) // "//host/path" names another host
	}
	segments := strings.Split(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	kept := segments[:0]
	for i, segment := range segments {
		dots := strings.ReplaceAll(strings.ToLower(segment), "%2e", ".") // RFC 3986 §6.2.2.2: the same
		if dots != "." && dots != ".." {
			kept = append(kept, segment)
			continue
		}
		if dots == ".." && len(kept) > 0 {
			kept = kept[:len(kept)-1]
		}
		if i == len(segments)-1 {
			kept = append(kept, "")
		}
	}
	joined := *u
	joined.Scheme, joined.Host = base.Scheme, base.Host
	joined.RawPath = base.EscapedPath() + strings.Join(kept, "/")
	joined.Path, _ = url.PathUnescape(joined.RawPath) // EscapedPath gave nothing that cannot be unescaped
	return &joined
}

// completeHeader returns the header that req should have, nil if it is the one that it has.
func (c *Client) completeHeader(req *http.Request) http.Header {
	var header http.Header
	set := func(name string, values []string) {
		if header == nil {
			if header = req.Header.Clone(); header == nil {
				header = make(http.Header)
			}
		}
		header[name] = values
	}
	trusted := c.trusts(req, req.URL)
	for name, values := range c.defaults.header {
		switch {
		case hasField(req.Header, name),
			!trusted && !fieldCrosses(name, c.options.CrossOrigin),
			name == "Authorization" && req.URL.User != nil,
			name == "Expect" && (req.Body == nil || req.Body == http.NoBody): // RFC 9110 §10.1.1
			continue
		}
		set(name, slices.Clone(values))
		if name == "Referer" && !trusted {
			trimReferer(&http.Request{URL: req.URL, Header: header})
		}
	}
	if cookies := c.missingCookies(req); trusted && cookies != "" {
		if given := cookiesIn(req.Header); len(given) > 0 {
			cookies = cookieField(given) + "; " + cookies
		}
		set("Cookie", []string{cookies})
	}
	if staysAtOrigin(req) && !hasField(req.Header, "Authorization") && !hasField(header, "Authorization") {
		if value := c.netrcAuth(req.URL); value != "" {
			set("Authorization", []string{value})
		}
	}
	return header
}

// trusts is whether defaults that may be secret may go along with req, which is for u.
func (c *Client) trusts(req *http.Request, u *url.URL) bool {
	return (c.base == nil || sameOrigin(u, c.base)) && staysAtOrigin(req)
}

// hasField is whether header has the field name, which is canonical, in whatever case: a map can be filled by hand.
func hasField(header http.Header, name string) bool {
	if _, ok := header[name]; ok {
		return true
	}
	for n := range header {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

func (c *Client) missingCookies(req *http.Request) string {
	if len(c.defaults.cookies) == 0 {
		return ""
	}
	if values, given := req.Header["Cookie"]; given && values == nil {
		return "" // OmitHeader
	}
	given := cookiesIn(req.Header)
	var more []cookie
	for _, c := range c.defaults.cookies {
		if !hasCookie(given, c.name) {
			more = append(more, c)
		}
	}
	return cookieField(more)
}

// netrcAuth is the Authorization that the netrc file has for the host of u. It is empty if there is none, or u has credentials itself.
func (c *Client) netrcAuth(u *url.URL) string {
	if c.netrc == nil || u.User != nil {
		return ""
	}
	login, password, ok := c.netrc.Lookup(u.Hostname())
	if !ok {
		return ""
	}
	r := http.Request{Header: make(http.Header)}
	r.SetBasicAuth(login, password)
	return r.Header.Get("Authorization")
}

// With derives a client: change edits a copy of the options that c was made with, and the rest is as in [New].
//
//	admin, err := client.With(func(o *ply.Options) { o.Header.Set("X-Role", "admin") })
//
// Both share layers with state, a cache for one, and, unless change sets another Transport or, for want of one, TrustEnv, connections.
// These stay with c: closing the derived client leaves them open.
func (c *Client) With(change func(*Options)) (*Client, error) {
	o := c.options.clone()
	if o.Header == nil {
		o.Header = make(http.Header)
	}
	change(&o)
	shared := c.transports
	if !sameTransport(o, c.options) {
		shared = nil
	}
	return newClient(o, shared)
}

func sameTransport(a, b Options) bool {
	if a.Transport == nil || b.Transport == nil {
		return a.Transport == nil && b.Transport == nil && a.TrustEnv == b.TrustEnv
	}
	return same(a.Transport, b.Transport)
}

// WrappedRoundTripper returns the transport that the client's requests take, if they have no settings of their own.
// Kubernetes' libraries look for its TLS configuration by that method.
func (c *Client) WrappedRoundTripper() http.RoundTripper {
	if s := c.resolved; s != nil && s.transport != nil {
		return s.transport.Transport
	}
	return c.transports.base
}

// CloseIdleConnections closes connections that no exchange uses, through all layers, whoever owns the transport.
func (c *Client) CloseIdleConnections() { closeIdle(c.call) }

// Close ends the client: later requests get [ErrClientClosed], and the idle connections that it owns are closed. Responses in flight go on.
// It does not close what it was given: a Transport, and layers with something to close, such as a cache. Closing twice is fine.
// The error is always nil; it makes the client an io.Closer.
func (c *Client) Close() error {
	if c.closed.CompareAndSwap(false, true) && c.owner {
		c.transports.close()
	}
	return nil
}

// follow is the innermost call layer: net/http's redirects and cookies around the exchange layers.
type follow struct{ client *Client }

func (f *follow) RoundTrip(req *http.Request) (*http.Response, error) {
	if s := settingsOf(req.Context()); s != nil && s.single {
		return f.client.exchange.RoundTrip(req)
	}
	resp, err := f.client.http.Do(req)
	if err == nil {
		return resp, nil
	}
	if e, ok := err.(*url.Error); ok {
		r := redact.From(req.Context())
		// resp is not nil after a refused redirect; its body is closed, and RedirectError has it.
		return nil, &url.Error{Op: e.Op, URL: r.URLText(e.URL), Err: withoutLocation(r, e.Err)}
	}
	return nil, err
}

func withOwnHeader(req *http.Request) *http.Request {
	header := req.Header.Clone()
	if header == nil {
		header = make(http.Header) // of a request that a call layer made
	}
	req = req.WithContext(req.Context())
	req.Header = header
	return req
}

func (f *follow) LayerName() string         { return "redirects and cookies" }
func (f *follow) Unwrap() http.RoundTripper { return f.client.exchange }

func (f *follow) WrappedRoundTripper() http.RoundTripper { return f.client.exchange }
func (f *follow) CloseIdleConnections()                  { closeIdle(f.client.exchange) }
