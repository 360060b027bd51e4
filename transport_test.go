package ply_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
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

// TestTransportOptions shows the effect of each. ConnectTimeout and TLSHandshakeTimeout are in TestTransportLimitsAreTimeoutErrors,
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

func TestInvalidTransportOptionsAreErrors(t *testing.T) {
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
