package ply

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/plyhttp/ply/internal/connection"
)

// TransportOptions say how connections are made and kept. The zero value is what [New] uses when it is given no transport.
type TransportOptions struct {
	// Proxy chooses the proxy of a request. Nil means none: the environment is not asked.
	// [http.ProxyFromEnvironment] asks it; so does Options.TrustEnv.
	Proxy func(*http.Request) (*url.URL, error)

	// ProxyConnectHeader goes to proxies with CONNECT requests. Nil means no fields beyond the usual.
	ProxyConnectHeader http.Header

	// TLSClientConfig is the client's TLS configuration. It is cloned. Nil means that of crypto/tls.
	TLSClientConfig *tls.Config

	// DialContext makes the connections, within ConnectTimeout. Nil means a net.Dialer with the next four fields; giving both is an error.
	// A cache on a store that outlives the process serves what came through a dialer of one's own only under a name: see cache.NamedConnection.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)

	// UnixSocket is the path of a socket that all connections go to, whatever the URL says. Empty means TCP.
	UnixSocket string

	// Network restricts TCP to one IP version: "tcp4" or "tcp6". Empty means both.
	Network string

	// LocalAddr is the local end of connections. Nil means that the system chooses.
	LocalAddr net.Addr

	// Resolver looks names up. Nil means net.DefaultResolver.
	Resolver *net.Resolver

	// ConnectTimeout bounds resolving a name and dialing; what strikes is a [*TimeoutError]. Zero means 30 seconds, negative no bound.
	ConnectTimeout time.Duration

	// TLSHandshakeTimeout bounds a TLS handshake. Zero means 10 seconds, negative no bound.
	TLSHandshakeTimeout time.Duration

	// ExpectContinueTimeout is how long a request with "Expect: 100-continue" waits before it sends its body all the same.
	// Zero means 1 second, negative that it doesn't wait.
	ExpectContinueTimeout time.Duration

	// IdleConnTimeout is how long an idle connection is kept. Zero means 90 seconds, negative that none is kept:
	// each request then has a connection of its own.
	IdleConnTimeout time.Duration

	// MaxConnsPerHost bounds the connections to a host; further requests wait. Zero means no bound.
	MaxConnsPerHost int

	// MaxIdleConns bounds the idle connections in all. Zero means 100.
	MaxIdleConns int

	// MaxIdleConnsPerHost bounds the idle connections to a host. Zero means as many as MaxIdleConns:
	// net/http's own 2 makes busy clients dial again and again.
	MaxIdleConnsPerHost int

	// Protocols are the versions of HTTP that may be used, at least one. Nil means HTTP/1 and, over TLS, HTTP/2.
	Protocols *http.Protocols

	// ReadBufferSize and WriteBufferSize are those of connections, in bytes. Zero means 4 KiB.
	ReadBufferSize, WriteBufferSize int

	// MaxResponseHeaderBytes bounds the header of a response, in bytes; one that is larger is an error. Zero means 1 MiB, negative net/http's own 10 MiB.
	MaxResponseHeaderBytes int64
}

// NewTransport makes a transport for Options.Transport or for any *http.Client.
// The caller owns it: CloseIdleConnections closes what it keeps. The error is an [*OptionError].
func NewTransport(o TransportOptions) (*http.Transport, error) {
	dialer, err := o.dialer()
	if err != nil {
		return nil, err
	}
	if o.Protocols != nil && *o.Protocols == (http.Protocols{}) {
		return nil, &OptionError{Option: "TransportOptions.Protocols", Reason: "allows none; leave it nil for the usual ones"}
	}
	t := &http.Transport{
		Proxy:                  o.Proxy,
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

func (o TransportOptions) dialer() (*connection.Dialer, error) {
	own := o.UnixSocket != "" || o.Network != "" || o.LocalAddr != nil || o.Resolver != nil
	switch {
	case o.DialContext != nil && own:
		return nil, &OptionError{Option: "TransportOptions.DialContext", Reason: "combined with UnixSocket, Network, LocalAddr or Resolver: give one or the other"}
	case o.UnixSocket != "" && o.Network != "":
		return nil, &OptionError{Option: "TransportOptions.UnixSocket", Reason: "combined with Network: a socket has none"}
	case o.Network != "" && o.Network != "tcp4" && o.Network != "tcp6":
		return nil, &OptionError{Option: "TransportOptions.Network", Reason: `must be "tcp4", "tcp6" or empty`}
	}
	limit := orNone(o.ConnectTimeout, 30*time.Second)
	if o.DialContext != nil {
		return &connection.Dialer{Dial: inTime(o.DialContext, limit), Way: connection.WayOf(o.DialContext)}, nil
	}
	d := &net.Dialer{KeepAlive: 30 * time.Second, LocalAddr: o.LocalAddr, Resolver: o.Resolver}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		if o.UnixSocket != "" {
			network, address = "unix", o.UnixSocket
		}
		return d.DialContext(ctx, cmp.Or(o.Network, network), address)
	}
	return &connection.Dialer{Dial: inTime(dial, limit), Way: connection.Way{Socket: o.UnixSocket, Local: o.LocalAddr, Resolver: o.Resolver}}, nil
}

// inTime gives dial a limit; 0 means none.
func inTime(dial dialFunc, limit time.Duration) dialFunc {
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

// orNone is d, or def for zero, or zero, which is "no bound" in net/http, for a negative d.
func orNone(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return max(d, 0)
}

// variant is how a request's connection differs from that of other requests.
// Requests that want the same share connections, and no others do.
type variant struct {
	tls      *tls.Config
	insecure bool
	pins     string // SHA-256 sums of certificates, 32 bytes each
	tlsFrom  string // the option that gave one of these three

	proxy       string // a URL, credentials included, or direct
	proxyHeader string // in wire format

	identity bool // the transport doesn't ask for gzip
}

const direct = "direct"

func (v variant) over(d variant) variant {
	if v.tlsFrom == "" {
		v.tls, v.insecure, v.pins, v.tlsFrom = d.tls, d.insecure, d.pins, d.tlsFrom
	}
	if v.proxy == "" {
		v.proxy = d.proxy
	}
	if v.proxyHeader == "" {
		v.proxyHeader = d.proxyHeader
	}
	v.identity = v.identity || d.identity
	return v
}

func (v *variant) trust(option string) error {
	if v.tlsFrom != "" {
		return &OptionError{Option: option, Reason: "combined with " + v.tlsFrom + ": a request has one TLS setting"}
	}
	v.tlsFrom = option
	return nil
}

// TLSConfig sends a request over connections that are made with config, and over no others.
// Requests with the same *tls.Config share their connections; it must not change any more.
// Answers are cached apart from those of configurations with other certificates, roots or names. What a callback of a configuration decides
// has no name that other processes could know: a store that outlives the process is passed by.
func TLSConfig(config *tls.Config) RequestOption {
	return RequestOption{func(d *draft) error {
		if config == nil {
			return &OptionError{Option: "TLSConfig", Reason: "the configuration is nil"}
		}
		d.settings.variant.tls = config
		return d.settings.variant.trust("TLSConfig")
	}}
}

// InsecureSkipVerify sends a request without looking at the server's certificate. Anyone on the way can then read and change it.
// Its answers never serve, from a cache, a request that verifies.
func InsecureSkipVerify() RequestOption {
	return RequestOption{func(d *draft) error {
		d.settings.variant.insecure = true
		return d.settings.variant.trust("InsecureSkipVerify")
	}}
}

// PinCertificate sends a request only to a server whose certificate has one of the SHA-256 sums.
// That replaces the verification of its chain and name, so that a self-signed certificate will do; another one is a [*CertificatePinError].
func PinCertificate(sums ...[sha256.Size]byte) RequestOption {
	return RequestOption{func(d *draft) error {
		if len(sums) == 0 {
			return &OptionError{Option: "PinCertificate", Reason: "no sum given"}
		}
		var all strings.Builder
		for _, sum := range sums {
			all.Write(sum[:])
		}
		d.settings.variant.pins = all.String()
		return d.settings.variant.trust("PinCertificate")
	}}
}

// CertificatePinError says that a server's certificate is none of those that [PinCertificate] expects.
type CertificatePinError struct {
	Host string
	Got  [sha256.Size]byte
}

func (e *CertificatePinError) Error() string {
	return fmt.Sprintf("ply: certificate of %s has SHA-256 sum %x, which PinCertificate does not list", e.Host, e.Got)
}

// ProxyURL sends a request through the proxy at rawURL: http, https or socks5, with credentials as its userinfo, if it wants any.
// An empty rawURL sends it directly, whatever the client's default is.
func ProxyURL(rawURL string) RequestOption {
	return RequestOption{func(d *draft) error {
		if rawURL == "" {
			d.settings.variant.proxy = direct
			return nil
		}
		u, err := url.Parse(rawURL)
		if err != nil {
			return &OptionError{Option: "ProxyURL", Reason: "the URL cannot be parsed", Err: parseReason(err)}
		}
		switch u.Scheme {
		case "http", "https", "socks5", "socks5h":
		default:
			return &OptionError{Option: "ProxyURL", Reason: "the URL's scheme must be http, https, socks5 or socks5h"}
		}
		if u.Host == "" {
			return &OptionError{Option: "ProxyURL", Reason: "the URL names no host"}
		}
		d.settings.variant.proxy = u.String()
		return nil
	}}
}

// ProxyConnectHeader sends fields to the proxy with the CONNECT request for an https URL.
func ProxyConnectHeader(h http.Header) RequestOption {
	return RequestOption{func(d *draft) error {
		var wire strings.Builder
		if err := h.Write(&wire); err != nil {
			return err
		}
		d.settings.variant.proxyHeader = wire.String()
		return nil
	}}
}

// maxVariants bounds the transports that a client has for requests with connections of their own.
// Beyond it the one that was used least recently makes room; its exchanges go on, its idle connections are closed.
const maxVariants = 32

// transports ends a client's chain: its transport, and the variants of it that requests ask for.
type transports struct {
	base   Handler
	owned  bool
	choice func() *connection.Choice // what tells the connections of base from others, or nil; base is looked at with the first request

	mu       sync.Mutex // guards the field below
	variants *simplelru.LRU[variant, *variantTransport]
}

type variantTransport struct {
	*http.Transport
	choice func() *connection.Choice
}

func newTransports(base Handler, owned bool) *transports {
	t := &transports{base: base, owned: owned}
	t.variants, _ = simplelru.NewLRU(maxVariants, func(_ variant, old *variantTransport) { old.CloseIdleConnections() })
	t.choice = sync.OnceValue(func() *connection.Choice {
		if chain := connection.Under(base); !chain.Common() {
			return &connection.Choice{Base: &chain.Identity, Own: &chain.Identity}
		}
		return nil
	})
	return t
}

func (t *transports) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.recorded(req)
	if err == nil && resp != nil && resp.StatusCode == http.StatusExpectationFailed && expects(req) {
		return repeatUnexpecting(req, resp, t.recorded)
	}
	return resp, err
}

func (t *transports) recorded(req *http.Request) (*http.Response, error) {
	if x := beginExchange(req); x != nil {
		return x.record(req, t.exchange)
	}
	return t.exchange(req)
}

func (t *transports) exchange(req *http.Request) (*http.Response, error) {
	h, s := t.base, settingsOf(req.Context())
	if s != nil && s.transport != nil {
		h = s.transport.Transport
	}
	var resp *http.Response
	var err error
	if s != nil && s.timeouts.phased() {
		resp, err = s.timeouts.exchange(h, req)
	} else {
		resp, err = h.RoundTrip(req)
	}
	if err == nil {
		if resp != nil && resp.Request == nil {
			resp.Request = req // of a transport that forgets it: History and the errors of helpers rest on it
		}
		return resp, nil
	}
	if resp != nil && resp.Body != nil {
		resp.Body.Close()
	}
	return nil, namedTimeout(namedHost(err, req), h, req)
}

func (t Timeouts) phased() bool {
	return t.Connect > 0 || t.TLS > 0 || t.ResponseHeader > 0 || t.IdleRead > 0
}

// CloseIdleConnections reaches the transport and its variants.
func (t *transports) CloseIdleConnections() {
	closeIdle(t.base)
	t.mu.Lock()
	variants := t.variants.Values()
	t.mu.Unlock()
	for _, v := range variants {
		v.CloseIdleConnections()
	}
}

func (t *transports) close() {
	if t.owned {
		closeIdle(t.base)
	}
	t.mu.Lock()
	variants := t.variants.Values()
	t.mu.Unlock()
	for _, v := range variants {
		v.CloseIdleConnections()
	}
}

// variant returns the transport for v; nil for base itself.
func (t *transports) variant(v variant) (*variantTransport, error) {
	if v == (variant{}) {
		return nil, nil
	}
	base, ok := t.base.(*http.Transport)
	if !ok {
		return nil, &OptionError{
			Option: v.option(),
			Reason: fmt.Sprintf("needs a transport that ply can copy, an *http.Transport; Options.Transport is %T, so configure that one instead", t.base),
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if made, ok := t.variants.Get(v); ok {
		return made, nil
	}
	made := &variantTransport{Transport: v.of(base)}
	made.choice = sync.OnceValue(func() *connection.Choice { return v.choice(made.Transport, base) })
	t.variants.Add(v, made)
	return made, nil
}

// choice is what tells the connections of t, which is v's variant of base, from others, or nil if that is nothing.
func (v variant) choice(t, base *http.Transport) *connection.Choice {
	of, parts := connection.Of(base, base), connection.Of(t, base)
	switch {
	case v.tls != nil:
		parts.TLS = connection.TLS(v.tls)
	case v.pins != "":
		var sums []string
		for sum := range slices.Chunk([]byte(v.pins), sha256.Size) {
			sums = append(sums, string(sum))
		}
		parts.TLS = connection.Pinned(t, base, sums...)
	}
	if v.proxy == direct && of.Environment {
		parts.Proxy = connection.Direct()
	}
	was, is := of.Identity(), parts.Identity()
	if was.Common() && is.Common() {
		return nil
	}
	return &connection.Choice{Base: &was, Own: &is}
}

// option names what makes v differ.
func (v variant) option() string {
	switch {
	case v.tlsFrom != "":
		return v.tlsFrom
	case v.proxy != "":
		return "ProxyURL"
	case v.proxyHeader != "":
		return "ProxyConnectHeader"
	}
	return "OmitHeader(Accept-Encoding)"
}

func (v variant) of(base *http.Transport) *http.Transport {
	t := base.Clone()
	ownHTTP2(t)
	if t.IdleConnTimeout == 0 {
		t.IdleConnTimeout = 90 * time.Second // of a variant that made room, nobody closes the last connection
	}
	if v.tlsFrom != "" {
		v.secure(t)
	}
	switch v.proxy {
	case "":
	case direct:
		t.Proxy = nil
	default:
		proxy, err := url.Parse(v.proxy)
		if err != nil { // it has been parsed before
			t.Proxy = func(*http.Request) (*url.URL, error) { return nil, err }
			break
		}
		t.Proxy = http.ProxyURL(proxy)
	}
	if v.proxyHeader != "" {
		t.ProxyConnectHeader = parseFields(v.proxyHeader)
		t.GetProxyConnectHeader = nil
	}
	if v.identity {
		t.DisableCompression = true
	}
	return t
}

// ownHTTP2 has t, a clone, speak HTTP/2 if its original does, and over connections of its own.
// A clone offers it to servers, as its configuration says, but has no code for it; or else, where x/net/http2 was configured,
// the original's, which would take the clone's connections for its own.
func ownHTTP2(t *http.Transport) {
	if t.TLSNextProto["h2"] != nil {
		t.TLSNextProto = nil
		t.ForceAttemptHTTP2 = true
	}
	if t.TLSNextProto == nil && t.TLSClientConfig != nil && slices.Contains(t.TLSClientConfig.NextProtos, "h2") {
		t.ForceAttemptHTTP2 = true
	}
}

// secure gives t the TLS setting of v.
func (v variant) secure(t *http.Transport) {
	// A dialer of its own for TLS would make connections without looking at the configuration.
	t.DialTLSContext = nil
	//lint:ignore SA1019 a base transport may have the deprecated one
	t.DialTLS = nil
	if v.tls != nil {
		t.TLSClientConfig = v.tls.Clone()
		return
	}
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = &tls.Config{}
	}
	t.TLSClientConfig.InsecureSkipVerify = true
	t.TLSClientConfig.VerifyPeerCertificate, t.TLSClientConfig.VerifyConnection = nil, nil
	if t.TLSClientConfig.ClientSessionCache != nil {
		// A session that was resumed is not verified again.
		t.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	if v.pins != "" {
		t.TLSClientConfig.VerifyConnection = v.checkPin
	}
}

func (v variant) checkPin(state tls.ConnectionState) error {
	got := sha256.Sum256(state.PeerCertificates[0].Raw)
	for pins := v.pins; pins != ""; pins = pins[sha256.Size:] {
		if pins[:sha256.Size] == string(got[:]) {
			return nil
		}
	}
	return &CertificatePinError{Host: state.ServerName, Got: got}
}

// namedHost completes a CertificatePinError: TLS doesn't know the names of hosts that go by their address.
func namedHost(err error, req *http.Request) error {
	var mismatch *CertificatePinError
	if errors.As(err, &mismatch) && mismatch.Host == "" {
		return &CertificatePinError{Host: req.URL.Hostname(), Got: mismatch.Got}
	}
	return err
}

func parseFields(wire string) http.Header {
	h := make(http.Header)
	for line := range strings.SplitSeq(strings.TrimSuffix(wire, "\r\n"), "\r\n") {
		name, value, _ := strings.Cut(line, ": ")
		h[name] = append(h[name], value)
	}
	return h
}
