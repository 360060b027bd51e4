package ply

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	"github.com/plyhttp/ply/internal/netrc"
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
	//	logging, auth, decode, cache, retry, hedge, breaker, limit, attempt log, telemetry
	//
	// Most layers belong here. A cache outside of retry answers without spending attempts, and what is stored is the final answer.
	Use []Middleware

	// UseCall has the call layers, outermost first. They run once per call, outside redirects and cookies,
	// for what concerns the call as a whole: its log, its id. An [Client.HTTPClient] follows redirects itself, and has them run once per hop. Zero means none.
	UseCall []Middleware

	// Transport ends the chain. It stays the caller's: Close does not touch it. Zero means a transport of the client's own.
	Transport Handler

	// Guard refuses connections to addresses that are not public: see [Guard]. It is for the client's own transport; another one has TransportOptions.Guard.
	// Zero means that any address may be dialed.
	Guard *Guard

	// HTTPSOnly refuses requests for any other scheme than https, those of redirects and of layers too, with an [*HTTPSOnlyError].
	// There is no exception, not for localhost either. Zero means that http will do.
	HTTPSOnly bool

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

func (o Options) clone() Options {
	o.Header = o.Header.Clone()
	o.Defaults = slices.Clone(o.Defaults)
	o.CrossOrigin = slices.Clone(o.CrossOrigin)
	o.Use = slices.Clone(o.Use)
	o.UseCall = slices.Clone(o.UseCall)
	return o
}

func (c *Client) makeTransports() error {
	if c.transports != nil {
		return nil
	}
	if c.options.Transport != nil && c.options.Guard != nil {
		return &OptionError{Option: "Guard", Reason: "combined with Transport, which dials by itself: give it to NewTransport as TransportOptions.Guard"}
	}
	if c.options.Transport != nil {
		c.transports = newTransports(c.options.Transport, false)
		return nil
	}
	o := TransportOptions{ConnectTimeout: c.options.Timeouts.Connect, TLSHandshakeTimeout: c.options.Timeouts.TLS, Guard: c.options.Guard}
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
	d.settings.httpsOnly = c.options.HTTPSOnly
	c.defaults = d
	return c.resolveDefaults()
}

// resolveDefaults makes c.resolved, so that a request without options of its own need not.
func (c *Client) resolveDefaults() error {
	s, err := c.resolve(settings{})
	if err != nil {
		return err
	}
	if s.timeouts != (Timeouts{}) || s.maxRedirects != 0 || s.status != nil || s.progress != nil || s.transport != nil || s.httpsOnly || s.bodyDefault != 0 {
		c.resolved = s
	}
	return nil
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

func sameTransport(a, b Options) bool {
	if a.Transport == nil || b.Transport == nil {
		return a.Transport == nil && b.Transport == nil && a.TrustEnv == b.TrustEnv && a.Guard == b.Guard
	}
	return a.Guard == b.Guard && same(a.Transport, b.Transport)
}
