package ply_test

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/store"
	filestore "github.com/plyhttp/ply/store/file"
)

// clientCertificate returns a client certificate with a common name.
func clientCertificate(tb testing.TB, name string) tls.Certificate {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(tb, err)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	require.NoError(tb, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// who is an origin that responds with what it sees of the client. Every cache may store the response.
func who(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=60")
	io.WriteString(w, seenOf(r))
}

func seenOf(r *http.Request) string {
	name := "anonymous"
	if r.TLS != nil {
		name = cmp.Or(r.TLS.ServerName, name)
		if len(r.TLS.PeerCertificates) > 0 {
			name = r.TLS.PeerCertificates[0].Subject.CommonName
		}
	}
	if user, _, ok := (&http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}).BasicAuth(); ok {
		name = user
	}
	return name
}

func says(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		io.WriteString(w, name)
	}
}

// seam is a setting of connections by which two requests for one URL must not share an answer.
type seam struct {
	url     string
	ways    [2]func() *http.Transport
	options [2][]ply.RequestOption // in place of ways, for a ply.Client
	want    [2]string              // "" for an error
	named   [2]bool                // by content: then a store serves it in another process
}

func seams(t *testing.T) map[string]seam {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(who))
	s.Config.ErrorLog = quiet
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.StartTLS()
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	alice, bob := clientCertificate(t, "alice"), clientCertificate(t, "bob")
	var plain [2]*httptest.Server
	var sockets [2]string
	dir := t.TempDir()
	for i, name := range []string{"alice", "bob"} {
		plain[i] = httptest.NewServer(says(name))
		t.Cleanup(plain[i].Close)
		sockets[i] = filepath.Join(dir, name)
		l, err := net.Listen("unix", sockets[i])
		require.NoError(t, err)
		behind := &http.Server{Handler: says(name)}
		go behind.Serve(l)
		t.Cleanup(func() { behind.Close() })
	}
	proxy := httptest.NewServer(http.HandlerFunc(who))
	t.Cleanup(proxy.Close)

	withTLS := func(c *tls.Config) func() *http.Transport {
		return func() *http.Transport { return &http.Transport{TLSClientConfig: c.Clone()} }
	}
	dialing := func(i int) func() *http.Transport {
		return func() *http.Transport {
			return &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, plain[i].Listener.Addr().String())
			}}
		}
	}
	dialingTLS := func(c *tls.Config) func() *http.Transport {
		return func() *http.Transport {
			return &http.Transport{DialTLSContext: (&tls.Dialer{Config: c}).DialContext}
		}
	}
	made := func(o ply.TransportOptions) func() *http.Transport {
		return func() *http.Transport { return newTransport(t, o) }
	}
	by := func(user string) func() *http.Transport {
		u, _ := url.Parse(proxy.URL)
		if user != "" {
			u.User = url.UserPassword(user, "secret")
		}
		return func() *http.Transport { return &http.Transport{Proxy: http.ProxyURL(u)} }
	}
	chosen := func(user string) func() *http.Transport {
		u, _ := url.Parse(proxy.URL)
		u.User = url.UserPassword(user, "secret")
		return func() *http.Transport {
			return &http.Transport{Proxy: func(*http.Request) (*url.URL, error) { return u, nil }}
		}
	}
	pinned := func(c *x509.Certificate) func() *http.Transport {
		return withTLS(&tls.Config{InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error {
			if !s.PeerCertificates[0].Equal(c) {
				return fmt.Errorf("another certificate")
			}
			return nil
		}})
	}
	leaf, err := x509.ParseCertificate(alice.Certificate[0])
	require.NoError(t, err)
	as := func(c ...tls.Certificate) *tls.Config { return &tls.Config{RootCAs: roots, Certificates: c} }
	callback := func(c tls.Certificate) *tls.Config {
		return &tls.Config{RootCAs: roots, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c, nil }}
	}
	both, none := [2]bool{true, true}, [2]bool{}
	people := [2]string{"alice", "bob"}
	ways := func(a, b func() *http.Transport) [2]func() *http.Transport { return [2]func() *http.Transport{a, b} }
	choices := func(a, b ply.RequestOption) [2][]ply.RequestOption {
		return [2][]ply.RequestOption{{a}, {b}}
	}
	return map[string]seam{
		"client certificates":           {url: s.URL, ways: ways(withTLS(as(alice)), withTLS(as(bob))), want: people, named: both},
		"a client certificate or none":  {url: s.URL, ways: ways(withTLS(as(alice)), withTLS(as())), want: [2]string{"alice", "anonymous"}, named: both},
		"certificates that are chosen":  {url: s.URL, ways: ways(withTLS(callback(alice)), withTLS(callback(bob))), want: people, named: none},
		"roots":                         {url: s.URL, ways: ways(withTLS(as()), withTLS(&tls.Config{})), want: [2]string{"anonymous", ""}, named: both},
		"other roots":                   {url: s.URL, ways: ways(withTLS(as()), withTLS(&tls.Config{RootCAs: x509.NewCertPool()})), want: [2]string{"anonymous", ""}, named: both},
		"no verification":               {url: s.URL, ways: ways(withTLS(&tls.Config{InsecureSkipVerify: true}), withTLS(&tls.Config{})), want: [2]string{"anonymous", ""}, named: both},
		"verification, then none":       {url: s.URL, ways: ways(withTLS(as(alice)), withTLS(&tls.Config{InsecureSkipVerify: true})), want: [2]string{"alice", "anonymous"}, named: both},
		"server names":                  {url: s.URL, ways: ways(withTLS(&tls.Config{RootCAs: roots, ServerName: "example.com"}), withTLS(as())), want: [2]string{"example.com", "anonymous"}, named: both},
		"pins by callback":              {url: s.URL, ways: ways(pinned(s.Certificate()), pinned(leaf)), want: [2]string{"anonymous", ""}, named: none},
		"dialers for TLS":               {url: s.URL, ways: ways(dialingTLS(as(alice)), dialingTLS(as(bob))), want: people, named: none},
		"dialers":                       {url: "http://service.test", ways: ways(dialing(0), dialing(1)), want: people, named: none},
		"dialers in NewTransport":       {url: "http://service.test", ways: ways(made(ply.TransportOptions{DialContext: dialing(0)().DialContext}), made(ply.TransportOptions{DialContext: dialing(1)().DialContext})), want: people, named: none},
		"sockets":                       {url: "http://service.test", ways: ways(made(ply.TransportOptions{UnixSocket: sockets[0]}), made(ply.TransportOptions{UnixSocket: sockets[1]})), want: people, named: both},
		"proxies":                       {url: "http://intranet.test", ways: ways(by("alice"), by("bob")), want: people, named: both},
		"proxies in NewTransport":       {url: "http://intranet.test", ways: ways(made(ply.TransportOptions{Proxy: by("alice")().Proxy}), made(ply.TransportOptions{Proxy: by("bob")().Proxy})), want: people, named: both},
		"proxies that are chosen":       {url: "http://intranet.test", ways: ways(chosen("alice"), chosen("bob")), want: people, named: none},
		"a proxy or none":               {url: plain[1].URL, ways: ways(by("alice"), withTLS(&tls.Config{})), want: people, named: both},
		"requests' client certificates": {url: s.URL, options: choices(ply.TLSConfig(as(alice)), ply.TLSConfig(as(bob))), want: people, named: both},
		"requests' chosen certificates": {url: s.URL, options: choices(ply.TLSConfig(callback(alice)), ply.TLSConfig(callback(bob))), want: people, named: none},
		"requests' proxies":             {url: "http://intranet.test", options: choices(ply.ProxyURL("http://alice:x@"+proxy.Listener.Addr().String()), ply.ProxyURL("http://bob:x@"+proxy.Listener.Addr().String())), want: people, named: both},
		"requests without verification": {url: s.URL, options: choices(ply.InsecureSkipVerify(), ply.TLSConfig(&tls.Config{})), want: [2]string{"anonymous", ""}, named: both},
		"requests' pins":                {url: s.URL, options: choices(ply.PinCertificate(sha256.Sum256(s.Certificate().Raw)), ply.PinCertificate(sha256.Sum256(leaf.Raw))), want: [2]string{"anonymous", ""}, named: both},
		"requests' pins, or none":       {url: s.URL, options: choices(ply.PinCertificate(sha256.Sum256(s.Certificate().Raw)), ply.InsecureSkipVerify()), want: [2]string{"anonymous", "anonymous"}, named: both},
	}
}

// mounted returns the ways to mount a cache and to send a request through it.
var mounted = map[string]func(*testing.T, *cache.Cache, http.RoundTripper, string, ...ply.RequestOption) (*http.Response, error){
	"client": func(t *testing.T, c *cache.Cache, tr http.RoundTripper, url string, opts ...ply.RequestOption) (*http.Response, error) {
		return newClient(t, ply.Options{Transport: tr, Use: []ply.Middleware{c.Middleware}}).Get(t.Context(), url, opts...)
	},
	"wrap": func(_ *testing.T, c *cache.Cache, tr http.RoundTripper, url string, _ ...ply.RequestOption) (*http.Response, error) {
		return ply.Wrap(&http.Client{Transport: tr}, c.Middleware).Get(url)
	},
	"bare": func(_ *testing.T, c *cache.Cache, tr http.RoundTripper, url string, _ ...ply.RequestOption) (*http.Response, error) {
		return (&http.Client{Transport: c.Middleware(tr)}).Get(url)
	},
}

// TestCacheKeepsConnectionsApart: for each seam, a request over another connection does not get the response. A connection that can be named by content
// shares responses with equal ones, in other processes too; one that cannot be named bypasses stores.
func TestCacheKeepsConnectionsApart(t *testing.T) {
	files, err := filestore.Open(filepath.Join(t.TempDir(), "store"), filestore.Options{})
	require.NoError(t, err)
	defer files.Close()
	stores := map[string]func() store.Store{
		"memory": func() store.Store { return nil },
		"file":   func() store.Store { return files },
		"tiered": func() store.Store { return cache.Tiered(cache.NewMemory(cache.MemoryOptions{}), files) },
	}
	for name, s := range seams(t) {
		for _, shared := range []bool{false, true} {
			for kind, store := range stores {
				for mount := range mounted {
					if s.options[0] != nil && mount != "client" {
						continue
					}
					t.Run(fmt.Sprintf("%s/shared=%v/%s/%s", name, shared, kind, mount), func(t *testing.T) {
						s.url += "/" + url.PathEscape(t.Name())
						s.check(t, cache.Options{Shared: shared, Store: store(), StoreTimeout: time.Minute}, mount)
					})
				}
			}
		}
	}
}

func (s seam) check(t *testing.T, o cache.Options, mount string) {
	var c *cache.Cache
	fresh := func() { // what another process has in common with this one
		switch {
		case c != nil && o.Store == nil:
			return
		case c != nil:
			c.Close() // which waits for the store
		}
		var err error
		c, err = cache.New(o)
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
	}
	ask := func(way int, tr *http.Transport) (body, outcome string) {
		var opts []ply.RequestOption
		if s.options[0] != nil {
			opts = s.options[way]
		}
		resp, err := mounted[mount](t, c, tr, s.url, opts...)
		if err != nil {
			return "", "error"
		}
		status, _ := cache.StatusOf(resp)
		body, err = ply.Text(resp, nil)
		require.NoError(t, err)
		return body, status.Outcome()
	}
	var transports [2]*http.Transport
	for round, first := range []string{"miss", "hit"} {
		for way := range 2 {
			fresh()
			if transports[way] == nil || s.named[way] {
				transports[way] = &http.Transport{}
				if s.ways[way] != nil {
					transports[way] = s.ways[way]()
				}
				t.Cleanup(transports[way].CloseIdleConnections)
			}
			want := first
			switch {
			case s.want[way] == "":
				want = "error"
			case o.Store != nil && !s.named[way]:
				want = "bypassed"
			}
			if body, outcome := ask(way, transports[way]); body != s.want[way] || outcome != want {
				t.Errorf("round %d: way %d got %q (%s), want %q (%s)", round, way, body, outcome, s.want[way], want)
			}
		}
	}
}

// TestKubernetesFindsTheTLSConfiguration: its libraries look for the transport with another method than Unwrap.
func TestKubernetesFindsTheTLSConfiguration(t *testing.T) {
	tr := &http.Transport{TLSClientConfig: &tls.Config{ServerName: "a.test"}}
	c, err := cache.New(cache.Options{})
	require.NoError(t, err)
	defer c.Close()
	again, log := retry.New(retry.Options{}), logging.New(logging.Options{})
	own := func(next ply.Handler) ply.Handler { return ply.HandlerFunc(next.RoundTrip) }
	layers := []ply.Middleware{
		log, c.Middleware, cache.NamedConnection("a"), again, own,
		ply.Named("two", ply.Chain(own, own)), ply.When(func(*http.Request) bool { return true }, own),
	}
	client := newClient(t, ply.Options{Use: layers, UseCall: []ply.Middleware{log}, Transport: tr})
	for name, h := range map[string]http.RoundTripper{
		"a chain":               ply.Chain(layers...)(tr),
		"a wrapped client":      ply.Wrap(&http.Client{Transport: tr}, layers...).Transport,
		"a ply client":          client,
		"an http.Client of one": client.HTTPClient().Transport,
	} {
		for h != tr {
			w, ok := h.(interface{ WrappedRoundTripper() http.RoundTripper })
			if !ok {
				t.Errorf("%s: %T leads no further", name, h)
				break
			}
			h = w.WrappedRoundTripper()
		}
	}
	trusting := newClient(t, ply.Options{Transport: tr, Defaults: []ply.RequestOption{ply.TLSConfig(&tls.Config{ServerName: "b.test"})}})
	if found, ok := trusting.WrappedRoundTripper().(*http.Transport); !ok || found.TLSClientConfig.ServerName != "b.test" {
		t.Errorf("a client with a TLS configuration of its own: %v", found)
	}
}

// TestDeleteReachesTheConnectionOfARequest: a prepared request has it in its context.
func TestDeleteReachesTheConnectionOfARequest(t *testing.T) {
	s, _ := secureOrigin(t, false, who)
	c, err := cache.New(cache.Options{})
	require.NoError(t, err)
	defer c.Close()
	client := newClient(t, ply.Options{BaseURL: s.URL, Use: []ply.Middleware{c.Middleware}})
	outcome := func() string {
		resp := get(t, client, "/a", ply.InsecureSkipVerify())
		require.NoError(t, ply.Discard(resp, nil))
		status, _ := cache.StatusOf(resp)
		return status.Outcome()
	}
	if first, second := outcome(), outcome(); first != "miss" || second != "hit" {
		t.Fatalf("got %s, %s", first, second)
	}
	r, err := client.NewRequest(t.Context(), "GET", "/a", ply.InsecureSkipVerify())
	require.NoError(t, err)
	r, err = client.Prepare(r)
	require.NoError(t, err)
	require.NoError(t, c.Delete(t.Context(), r))
	if got := outcome(); got != "miss" {
		t.Errorf("after Delete: %s", got)
	}
}

// TestClientCertificateBelowAnOpaqueTransport: no key has the certificate, so it counts as a credential that was added below the cache.
func TestClientCertificateBelowAnOpaqueTransport(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		var requests atomic.Int32
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			w.Header().Set("Cache-Control", "public, max-age=60")
			if len(r.TLS.PeerCertificates) > 0 {
				io.WriteString(w, r.TLS.PeerCertificates[0].Subject.CommonName)
			}
		}))
		s.EnableHTTP2, s.TLS = h2, &tls.Config{ClientAuth: tls.RequestClientCert}
		s.StartTLS()
		t.Cleanup(s.Close)
		roots := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
		under := func(c *cache.Cache, config *tls.Config) func(context.Context, string) (string, cache.Status) {
			config.RootCAs = roots
			tr := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: h2}
			t.Cleanup(tr.CloseIdleConnections)
			client := &http.Client{Transport: c.Middleware(ply.HandlerFunc(func(r *http.Request) (*http.Response, error) { return tr.RoundTrip(r) }))}
			return func(ctx context.Context, path string) (string, cache.Status) {
				return sendAs(t, client.Do, ctx, "", s.URL+path)
			}
		}
		fixed := func(who string) *tls.Config {
			return &tls.Config{Certificates: []tls.Certificate{clientCertificate(t, who)}}
		}
		chosen := func(who string) *tls.Config {
			cert := clientCertificate(t, who)
			return &tls.Config{GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }}
		}
		for how, config := range map[string]func(string) *tls.Config{"fixed": fixed, "chosen": chosen} {
			eachCache(t, eachStore(t), "/"+how, cache.Options{}, func(t *testing.T, c *cache.Cache, path string) {
				for _, who := range []string{"alice", "bob"} {
					send := under(c, config(who))
					for range 2 { // over a connection that is used again, too
						if got, status := send(t.Context(), path); got != who || status.Stored || !strings.Contains(status.Detail, "credentials were added below") {
							t.Errorf("%s got the answer for %q: %v", who, got, status)
						}
					}
					named := cache.WithPrincipal(t.Context(), who)
					before := requests.Load()
					for range 2 { // the second is a hit, or joins the first while that is being stored
						if got, status := send(named, path); got != who {
							t.Errorf("%s, by name, got the answer for %q: %v", who, got, status)
						}
					}
					if n := requests.Load() - before; n != 1 {
						t.Errorf("%s, by name, sent %d requests to the origin", who, n)
					}
				}
				plain := under(c, &tls.Config{})
				before := requests.Load()
				for range 2 {
					if got, status := plain(t.Context(), path); got != "" {
						t.Errorf("without a certificate: the answer for %q: %v", got, status)
					}
					// The key has had answers that could not be shared, so the second request does not wait for the first: it is a hit once that is stored.
					testutil.Eventually(t, "stored", func() bool { return c.Contains(httptest.NewRequest(http.MethodGet, s.URL+path, nil)) })
				}
				if n := requests.Load() - before; n != 1 {
					t.Errorf("without a certificate: %d requests to the origin", n)
				}
			})
		}
	}
}

// embedding is a layer's handler that has a transport of its own.
type embedding struct{ *http.Transport }

// TestTransportsOfLayers: a layer may end the chain with a transport of its own, for some requests too. Then its connections count, and where it cannot be known
// which ones a request takes, what is seen of them: a certificate, or a server that was not verified.
func TestTransportsOfLayers(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		if len(r.TLS.PeerCertificates) > 0 {
			io.WriteString(w, r.TLS.PeerCertificates[0].Subject.CommonName)
		}
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.StartTLS()
	defer s.Close()
	ending := func(config *tls.Config) ply.Middleware {
		tr := &http.Transport{TLSClientConfig: config}
		t.Cleanup(tr.CloseIdleConnections)
		return func(http.RoundTripper) http.RoundTripper { return tr }
	}
	roots := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	with := func(name string) ply.Middleware {
		return ending(&tls.Config{RootCAs: roots, Certificates: []tls.Certificate{clientCertificate(t, name)}})
	}
	when := func(name string, m ply.Middleware) ply.Middleware {
		return ply.When(func(r *http.Request) bool { return userOf(r) == name }, m)
	}
	over := func(c *cache.Cache, below ...ply.Middleware) *ply.Client {
		return newClient(t, ply.Options{Use: append([]ply.Middleware{c.Middleware}, below...)})
	}
	ask := func(client *ply.Client, name string) string {
		t.Helper()
		got, err := ply.Text(client.Get(context.WithValue(t.Context(), asker{}, name), s.URL))
		require.NoError(t, err)
		return got
	}
	fresh := func() *cache.Cache {
		c, err := cache.New(cache.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		return c
	}
	shared := fresh()
	alice, bob := with("alice"), with("bob")
	one, other, either := over(shared, alice), over(shared, bob), over(fresh(), when("alice", alice), when("bob", bob))
	for range 2 {
		require.Equal(t, "alice", ask(one, ""))
		require.Equal(t, "bob", ask(other, ""))
		require.Equal(t, "alice", ask(either, "alice"))
		require.Equal(t, "bob", ask(either, "bob"))
	}
	// One that hides its transport from Layers as well, in a field or in a function.
	hiding := map[string]func(*http.Transport) http.RoundTripper{
		"embedded":    func(tr *http.Transport) http.RoundTripper { return &embedding{tr} },
		"by value":    func(tr *http.Transport) http.RoundTripper { return embedding{tr} },
		"a function":  func(tr *http.Transport) http.RoundTripper { return ply.HandlerFunc(tr.RoundTrip) },
		"in a client": func(tr *http.Transport) http.RoundTripper { return ply.HandlerFunc((&http.Client{Transport: tr}).Do) },
	}
	for name, hide := range hiding {
		shared := fresh()
		hidden := func(m ply.Middleware) ply.Middleware {
			return func(http.RoundTripper) http.RoundTripper { return hide(m(nil).(*http.Transport)) }
		}
		one, other := over(shared, hidden(alice)), over(shared, hidden(bob))
		for range 2 {
			require.Equal(t, "alice", ask(one, ""), name)
			require.Equal(t, "bob", ask(other, ""), name)
		}
	}
	// Other roots leave no trace in an answer: only the field shows them.
	rooted := func() ply.Middleware {
		tr := ending(&tls.Config{RootCAs: roots})(nil).(*http.Transport)
		return func(http.RoundTripper) http.RoundTripper { return &embedding{tr} }
	}
	for range 2 {
		resp, err := over(shared, rooted()).Get(t.Context(), s.URL+"/rooted")
		require.NoError(t, ply.Discard(resp, err))
		status, _ := cache.StatusOf(resp)
		require.False(t, status.Hit, "%v", status)
	}
	mixed := over(fresh(), when("careless", ending(&tls.Config{InsecureSkipVerify: true})), ending(&tls.Config{RootCAs: roots}))
	for name, verified := range map[string]bool{"careless": false, "careful": true} {
		resp, err := mixed.Get(context.WithValue(t.Context(), asker{}, name), s.URL+"/"+name)
		require.NoError(t, ply.Discard(resp, err))
		status, _ := cache.StatusOf(resp)
		require.Equal(t, verified, status.Stored, "%s: %v", name, status)
	}
}

// TestRegisteredSchemesKeepResponsesApart: round trippers registered for other schemes do not affect http and https, and their responses are kept apart.
func TestRegisteredSchemesKeepResponsesApart(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "hello")
	}))
	defer s.Close()
	for name, kept := range eachStore(t) {
		t.Run(name, func(t *testing.T) {
			c, err := cache.New(cache.Options{Store: kept.private, StoreTimeout: time.Minute})
			require.NoError(t, err)
			defer c.Close()
			over := func(who string) *http.Client {
				tr := &http.Transport{}
				tr.RegisterProtocol("vault", ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
					return &http.Response{
						StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Request: r, ContentLength: int64(len(who)),
						Header: http.Header{"Cache-Control": {"max-age=60"}}, Body: io.NopCloser(strings.NewReader(who)),
					}, nil
				}))
				t.Cleanup(tr.CloseIdleConnections)
				return &http.Client{Transport: c.Middleware(tr)}
			}
			for i, who := range []string{"alice", "bob"} {
				client := over(who)
				if got, status := sendAs(t, client.Do, t.Context(), who, s.URL); got != "hello" || status.Hit != (i > 0) {
					t.Errorf("%q over HTTP: %v", got, status)
				}
				for range 2 {
					if got, _ := sendAs(t, client.Do, t.Context(), who, "vault://h/"); got != who {
						t.Errorf("%s got the answer for %q", who, got)
					}
				}
			}
		})
	}
}
