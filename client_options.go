package ply

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	"github.com/plyhttp/ply/internal/netrc"
	"github.com/plyhttp/ply/redact"
)

// Options configure a [Client]. The zero value makes a client that does what &http.Client{} does,
// over a transport of its own that takes no proxies from the environment.
type Options struct {
	// BaseURL completes the relative URLs of requests. Their path is joined below its path, whether it begins with a slash or not;
	// ".." (and "%2e%2e") leads up to BaseURL and no further. "" and "?page=2" request BaseURL itself, with no slash added.
	// A URL that begins with two slashes names another host and is refused: a base joined with a hostile identifier would look like that.
	// BaseURL is also the origin that default credentials are for. Zero means that URLs must be absolute, and that Header and Defaults
	// go to the origin of each request, whatever it is.
	BaseURL string

	// Header is added to each request, except for fields that the request has itself.
	// Only fields that are known to be harmless go to another origin than BaseURL's: see CrossOrigin.
	// Without a BaseURL all of them go to the origin of each request, and the harmless ones along with its redirects to others.
	// Zero means no fields beyond those of net/http.
	Header http.Header

	// Defaults apply to each request, before its own options. Bodies, PathValue and Edit cannot be defaults. Zero means none.
	Defaults []RequestOption

	// CrossOrigin names header fields that may follow a redirect to another origin, and header fields and query parameters of the defaults
	// that may go to another origin than BaseURL's. Fields that are known to be harmless (Accept, Content-Type, Range, User-Agent and the like)
	// always may. Parameters are case-sensitive, fields are not. Authorization, Proxy-Authorization, Cookie and Host are refused.
	// Zero means that only the harmless fields leave their origin.
	CrossOrigin []string

	// Timeouts bound each request. Zero means no bound but the transport's 30 seconds to connect and 10 for TLS.
	Timeouts Timeouts

	// Jar keeps cookies. Zero means that none are kept.
	Jar http.CookieJar

	// Use lists the exchange layers, outermost first. They run once per hop, inside redirects and cookies: they see each request
	// as it is sent and each response as it arrives. Zero means none. The canonical order is
	//
	//	logging, auth, decode, cache, retry, hedge, breaker, limit, attempt log, telemetry
	//
	// Most layers belong here. A cache outside retry serves hits without spending attempts, and stores only the final response.
	Use []Middleware

	// UseCall lists the call layers, outermost first. They run once per call, outside redirects and cookies,
	// for what concerns the call as a whole, such as its log or its id. In a [Client.HTTPClient] they run once per hop. Zero means none.
	UseCall []Middleware

	// Transport ends the chain. The caller owns it: Close does not touch it. Zero means a transport of the client's own.
	Transport Handler

	// Guard refuses connections to addresses that are not public: see [Guard]. It is for the client's own transport; another one has TransportOptions.Guard.
	// Zero means that any address may be dialed.
	Guard *Guard

	// HTTPSOnly refuses requests for any other scheme than https, those of redirects and of layers too, with an [*HTTPSOnlyError].
	// There is no exception, not for localhost either. Zero means that http will do.
	HTTPSOnly bool

	// TrustEnv takes proxies from the environment, as [http.ProxyFromEnvironment] reads it: HTTP_PROXY, HTTPS_PROXY and NO_PROXY, or the same in lower case.
	// A proxy that cannot be used is an error of [New], never a direct connection. With a Transport of the caller's, that decides on proxies instead.
	// TrustEnv also takes credentials for hosts from the netrc file: the one that NETRC names, or else ~/.netrc. Zero means neither.
	TrustEnv bool

	// Redactor decides what the errors of this client, and its layers, may show of requests. A layer's own Redactor takes precedence in that layer.
	// Zero means the default, which hides everything that may be secret.
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
	for _, name := range slices.Sorted(maps.Keys(c.options.Header)) { // sorted: of two spellings of a name, the canonical one wins
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

// resolveDefaults sets c.resolved, once for all requests that have no options of their own.
func (c *Client) resolveDefaults() error {
	s, err := c.resolve(settings{})
	if err != nil {
		return err
	}
	if s.timeouts != (Timeouts{}) || s.maxRedirects != 0 || s.status != nil || s.progress != nil || s.transport != nil || s.bodyDefault != 0 {
		c.resolved = &s
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
