package ply_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/middleware/retry"
)

// countingServer is a server at an address of the machine's own, and the number of connections that it was asked for.
type countingServer struct {
	*httptest.Server
	port        string
	connections atomic.Int32
}

func listen(t *testing.T, address string, h http.HandlerFunc) *countingServer {
	t.Helper()
	l, err := net.Listen("tcp", address)
	require.NoError(t, err)
	s := &countingServer{Server: httptest.NewUnstartedServer(h)}
	s.Server.Listener.Close()
	s.Server.Listener = l
	s.Server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	_, s.port, err = net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return s
}

// zone is a DNS server. Each lookup of a name gets the next answer of its list, the last one again and again; other names do not exist.
type zone struct {
	mu      sync.Mutex
	answers map[string][][]string
}

func (n *zone) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go n.serve(server)
		return client, nil
	}}
}

func (n *zone) serve(conn net.Conn) {
	defer conn.Close()
	for {
		var size uint16 // over a stream, messages have their length before them (RFC 1035 §4.2.2)
		if binary.Read(conn, binary.BigEndian, &size) != nil {
			return
		}
		query := make([]byte, size)
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		answer := n.answer(query)
		binary.Write(conn, binary.BigEndian, uint16(len(answer)))
		conn.Write(answer)
	}
}

func (n *zone) answer(query []byte) []byte {
	end, labels := 12, []string(nil)
	for query[end] != 0 {
		labels = append(labels, string(query[end+1:end+1+int(query[end])]))
		end += 1 + int(query[end])
	}
	end += 5 // the root label, type and class
	answer := append([]byte(nil), query[:end]...)
	copy(answer[2:], []byte{0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0})
	if binary.BigEndian.Uint16(query[end-4:]) != 1 { // A
		return answer
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	name := strings.ToLower(strings.Join(labels, "."))
	list := n.answers[name]
	if len(list) == 0 {
		answer[3] |= 3 // NXDOMAIN
		return answer
	}
	if len(list) > 1 {
		n.answers[name] = list[1:]
	}
	answer[7] = byte(len(list[0]))
	for _, addr := range list[0] {
		four := netip.MustParseAddr(addr).As4()
		answer = append(append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4), four[:]...)
	}
	return answer
}

func resolving(answers map[string][][]string) *net.Resolver {
	return (&zone{answers: answers}).resolver()
}

func allow(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

func clientOver(t *testing.T, o ply.TransportOptions, use ...ply.Middleware) *ply.Client {
	t.Helper()
	tr, err := ply.NewTransport(o)
	require.NoError(t, err)
	t.Cleanup(tr.CloseIdleConnections)
	c, err := ply.New(ply.Options{Transport: tr, Use: use})
	require.NoError(t, err)
	return c
}

func refused(t *testing.T, err error) ply.GuardError {
	t.Helper()
	var refusal *ply.GuardError
	if !errors.As(err, &refusal) {
		t.Fatalf("not refused by the guard: %v", err)
	}
	return *refusal
}

func TestGuardRefusesTheServersOfTheMachine(t *testing.T) {
	s := listen(t, "127.0.0.1:0", ok)
	c, err := ply.New(ply.Options{Guard: &ply.Guard{}})
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Get(context.Background(), s.URL+"/?token=hunter2")
	got := refused(t, err)
	want := ply.GuardError{Host: "127.0.0.1", Addr: netip.MustParseAddr("127.0.0.1"), Reason: "loopback (RFC 1122 §3.2.1.3)"}
	if got.Host != want.Host || got.Addr != want.Addr || got.Reason != want.Reason {
		t.Errorf("got %+v, want %+v", got, want)
	}
	text := "ply: Guard refuses 127.0.0.1: loopback (RFC 1122 §3.2.1.3); if it is meant, list it in Guard.AllowPrefixes, or its name in Guard.AllowHosts"
	if !strings.HasSuffix(err.Error(), text) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error says %q", err)
	}
	if s.connections.Load() != 0 {
		t.Error("the server was connected to")
	}
	allowing, err := c.With(func(o *ply.Options) { o.Guard = &ply.Guard{AllowPrefixes: allow("127.0.0.0/8")} })
	require.NoError(t, err)
	defer allowing.Close()
	require.NoError(t, ply.Discard(allowing.Get(context.Background(), s.URL)))
	_, err = c.Get(context.Background(), s.URL)
	refused(t, err)
}

// The metadata service of a cloud is not asked, whatever range is allowed around it. Nothing listens there in this test: a dial would take its time.
func TestGuardRefusesMetadataWithinAllowedRanges(t *testing.T) {
	c := clientOver(t, ply.TransportOptions{
		Guard:    &ply.Guard{AllowPrefixes: allow("169.254.0.0/16", "fd00::/8"), AllowHosts: []string{"inside.test"}},
		Resolver: resolving(map[string][][]string{"inside.test": {{"169.254.169.254"}}}),
	})
	for _, target := range []string{"http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "http://inside.test/", "http://[::ffff:169.254.169.254]/"} {
		_, err := c.Get(context.Background(), target)
		if e := refused(t, err); !strings.Contains(e.Error(), "cloud metadata service") || !strings.Contains(e.Error(), "; only ") {
			t.Errorf("%s: %v", target, &e)
		}
	}
}

// What a host of a URL is taken for depends on the resolver. The guard sees the address that comes of it.
func TestGuardSeesThroughSpellings(t *testing.T) {
	s := listen(t, "127.0.0.1:0", ok)
	asGetaddrinfo := map[string][][]string{}
	for _, spelling := range []string{"0x7f.1", "0x7f000001", "localhost", "127.0.0.1.nip.test"} {
		asGetaddrinfo[spelling] = [][]string{{"127.0.0.1"}}
	}
	c := clientOver(t, ply.TransportOptions{Guard: &ply.Guard{}, Resolver: resolving(asGetaddrinfo)})
	for _, host := range []string{
		"0x7f.1", "0x7f000001", "localhost", "LOCALHOST.", "127.0.0.1.nip.test",
		"127.0.0.1", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]", "１２７.０.０.１",
	} {
		_, err := c.Get(context.Background(), "http://"+host+":"+s.port+"/")
		if e := refused(t, err); e.Addr == (netip.Addr{}) {
			t.Errorf("%s: %v", host, &e)
		}
	}
	// Go's own resolver asks for no name that is a number, and other spellings exist in no honest DNS.
	c = clientOver(t, ply.TransportOptions{Guard: &ply.Guard{}, Resolver: resolving(nil)})
	for _, host := range []string{"2130706433", "127.1", "0177.0.0.1", "0x7f.1"} {
		_, err := c.Get(context.Background(), "http://"+host+":"+s.port+"/")
		var unknown *net.DNSError
		if !errors.As(err, &unknown) || !unknown.IsNotFound {
			t.Errorf("%s: %v", host, err)
		}
	}
	// That of the system may know them all.
	c = clientOver(t, ply.TransportOptions{Guard: &ply.Guard{}})
	for _, host := range []string{"2130706433", "127.1", "0177.0.0.1", "0x7f.1", "localhost"} {
		if err := ply.Discard(c.Get(context.Background(), "http://"+host+":"+s.port+"/")); err == nil {
			t.Errorf("%s was let through", host)
		}
	}
	if s.connections.Load() != 0 {
		t.Error("the server was connected to")
	}
}

func TestGuardLooksAtEachDialOfANameThatRebinds(t *testing.T) {
	public := listen(t, "127.0.0.2:0", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "public") })
	private := listen(t, "127.0.0.1:"+public.port, ok)
	c := clientOver(t, ply.TransportOptions{
		Guard:           &ply.Guard{AllowPrefixes: allow("127.0.0.2/32")},
		Resolver:        resolving(map[string][][]string{"rebinds.test": {{"127.0.0.2"}, {"127.0.0.1"}}}),
		IdleConnTimeout: -1, // each request dials
	})
	target := "http://rebinds.test:" + public.port
	text, err := ply.Text(c.Get(context.Background(), target))
	require.NoError(t, err)
	require.Equal(t, "public", text)
	_, err = c.Get(context.Background(), target)
	if e := refused(t, err); e.Host != "rebinds.test" || e.Addr != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("refused %+v", e)
	}
	if private.connections.Load() != 0 {
		t.Error("the private server was connected to")
	}
}

func TestGuardTakesTheAllowedOneOfSeveralAddresses(t *testing.T) {
	public := listen(t, "127.0.0.2:0", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "public") })
	private := listen(t, "127.0.0.1:"+public.port, ok)
	c := clientOver(t, ply.TransportOptions{
		Guard:    &ply.Guard{AllowPrefixes: allow("127.0.0.2/32")},
		Resolver: resolving(map[string][][]string{"both.test": {{"127.0.0.1", "127.0.0.2"}}}),
	})
	text, err := ply.Text(c.Get(context.Background(), "http://both.test:"+public.port))
	if err != nil || text != "public" || private.connections.Load() != 0 {
		t.Errorf("got %q, %v; %d connections to the private server", text, err, private.connections.Load())
	}
}

// An allowed address that does not answer is tried again, whichever address of the name is refused first.
func TestAllowedAddressThatFailsIsNoRefusal(t *testing.T) {
	free := listen(t, "127.0.0.2:0", ok)
	free.Close()
	for _, addresses := range [][]string{{"127.0.0.1", "127.0.0.2"}, {"127.0.0.2", "127.0.0.1"}, {"127.0.0.1", "127.0.0.3"}} {
		c := clientOver(t, ply.TransportOptions{
			Guard:    &ply.Guard{AllowPrefixes: allow("127.0.0.2/32")},
			Resolver: resolving(map[string][][]string{"both.test": {addresses}}),
		}, retry.New(retry.Options{MaxAttempts: 2, Backoff: retry.Constant(time.Millisecond)}))
		_, err := c.Get(context.Background(), "http://both.test:"+free.port)
		var guarded *ply.GuardError
		var gaveUp *retry.Error
		attempts := 1
		if errors.As(err, &gaveUp) {
			attempts = len(gaveUp.Attempts)
		}
		allRefused := !slices.Contains(addresses, "127.0.0.2")
		if errors.As(err, &guarded) != allRefused || attempts > 1 == allRefused {
			t.Errorf("%v: %v, after %d attempts", addresses, err, attempts)
		}
	}
}

func TestGuardLooksAtRedirects(t *testing.T) {
	private := listen(t, "127.0.0.1:0", ok)
	public := listen(t, "127.0.0.2:0", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, private.URL+"/?secret=hunter2", http.StatusFound)
	})
	c := clientOver(t, ply.TransportOptions{Guard: &ply.Guard{AllowPrefixes: allow("127.0.0.2/32")}})
	_, err := c.Get(context.Background(), public.URL)
	refused(t, err)
	if strings.Contains(err.Error(), "hunter2") || private.connections.Load() != 0 || public.connections.Load() != 1 {
		t.Errorf("%v; %d connections to the private server", err, private.connections.Load())
	}
}

func TestGuardTrustsTheNamesThatItIsGiven(t *testing.T) {
	s := listen(t, "127.0.0.1:0", ok)
	at := [][]string{{"127.0.0.1"}}
	c := clientOver(t, ply.TransportOptions{
		Guard:    &ply.Guard{AllowHosts: []string{"Vault.test.", "*.svc.test"}, DenyPrefixes: allow("127.0.0.9/32")},
		Resolver: resolving(map[string][][]string{"vault.test": at, "a.b.svc.test": at, "svc.test": at, "evilvault.test": at, "denied.svc.test": {{"127.0.0.9"}}}),
	})
	for _, host := range []string{"::1", "::1%25.svc.test", "::1%25vault.test", "fd00::1%25a.svc.test", "::1%25x%25.svc.test"} { // a zone says nothing of where an address is
		_, err := c.Get(context.Background(), "http://["+host+"]:"+s.port+"/")
		refused(t, err)
	}
	for host, allowed := range map[string]bool{
		"vault.test": true, "VAULT.test": true, "a.b.svc.test": true, "svc.test": false, "evilvault.test": false, "denied.svc.test": false, "127.0.0.1": false,
	} {
		err := ply.Discard(c.Get(context.Background(), "http://"+host+":"+s.port))
		if allowed {
			require.NoError(t, err)
		} else {
			refused(t, err)
		}
	}
}

func TestGuardAndProxies(t *testing.T) {
	p := &proxy{}
	server := httptest.NewServer(p)
	defer server.Close()
	to, err := url.Parse(server.URL)
	require.NoError(t, err)
	ctx := context.Background()

	c := clientOver(t, ply.TransportOptions{Guard: &ply.Guard{}, Proxy: http.ProxyURL(to)})
	_, err = c.Get(ctx, "http://example.com/")
	if e := refused(t, err); e.Host != "127.0.0.1" {
		t.Errorf("refused %+v, want the proxy", e)
	}

	guard := &ply.Guard{AllowPrefixes: allow("127.0.0.1/32"), AllowHosts: []string{"wanted.internal", "*.wanted.internal"}, DenyPrefixes: allow("93.184.216.0/24")}
	chosen := clientOver(t, ply.TransportOptions{Guard: guard})
	for name, do := range map[string]func(string) error{
		"of the transport": func(target string) error {
			return ply.Discard(clientOver(t, ply.TransportOptions{Guard: guard, Proxy: http.ProxyURL(to)}).Get(ctx, target))
		},
		"of the request": func(target string) error { return ply.Discard(chosen.Get(ctx, target, ply.ProxyURL(server.URL))) },
	} {
		for _, target := range []string{
			"http://10.0.0.1/", "https://10.0.0.1/", "http://[::1]/", "http://2852039166/", "https://0xa9fea9fe/", "http://0251.0376.0251.0376/", "http://[::ffff:a9fe:a9fe]/",
			"http://127.0.0.2/", "http://[::1%25.wanted.internal]/", "http://localhost/", "http://metadata.google.internal/", "https://metadata/", "http://１０.0.0.1/", "http://127.0.0.08/", "http://93.184.216.34/",
		} {
			refused(t, do(target))
		}
		if saw := p.take(); len(saw) != 0 {
			t.Errorf("%s: the proxy was asked for %v", name, saw)
		}
		for _, target := range []string{"http://example.com/", "http://wanted.internal/", "http://8.8.8.8/", "http://127.0.0.1/"} {
			require.NoError(t, do(target))
		}
		if saw := p.take(); len(saw) != 4 {
			t.Errorf("%s: the proxy was asked for %v", name, saw)
		}
	}
	socks := listen(t, "127.0.0.1:0", ok)
	for _, target := range []string{"http://10.0.0.1/", "https://2852039166/", "http://localhost/"} {
		_, err = chosen.Get(ctx, target, ply.ProxyURL("socks5://"+socks.Listener.Addr().String()))
		refused(t, err)
	}
	if socks.connections.Load() != 0 {
		t.Error("the proxy was connected to")
	}
	_, err = chosen.Get(ctx, "http://10.0.0.1/", ply.ProxyURL(""))
	refused(t, err)
	_, err = chosen.Get(ctx, "https://10.0.0.1/", ply.InsecureSkipVerify())
	refused(t, err)
}

// A proxy that forwards a request is asked for what its Host or its Opaque names, and a gateway may have either from a stranger.
func TestGuardLooksAtTheHostThatAProxyIsAskedFor(t *testing.T) {
	p := &proxy{}
	server := httptest.NewServer(p)
	defer server.Close()
	to, err := url.Parse(server.URL)
	require.NoError(t, err)
	unnamed := &url.URL{Host: to.Host} // an HTTP proxy as well, see http.Transport.Proxy
	proxies := []*url.URL{to, unnamed}
	c := clientOver(t, ply.TransportOptions{Guard: &ply.Guard{AllowPrefixes: allow("127.0.0.1/32")}, Proxy: func(*http.Request) (*url.URL, error) { return proxies[0], nil }})
	send := func(host, opaque string) error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://example.com/", nil)
		require.NoError(t, err)
		req.Host, req.URL.Opaque = host, opaque
		return ply.Discard(c.Do(req))
	}
	for ; len(proxies) > 0; proxies = proxies[1:] {
		for _, host := range []string{"169.254.169.254", "169.254.169.254:80", "[::ffff:a9fe:a9fe]", "2852039166", "localhost:8080", "metadata.google.internal", "localhost..", "10.0.0.1:x"} {
			refused(t, send(host, ""))
		}
		for _, opaque := range []string{"//169.254.169.254/latest", "http://10.0.0.1/", "//localhost", "//[::1"} {
			refused(t, send("", opaque))
		}
		if saw := p.take(); len(saw) != 0 {
			t.Errorf("the proxy was asked for %v", saw)
		}
		require.NoError(t, send("other.example:8080", ""))
		require.NoError(t, send("", "//other.example/a"))
		require.NoError(t, send("", "/a"))
		if saw := p.take(); len(saw) != 3 {
			t.Errorf("the proxy was asked for %v", saw)
		}
	}
}

func TestGuardLooksAtTheConnectionsOfAProgramsOwnDialer(t *testing.T) {
	s := listen(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "reached") })
	var dialed, closed atomic.Int32
	astray := func(ctx context.Context, network, _ string) (net.Conn, error) {
		dialed.Add(1)
		conn, err := (&net.Dialer{}).DialContext(ctx, network, s.Listener.Addr().String())
		return &closes{Conn: conn, n: &closed}, err
	}
	c := clientOver(t, ply.TransportOptions{Guard: &ply.Guard{}, DialContext: astray})
	_, err := c.Get(context.Background(), "http://example.com/")
	if e := refused(t, err); e.Host != "example.com" || e.Addr != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("refused %+v", e)
	}
	if closed.Load() != 1 {
		t.Error("the connection was left open")
	}
	_, err = c.Get(context.Background(), "http://10.0.0.1/")
	if refused(t, err); dialed.Load() != 1 {
		t.Error("the dialer was given an address that is refused")
	}

	c = clientOver(t, ply.TransportOptions{Guard: &ply.Guard{AllowHosts: []string{"example.com"}}, DialContext: astray})
	text, err := ply.Text(c.Get(context.Background(), "http://example.com/"))
	if err != nil || text != "reached" {
		t.Errorf("got %q, %v", text, err)
	}

	c = clientOver(t, ply.TransportOptions{Guard: &ply.Guard{AllowPrefixes: allow("0.0.0.0/0", "::/0")}, DialContext: func(context.Context, string, string) (net.Conn, error) {
		conn, _ := net.Pipe()
		return conn, nil
	}})
	_, err = c.Get(context.Background(), "http://example.com/")
	if e := refused(t, err); !strings.Contains(e.Error(), "does not say which IP address") {
		t.Errorf("refused %v", &e)
	}
}

type closes struct {
	net.Conn
	n *atomic.Int32
}

func (c *closes) Close() error {
	c.n.Add(1)
	return c.Conn.Close()
}

func TestGuardsThatCannotBeMeantAreRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		options ply.TransportOptions
		option  string
	}{
		"a socket":               {ply.TransportOptions{Guard: &ply.Guard{}, UnixSocket: "/s"}, "TransportOptions.UnixSocket"},
		"the zero prefix":        {ply.TransportOptions{Guard: &ply.Guard{AllowPrefixes: []netip.Prefix{{}}}}, "Guard.AllowPrefixes"},
		"denying zero":           {ply.TransportOptions{Guard: &ply.Guard{DenyPrefixes: []netip.Prefix{{}}}}, "Guard.DenyPrefixes"},
		"NAT64 of odd length":    {ply.TransportOptions{Guard: &ply.Guard{NAT64: allow("2001:db8::/33")}}, "Guard.NAT64"},
		"NAT64 of IPv4":          {ply.TransportOptions{Guard: &ply.Guard{NAT64: allow("1.2.3.4/32")}}, "Guard.NAT64"},
		"an address as a host":   {ply.TransportOptions{Guard: &ply.Guard{AllowHosts: []string{"127.1"}}}, "Guard.AllowHosts"},
		"a host and a port":      {ply.TransportOptions{Guard: &ply.Guard{AllowHosts: []string{"a.test:80"}}}, "Guard.AllowHosts"},
		"a URL":                  {ply.TransportOptions{Guard: &ply.Guard{AllowHosts: []string{"http://a.test"}}}, "Guard.AllowHosts"},
		"an empty host":          {ply.TransportOptions{Guard: &ply.Guard{AllowHosts: []string{""}}}, "Guard.AllowHosts"},
		"every host":             {ply.TransportOptions{Guard: &ply.Guard{AllowHosts: []string{"*."}}}, "Guard.AllowHosts"},
		"a star within":          {ply.TransportOptions{Guard: &ply.Guard{AllowHosts: []string{"a.*.test"}}}, "Guard.AllowHosts"},
		"a dot in front":         {ply.TransportOptions{Guard: &ply.Guard{AllowHosts: []string{".test"}}}, "Guard.AllowHosts"},
		"a name beyond ASCII":    {ply.TransportOptions{Guard: &ply.Guard{AllowHosts: []string{"bücher.test"}}}, "Guard.AllowHosts"},
		"the same with a dialer": {ply.TransportOptions{Guard: &ply.Guard{AllowHosts: []string{""}}, DialContext: (&net.Dialer{}).DialContext}, "Guard.AllowHosts"},
	} {
		_, err := ply.NewTransport(tt.options)
		var bad *ply.OptionError
		if !errors.As(err, &bad) || bad.Option != tt.option {
			t.Errorf("%s: got %v, want an OptionError of %s", name, err, tt.option)
		}
	}
	_, err := ply.New(ply.Options{Guard: &ply.Guard{}, Transport: http.DefaultTransport})
	var bad *ply.OptionError
	if !errors.As(err, &bad) || bad.Option != "Guard" {
		t.Errorf("a guard for another transport: %v", err)
	}
}

// One dial, no stale answer, and the reason in the record and in the log.
func TestGuardRefusalIsFinalAndVisible(t *testing.T) {
	s := listen(t, "127.0.0.2:0", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=0, stale-if-error=3600")
		io.WriteString(w, "before")
	})
	store, err := cache.New(cache.Options{})
	require.NoError(t, err)
	defer store.Close()
	var log bytes.Buffer
	// Nothing but a refusal makes the second dial fail: the port is that of the server.
	lookups := &zone{answers: map[string][][]string{"rebinds.test": {{"127.0.0.2"}, {"127.0.0.1"}}}}
	c := clientOver(t, ply.TransportOptions{Guard: &ply.Guard{AllowPrefixes: allow("127.0.0.2/32")}, Resolver: lookups.resolver(), IdleConnTimeout: -1},
		logging.New(logging.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}), store.Middleware, retry.New(retry.Options{}))
	target := "http://rebinds.test:" + s.port + "/?token=hunter2"
	require.NoError(t, ply.Discard(c.Get(context.Background(), target)))
	ctx := ply.WithCallInfo(context.Background())
	_, err = c.Get(ctx, target)
	refused(t, err)
	var gaveUp *retry.Error
	if errors.As(err, &gaveUp) && len(gaveUp.Attempts) != 1 {
		t.Errorf("%d attempts", len(gaveUp.Attempts))
	}
	info, _ := ply.CallInfoFromContext(ctx)
	for where, text := range map[string]string{"the error": err.Error(), "the record": info.String(), "the log": log.String()} {
		if !strings.Contains(text, "loopback (RFC 1122 §3.2.1.3)") || !strings.Contains(text, "rebinds.test at 127.0.0.1") {
			t.Errorf("%s does not say why:\n%s", where, text)
		}
		if strings.Contains(text, "hunter2") {
			t.Errorf("%s has the secret:\n%s", where, text)
		}
	}
}

// What an unguarded client has fetched is not served to a guarded one that shares its cache.
func TestGuardedAnswersAreCachedApart(t *testing.T) {
	s := listen(t, "127.0.0.1:0", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Cache-Control", "max-age=60") })
	store, err := cache.New(cache.Options{})
	require.NoError(t, err)
	defer store.Close()
	open := clientOver(t, ply.TransportOptions{}, store.Middleware)
	for range 2 {
		require.NoError(t, ply.Discard(open.Get(context.Background(), s.URL)))
	}
	require.EqualValues(t, 1, s.connections.Load())
	for name, o := range map[string]ply.TransportOptions{
		"guarded":                      {Guard: &ply.Guard{}},
		"guarded, with its own dialer": {Guard: &ply.Guard{}, DialContext: (&net.Dialer{}).DialContext},
	} {
		_, err := clientOver(t, o, store.Middleware).Get(context.Background(), s.URL)
		if refusal := new(ply.GuardError); !errors.As(err, &refusal) {
			t.Errorf("%s: %v", name, err)
		}
	}
	allowed := &ply.Guard{AllowPrefixes: allow("127.0.0.1/32")}
	for range 2 { // equal guards are one
		again := *allowed
		require.NoError(t, ply.Discard(clientOver(t, ply.TransportOptions{Guard: &again}, store.Middleware).Get(context.Background(), s.URL)))
	}
	if diff := cmp.Diff(int32(2), s.connections.Load()); diff != "" {
		t.Errorf("connections (-want +got)\n%s", diff)
	}
}
