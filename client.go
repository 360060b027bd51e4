package ply

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/plyhttp/ply/internal/netrc"
)

// Client is an HTTP client made of layers. [New] makes it; it does not change, and is safe for concurrent use. The zero Client cannot be used.
//
// A Client is also a [Handler] that performs single exchanges, and [Client.HTTPClient] returns an *http.Client for libraries that want one.
type Client struct {
	options    Options
	base       *url.URL // ends in a slash; nil if there is none
	itself     *url.URL // BaseURL as it was given, for relative URLs without a path
	defaults   draft
	resolved   *settings // the settings of a request that has none of its own; nil if the client has none either
	netrc      *netrc.File
	call       Handler // the call layers and everything below them
	exchange   Handler // the exchange layers and everything below them
	http       *http.Client
	jar        *cookieJar // outside the exchange layers; nil without a jar
	transports *transports
	owner      bool // Close closes transports
	retries    bool // there is a retry layer; the hops of a call share its limit of attempts
	closed     atomic.Bool
}

// Format prints no more than the type, whatever the verb: the defaults of a client may be secret.
func (c *Client) Format(f fmt.State, _ rune) { io.WriteString(f, "*ply.Client") }

// New makes a client. It returns an [*OptionError] for options that cannot be carried out
// and for stacks of layers whose order cannot work, such as a cache inside retry.
func New(o Options) (*Client, error) { return newClient(o, nil) }

func newClient(o Options, shared *transports) (*Client, error) {
	o = o.clone()
	c := &Client{options: o, transports: shared, owner: shared == nil}
	for _, step := range []func() error{c.parseBase, c.checkCrossOrigin, c.makeTransports, c.makeDefaults, c.readNetrc} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	end := Handler(c.transports)
	if o.HTTPSOnly {
		end = &httpsOnly{c.transports}
	}
	c.exchange = recordHops(Chain(o.Use...)(end))
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

// With returns a client that is made as by [New], of a copy of the options of c that change has edited.
//
//	admin, err := client.With(func(o *ply.Options) { o.Header.Set("X-Role", "admin") })
//
// Both clients share layers with state, such as a cache. They also share connections, unless change sets another Transport or Guard,
// or another TrustEnv without a Transport. The connections stay with c: closing the derived client leaves them open.
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

// WrappedRoundTripper returns the transport for requests without connection settings of their own.
// Kubernetes' libraries use the method to find its TLS configuration.
func (c *Client) WrappedRoundTripper() http.RoundTripper {
	if s := c.resolved; s != nil && s.transport != nil {
		return s.transport.Transport
	}
	return c.transports.base
}

// CloseIdleConnections closes connections that no exchange uses, through all layers, even if the transport is not the client's own.
func (c *Client) CloseIdleConnections() { closeIdle(c.call) }

// Close ends the client: later requests fail with [ErrClientClosed], and the idle connections that the client owns are closed. Responses in flight go on.
// Close leaves alone what the client was given: a Transport, and layers that need closing, such as a cache. Closing twice is fine.
// The error is always nil; it makes the client an io.Closer.
func (c *Client) Close() error {
	if c.closed.CompareAndSwap(false, true) && c.owner {
		c.transports.close()
	}
	return nil
}
