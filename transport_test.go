package ply_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/internal/connection"
)

func ok(http.ResponseWriter, *http.Request) {}

func newTransport(t *testing.T, o ply.TransportOptions) *http.Transport {
	t.Helper()
	return inMemory{options: o}.transport(t)
}

// dials counts the connections that a dialer makes.
type dials struct {
	mu             sync.Mutex
	made           []string // addresses, in order
	open, mostOpen int
	largestRead    int // the largest buffer that a connection was asked to fill
	writes         int
}

func (d *dials) of(dial func(context.Context, string, string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.made = append(d.made, address)
		d.open++
		d.mostOpen = max(d.mostOpen, d.open)
		return &countedConn{Conn: c, dials: d}, nil
	}
}

func (d *dials) counts() (made, open int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.made), d.open
}

type countedConn struct {
	net.Conn
	dials *dials
	once  sync.Once
}

func (c *countedConn) Read(p []byte) (int, error) {
	c.dials.mu.Lock()
	c.dials.largestRead = max(c.dials.largestRead, len(p))
	c.dials.mu.Unlock()
	return c.Conn.Read(p)
}

func (c *countedConn) Write(p []byte) (int, error) {
	c.dials.mu.Lock()
	c.dials.writes++
	c.dials.mu.Unlock()
	return c.Conn.Write(p)
}

func (c *countedConn) Close() error {
	c.once.Do(func() {
		c.dials.mu.Lock()
		c.dials.open--
		c.dials.mu.Unlock()
	})
	return c.Conn.Close()
}

// TestTransportOptions shows the effect of each. ConnectTimeout and TLSHandshakeTimeout are in TestTheTransportsOwnLimitsAreNamed,
// Proxy and ProxyConnectHeader in TestProxies.
func TestTransportOptions(t *testing.T) {
	_, pool := certificate()
	peer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		fmt.Fprintf(w, "%s at %s", host, r.Host)
	}))
	defer peer.Close()
	_, port, _ := net.SplitHostPort(peer.Listener.Addr().String())

	t.Run("UnixSocket", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "s")
		l, err := net.Listen("unix", path)
		require.NoError(t, err)
		s := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, r.Host)
		})}}
		s.Start()
		defer s.Close()
		c := newClient(t, ply.Options{Transport: newTransport(t, ply.TransportOptions{UnixSocket: path})})
		if got := textOf(t, c, "http://docker/"); got != "docker" {
			t.Errorf("got %q", got)
		}
	})

	t.Run("Network", func(t *testing.T) {
		for network, reachable := range map[string]bool{"tcp4": true, "tcp6": false} {
			c := newClient(t, ply.Options{Transport: newTransport(t, ply.TransportOptions{Network: network})})
			if err := fetch(t.Context(), c, peer.URL); (err == nil) != reachable {
				t.Errorf("%s to an IPv4 address: %v", network, err)
			}
		}
	})

	t.Run("LocalAddr", func(t *testing.T) {
		local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}
		c := newClient(t, ply.Options{Transport: newTransport(t, ply.TransportOptions{LocalAddr: local})})
		if got, want := textOf(t, c, peer.URL), "127.0.0.2 at 127.0.0.1:"+port; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})

	t.Run("Resolver", func(t *testing.T) {
		resolver := &net.Resolver{PreferGo: true, Dial: nameserver}
		c := newClient(t, ply.Options{Transport: newTransport(t, ply.TransportOptions{Resolver: resolver})})
		if got, want := textOf(t, c, "http://origin.test:"+port), "127.0.0.1 at origin.test:"+port; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})

	t.Run("DialContext", func(t *testing.T) {
		var d dials
		var plain net.Dialer
		c := newClient(t, ply.Options{Transport: newTransport(t, ply.TransportOptions{DialContext: d.of(func(ctx context.Context, network, _ string) (net.Conn, error) {
			return plain.DialContext(ctx, network, peer.Listener.Addr().String())
		})})})
		textOf(t, c, "http://origin.test/")
		if diff := cmp.Diff([]string{"origin.test:80"}, d.made); diff != "" {
			t.Errorf("dialed (-want +got):\n%s", diff)
		}
	})

	t.Run("TLS", func(t *testing.T) {
		s := httptest.NewTLSServer(http.HandlerFunc(ok))
		defer s.Close()
		config := &tls.Config{RootCAs: pool}
		for _, tt := range []struct {
			config *tls.Config
			ok     bool
		}{{nil, false}, {config, true}} {
			tr := newTransport(t, ply.TransportOptions{TLSClientConfig: tt.config})
			config.RootCAs = nil // the transport has its own copy
			if err := fetch(t.Context(), newClient(t, ply.Options{Transport: tr}), s.URL); (err == nil) != tt.ok {
				t.Errorf("%v: %v", tt.config, err)
			}
			config.RootCAs = pool
		}
	})

	t.Run("ExpectContinueTimeout", func(t *testing.T) {
		for limit, want := range map[time.Duration]time.Duration{0: time.Second, 3 * time.Second: 3 * time.Second, -1: 0} {
			synctest.Test(t, func(t *testing.T) {
				p := newPipes()
				defer p.Close()
				var waited time.Duration
				go func() {
					c, err := p.Accept()
					if err != nil {
						return
					}
					defer c.Close()
					r := bufio.NewReader(c)
					for line := ""; line != "\r\n"; line, err = r.ReadString('\n') {
						if err != nil {
							return
						}
					}
					began := time.Now()
					r.ReadByte()
					waited = time.Since(began)
					io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
				}()
				c := newClient(t, ply.Options{Transport: newTransport(t, ply.TransportOptions{DialContext: p.dial, ExpectContinueTimeout: limit})})
				resp, err := c.Post(t.Context(), "http://origin.test/", ply.SetHeader("Expect", "100-continue"), ply.BodyString("x"))
				require.NoError(t, err)
				resp.Body.Close()
				if waited != want {
					t.Errorf("with %v: waited %v for the server to ask for the body, want %v", limit, waited, want)
				}
			})
		}
	})

	t.Run("IdleConnTimeout", func(t *testing.T) {
		for _, tt := range []struct {
			keep, pause time.Duration
			made        int
		}{
			{0, 0, 1},
			{0, 89 * time.Second, 1},
			{0, 91 * time.Second, 2},
			{time.Hour, 59 * time.Minute, 1},
			{time.Second, 2 * time.Second, 2},
			{-1, 0, 2},
		} {
			synctest.Test(t, func(t *testing.T) {
				var d dials
				m := serveInMemory(t, http.HandlerFunc(ok), nil)
				m.options.DialContext, m.options.IdleConnTimeout = d.of(m.options.DialContext), tt.keep
				c := newClient(t, ply.Options{Transport: m.transport(t)})
				require.NoError(t, fetch(t.Context(), c, m.url))
				time.Sleep(tt.pause)
				synctest.Wait()
				require.NoError(t, fetch(t.Context(), c, m.url))
				if made, _ := d.counts(); made != tt.made {
					t.Errorf("kept for %v, used again after %v: %d connections, want %d", tt.keep, tt.pause, made, tt.made)
				}
			})
		}
	})

	// burst makes n requests at once to each host, and waits for all.
	burst := func(t *testing.T, c *ply.Client, n int, hosts ...string) {
		var all sync.WaitGroup
		for _, host := range hosts {
			for range n {
				all.Go(func() {
					if err := fetch(t.Context(), c, "http://"+host+"/"); err != nil {
						t.Error(err)
					}
				})
			}
		}
		all.Wait()
		synctest.Wait()
	}

	for name, tt := range map[string]struct {
		options ply.TransportOptions
		hosts   []string
		most    int // connections at once during a burst of 5 to each host
		kept    int // after it
	}{
		"MaxConnsPerHost, none":        {ply.TransportOptions{}, []string{"a.test", "b.test"}, 10, 10},
		"MaxConnsPerHost":              {ply.TransportOptions{MaxConnsPerHost: 2}, []string{"a.test", "b.test"}, 4, 4},
		"MaxIdleConns":                 {ply.TransportOptions{MaxIdleConns: 3}, []string{"a.test", "b.test"}, 10, 3},
		"MaxIdleConnsPerHost":          {ply.TransportOptions{MaxIdleConnsPerHost: 3}, []string{"a.test", "b.test"}, 10, 6},
		"MaxIdleConnsPerHost and both": {ply.TransportOptions{MaxIdleConnsPerHost: 3, MaxIdleConns: 4}, []string{"a.test", "b.test"}, 10, 4},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var d dials
				m := serveInMemory(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(time.Second) }), nil)
				tt.options.DialContext = d.of(m.options.DialContext)
				m.options = tt.options
				c := newClient(t, ply.Options{Transport: m.transport(t)})
				burst(t, c, 5, tt.hosts...)
				if _, kept := d.counts(); d.mostOpen != tt.most || kept != tt.kept {
					t.Errorf("%d connections at once and %d kept, want %d and %d", d.mostOpen, kept, tt.most, tt.kept)
				}
			})
		})
	}

	t.Run("Protocols", func(t *testing.T) {
		protocols := func(set ...func(*http.Protocols, bool)) *http.Protocols {
			var p http.Protocols
			for _, f := range set {
				f(&p, true)
			}
			return &p
		}
		h1, h2, h2c := (*http.Protocols).SetHTTP1, (*http.Protocols).SetHTTP2, (*http.Protocols).SetUnencryptedHTTP2
		proto := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) })
		secure := httptest.NewUnstartedServer(proto)
		secure.EnableHTTP2 = true
		secure.StartTLS()
		defer secure.Close()
		plain := httptest.NewUnstartedServer(proto)
		plain.Config.Protocols = protocols(h1, h2c)
		plain.Start()
		defer plain.Close()
		for _, tt := range []struct {
			name      string
			protocols *http.Protocols
			url       string
			want      string
		}{
			{"usual, TLS", nil, secure.URL, "HTTP/2.0"},
			{"usual", nil, plain.URL, "HTTP/1.1"},
			{"1, TLS", protocols(h1), secure.URL, "HTTP/1.1"},
			{"2, TLS", protocols(h2), secure.URL, "HTTP/2.0"},
			{"1 and 2, TLS", protocols(h1, h2), secure.URL, "HTTP/2.0"},
			{"unencrypted 2", protocols(h2c), plain.URL, "HTTP/2.0"},
		} {
			tr := newTransport(t, ply.TransportOptions{Protocols: tt.protocols, TLSClientConfig: &tls.Config{RootCAs: pool}})
			if tt.protocols != nil {
				*tt.protocols = http.Protocols{} // the transport has its own copy
			}
			if got := textOf(t, newClient(t, ply.Options{Transport: tr}), tt.url); got != tt.want {
				t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
			}
		}
	})

	t.Run("ReadBufferSize", func(t *testing.T) {
		for size, want := range map[int]int{0: 4096, 100: 100, 1 << 16: 1 << 16} {
			synctest.Test(t, func(t *testing.T) {
				var d dials
				m := serveInMemory(t, http.HandlerFunc(ok), nil)
				m.options.DialContext, m.options.ReadBufferSize = d.of(m.options.DialContext), size
				require.NoError(t, fetch(t.Context(), newClient(t, ply.Options{Transport: m.transport(t)}), m.url))
				d.mu.Lock()
				defer d.mu.Unlock()
				if d.largestRead != want {
					t.Errorf("with %d: read up to %d bytes at once, want %d", size, d.largestRead, want)
				}
			})
		}
	})

	t.Run("WriteBufferSize", func(t *testing.T) {
		for size, want := range map[int]int{0: 3, 1000: 10, 1 << 16: 1} {
			synctest.Test(t, func(t *testing.T) {
				var d dials
				m := serveInMemory(t, http.HandlerFunc(ok), nil)
				m.options.DialContext, m.options.WriteBufferSize = d.of(m.options.DialContext), size
				c := newClient(t, ply.Options{Transport: m.transport(t)})
				var opts []ply.RequestOption
				for i := range 9 {
					opts = append(opts, ply.SetHeader(fmt.Sprintf("X-%d", i), strings.Repeat("x", 1000)))
				}
				require.NoError(t, fetch(t.Context(), c, m.url, opts...))
				d.mu.Lock()
				defer d.mu.Unlock()
				if d.writes < want || want == 1 && d.writes > 1 {
					t.Errorf("with %d: a request of 9 kB in %d writes, want %d", size, d.writes, want)
				}
			})
		}
	})

	t.Run("MaxResponseHeaderBytes", func(t *testing.T) {
		for _, tt := range []struct {
			limit int64
			size  int
			fits  bool
		}{{0, 20_000, true}, {1000, 20_000, false}, {100_000, 20_000, true}, {0, 1_000_000, true}, {0, 1 << 20, false}, {-1, 1 << 20, true}, {4 << 20, 1 << 20, true}} {
			synctest.Test(t, func(t *testing.T) {
				m := serveInMemory(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("X", strings.Repeat("x", tt.size))
				}), nil)
				m.options.MaxResponseHeaderBytes = tt.limit
				if err := fetch(t.Context(), newClient(t, ply.Options{Transport: m.transport(t)}), m.url); (err == nil) != tt.fits {
					t.Errorf("a field of %d bytes, with %d: %v", tt.size, tt.limit, err)
				}
			})
		}
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 1<<20))
		}))
		defer s.Close()
		if err := fetch(t.Context(), newClient(t, ply.Options{}), s.URL); err == nil {
			t.Error("a client's own transport has no bound")
		}
	})
}

func TestTransportOptionsThatCannotBeCarriedOut(t *testing.T) {
	dial := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("not reached") }
	tests := map[string]struct {
		options ply.TransportOptions
		option  string
	}{
		"a dialer and a socket":        {ply.TransportOptions{DialContext: dial, UnixSocket: "/s"}, "TransportOptions.DialContext"},
		"a dialer and a network":       {ply.TransportOptions{DialContext: dial, Network: "tcp4"}, "TransportOptions.DialContext"},
		"a dialer and a local address": {ply.TransportOptions{DialContext: dial, LocalAddr: &net.TCPAddr{}}, "TransportOptions.DialContext"},
		"a dialer and a resolver":      {ply.TransportOptions{DialContext: dial, Resolver: &net.Resolver{}}, "TransportOptions.DialContext"},
		"a socket and a network":       {ply.TransportOptions{UnixSocket: "/s", Network: "tcp4"}, "TransportOptions.UnixSocket"},
		"another network":              {ply.TransportOptions{Network: "udp"}, "TransportOptions.Network"},
		"no protocol":                  {ply.TransportOptions{Protocols: &http.Protocols{}}, "TransportOptions.Protocols"},
	}
	for name, tt := range tests {
		tr, err := ply.NewTransport(tt.options)
		var bad *ply.OptionError
		if tr != nil || !errors.As(err, &bad) || bad.Option != tt.option {
			t.Errorf("%s: got %v, %v, want an OptionError of %s", name, tr, err, tt.option)
		}
	}
}

func textOf(t *testing.T, c *ply.Client, url string, opts ...ply.RequestOption) string {
	t.Helper()
	resp := get(t, c, url, opts...)
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(b)
}

// nameserver is a connection to a DNS server that knows 127.0.0.1 as the address of every name, and no other.
func nameserver(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		for {
			var size uint16 // over a stream, messages have their length before them (RFC 1035 §4.2.2)
			if binary.Read(server, binary.BigEndian, &size) != nil {
				return
			}
			query := make([]byte, size)
			if _, err := io.ReadFull(server, query); err != nil {
				return
			}
			answer := dnsAnswer(query)
			binary.Write(server, binary.BigEndian, uint16(len(answer)))
			server.Write(answer)
		}
	}()
	return client, nil
}

func dnsAnswer(query []byte) []byte {
	end := 12
	for query[end] != 0 {
		end += 1 + int(query[end])
	}
	end += 5 // the root label, type and class
	kind := binary.BigEndian.Uint16(query[end-4:])
	answer := slices.Clone(query[:end])
	copy(answer[2:], []byte{0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0})
	if kind == 1 { // A
		answer[7] = 1
		answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1)
	}
	return answer
}

// proxySaw is one request as a proxy sees it.
type proxySaw struct {
	Kind, Target string
	User         string // of the credentials
	Header       string // X-Proxy
}

// proxy is an HTTP proxy that tunnels, and answers for origins of http URLs itself.
type proxy struct {
	mu  sync.Mutex
	saw []proxySaw
}

func (p *proxy) add(s proxySaw) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.saw = append(p.saw, s)
}

func (p *proxy) take() []proxySaw {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer func() { p.saw = nil }()
	return p.saw
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	as := http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}
	user, password, _ := as.BasicAuth()
	s := proxySaw{Kind: "absolute", Target: r.RequestURI, User: user + ":" + password, Header: r.Header.Get("X-Proxy")}
	if r.Method == http.MethodConnect {
		s.Kind = "CONNECT"
	}
	p.add(s)
	if r.Method != http.MethodConnect {
		io.WriteString(w, "by way of a proxy")
		return
	}
	target, err := net.Dial("tcp", r.Host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusOK)
	conn, rest, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	tunnel(struct {
		io.Reader
		io.WriteCloser
	}{rest, conn}, target)
}

func tunnel(a, b io.ReadWriteCloser) {
	go func() { io.Copy(a, b); a.Close() }()
	go func() { io.Copy(b, a); b.Close() }()
}

// serveSOCKS accepts connections of a SOCKS proxy that wants a user name and password (RFC 1928, RFC 1929).
func (p *proxy) serveSOCKS(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go p.socks(c)
	}
}

func (p *proxy) socks(c net.Conn) {
	r := bufio.NewReader(c)
	take := func() string { // a length and as many bytes
		n, _ := r.ReadByte()
		b := make([]byte, n)
		io.ReadFull(r, b)
		return string(b)
	}
	r.ReadByte() // version
	take()       // methods
	c.Write([]byte{5, 2})
	r.ReadByte()
	user := take() + ":" + take()
	c.Write([]byte{1, 0})
	head := make([]byte, 4) // version, command, reserved, kind of address
	io.ReadFull(r, head)
	host := ""
	if head[3] == 3 {
		host = take()
	} else {
		ip := make([]byte, 4)
		io.ReadFull(r, ip)
		host = net.IP(ip).String()
	}
	var port uint16
	binary.Read(r, binary.BigEndian, &port)
	address := net.JoinHostPort(host, fmt.Sprint(port))
	p.add(proxySaw{Kind: "SOCKS", Target: address, User: user})
	target, err := net.Dial("tcp", address)
	if err != nil {
		c.Close()
		return
	}
	c.Write([]byte{5, 0, 0, 1, 127, 0, 0, 1, 0, 0})
	tunnel(struct {
		io.Reader
		io.WriteCloser
	}{r, c}, target)
}

func TestProxies(t *testing.T) {
	_, pool := certificate()
	saw := &proxy{}
	plain := httptest.NewServer(saw)
	defer plain.Close()
	secure := httptest.NewTLSServer(saw)
	defer secure.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	go saw.serveSOCKS(l)

	direct := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "the origin") })
	origin := httptest.NewServer(direct)
	defer origin.Close()
	originTLS := httptest.NewTLSServer(direct)
	defer originTLS.Close()
	address := func(s *httptest.Server) string { return s.Listener.Addr().String() }

	tests := []struct {
		name, proxy, url, text string
		want                   proxySaw
	}{
		{"http for http", "http://u:p@" + address(plain), "http://origin.test/x?y", "by way of a proxy",
			proxySaw{"absolute", "http://origin.test/x?y", "u:p", ""}},
		{"https for http", "https://u:p@" + address(secure), "http://origin.test/", "by way of a proxy",
			proxySaw{"absolute", "http://origin.test/", "u:p", ""}},
		{"http for https", "http://u:p@" + address(plain), originTLS.URL, "the origin",
			proxySaw{"CONNECT", address(originTLS), "u:p", "for the proxy"}},
		{"https for https", "https://u:p@" + address(secure), originTLS.URL, "the origin",
			proxySaw{"CONNECT", address(originTLS), "u:p", "for the proxy"}},
		{"without credentials", "http://" + address(plain), originTLS.URL, "the origin",
			proxySaw{"CONNECT", address(originTLS), ":", "for the proxy"}},
		{"socks5 for http", "socks5://u:p@" + l.Addr().String(), origin.URL, "the origin",
			proxySaw{"SOCKS", address(origin), "u:p", ""}},
		{"socks5h for https", "socks5h://u:p@" + l.Addr().String(), originTLS.URL, "the origin",
			proxySaw{"SOCKS", address(originTLS), "u:p", ""}},
	}
	for _, tt := range tests {
		header := http.Header{"X-Proxy": {"for the proxy"}}
		other := ply.TransportOptions{
			TLSClientConfig:    &tls.Config{RootCAs: pool},
			Proxy:              func(*http.Request) (*url.URL, error) { return url.Parse("http://192.0.2.1:1") },
			ProxyConnectHeader: http.Header{"X-Proxy": {"of the transport"}},
		}
		own := other
		own.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(tt.proxy) }
		own.ProxyConnectHeader = header
		dynamic := newTransport(t, other)
		dynamic.GetProxyConnectHeader = func(context.Context, *url.URL, string) (http.Header, error) {
			return http.Header{"X-Proxy": {"of a function"}}, nil
		}
		options := []ply.RequestOption{ply.ProxyURL(tt.proxy), ply.ProxyConnectHeader(header)}
		for way, use := range map[string]struct {
			transport *http.Transport
			defaults  []ply.RequestOption
			request   []ply.RequestOption
		}{
			"by the transport": {newTransport(t, own), nil, nil},
			"by default":       {newTransport(t, other), options, nil},
			"by the request":   {newTransport(t, other), nil, options},
			"by the request over the default": {newTransport(t, other), []ply.RequestOption{
				ply.ProxyURL("http://192.0.2.2:1"), ply.ProxyConnectHeader(http.Header{"X-Proxy": {"of a default"}}),
			}, options},
			"by the request over a function": {dynamic, nil, options},
		} {
			t.Run(tt.name+"/"+way, func(t *testing.T) {
				c := newClient(t, ply.Options{Transport: use.transport, Defaults: use.defaults})
				if got := textOf(t, c, tt.url, use.request...); got != tt.text {
					t.Errorf("got %q, want %q", got, tt.text)
				}
				if diff := cmp.Diff([]proxySaw{tt.want}, saw.take()); diff != "" {
					t.Errorf("the proxy saw (-want +got):\n%s", diff)
				}
				c.CloseIdleConnections()
			})
		}
	}

	t.Run("none, for a request", func(t *testing.T) {
		tr := newTransport(t, ply.TransportOptions{Proxy: func(*http.Request) (*url.URL, error) { return url.Parse(plain.URL) }})
		c := newClient(t, ply.Options{Transport: tr, Defaults: []ply.RequestOption{ply.ProxyURL("http://192.0.2.2:1")}})
		if got := textOf(t, c, origin.URL, ply.ProxyURL("")); got != "the origin" || saw.take() != nil {
			t.Errorf("got %q", got)
		}
	})

	t.Run("what it is given is copied", func(t *testing.T) {
		header := http.Header{"X-Proxy": {"one"}}
		c := newClient(t, ply.Options{Transport: newTransport(t, ply.TransportOptions{
			TLSClientConfig: &tls.Config{RootCAs: pool}, ProxyConnectHeader: header,
			Proxy: func(*http.Request) (*url.URL, error) { return url.Parse(plain.URL) },
		})})
		header.Set("X-Proxy", "two")
		textOf(t, c, originTLS.URL)
		if got := saw.take()[0].Header; got != "one" {
			t.Errorf("the proxy got %q", got)
		}
	})

	t.Run("secrets stay out of errors", func(t *testing.T) {
		c := newClient(t, ply.Options{})
		err := fetch(t.Context(), c, "http://origin.test/", ply.ProxyURL("http://user:secret@127.0.0.1:1"))
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("got %v", err)
		}
	})

	t.Run("that cannot be", func(t *testing.T) {
		for _, bad := range []string{"ftp://a.test", "a.test:80", "http://", "://", "http://u:secret@a b"} {
			_, err := newClient(t, ply.Options{}).Get(t.Context(), origin.URL, ply.ProxyURL(bad))
			var option *ply.OptionError
			if !errors.As(err, &option) || option.Option != "ProxyURL" || strings.Contains(err.Error(), "secret") {
				t.Errorf("%q: got %v", bad, err)
			}
		}
	})
}

// TestProxiesOfTheEnvironmentThatCannotBeUsed: they are an error, not a direct connection, and the error does not show the password.
func TestProxiesOfTheEnvironmentThatCannotBeUsed(t *testing.T) {
	for _, tt := range []struct {
		value string
		ok    bool
	}{
		{"", true}, {"proxy.test", true}, {"proxy.test:3128", true}, {"10.0.0.1:3128", true}, {"[::1]:3128", true}, {"user:s3cret@proxy.test:3128", true},
		{"http://user:s3cret@proxy.test:3128/", true}, {"socks5://10.0.0.1:1080", true}, {"socks5h://proxy.test:1080", true}, {"https://proxy.test", true},
		{"http://user:s3cret%t@proxy.test:3128", false}, {"user:s3cret%t@proxy.test:3128", false}, {"http://user:s3cret@", false}, {"http://", false},
		{"http:/user:s3cret@proxy.test", false}, {"//user:s3cret@proxy.test", false}, {"http://user:s3cret@proxy .test", false}, {"ftp://user:s3cret@proxy.test", false},
		{"::1", false}, {"proxy.test:s3cret", false}, {"http://proxy.test:s3cret", false}, {" http://user:s3cret@proxy.test", false},
		{"http://user:s3cret@proxy.test\n", false},
	} {
		for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
			t.Run(name+" "+tt.value, func(t *testing.T) {
				t.Setenv("NETRC", os.DevNull)
				for _, other := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
					t.Setenv(other, "")
				}
				t.Setenv(name, tt.value)
				for _, trusts := range []bool{true, false} {
					c, err := ply.New(ply.Options{TrustEnv: trusts})
					if c != nil {
						c.Close()
					}
					if want := tt.ok || !trusts; (err == nil) != want {
						t.Fatalf("TrustEnv %v: got %v, want success %v", trusts, err, want)
					}
					var option *ply.OptionError
					if err != nil && (!errors.As(err, &option) || option.Option != "TrustEnv" || !strings.Contains(err.Error(), name) || strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), "s3cret")) {
						t.Errorf("got %v", err)
					}
				}
				if _, err := ply.New(ply.Options{TrustEnv: true, Transport: http.DefaultTransport}); err != nil {
					t.Errorf("with another transport: %v", err)
				}
			})
		}
	}
	t.Setenv("NETRC", os.DevNull)
	t.Setenv("HTTP_PROXY", "proxy.test:3128")
	t.Setenv("http_proxy", "http://%")
	if c, err := ply.New(ply.Options{TrustEnv: true}); err != nil {
		t.Errorf("net/http does not look at the second name where the first is set: %v", err)
	} else {
		c.Close()
	}
}

// TestTrustEnv runs itself once more with proxies in the environment, because net/http looks there once in a process.
func TestTrustEnv(t *testing.T) {
	const proxied = "PLY_TEST_PROXIED"
	if os.Getenv(proxied) == "" {
		p := &proxy{}
		s := httptest.NewServer(p)
		defer s.Close()
		cmd := exec.Command(os.Args[0], "-test.run=^TestTrustEnv$")
		cmd.Env = append(os.Environ(), proxied+"=1", "HTTP_PROXY="+s.URL, "http_proxy="+s.URL, "NO_PROXY=", "no_proxy=", "REQUEST_METHOD=", "HOME="+t.TempDir(), "NETRC=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	asks, err := ply.NewTransport(ply.TransportOptions{Proxy: http.ProxyFromEnvironment})
	require.NoError(t, err)
	for name, tt := range map[string]struct {
		options ply.Options
		trusts  bool
	}{
		"TrustEnv":                {ply.Options{TrustEnv: true}, true},
		"ProxyFromEnvironment":    {ply.Options{Transport: asks}, true},
		"zero options":            {ply.Options{}, false},
		"a transport of its own":  {ply.Options{TrustEnv: true, Transport: newTransport(t, ply.TransportOptions{})}, false},
		"no proxy for requests":   {ply.Options{TrustEnv: true, Defaults: []ply.RequestOption{ply.ProxyURL("")}}, false},
		"another variant of both": {ply.Options{TrustEnv: true, Defaults: []ply.RequestOption{ply.InsecureSkipVerify()}}, true},
	} {
		// Without a proxy the name would be looked up; that's as far as it goes.
		looked := false
		ctx, cancel := context.WithCancel(t.Context())
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{DNSStart: func(httptrace.DNSStartInfo) { looked = true; cancel() }})
		err := fetch(ctx, newClient(t, tt.options), "http://origin.test/")
		cancel()
		if (err == nil) != tt.trusts || looked == tt.trusts {
			t.Errorf("%s: by way of a proxy: %t, looked up the name: %t (%v)", name, err == nil, looked, err)
		}
	}
}

// secureOrigin is a server over TLS whose certificate no one trusts by default.
func secureOrigin(t *testing.T, h2 bool, h http.HandlerFunc) (s *httptest.Server, connections func() int) {
	t.Helper()
	var mu sync.Mutex
	n := 0
	s = httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = h2
	s.Config.ErrorLog = quiet
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			mu.Lock()
			defer mu.Unlock()
			n++
		}
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, func() int {
		mu.Lock()
		defer mu.Unlock()
		return n
	}
}

func TestTLSSettings(t *testing.T) {
	_, pool := certificate()
	trusting := &tls.Config{RootCAs: pool}
	right := func(s *httptest.Server) [sha256.Size]byte { return sha256.Sum256(s.Certificate().Raw) }
	wrong := [sha256.Size]byte{1}
	for _, h2 := range []bool{false, true} {
		requests := 0
		s, _ := secureOrigin(t, h2, func(http.ResponseWriter, *http.Request) { requests++ })
		for name, tt := range map[string]struct {
			options ply.Options
			request []ply.RequestOption
			want    string // "" or part of the error
		}{
			"none":                              {ply.Options{}, nil, "certificate signed by unknown authority"},
			"of the transport":                  {ply.Options{Transport: newTransport(t, ply.TransportOptions{TLSClientConfig: trusting})}, nil, ""},
			"TLS":                               {ply.Options{}, []ply.RequestOption{ply.TLSConfig(trusting)}, ""},
			"TLS, by default":                   {ply.Options{Defaults: []ply.RequestOption{ply.TLSConfig(trusting)}}, nil, ""},
			"TLS over the default":              {ply.Options{Defaults: []ply.RequestOption{ply.InsecureSkipVerify()}}, []ply.RequestOption{ply.TLSConfig(&tls.Config{})}, "unknown authority"},
			"InsecureSkipVerify":                {ply.Options{}, []ply.RequestOption{ply.InsecureSkipVerify()}, ""},
			"InsecureSkipVerify over a default": {ply.Options{Defaults: []ply.RequestOption{ply.PinCertificate(wrong)}}, []ply.RequestOption{ply.InsecureSkipVerify()}, ""},
			"PinCertificate":                    {ply.Options{}, []ply.RequestOption{ply.PinCertificate(right(s))}, ""},
			"PinCertificate, the second of two": {ply.Options{}, []ply.RequestOption{ply.PinCertificate(wrong, right(s))}, ""},
			"PinCertificate, another":           {ply.Options{}, []ply.RequestOption{ply.PinCertificate(wrong)}, "which PinCertificate does not list"},
			"PinCertificate, another, though the chain is right": {
				ply.Options{Transport: newTransport(t, ply.TransportOptions{TLSClientConfig: trusting})},
				[]ply.RequestOption{ply.PinCertificate(wrong)}, "which PinCertificate does not list",
			},
			"PinCertificate over a transport that accepts all": {
				ply.Options{Transport: newTransport(t, ply.TransportOptions{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}})},
				[]ply.RequestOption{ply.PinCertificate(wrong)}, "which PinCertificate does not list",
			},
			"on a transport that isn't ply's": {ply.Options{Transport: &http.Transport{}}, []ply.RequestOption{ply.InsecureSkipVerify()}, ""},
			"TLS on a transport that isn't ply's": {
				ply.Options{Transport: &http.Transport{}}, []ply.RequestOption{ply.TLSConfig(trusting)}, "",
			},
			"on a transport with a TLS dialer": {ply.Options{Transport: &http.Transport{
				DialTLSContext: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("must not be asked") },
			}}, []ply.RequestOption{ply.InsecureSkipVerify()}, ""},
		} {
			t.Run(fmt.Sprintf("%s/HTTP2=%t", name, h2), func(t *testing.T) {
				requests = 0
				c := newClient(t, tt.options)
				resp, err := c.Get(t.Context(), s.URL, tt.request...)
				if tt.want != "" {
					if err == nil || !strings.Contains(err.Error(), tt.want) || requests != 0 {
						t.Errorf("got %v and %d requests, want %q and none", err, requests, tt.want)
					}
					return
				}
				require.NoError(t, err)
				resp.Body.Close()
				usual := !strings.Contains(name, "TLS dialer") // such transports have no HTTP/2 to begin with
				if h2 && usual && resp.ProtoMajor != 2 {
					t.Errorf("got %s, want HTTP/2 as without the setting", resp.Proto)
				}
				c.CloseIdleConnections()
			})
		}
	}
}

// TestAFingerprintErrorComesThroughEverything: layers, proxies, protocols.
func TestAFingerprintErrorComesThroughEverything(t *testing.T) {
	through := httptest.NewServer(&proxy{})
	defer through.Close()
	wrap := func(next ply.Handler) ply.Handler {
		return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if err != nil {
				err = fmt.Errorf("a layer: %w", err)
			}
			return resp, err
		})
	}
	for _, h2 := range []bool{false, true} {
		s, _ := secureOrigin(t, h2, ok)
		for _, proxied := range []string{"", through.URL} {
			c := newClient(t, ply.Options{Use: []ply.Middleware{wrap}, Timeouts: generous, Defaults: []ply.RequestOption{ply.ProxyURL(proxied)}})
			for _, host := range []string{"127.0.0.1", "localhost"} {
				_, err := c.Get(t.Context(), strings.Replace(s.URL, "127.0.0.1", host, 1), ply.PinCertificate([sha256.Size]byte{1}))
				var got *ply.CertificatePinError
				if !errors.As(err, &got) {
					t.Fatalf("got %v, want a CertificatePinError", err)
				}
				want := ply.CertificatePinError{Host: host, Got: sha256.Sum256(s.Certificate().Raw)}
				if diff := cmp.Diff(want, *got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
		}
	}
}

// TestRequestsShareConnectionsWithTheirLike, and with no others.
func TestRequestsShareConnectionsWithTheirLike(t *testing.T) {
	_, pool := certificate()
	one, two := &tls.Config{RootCAs: pool}, &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{clientCertificate(t, "two")}}
	for _, h2 := range []bool{false, true} {
		s, connections := secureOrigin(t, h2, ok)
		pin := sha256.Sum256(s.Certificate().Raw)
		likes := [][]ply.RequestOption{
			nil,
			{ply.InsecureSkipVerify()},
			{ply.PinCertificate(pin)},
			{ply.PinCertificate(pin, pin)},
			{ply.TLSConfig(one)},
			{ply.TLSConfig(two)},
			{ply.OmitHeader("Accept-Encoding")},
			{ply.InsecureSkipVerify(), ply.OmitHeader("Accept-Encoding")},
			{ply.InsecureSkipVerify(), ply.ProxyURL("")},
		}
		for name, tr := range map[string]*http.Transport{
			"ply's":      newTransport(t, ply.TransportOptions{TLSClientConfig: &tls.Config{RootCAs: pool}}),
			"net/http's": {TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true},
		} {
			c := newClient(t, ply.Options{Transport: tr})
			derived, err := c.With(func(o *ply.Options) { o.Header.Set("X", "y") })
			require.NoError(t, err)
			before := connections()
			for range 2 {
				for _, opts := range likes {
					require.NoError(t, fetch(t.Context(), c, s.URL, opts...))
					require.NoError(t, fetch(t.Context(), derived, s.URL, opts...))
				}
			}
			if got := connections() - before; got != len(likes) {
				t.Errorf("%s, HTTP2=%t: %d connections for %d kinds of requests", name, h2, got, len(likes))
			}
			c.CloseIdleConnections()
		}
	}
}

// TestAVariantLeavesAnHTTP2ThatWasConfiguredAlone: golang.org/x/net/http2 puts the connections that it is handed into the pool
// of the transport that it was configured for, whose requests may want to verify.
func TestAVariantLeavesAnHTTP2ThatWasConfiguredAlone(t *testing.T) {
	s, _ := secureOrigin(t, true, ok)
	handed := 0
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{NextProtos: []string{"h2", "http/1.1"}},
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{"h2": func(string, *tls.Conn) http.RoundTripper {
			handed++
			return ply.HandlerFunc(func(*http.Request) (*http.Response, error) { return nil, errors.New("wrong pool") })
		}},
	}
	c := newClient(t, ply.Options{Transport: tr})
	resp := get(t, c, s.URL, ply.InsecureSkipVerify())
	if handed != 0 || resp.ProtoMajor != 2 {
		t.Errorf("%d connections handed over, %s; want none and HTTP/2", handed, resp.Proto)
	}
}

func TestAVariantOfATransportWithoutHTTP2HasNone(t *testing.T) {
	s, _ := secureOrigin(t, true, ok)
	for name, tr := range map[string]*http.Transport{
		"an empty map":  {TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}},
		"configuration": {TLSClientConfig: &tls.Config{}},
		"ply's":         newTransport(t, ply.TransportOptions{Protocols: onlyHTTP1()}),
	} {
		c := newClient(t, ply.Options{Transport: tr})
		if resp := get(t, c, s.URL, ply.InsecureSkipVerify()); resp.ProtoMajor != 1 {
			t.Errorf("%s: got %s", name, resp.Proto)
		}
	}
}

func onlyHTTP1() *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(true)
	return &p
}

// TestASessionOfAnUnverifiedConnectionIsNotResumed by requests that have it verified in a way of their own:
// crypto/tls doesn't call VerifyPeerCertificate for resumed sessions.
func TestASessionOfAnUnverifiedConnectionIsNotResumed(t *testing.T) {
	s, _ := secureOrigin(t, false, ok)
	refused := errors.New("refused")
	tr := newTransport(t, ply.TransportOptions{TLSClientConfig: &tls.Config{
		ClientSessionCache:    tls.NewLRUClientSessionCache(0),
		InsecureSkipVerify:    true,
		VerifyPeerCertificate: func([][]byte, [][]*x509.Certificate) error { return refused },
	}})
	c := newClient(t, ply.Options{Transport: tr})
	require.NoError(t, fetch(t.Context(), c, s.URL, ply.InsecureSkipVerify()))
	c.CloseIdleConnections()
	if err := fetch(t.Context(), c, s.URL); !errors.Is(err, refused) {
		t.Errorf("got %v, want the certificate refused", err)
	}
}

func TestFingerprintHoldsForResumedSessions(t *testing.T) {
	s, _ := secureOrigin(t, false, ok)
	pin := sha256.Sum256(s.Certificate().Raw)
	tr := newTransport(t, ply.TransportOptions{IdleConnTimeout: -1, TLSClientConfig: &tls.Config{ClientSessionCache: tls.NewLRUClientSessionCache(0)}})
	c := newClient(t, ply.Options{Transport: tr})
	for i := range 2 {
		resp := get(t, c, s.URL, ply.PinCertificate(pin))
		io.Copy(io.Discard, resp.Body)
		if resp.TLS.DidResume != (i > 0) {
			t.Errorf("request %d: resumed: %t", i, resp.TLS.DidResume)
		}
	}
}

// TestVariantsNeedATransportToCopy: what a request asks of its connection cannot be asked of any Handler.
func TestVariantsNeedATransportToCopy(t *testing.T) {
	transport := &recorder{}
	c := newClient(t, ply.Options{Transport: transport})
	for option, o := range map[string]ply.RequestOption{
		"TLSConfig": ply.TLSConfig(&tls.Config{}), "InsecureSkipVerify": ply.InsecureSkipVerify(), "PinCertificate": ply.PinCertificate([sha256.Size]byte{}),
		"ProxyURL": ply.ProxyURL(""), "ProxyConnectHeader": ply.ProxyConnectHeader(http.Header{"X": {"y"}}),
	} {
		body := &closeCounter{Reader: strings.NewReader("x")}
		_, err := c.Post(t.Context(), "http://a.test/", o, ply.BodyReader(body))
		var bad *ply.OptionError
		if !errors.As(err, &bad) || bad.Option != option || !strings.Contains(err.Error(), "*ply_test.recorder") {
			t.Errorf("%s: got %v", option, err)
		}
		if body.closed != 1 {
			t.Errorf("%s: the request's body was closed %d times", option, body.closed)
		}
		if _, err := ply.New(ply.Options{Transport: transport, Defaults: []ply.RequestOption{o}}); !errors.As(err, &bad) {
			t.Errorf("%s by default: got %v", option, err)
		}
	}
	if len(transport.got) != 0 {
		t.Errorf("%d requests were sent", len(transport.got))
	}
}

// proxies runs f with a client over a transport in memory whose variants are told apart by their proxies.
func proxies(t *testing.T, o ply.Options, f func(t *testing.T, c *ply.Client, d *dials)) {
	synctest.Test(t, func(t *testing.T) {
		d := &dials{}
		m := serveInMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "so")
			w.(http.Flusher).Flush()
			if r.URL.Path == "/slow" {
				time.Sleep(time.Second)
			}
			io.WriteString(w, "me")
		}), nil)
		m.options.DialContext = d.of(m.options.DialContext)
		o.Transport = m.transport(t)
		c, err := ply.New(o)
		require.NoError(t, err)
		f(t, c, d)
		c.Close()
	})
}

func proxyNumber(i int) ply.RequestOption {
	return ply.ProxyURL(fmt.Sprintf("http://%d.proxy.test", i))
}

func TestVariantsAreBounded(t *testing.T) {
	proxies(t, ply.Options{}, func(t *testing.T, c *ply.Client, d *dials) {
		for i := range 200 {
			require.NoError(t, fetch(t.Context(), c, "http://a.test/", proxyNumber(i)))
		}
		synctest.Wait()
		if made, open := d.counts(); made != 200 || open != 32 {
			t.Errorf("%d connections made and %d open, want 200 and 32", made, open)
		}
		c.CloseIdleConnections()
		synctest.Wait()
		if _, open := d.counts(); open != 0 {
			t.Errorf("%d connections open after CloseIdleConnections", open)
		}
	})
}

func TestAnExchangeGoesOnWhenItsVariantMakesRoom(t *testing.T) {
	proxies(t, ply.Options{}, func(t *testing.T, c *ply.Client, d *dials) {
		resp, err := c.Get(t.Context(), "http://a.test/slow", proxyNumber(0))
		require.NoError(t, err)
		for i := range 40 {
			require.NoError(t, fetch(t.Context(), c, "http://a.test/", proxyNumber(1+i)))
		}
		if b, err := io.ReadAll(resp.Body); string(b) != "some" || err != nil {
			t.Errorf("got %q, %v", b, err)
		}
		synctest.Wait()
		if _, open := d.counts(); open != 32 {
			t.Errorf("%d connections open, want 32: the one that ended has nowhere to be kept", open)
		}
	})
}

// TestADefaultVariantStays as long as it is used, and Close reaches it.
func TestADefaultVariantStays(t *testing.T) {
	for name, own := range map[string]ply.RequestOption{"requests as they are": {}, "requests with options": ply.Timeout(time.Hour)} {
		t.Run(name, func(t *testing.T) {
			proxies(t, ply.Options{Defaults: []ply.RequestOption{ply.ProxyURL("http://default.test")}}, func(t *testing.T, c *ply.Client, d *dials) {
				for i := range 100 {
					require.NoError(t, fetch(t.Context(), c, "http://a.test/", proxyNumber(i)))
					req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://a.test/", nil)
					require.NoError(t, err)
					if name == "requests with options" {
						req, err = c.NewRequest(t.Context(), http.MethodGet, "http://a.test/", own)
						require.NoError(t, err)
					}
					resp, err := c.Do(req)
					require.NoError(t, err)
					io.Copy(io.Discard, resp.Body)
				}
				synctest.Wait()
				if made, open := d.counts(); made != 101 || open != 32 {
					t.Errorf("%d connections made and %d open, want 101 and 32", made, open)
				}
				c.Close()
				synctest.Wait()
				if _, open := d.counts(); open != 0 {
					t.Errorf("%d connections open after Close", open)
				}
			})
		})
	}
}

func TestCloseReachesVariantsButNotATransportThatWasGiven(t *testing.T) {
	proxies(t, ply.Options{}, func(t *testing.T, c *ply.Client, d *dials) {
		require.NoError(t, fetch(t.Context(), c, "http://a.test/"))
		require.NoError(t, fetch(t.Context(), c, "http://a.test/", proxyNumber(1)))
		derived, err := c.With(func(*ply.Options) {})
		require.NoError(t, err)
		derived.Close()
		synctest.Wait()
		if _, open := d.counts(); open != 2 {
			t.Errorf("%d connections open after a derived client was closed, want 2", open)
		}
		c.Close()
		synctest.Wait()
		if _, open := d.counts(); open != 1 {
			t.Errorf("%d connections open after Close, want that of the transport", open)
		}
	})
}

// TestAnIdleConnectionOfAVariantEnds, even if the transport keeps its own forever: nobody may come to close it.
func TestAnIdleConnectionOfAVariantEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d dials
		m := serveInMemory(t, http.HandlerFunc(ok), nil)
		c := newClient(t, ply.Options{Transport: &http.Transport{DialContext: d.of(m.options.DialContext)}})
		require.NoError(t, fetch(t.Context(), c, m.url))
		require.NoError(t, fetch(t.Context(), c, m.url, proxyNumber(1)))
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if _, open := d.counts(); open != 1 {
			t.Errorf("%d connections open after a day, want that of the transport", open)
		}
		c.CloseIdleConnections()
	})
}

func TestVariantsUnderConcurrentUse(t *testing.T) {
	proxies(t, ply.Options{Defaults: []ply.RequestOption{ply.ProxyURL("http://default.test")}}, func(t *testing.T, c *ply.Client, d *dials) {
		var all sync.WaitGroup
		for g := range 8 {
			all.Go(func() {
				for i := range 50 {
					opts := []ply.RequestOption{proxyNumber((g*31 + i) % 45)}
					if i%7 == 0 {
						opts = nil
					}
					if err := fetch(t.Context(), c, "http://a.test/", opts...); err != nil {
						t.Error(err)
					}
					if i%10 == 0 {
						c.CloseIdleConnections()
					}
				}
			})
		}
		all.Wait()
		c.Close()
		time.Sleep(2 * time.Minute) // for a connection that came back to a variant which had made room
		if _, open := d.counts(); open != 0 {
			t.Errorf("%d connections open", open)
		}
	})
}

// partitionOf is what a request's answers are kept apart by, or "" if that is nothing.
func partitionOf(r *http.Request) string {
	return strings.TrimPrefix(string(connection.Choices(r.Context()).Append(nil)), "\x00")
}

// TestPartitions: a layer, a cache for one, can tell answers apart by the trust that they rest on.
func TestPartitions(t *testing.T) {
	s, _ := secureOrigin(t, false, ok)
	_, pool := certificate()
	one, two := &tls.Config{RootCAs: pool}, &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{clientCertificate(t, "two")}}
	pin := sha256.Sum256(s.Certificate().Raw)
	verifying := func() *http.Transport { return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}} }
	insecure := func() *http.Transport {
		return &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	}
	var last string
	layer := func(next ply.Handler) ply.Handler {
		return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			last = partitionOf(r)
			return next.RoundTrip(r)
		})
	}
	of := func(t *testing.T, c *ply.Client, opts ...ply.RequestOption) string {
		t.Helper()
		require.NoError(t, fetch(t.Context(), c, s.URL, opts...))
		return last
	}
	client := func(o ply.Options) *ply.Client {
		o.Use = []ply.Middleware{layer}
		return newClient(t, o)
	}

	c := client(ply.Options{Transport: verifying()})
	kinds := map[string][]ply.RequestOption{
		"verified":  nil,
		"insecure":  {ply.InsecureSkipVerify()},
		"pinned":    {ply.PinCertificate(pin)},
		"pinned, 2": {ply.PinCertificate(pin, [sha256.Size]byte{1})},
		"TLS two":   {ply.TLSConfig(two)},
	}
	seen := make(map[string]string)
	for kind, opts := range kinds {
		p := of(t, c, opts...)
		if other, ok := seen[p]; ok {
			t.Errorf("%s shares partition %q with %s", kind, p, other)
		}
		seen[p] = kind
		for more, and := range map[string]ply.RequestOption{
			"again": {}, "without a proxy": ply.ProxyURL(""), "without gzip": ply.OmitHeader("Accept-Encoding"), "in time": ply.Timeout(time.Hour),
		} {
			if got := of(t, c, append(slices.Clone(opts), and)...); got != p {
				t.Errorf("%s %s: partition %q, want %q as before", kind, more, got, p)
			}
		}
	}
	if seen[of(t, c, ply.TLSConfig(one.Clone()))] != "verified" {
		t.Error("the roots of the transport have another partition than the same roots of a request")
	}
	if kind, ok := seen[""]; ok {
		t.Errorf("%s has the common partition, with roots of its own", kind)
	}

	byRequest := of(t, c, kinds["insecure"]...)
	inner := newClient(t, ply.Options{Defaults: []ply.RequestOption{ply.InsecureSkipVerify()}})
	wrapped := newClient(t, ply.Options{Transport: insecure()})
	for name, o := range map[string]ply.Options{
		"a transport":          {Transport: insecure()},
		"a default":            {Transport: verifying(), Defaults: kinds["insecure"]},
		"a wrapped transport":  {Transport: &describing{insecure()}},
		"a wrapped client's":   {Transport: ply.Wrap(&http.Client{Transport: insecure()}, plain).Transport},
		"a chain":              {Transport: ply.Chain(acme, plain)(insecure())},
		"a condition":          {Transport: ply.When(func(*http.Request) bool { return true }, plain)(insecure())},
		"another client":       {Transport: inner},
		"another one's client": {Transport: wrapped.HTTPClient().Transport},
	} {
		if got := of(t, client(o)); got != byRequest {
			t.Errorf("insecure by way of %s: partition %q, want %q as by a request", name, got, byRequest)
		}
	}

	environment := client(ply.Options{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: pool}}})
	if got := of(t, environment); got != of(t, c) {
		t.Errorf("proxies of the environment: partition %q", got)
	}
	if got := of(t, environment, ply.ProxyURL("")); got == of(t, c) {
		t.Error("a request that passes them by shares their partition")
	}

	verified := func(tls.ConnectionState) error { return nil }
	special := of(t, client(ply.Options{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, VerifyConnection: verified}}}))
	if _, ok := seen[special]; ok {
		t.Errorf("a verification of its own shares partition %q with %s", special, seen[special])
	}
	if got := of(t, client(ply.Options{Transport: insecure()}), ply.TLSConfig(one)); got == byRequest {
		t.Error("a configuration that verifies shares the partition of those that don't")
	}
	if got := of(t, client(ply.Options{Transport: insecure()}), ply.ProxyURL("")); got != byRequest {
		t.Errorf("a variant that doesn't verify has partition %q", got)
	}
}

// TestARequestInAContextOfAnotherStaysInItsPartition: what an unverified answer led to is not above it.
func TestARequestInAContextOfAnotherStaysInItsPartition(t *testing.T) {
	s, _ := secureOrigin(t, false, ok)
	plain := httptest.NewServer(http.HandlerFunc(ok))
	defer plain.Close()
	var got []string
	c := newClient(t, ply.Options{Use: []ply.Middleware{func(next ply.Handler) ply.Handler {
		return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			got = append(got, partitionOf(r))
			return next.RoundTrip(r)
		})
	}}})
	resp := get(t, c, s.URL, ply.InsecureSkipVerify())
	require.NoError(t, fetch(resp.Request.Context(), c, plain.URL))
	if got[0] == "" || got[1] != got[0] {
		t.Errorf("got partitions %q", got)
	}
}

// quiet is for servers that see handshakes fail as they should.
var quiet = log.New(io.Discard, "", 0)
