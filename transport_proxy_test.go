package ply_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
)

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

// proxySaw is a request that a proxy got.
type proxySaw struct {
	Kind, Target string
	User         string // of the credentials
	Header       string // X-Proxy
}

// proxy is an HTTP proxy that tunnels, and responds to requests for http URLs itself.
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

// TestUnusableProxyOfTheEnvironmentIsAnError: not a direct connection; and the error does not show the password.
func TestUnusableProxyOfTheEnvironmentIsAnError(t *testing.T) {
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

// TestTrustEnv runs itself in a process with proxies in the environment, because net/http reads them only once in a process.
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
