//lint:file-ignore SA1019 a transport may have the deprecated dialers

package connection_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/connection"
	"github.com/plyhttp/ply/internal/reqctx"
)

// certificate is self-signed; all have one subject.
func certificate(tb testing.TB) (*x509.Certificate, tls.Certificate) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(tb, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "one for all"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(tb, err)
	c, err := x509.ParseCertificate(der)
	require.NoError(tb, err)
	return c, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func pool(certs ...*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}

func fromPEM(certs ...*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return p
}

func identity(t *http.Transport) connection.Identity {
	parts := connection.Of(t, t)
	return parts.Identity()
}

func proxy(s string) func(*http.Request) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return http.ProxyURL(u)
}

func reach(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("not to be dialed")
}

// TestWhatIsCommon: what most programs set up makes no other identity, or durable stores would lose their hits.
func TestWhatIsCommon(t *testing.T) {
	system, err := x509.SystemCertPool()
	require.NoError(t, err)
	plain := &connection.Dialer{Dial: reach}
	for name, tr := range map[string]*http.Transport{
		"the zero transport":               {},
		"http.DefaultTransport":            http.DefaultTransport.(*http.Transport),
		"a copy of it":                     http.DefaultTransport.(*http.Transport).Clone(),
		"a dialer of net":                  {DialContext: (&net.Dialer{Timeout: time.Second}).DialContext},
		"the same, deprecated":             {Dial: (&net.Dialer{}).Dial},
		"net.Dial":                         {Dial: net.Dial},
		"a dialer of ply":                  {DialContext: plain.DialContext},
		"its proxies from the environment": {Proxy: http.ProxyFromEnvironment},
		"a gate":                           {Proxy: (&connection.Gate{}).ChooseProxy},
		"a gate before the environment":    {Proxy: (&connection.Gate{Proxy: http.ProxyFromEnvironment}).ChooseProxy},
		"no proxy, but fields for it":      {ProxyConnectHeader: http.Header{"X": {"y"}}},
		"an empty TLS configuration":       {TLSClientConfig: &tls.Config{}},
		"versions and protocols": {TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}, ClientSessionCache: tls.NewLRUClientSessionCache(0),
		}},
		"the system's roots": {TLSClientConfig: &tls.Config{RootCAs: system}},
	} {
		if id := identity(tr); !id.Common() {
			t.Errorf("%s: %+v", name, id)
		}
	}
}

// TestWhatIsNamedByContent: equal content has one name, whichever objects it is in, and other content another.
func TestWhatIsNamedByContent(t *testing.T) {
	one, shown := certificate(t)
	two, other := certificate(t)
	kinds := map[string]func() *http.Transport{
		"roots":       func() *http.Transport { return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool(one)}} },
		"other roots": func() *http.Transport { return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: fromPEM(two)}} },
		"both roots":  func() *http.Transport { return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool(two, one)}} },
		"no roots":    func() *http.Transport { return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool()}} },
		"system and one": func() *http.Transport {
			system, _ := x509.SystemCertPool()
			system.AddCert(one)
			return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: system}}
		},
		"unverified": func() *http.Transport { return &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} },
		"certificate": func() *http.Transport {
			return &http.Transport{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{shown}}}
		},
		"other certificate": func() *http.Transport {
			return &http.Transport{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{other}}}
		},
		"both certificates": func() *http.Transport {
			return &http.Transport{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{shown, other}}}
		},
		"certificate and roots": func() *http.Transport {
			return &http.Transport{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{shown}, RootCAs: pool(one)}}
		},
		"server name":       func() *http.Transport { return &http.Transport{TLSClientConfig: &tls.Config{ServerName: "a.test"}} },
		"other server name": func() *http.Transport { return &http.Transport{TLSClientConfig: &tls.Config{ServerName: "b.test"}} },
		"proxy":             func() *http.Transport { return &http.Transport{Proxy: proxy("http://p.test:1")} },
		"other proxy":       func() *http.Transport { return &http.Transport{Proxy: proxy("http://p.test:2")} },
		"proxy by socks":    func() *http.Transport { return &http.Transport{Proxy: proxy("socks5://p.test:1")} },
		"proxy for alice":   func() *http.Transport { return &http.Transport{Proxy: proxy("http://alice:x@p.test:1")} },
		"proxy for bob":     func() *http.Transport { return &http.Transport{Proxy: proxy("http://bob:x@p.test:1")} },
		"proxy and fields": func() *http.Transport {
			return &http.Transport{Proxy: proxy("http://p.test:1"), ProxyConnectHeader: http.Header{"X": {"y"}, "A": {"b", "c"}}}
		},
		"proxy and other fields": func() *http.Transport {
			return &http.Transport{Proxy: proxy("http://p.test:1"), ProxyConnectHeader: http.Header{"X": {"z"}}}
		},
		"socket": func() *http.Transport {
			return &http.Transport{DialContext: (&connection.Dialer{Dial: reach, DialTarget: connection.DialTarget{Socket: "/run/a.sock"}}).DialContext}
		},
		"other socket": func() *http.Transport {
			return &http.Transport{DialContext: (&connection.Dialer{Dial: reach, DialTarget: connection.DialTarget{Socket: "a.sock"}}).DialContext}
		},
		"abstract socket": func() *http.Transport {
			return &http.Transport{DialContext: (&connection.Dialer{Dial: reach, DialTarget: connection.DialTarget{Socket: "@a.sock"}}).DialContext}
		},
		"guard": func() *http.Transport {
			return &http.Transport{DialContext: (&connection.Dialer{Dial: reach, DialTarget: connection.DialTarget{Guard: "a"}}).DialContext}
		},
		"other guard": func() *http.Transport {
			return &http.Transport{DialContext: (&connection.Dialer{Dial: reach, DialTarget: connection.DialTarget{Guard: "b"}}).DialContext}
		},
		"local address": func() *http.Transport {
			return &http.Transport{DialContext: (&connection.Dialer{Dial: reach, DialTarget: connection.DialTarget{Local: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}}).DialContext}
		},
	}
	seen := make(map[string]string)
	for kind, make := range kinds {
		a, b, c := identity(make()), identity(make()), identity(make().Clone())
		if a != b || a != c || a.Name == "" || a.Why != "" || a.Local != "" {
			t.Errorf("%s: %+v, again %+v, its copy %+v", kind, a, b, c)
		}
		if with, ok := seen[a.Name]; ok {
			t.Errorf("%s has the name of %s", kind, with)
		}
		if a.Unverified != (kind == "unverified") {
			t.Errorf("%s: unverified %v", kind, a.Unverified)
		}
		seen[a.Name] = kind
		if strings.Contains(a.Name, "alice") || len(a.Name) != 43 {
			t.Errorf("%s is named %q", kind, a.Name)
		}
	}
	path, err := filepath.Abs("a.sock")
	require.NoError(t, err)
	absolute := identity(&http.Transport{DialContext: (&connection.Dialer{Dial: reach, DialTarget: connection.DialTarget{Socket: path}}).DialContext})
	if seen[absolute.Name] != "other socket" {
		t.Error("a relative path is not the same as its absolute one")
	}
}

// TestWhatCannotBeNamed: callbacks are kept apart by the object that has them, in this process.
func TestWhatCannotBeNamed(t *testing.T) {
	one, _ := certificate(t)
	constrained := x509.NewCertPool()
	constrained.AddCertWithConstraint(one, func([]*x509.Certificate) error { return nil })
	config := func(change func(*tls.Config)) func() *http.Transport {
		return func() *http.Transport {
			c := &tls.Config{}
			change(c)
			return &http.Transport{TLSClientConfig: c}
		}
	}
	for kind, make := range map[string]func() *http.Transport{
		"VerifyConnection": config(func(c *tls.Config) { c.VerifyConnection = func(tls.ConnectionState) error { return nil } }),
		"VerifyPeerCertificate": config(func(c *tls.Config) {
			c.InsecureSkipVerify = true
			c.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { return nil }
		}),
		"GetClientCertificate": config(func(c *tls.Config) {
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return nil, nil }
		}),
		"a clock":           config(func(c *tls.Config) { c.Time = time.Now }),
		"constrained roots": config(func(c *tls.Config) { c.RootCAs = constrained }),
		"DialContext":       func() *http.Transport { return &http.Transport{DialContext: reach} },
		"Dial": func() *http.Transport {
			return &http.Transport{Dial: func(string, string) (net.Conn, error) { return nil, nil }}
		},
		"DialTLSContext": func() *http.Transport { return &http.Transport{DialTLSContext: reach} },
		"DialTLS": func() *http.Transport {
			return &http.Transport{DialTLS: func(string, string) (net.Conn, error) { return nil, nil }}
		},
		"Proxy": func() *http.Transport {
			return &http.Transport{Proxy: func(*http.Request) (*url.URL, error) { return nil, nil }}
		},
		"a dialer within one": func() *http.Transport {
			return &http.Transport{DialContext: (&connection.Dialer{Dial: reach, DialTarget: connection.DialTargetOf(reach)}).DialContext}
		},
		"a resolver": func() *http.Transport {
			return &http.Transport{DialContext: (&connection.Dialer{Dial: reach, DialTarget: connection.DialTarget{Resolver: &net.Resolver{Dial: reach}}}).DialContext}
		},
		"HTTP/3 in its own way": func() *http.Transport {
			tr := &http.Transport{ForceAttemptHTTP2: true}
			tr.RegisterProtocol("https", handler(nil))
			return tr
		},
		"GetProxyConnectHeader": func() *http.Transport {
			return &http.Transport{Proxy: proxy("http://p.test"), GetProxyConnectHeader: func(context.Context, *url.URL, string) (http.Header, error) { return nil, nil }}
		},
	} {
		first, second := make(), make()
		a, again, b, c := identity(first), identity(first), identity(second), identity(first.Clone())
		if a.Why == "" || a.Local == "" || a != again {
			t.Errorf("%s: %+v, again %+v", kind, a, again)
		}
		if a.Local == b.Local || a.Local == c.Local { // a copy has no protocols
			t.Errorf("%s: %+v is shared by another transport, %+v, or a copy, %+v", kind, a, b, c)
		}
	}
}

// TestOtherSchemesAreTheirOwn: what serves files is no other way for requests of HTTP, and answers over its scheme are those of the transport that has it.
func TestOtherSchemesAreTheirOwn(t *testing.T) {
	files := func() *http.Transport {
		tr := &http.Transport{}
		tr.RegisterProtocol("file", http.NewFileTransport(http.Dir(".")))
		return tr
	}
	name := func(h http.RoundTripper, scheme string) (string, string) {
		c := connection.Under(h)
		p := connection.PathOf(&c, reqctx.Values{}).For(scheme)
		return string(p.Append(nil)), p.Unnamed()
	}
	one, other := files(), files()
	common, _ := name(&http.Transport{}, "https")
	for _, scheme := range []string{"http", "https"} {
		if got, unnamed := name(one, scheme); got != common || unnamed != "" {
			t.Errorf("%s has another path, %q", scheme, unnamed)
		}
	}
	a, unnamed := name(one, "file")
	again, _ := name(one, "file")
	b, _ := name(other, "file")
	if unnamed == "" || a == common || a != again || a == b {
		t.Errorf("files: %q, again %q, of another transport %q; unnamed: %q", a, again, b, unnamed)
	}
}

var global = http.Transport{DialContext: reach}

// TestTokensOfVariables: what is no object of the heap has one, too.
func TestTokensOfVariables(t *testing.T) {
	if a, b := identity(&global), identity(&global); a.Local == "" || a != b {
		t.Errorf("%+v, again %+v", a, b)
	}
}

// TestACopyIsItsOriginalWhereItIsSaidSo: a transport for requests with settings of their own has what cannot be named from the one that it was made of.
func TestACopyIsItsOriginalWhereItIsSaidSo(t *testing.T) {
	base := &http.Transport{DialContext: reach}
	made := base.Clone()
	parts := connection.Of(made, base)
	if got, want := parts.Identity(), identity(base); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	config := &tls.Config{VerifyConnection: func(tls.ConnectionState) error { return nil }}
	parts.TLS = connection.TLS(config)
	again := connection.Of(base.Clone(), base)
	again.TLS = connection.TLS(config)
	if a, b := parts.Identity(), again.Identity(); a != b || a.Local == identity(base).Local {
		t.Errorf("with a configuration of its own: %+v, again %+v", a, b)
	}
}

// TestADialerOfNetIsOne: one that is wrapped for its timeout is known all the same.
func TestADialerOfNetIsOne(t *testing.T) {
	if way := connection.DialTargetOf((&net.Dialer{}).DialContext); way.Unknown {
		t.Error("a dialer of net is unknown")
	}
	d := &connection.Dialer{Dial: (&net.Dialer{}).DialContext}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	conn, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
	require.NoError(t, err)
	conn.Close()
}

// TestATransportIsLookedAtWhileItIsUsed is for the race detector: the first request changes the TLS configuration.
func TestATransportIsLookedAtWhileItIsUsed(t *testing.T) {
	tr := &http.Transport{TLSClientConfig: &tls.Config{ServerName: "a.test"}, ForceAttemptHTTP2: true, DialContext: reach}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r, _ := http.NewRequest("GET", "https://a.test", nil)
		tr.RoundTrip(r)
	}()
	identity(tr)
	<-done
}

// TestRootsAreReadAsThisReleaseOfGoKeepsThem fails when crypto/x509 keeps certificates in another way: then rootsOf must learn it,
// for until then pools cannot be named and their answers are not kept in stores.
func TestRootsAreReadAsThisReleaseOfGoKeepsThem(t *testing.T) {
	one, _ := certificate(t)
	if id := identity(&http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool(one)}}); id.Why != "" {
		t.Errorf("%s with %s", id.Why, runtime.Version())
	}
}

// TestAGateHasNoName: the proxies behind it are named as they are without it, and it stays with a proxy that is set later.
func TestAGateHasNoName(t *testing.T) {
	refusal := errors.New("refused")
	gate := &connection.Gate{Proxy: proxy("http://p.test:1"), Check: func(*http.Request, *url.URL) error { return refusal }}
	gated := &http.Transport{Proxy: gate.ChooseProxy}
	if a, b := identity(gated), identity(&http.Transport{Proxy: proxy("http://p.test:1")}); a != b {
		t.Errorf("behind a gate it is %+v, without %+v", a, b)
	}
	copied := gated.Clone()
	connection.SetProxy(copied, proxy("http://p.test:2"))
	if a, b := identity(copied), identity(&http.Transport{Proxy: proxy("http://p.test:2")}); a != b {
		t.Errorf("behind a gate it is %+v, without %+v", a, b)
	}
	if _, err := copied.Proxy(&http.Request{}); err != refusal {
		t.Errorf("the gate is gone: %v", err)
	}
	connection.SetProxy(copied, nil)
	if _, err := copied.Proxy(&http.Request{}); err != refusal {
		t.Errorf("the gate is gone: %v", err)
	}
}
