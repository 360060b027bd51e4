package ply

import (
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/plyhttp/ply/internal/netrc"
)

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
	inside := &redirectLayer{c}
	c.call = Chain(o.UseCall...)(inside)
	if err := checkStack(c.call, inside); err != nil {
		return nil, err
	}
	c.retries = hasLayer(c.exchange, retryLayer)
	return c, nil
}

// With derives a client: change edits a copy of the options that c was made with, and the rest is as in [New].
//
//	admin, err := client.With(func(o *ply.Options) { o.Header.Set("X-Role", "admin") })
//
// Both share layers with state, a cache for one, and, unless change sets another Transport or Guard or, for want of a Transport, TrustEnv, connections.
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
