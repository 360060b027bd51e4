package ply

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/plyhttp/ply/internal/connection"
)

// TransportOptions configure how connections are made and kept. The zero value is what [New] uses if it is given no transport.
type TransportOptions struct {
	// Proxy chooses the proxy of a request. Nil means none, not that of the environment.
	// [http.ProxyFromEnvironment] uses the environment; so does Options.TrustEnv.
	Proxy func(*http.Request) (*url.URL, error)

	// ProxyConnectHeader is sent to proxies with CONNECT requests. Nil means no additional fields.
	ProxyConnectHeader http.Header

	// TLSClientConfig is the client's TLS configuration. It is cloned. Nil means that of crypto/tls.
	TLSClientConfig *tls.Config

	// DialContext makes the connections, within ConnectTimeout. Nil means a net.Dialer with the next four fields; setting both is an error.
	// A cache on a store that outlives the process bypasses it for a custom dialer, unless the dialer has a name: see cache.NamedConnection.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)

	// UnixSocket is the path of a socket that all connections go to, whatever the URL says. Empty means TCP.
	UnixSocket string

	// Network restricts TCP to one IP version: "tcp4" or "tcp6". Empty means both.
	Network string

	// LocalAddr is the local end of connections. Nil means that the system chooses.
	LocalAddr net.Addr

	// Resolver looks names up. Nil means net.DefaultResolver.
	Resolver *net.Resolver

	// Guard refuses connections to addresses that are not public. Nil means that any address may be dialed.
	// It cannot be combined with UnixSocket, which has no address.
	Guard *Guard

	// HTTPSOnly refuses requests for any other scheme than https, those of redirects too: see Options.HTTPSOnly.
	HTTPSOnly bool

	// ConnectTimeout limits resolving a name and dialing; beyond it, the error is a [*TimeoutError]. Zero means 30 seconds, negative no limit.
	ConnectTimeout time.Duration

	// TLSHandshakeTimeout limits a TLS handshake. Zero means 10 seconds, negative no limit.
	TLSHandshakeTimeout time.Duration

	// ExpectContinueTimeout is how long a request with "Expect: 100-continue" waits for the server before it sends its body anyway.
	// Zero means 1 second, negative no wait.
	ExpectContinueTimeout time.Duration

	// IdleConnTimeout is how long an idle connection is kept. Zero means 90 seconds. Negative means that connections are not reused.
	IdleConnTimeout time.Duration

	// MaxConnsPerHost limits the connections to a host; further requests wait. Zero means no limit.
	MaxConnsPerHost int

	// MaxIdleConns limits the idle connections to all hosts. Zero means 100.
	MaxIdleConns int

	// MaxIdleConnsPerHost limits the idle connections to a host. Zero means as many as MaxIdleConns:
	// with net/http's own default of 2, busy clients dial again and again.
	MaxIdleConnsPerHost int

	// Protocols are the versions of HTTP that may be used, at least one. Nil means HTTP/1 and, over TLS, HTTP/2 as well.
	Protocols *http.Protocols

	// ReadBufferSize and WriteBufferSize are those of connections, in bytes. Zero means 4 KiB.
	ReadBufferSize, WriteBufferSize int

	// MaxResponseHeaderBytes limits the header of a response, in bytes; a larger one is an error. Zero means 1 MiB, negative net/http's own 10 MiB.
	MaxResponseHeaderBytes int64
}

// NewTransport returns a transport for Options.Transport or for any *http.Client. The error is an [*OptionError].
// The caller owns the transport, and closes its idle connections with CloseIdleConnections.
func NewTransport(o TransportOptions) (*http.Transport, error) {
	dialer, err := o.dialer()
	if err != nil {
		return nil, err
	}
	if o.Protocols != nil && *o.Protocols == (http.Protocols{}) {
		return nil, &OptionError{Option: "TransportOptions.Protocols", Reason: "allows none; leave it nil for the usual ones"}
	}
	proxy, err := o.proxy()
	if err != nil {
		return nil, err
	}
	t := &http.Transport{
		Proxy:                  proxy,
		ProxyConnectHeader:     o.ProxyConnectHeader.Clone(),
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    orNone(o.TLSHandshakeTimeout, 10*time.Second),
		DisableKeepAlives:      o.IdleConnTimeout < 0,
		IdleConnTimeout:        orNone(o.IdleConnTimeout, 90*time.Second),
		MaxConnsPerHost:        o.MaxConnsPerHost,
		MaxIdleConns:           cmp.Or(o.MaxIdleConns, 100),
		MaxIdleConnsPerHost:    cmp.Or(o.MaxIdleConnsPerHost, o.MaxIdleConns, 100),
		ExpectContinueTimeout:  orNone(o.ExpectContinueTimeout, time.Second),
		ReadBufferSize:         o.ReadBufferSize,
		WriteBufferSize:        o.WriteBufferSize,
		MaxResponseHeaderBytes: cmp.Or(o.MaxResponseHeaderBytes, 1<<20),
		ForceAttemptHTTP2:      o.Protocols == nil,
	}
	if o.Protocols != nil {
		p := *o.Protocols
		t.Protocols = &p
	}
	if o.TLSClientConfig != nil {
		t.TLSClientConfig = o.TLSClientConfig.Clone()
	}
	return t, nil
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// checkDialer refuses combinations of options for the dialer.
func (o TransportOptions) checkDialer() error {
	own := o.UnixSocket != "" || o.Network != "" || o.LocalAddr != nil || o.Resolver != nil
	switch {
	case o.DialContext != nil && own:
		return &OptionError{Option: "TransportOptions.DialContext", Reason: "combined with UnixSocket, Network, LocalAddr or Resolver: give one or the other"}
	case o.UnixSocket != "" && o.Network != "":
		return &OptionError{Option: "TransportOptions.UnixSocket", Reason: "combined with Network: a socket has none"}
	case o.UnixSocket != "" && o.Guard != nil:
		return &OptionError{Option: "TransportOptions.UnixSocket", Reason: "combined with Guard: a socket has no address that could be refused"}
	case o.Network != "" && o.Network != "tcp4" && o.Network != "tcp6":
		return &OptionError{Option: "TransportOptions.Network", Reason: `must be "tcp4", "tcp6" or empty`}
	}
	return nil
}

func (o TransportOptions) dialer() (*connection.Dialer, error) {
	if err := o.checkDialer(); err != nil {
		return nil, err
	}
	g, err := o.Guard.compile()
	if err != nil {
		return nil, err
	}
	limit := orNone(o.ConnectTimeout, 30*time.Second)
	if o.DialContext != nil {
		target := connection.DialTargetOf(o.DialContext)
		target.Guard = g.name()
		return &connection.Dialer{Dial: withDialTimeout(g.around(o.DialContext), limit), DialTarget: target}, nil
	}
	d := &net.Dialer{KeepAlive: 30 * time.Second, LocalAddr: o.LocalAddr, Resolver: o.Resolver}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		if o.UnixSocket != "" {
			network, address = "unix", o.UnixSocket
		}
		return d.DialContext(ctx, cmp.Or(o.Network, network), address)
	}
	dial = g.within(d, dial)
	return &connection.Dialer{Dial: withDialTimeout(dial, limit), DialTarget: connection.DialTarget{Socket: o.UnixSocket, Local: o.LocalAddr, Resolver: o.Resolver, Guard: g.name()}}, nil
}

// withDialTimeout returns dial with a time limit; 0 means none.
func withDialTimeout(dial dialFunc, limit time.Duration) dialFunc {
	if limit == 0 {
		return dial
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		deadline := time.Now().Add(limit)
		ctx, cancel := context.WithDeadline(ctx, deadline)
		defer cancel()
		conn, err := dial(ctx, network, address)
		if err != nil && isTimeout(err) && !time.Now().Before(deadline) {
			err = &TimeoutError{Phase: PhaseConnect, Limit: limit, Err: err}
		}
		return conn, err
	}
}

// orNone returns d, or def if d is zero, or zero, which is "no limit" in net/http, if d is negative.
func orNone(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return max(d, 0)
}
