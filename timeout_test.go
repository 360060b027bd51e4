package ply_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
)

// pipes is a listener whose connections are pipes, so that time in a synctest bubble passes for them.
type pipes struct {
	accepted chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

func newPipes() *pipes { return &pipes{accepted: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accepted:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.once.Do(func() { close(p.closed) }); return nil }

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.accepted <- server:
		return client, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// inMemory is a server in a bubble and what it takes to reach it.
type inMemory struct {
	url     string
	options ply.TransportOptions
}

// serveInMemory must run in a bubble. prepare may change the connections that the server gets.
func serveInMemory(t *testing.T, h http.Handler, prepare func(net.Listener) net.Listener) inMemory {
	t.Helper()
	p := newPipes()
	var l net.Listener = p
	if prepare != nil {
		l = prepare(l)
	}
	server := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() { server.Serve(l); close(done) }()
	t.Cleanup(func() {
		p.Close()
		server.Close()
		<-done
		time.Sleep(2 * slow) // for handlers and dials that go on for a while
	})
	return inMemory{url: "http://origin.test/", options: ply.TransportOptions{DialContext: p.dial}}
}

func (m inMemory) transport(t *testing.T) *http.Transport {
	t.Helper()
	tr, err := ply.NewTransport(m.options)
	require.NoError(t, err)
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// certificate is that of net/http/httptest, for "example.com", and valid in a bubble's year 2000.
var certificate = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return s.TLS.Certificates[0], pool
})

// slowTLS lets each handshake begin after 5 seconds only.
type slowTLS struct {
	net.Listener
	config *tls.Config
}

func (l slowTLS) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &slowConn{Conn: tls.Server(c, l.config)}, nil
}

type slowConn struct {
	net.Conn
	once sync.Once
}

func (c *slowConn) Read(p []byte) (int, error) {
	c.once.Do(func() { time.Sleep(5 * time.Second) })
	return c.Conn.Read(p)
}

// slow is how long the slow phase of each scenario takes.
const slow = 5 * time.Second

// scenario is a server that takes 5 seconds for one phase and no time for the others.
type scenario struct {
	phase ply.Phase
	start func(t *testing.T) (inMemory, []ply.Middleware)
}

func (s scenario) limit(d time.Duration) ply.Timeouts {
	switch s.phase {
	case ply.PhaseTotal:
		return ply.Timeouts{Total: d}
	case ply.PhaseConnect:
		return ply.Timeouts{Connect: d}
	case ply.PhaseTLS:
		return ply.Timeouts{TLS: d}
	case ply.PhaseResponseHeader:
		return ply.Timeouts{ResponseHeader: d}
	case ply.PhaseIdleRead:
		return ply.Timeouts{IdleRead: d}
	}
	panic("no such phase")
}

// others are generous limits for all phases but the one in question.
func (s scenario) others(t ply.Timeouts) ply.Timeouts {
	for _, field := range []*time.Duration{&t.Total, &t.Connect, &t.TLS, &t.ResponseHeader, &t.IdleRead} {
		if *field == 0 {
			*field = time.Hour
		}
	}
	return t
}

var scenarios = map[string]scenario{
	"total: redirects": {ply.PhaseTotal, func(t *testing.T) (inMemory, []ply.Middleware) {
		return serveInMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(slow / 5)
			if hop, _ := strconv.Atoi(r.URL.Path[1:]); hop < 4 {
				http.Redirect(w, r, fmt.Sprint("/", hop+1), http.StatusFound)
			}
		}), nil), nil
	}},
	"total: body": {ply.PhaseTotal, func(t *testing.T) (inMemory, []ply.Middleware) {
		return serveInMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for range 5 {
				io.WriteString(w, "some")
				w.(http.Flusher).Flush()
				time.Sleep(slow / 5)
			}
		}), nil), nil
	}},
	"total: a layer that sends again": {ply.PhaseTotal, func(t *testing.T) (inMemory, []ply.Middleware) {
		return serveInMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}), nil), []ply.Middleware{again}
	}},
	"connect: dial": {ply.PhaseConnect, func(t *testing.T) (inMemory, []ply.Middleware) {
		m := serveInMemory(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), nil)
		dial := m.options.DialContext
		m.options.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			time.Sleep(slow)
			return dial(ctx, network, address)
		}
		return m, nil
	}},
	"connect: waiting for a connection": {ply.PhaseConnect, func(t *testing.T) (inMemory, []ply.Middleware) {
		m := serveInMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/busy" {
				time.Sleep(slow)
			}
		}), nil)
		m.options.MaxConnsPerHost = 1
		return m, []ply.Middleware{func(next ply.Handler) ply.Handler {
			return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
				got := make(chan struct{})
				go func() {
					ctx := httptrace.WithClientTrace(context.WithoutCancel(t.Context()), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { close(got) }})
					busy, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://origin.test/busy", nil)
					if resp, err := next.RoundTrip(busy); err == nil {
						resp.Body.Close()
					}
				}()
				<-got
				return next.RoundTrip(r)
			})
		}}
	}},
	"TLS": {ply.PhaseTLS, func(t *testing.T) (inMemory, []ply.Middleware) {
		cert, pool := certificate()
		m := serveInMemory(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), func(l net.Listener) net.Listener {
			return slowTLS{l, &tls.Config{Certificates: []tls.Certificate{cert}}}
		})
		m.url = "https://example.com/"
		m.options.TLSClientConfig = &tls.Config{RootCAs: pool}
		return m, nil
	}},
	"response header": {ply.PhaseResponseHeader, func(t *testing.T) (inMemory, []ply.Middleware) {
		return serveInMemory(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(slow) }), nil), nil
	}},
	"idle read": {ply.PhaseIdleRead, func(t *testing.T) (inMemory, []ply.Middleware) {
		return serveInMemory(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "some")
			w.(http.Flusher).Flush()
			time.Sleep(slow)
		}), nil), nil
	}},
}

// again sends a request 5 times, a second between two.
func again(next ply.Handler) ply.Handler {
	return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
		for range 5 {
			resp, err := next.RoundTrip(r)
			if err != nil {
				return nil, err
			}
			resp.Body.Close()
			select {
			case <-time.After(slow / 5):
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		}
		return next.RoundTrip(r)
	})
}

// fetch gets the whole of url. The error may come from the call or from the body.
func fetch(ctx context.Context, c *ply.Client, url string, opts ...ply.RequestOption) error {
	resp, err := c.Get(ctx, url, opts...)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

func checkTimeout(t *testing.T, err error, phase ply.Phase, limit time.Duration) {
	t.Helper()
	var got *ply.TimeoutError
	if !errors.As(err, &got) {
		t.Fatalf("got %v (%T), want a *TimeoutError", err, err)
	}
	if got.Phase != phase || got.Limit != limit {
		t.Errorf("got %s after %v, want %s after %v", got.Phase, got.Limit, phase, limit)
	}
	var timeout net.Error
	if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("%v: not a deadline exceeded, or no timeout", err)
	}
}

// TestTimeouts runs each scenario with its limit given in each way.
func TestTimeouts(t *testing.T) {
	const limit = 1500 * time.Millisecond
	certificate() // outside of bubbles
	for name, s := range scenarios {
		ways := []struct {
			name    string
			options ply.Options
			request []ply.RequestOption
			strikes bool
		}{
			{"by the client", ply.Options{Timeouts: s.limit(limit)}, nil, true},
			{"among generous others", ply.Options{Timeouts: s.others(s.limit(limit))}, nil, true},
			{"by default", ply.Options{Defaults: []ply.RequestOption{ply.PhaseTimeouts(s.limit(limit))}}, nil, true},
			{"by default over the client's", ply.Options{
				Timeouts: s.limit(time.Hour), Defaults: []ply.RequestOption{ply.PhaseTimeouts(s.limit(limit))},
			}, nil, true},
			{"by the request", ply.Options{}, []ply.RequestOption{ply.PhaseTimeouts(s.limit(limit))}, true},
			{"by the request over the client's", ply.Options{Timeouts: s.limit(time.Hour)}, []ply.RequestOption{ply.PhaseTimeouts(s.limit(limit))}, true},
			{"by the last of two options", ply.Options{}, []ply.RequestOption{
				ply.PhaseTimeouts(s.limit(time.Hour)), ply.PhaseTimeouts(s.limit(limit)),
			}, true},
			{"taken back by the request", ply.Options{Timeouts: s.limit(limit)}, []ply.RequestOption{ply.PhaseTimeouts(s.limit(-1))}, false},
			{"taken back by a default", ply.Options{Timeouts: s.limit(limit), Defaults: []ply.RequestOption{ply.PhaseTimeouts(s.limit(-1))}}, nil, false},
			{"taken back among generous others", ply.Options{Timeouts: s.others(s.limit(limit))}, []ply.RequestOption{ply.PhaseTimeouts(s.limit(-1))}, false},
			{"longer than it takes", ply.Options{Timeouts: s.others(s.limit(time.Minute))}, nil, false},
			{"not at all", ply.Options{}, nil, false},
		}
		for _, way := range ways {
			t.Run(name+"/"+way.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m, layers := s.start(t)
					way.options.Transport, way.options.Use = m.transport(t), layers
					c := newClient(t, way.options)
					began := time.Now()
					err := fetch(t.Context(), c, m.url, way.request...)
					took := time.Since(began)
					if !way.strikes {
						if err != nil || took != slow {
							t.Errorf("got %v after %v, want success after %v", err, took, slow)
						}
						return
					}
					checkTimeout(t, err, s.phase, limit)
					if took != limit {
						t.Errorf("struck after %v, want %v", took, limit)
					}
				})
			})
		}
	}
}

func TestTimeoutOfARequestBoundsItAsAWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := scenarios["response header"].start(t)
		c := newClient(t, ply.Options{Transport: m.transport(t)})
		_, err := c.Get(t.Context(), m.url, ply.Timeout(time.Second))
		checkTimeout(t, err, ply.PhaseTotal, time.Second)
		var outer *url.Error
		if !errors.As(err, &outer) || !outer.Timeout() || outer.Op != "Get" || outer.URL != m.url {
			t.Errorf("got %#v, want the *url.Error of a timeout", err)
		}
		if want := `Get "http://origin.test/": ply: total timeout after 1s`; err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	})
}

// TestTheCallersOwnEndIsNoTimeoutOfOurs: all phases have limits, and the caller is quicker.
func TestTheCallersOwnEndIsNoTimeoutOfOurs(t *testing.T) {
	certificate()
	mine := errors.New("mine")
	ends := map[string]struct {
		context func(context.Context) (context.Context, context.CancelFunc)
		want    error
	}{
		"deadline": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Second)
		}, context.DeadlineExceeded},
		"cancel": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Second, cancel)
			return ctx, cancel
		}, context.Canceled},
		"cause": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			time.AfterFunc(time.Second, func() { cancel(mine) })
			return ctx, func() { cancel(nil) }
		}, nil}, // whatever net/http makes of it
	}
	for name, s := range scenarios {
		for end, e := range ends {
			t.Run(name+"/"+end, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m, layers := s.start(t)
					c := newClient(t, ply.Options{Transport: m.transport(t), Use: layers, Timeouts: s.others(s.limit(2 * time.Second))})
					ctx, cancel := e.context(t.Context())
					defer cancel()
					err := fetch(ctx, c, m.url)
					var named *ply.TimeoutError
					if err == nil || errors.As(err, &named) || e.want != nil && !errors.Is(err, e.want) {
						t.Errorf("got %v, want %v and no TimeoutError", err, e.want)
					}
				})
			})
		}
	}
}

// TestTheTransportsOwnLimitsAreNamed: those that *http.Transport and its dialer keep, with none of the client's.
func TestTheTransportsOwnLimitsAreNamed(t *testing.T) {
	cert, pool := certificate()
	const limit = time.Second
	type setup struct {
		transport func(t *testing.T) (h ply.Handler, url string)
		phase     ply.Phase
		limit     time.Duration
	}
	throughProxy := func(proxy string) func(t *testing.T) (ply.Handler, string) {
		return func(t *testing.T) (ply.Handler, string) {
			m, _ := scenarios["TLS"].start(t)
			m.options.TLSHandshakeTimeout = limit
			m.options.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(proxy) }
			return m.transport(t), "https://example.com/"
		}
	}
	tests := map[string]setup{
		"ConnectTimeout": {func(t *testing.T) (ply.Handler, string) {
			m := inMemory{options: ply.TransportOptions{DialContext: newPipes().dial, ConnectTimeout: limit}}
			return m.transport(t), "http://origin.test/"
		}, ply.PhaseConnect, limit},
		"ConnectTimeout, by default": {func(t *testing.T) (ply.Handler, string) {
			m := inMemory{options: ply.TransportOptions{DialContext: newPipes().dial}}
			return m.transport(t), "http://origin.test/"
		}, ply.PhaseConnect, 30 * time.Second},
		"ConnectTimeout, of a proxy": {func(t *testing.T) (ply.Handler, string) {
			m := inMemory{options: ply.TransportOptions{DialContext: newPipes().dial, ConnectTimeout: limit}}
			m.options.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse("http://proxy.test") }
			return m.transport(t), "http://origin.test/"
		}, ply.PhaseConnect, limit},
		"a dialer's": {func(t *testing.T) (ply.Handler, string) {
			return &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: context.DeadlineExceeded}
			}}, "http://origin.test/"
		}, ply.PhaseConnect, 0},
		"a dialer's, through a proxy": {func(t *testing.T) (ply.Handler, string) {
			return &http.Transport{
				Proxy: func(*http.Request) (*url.URL, error) { return url.Parse("http://proxy.test") },
				DialContext: func(context.Context, string, string) (net.Conn, error) {
					return nil, &net.OpError{Op: "dial", Net: "tcp", Err: context.DeadlineExceeded}
				},
			}, "http://origin.test/"
		}, ply.PhaseConnect, 0},
		"TLSHandshakeTimeout": {func(t *testing.T) (ply.Handler, string) {
			m, _ := scenarios["TLS"].start(t)
			m.options.TLSHandshakeTimeout = limit
			return m.transport(t), m.url
		}, ply.PhaseTLS, limit},
		"TLSHandshakeTimeout, of a proxy": {throughProxy("https://example.com"), ply.PhaseTLS, limit},
		"ResponseHeaderTimeout": {func(t *testing.T) (ply.Handler, string) {
			m, _ := scenarios["response header"].start(t)
			tr := m.transport(t)
			tr.ResponseHeaderTimeout = limit
			return tr, m.url
		}, ply.PhaseResponseHeader, limit},
		"ResponseHeaderTimeout, HTTP/2": {func(t *testing.T) (ply.Handler, string) {
			p := newPipes()
			server := &http.Server{
				Handler:   http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(slow) }),
				TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}},
			}
			done := make(chan struct{})
			go func() { server.ServeTLS(p, "", ""); close(done) }()
			t.Cleanup(func() { p.Close(); server.Close(); <-done; time.Sleep(2 * slow) })
			m := inMemory{options: ply.TransportOptions{DialContext: p.dial, TLSClientConfig: &tls.Config{RootCAs: pool}}}
			tr := m.transport(t)
			tr.ResponseHeaderTimeout = limit
			return tr, "https://example.com/"
		}, ply.PhaseResponseHeader, limit},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, url := tt.transport(t)
				c := newClient(t, ply.Options{Transport: h})
				err := fetch(t.Context(), c, url)
				checkTimeout(t, err, tt.phase, tt.limit)
				closeIdle(h)
			})
		})
	}
}

// TestADialCutByTheCallersDeadlineIsNoTimeoutOfOurs, for transports that dial in the context of the request.
func TestADialCutByTheCallersDeadlineIsNoTimeoutOfOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, ply.Options{Transport: ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}
		})})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Get(ctx, "http://a.test/")
		var named *ply.TimeoutError
		if !errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &named) {
			t.Errorf("got %v, want the error of the dial as it is", err)
		}
	})
}

func closeIdle(h ply.Handler) { h.(interface{ CloseIdleConnections() }).CloseIdleConnections() }

func TestConnectTimeoutBoundsNameLookups(t *testing.T) {
	m := inMemory{options: ply.TransportOptions{ConnectTimeout: time.Millisecond, Resolver: &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
	}}}
	c := newClient(t, ply.Options{Transport: m.transport(t)})
	_, err := c.Get(t.Context(), "http://origin.test/")
	checkTimeout(t, err, ply.PhaseConnect, time.Millisecond)
}

// TestTheClientsOwnTransportKeepsItsLimits: over real sockets, as that transport cannot be given other ones.
// The server accepts connections and says nothing.
func TestTheClientsOwnTransportKeepsItsLimits(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	for _, limits := range []struct {
		ply.Timeouts
		phase ply.Phase
	}{
		{ply.Timeouts{TLS: time.Millisecond}, ply.PhaseTLS},
		{ply.Timeouts{ResponseHeader: time.Millisecond}, ply.PhaseResponseHeader},
		{ply.Timeouts{Total: time.Millisecond}, ply.PhaseTotal},
	} {
		scheme := "http://"
		if limits.TLS > 0 {
			scheme = "https://"
		}
		c := newClient(t, ply.Options{Timeouts: limits.Timeouts})
		_, err := c.Get(t.Context(), scheme+l.Addr().String())
		checkTimeout(t, err, limits.phase, time.Millisecond)
	}
}

// traced is a transport that goes through the phases as the test has it.
type traced func(ctx context.Context, trace *httptrace.ClientTrace) error

func (f traced) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := f(req.Context(), httptrace.ContextClientTrace(req.Context())); err != nil {
		return nil, err
	}
	resp := reply(req, http.StatusOK, nil, "")
	resp.Body = io.NopCloser(&bodyOf{ctx: req.Context(), r: strings.NewReader("text")})
	return resp, nil
}

// bodyOf can be read as long as its context lasts.
type bodyOf struct {
	ctx context.Context
	r   io.Reader
}

func (b *bodyOf) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	return b.r.Read(p)
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func TestConnectDoesNotCountHandshakesButWhatIsAroundThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, ply.Options{Timeouts: ply.Timeouts{Connect: time.Second}, Transport: traced(func(ctx context.Context, trace *httptrace.ClientTrace) error {
			trace.GetConn("proxy.test:443")
			time.Sleep(600 * time.Millisecond)
			trace.TLSHandshakeStart()
			time.Sleep(time.Minute)
			trace.TLSHandshakeDone(tls.ConnectionState{}, nil)
			return wait(ctx, time.Minute) // for the proxy's answer to CONNECT
		})})
		began := time.Now()
		_, err := c.Get(t.Context(), "https://a.test/")
		checkTimeout(t, err, ply.PhaseConnect, time.Second)
		if took := time.Since(began); took != time.Minute+time.Second {
			t.Errorf("struck after %v, want one second outside of the handshake", took)
		}
	})
}

func TestAnotherAttemptOfTheTransportStartsItsPhasesAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := ply.Timeouts{Connect: time.Second, TLS: time.Second, ResponseHeader: time.Second}
		c := newClient(t, ply.Options{Timeouts: limits, Transport: traced(func(ctx context.Context, trace *httptrace.ClientTrace) error {
			for range 3 {
				trace.GetConn("a.test:443")
				time.Sleep(900 * time.Millisecond)
				trace.TLSHandshakeStart()
				time.Sleep(900 * time.Millisecond)
				trace.TLSHandshakeDone(tls.ConnectionState{}, nil)
				trace.GotConn(httptrace.GotConnInfo{})
				time.Sleep(time.Minute) // writing the request
				trace.WroteRequest(httptrace.WroteRequestInfo{})
				time.Sleep(900 * time.Millisecond)
			}
			return ctx.Err()
		})})
		if err := fetch(t.Context(), c, "https://a.test/"); err != nil {
			t.Error(err)
		}
	})
}

func TestAHandshakeForAnotherRequestHasNoPartInThisOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, ply.Options{Timeouts: ply.Timeouts{Connect: time.Second, TLS: time.Second, ResponseHeader: time.Second}, Transport: traced(func(ctx context.Context, trace *httptrace.ClientTrace) error {
			trace.GetConn("a.test:443")
			trace.GotConn(httptrace.GotConnInfo{}) // an idle one; the dial that had begun goes on
			trace.TLSHandshakeStart()
			time.Sleep(time.Minute)
			trace.TLSHandshakeDone(tls.ConnectionState{}, nil)
			time.Sleep(time.Minute)
			go func() {
				time.Sleep(time.Minute) // after the exchange
				trace.TLSHandshakeStart()
				trace.WroteRequest(httptrace.WroteRequestInfo{})
			}()
			return ctx.Err()
		})})
		resp, err := c.Get(t.Context(), "https://a.test/")
		require.NoError(t, err)
		time.Sleep(10 * time.Minute)
		if b, err := io.ReadAll(resp.Body); string(b) != "text" || err != nil {
			t.Errorf("got %q, %v", b, err)
		}
	})
}

// TestATimerThatFiresAsItsPhaseIsLeftDoesNoHarm: at one and the same instant, either may win,
// but an answer that is handed out can be read.
func TestATimerThatFiresAsItsPhaseIsLeftDoesNoHarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := ply.Timeouts{Connect: time.Second, TLS: time.Second, ResponseHeader: time.Second, IdleRead: time.Second}
		c := newClient(t, ply.Options{Timeouts: limits, Transport: traced(func(_ context.Context, trace *httptrace.ClientTrace) error {
			trace.GetConn("a.test:443")
			trace.TLSHandshakeStart()
			time.Sleep(time.Second)
			trace.TLSHandshakeDone(tls.ConnectionState{}, nil)
			time.Sleep(time.Second)
			trace.GotConn(httptrace.GotConnInfo{})
			trace.WroteRequest(httptrace.WroteRequestInfo{})
			time.Sleep(time.Second)
			return nil
		})})
		for range 300 {
			resp, err := c.Get(t.Context(), "https://a.test/")
			var named *ply.TimeoutError
			if err != nil {
				if !errors.As(err, &named) {
					t.Fatalf("got %v, want a TimeoutError or a response", err)
				}
				continue
			}
			if b, err := io.ReadAll(resp.Body); string(b) != "text" || err != nil {
				t.Fatalf("a response that cannot be read: %q, %v", b, err)
			}
		}
	})
}

func TestATimeoutAsTheHeaderComesInIsTheOutcome(t *testing.T) {
	body := &closeCounter{Reader: strings.NewReader("x")}
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, ply.Options{Timeouts: ply.Timeouts{ResponseHeader: time.Second}, Transport: ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			httptrace.ContextClientTrace(r.Context()).WroteRequest(httptrace.WroteRequestInfo{})
			<-r.Context().Done()
			resp := reply(r, http.StatusOK, nil, "")
			resp.Body = body
			return resp, nil
		})})
		_, err := c.Get(t.Context(), "http://a.test/")
		checkTimeout(t, err, ply.PhaseResponseHeader, time.Second)
	})
	if body.closed != 1 {
		t.Errorf("the body of the dropped response was closed %d times, want once", body.closed)
	}
}

func TestNoResponseHeaderTimeoutWhileTheRequestIsBeingSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := serveInMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }), nil)
		c := newClient(t, ply.Options{Transport: m.transport(t), Timeouts: ply.Timeouts{ResponseHeader: time.Second}})
		pr, pw := io.Pipe()
		go func() {
			time.Sleep(time.Hour)
			io.WriteString(pw, "late")
			pw.Close()
		}()
		resp, err := c.Post(t.Context(), m.url, ply.BodyReader(pr))
		require.NoError(t, err)
		if b, err := io.ReadAll(resp.Body); string(b) != "late" || err != nil {
			t.Errorf("got %q, %v", b, err)
		}
	})
}

func TestThePauseOfTheReaderDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := serveInMemory(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for i := range 5 {
				time.Sleep(900 * time.Millisecond)
				fmt.Fprint(w, i)
				w.(http.Flusher).Flush()
			}
			time.Sleep(900 * time.Millisecond)
		}), nil)
		c := newClient(t, ply.Options{Transport: m.transport(t), Timeouts: ply.Timeouts{IdleRead: time.Second}})
		for _, pause := range []time.Duration{0, time.Hour} {
			resp, err := c.Get(t.Context(), m.url)
			require.NoError(t, err)
			var got []byte
			buf := make([]byte, 1)
			for err == nil {
				var n int
				time.Sleep(pause)
				n, err = resp.Body.Read(buf)
				got = append(got, buf[:n]...)
			}
			if string(got) != "01234" || err != io.EOF {
				t.Errorf("with pauses of %v: got %q, %v", pause, got, err)
			}
		}
	})
}

// TestIdleReadKeepsItsNameInLaterReads: net/http's own error for a body that was given up would say nothing of it.
func TestIdleReadKeepsItsNameInLaterReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := scenarios["idle read"].start(t)
		c := newClient(t, ply.Options{Transport: m.transport(t), Timeouts: ply.Timeouts{IdleRead: time.Second}})
		resp, err := c.Get(t.Context(), m.url)
		require.NoError(t, err)
		b, err := io.ReadAll(resp.Body)
		if string(b) != "some" {
			t.Errorf("got %q before the timeout, want %q", b, "some")
		}
		checkTimeout(t, err, ply.PhaseIdleRead, time.Second)
		_, err = resp.Body.Read(make([]byte, 1))
		checkTimeout(t, err, ply.PhaseIdleRead, time.Second)
		if err := resp.Body.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

func TestABodyMayBeClosedDuringARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := scenarios["idle read"].start(t)
		c := newClient(t, ply.Options{Transport: m.transport(t), Timeouts: ply.Timeouts{IdleRead: time.Hour, Total: time.Hour}})
		resp, err := c.Get(t.Context(), m.url)
		require.NoError(t, err)
		read := make(chan error)
		go func() {
			_, err := io.ReadAll(resp.Body)
			read <- err
		}()
		synctest.Wait()
		resp.Body.Close()
		if err := <-read; err == nil {
			t.Error("the read ended as if the body were complete")
		}
	})
}

// foreign is a context that isn't one of the standard library's: each context derived from it costs a goroutine until it is cancelled,
// which a bubble finds if it is left behind.
type foreign struct {
	context.Context
	done chan struct{}
}

func (f foreign) Done() <-chan struct{}       { return f.done }
func (f foreign) Err() error                  { return nil }
func (f foreign) Deadline() (time.Time, bool) { return time.Time{}, false }

// TestContextsLiveAsLongAsTheBody, and no longer: what they hold would stay with the caller's context.
func TestContextsLiveAsLongAsTheBody(t *testing.T) {
	broken := errors.New("broken")
	whole := func() io.Reader { return strings.NewReader("text") }
	limits := map[string]ply.Timeouts{
		"total":  {Total: time.Hour},
		"phases": {Connect: time.Hour, TLS: time.Hour, ResponseHeader: time.Hour},
		"idle":   {IdleRead: time.Hour},
		"all":    {Total: time.Hour, Connect: time.Hour, IdleRead: time.Hour},
	}
	ends := map[string]struct {
		body func() io.Reader
		end  func(io.ReadCloser)
	}{
		"read to the end": {whole, func(b io.ReadCloser) { io.ReadAll(b) }},
		"copied":          {whole, func(b io.ReadCloser) { io.Copy(io.Discard, b) }},
		"closed":          {whole, func(b io.ReadCloser) { b.Close() }},
		"read in part":    {whole, func(b io.ReadCloser) { b.Read(make([]byte, 1)); b.Close() }},
		"broken":          {func() io.Reader { return iotest.ErrReader(broken) }, func(b io.ReadCloser) { io.ReadAll(b) }},
	}
	for name, timeouts := range limits {
		for how, e := range ends {
			t.Run(name+"/"+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var ctx context.Context
					c := newClient(t, ply.Options{Timeouts: timeouts, Transport: ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
						ctx = r.Context()
						resp := reply(r, http.StatusOK, nil, "")
						resp.Body = io.NopCloser(e.body())
						return resp, nil
					})})
					parent := foreign{t.Context(), make(chan struct{})}
					resp, err := c.Get(parent, "http://a.test/")
					require.NoError(t, err)
					if ctx.Err() != nil {
						t.Error("the context ended before the body")
					}
					e.end(resp.Body)
					if ctx.Err() == nil {
						t.Error("the context outlives the body")
					}
				})
			})
		}
		t.Run(name+"/error", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var ctx context.Context
				c := newClient(t, ply.Options{Timeouts: timeouts, Transport: ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
					ctx = r.Context()
					return nil, broken
				})})
				if _, err := c.Get(foreign{t.Context(), make(chan struct{})}, "http://a.test/"); !errors.Is(err, broken) {
					t.Errorf("got %v", err)
				}
				if ctx.Err() == nil {
					t.Error("the context outlives the exchange")
				}
			})
		})
		t.Run(name+"/no body", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, ply.Options{Timeouts: timeouts, Transport: ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
					resp := reply(r, http.StatusNoContent, nil, "")
					resp.Body = http.NoBody
					return resp, nil
				})})
				resp, err := c.Get(foreign{t.Context(), make(chan struct{})}, "http://a.test/")
				require.NoError(t, err)
				if resp.Body != http.NoBody {
					t.Errorf("got a body of type %T, want http.NoBody", resp.Body)
				}
			})
		})
	}
}

func TestATransportThatBreaksTheContractUnderTimeouts(t *testing.T) {
	body := &closeCounter{Reader: strings.NewReader("x")}
	for name, h := range map[string]ply.HandlerFunc{
		"neither response nor error": func(*http.Request) (*http.Response, error) { return nil, nil },
		"both": func(r *http.Request) (*http.Response, error) {
			return &http.Response{Body: body}, errors.New("broken")
		},
	} {
		c := newClient(t, ply.Options{Transport: h, Timeouts: ply.Timeouts{Total: time.Hour, Connect: time.Hour, IdleRead: time.Hour}})
		if resp, err := c.Get(t.Context(), "http://a.test/"); resp != nil || err == nil {
			t.Errorf("%s: got %v, %v", name, resp, err)
		}
	}
	if body.closed != 1 {
		t.Errorf("the dropped response was closed %d times, want once", body.closed)
	}
	c := newClient(t, ply.Options{Timeouts: ply.Timeouts{Total: time.Hour, IdleRead: time.Hour}, Transport: ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Request: r}, nil
	})})
	if err := fetch(t.Context(), c, "http://a.test/"); err != nil {
		t.Errorf("without a body: %v", err)
	}
}

var generous = ply.Timeouts{Total: time.Hour, Connect: time.Hour, TLS: time.Hour, ResponseHeader: time.Hour, IdleRead: time.Hour}

// TestNoBodyIsCutEarly: a large body is read well after the header, and its connection serves again.
func TestNoBodyIsCutEarly(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 1<<16)
	for _, h2 := range []bool{false, true} {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			io.WriteString(w, large)
			w.Header().Set("X-Sum", "7")
		}))
		s.EnableHTTP2 = h2
		s.StartTLS()
		defer s.Close()
		c := newClient(t, ply.Options{Transport: s.Client().Transport, Timeouts: generous})
		for i := range 3 {
			var reused bool
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }})
			resp, err := c.Get(ctx, s.URL)
			require.NoError(t, err)
			b, err := io.ReadAll(resp.Body)
			if string(b) != large || err != nil {
				t.Errorf("%s: got %d bytes of %d, %v", resp.Proto, len(b), len(large), err)
			}
			if got := resp.Trailer.Get("X-Sum"); got != "7" {
				t.Errorf("%s: trailer %q", resp.Proto, got)
			}
			if reused != (i > 0) {
				t.Errorf("%s: connection of request %d reused: %t", resp.Proto, i, reused)
			}
		}
	}
}

// upgrade answers with 101 and echoes lines.
func upgrade(w http.ResponseWriter, _ *http.Request) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	for {
		line, err := rw.ReadString('\n')
		if err != nil {
			return
		}
		io.WriteString(conn, line)
	}
}

// TestAnUpgradeOutlivesItsTimeouts, and leaves no context behind, although nothing is known of its end:
// over a transport that lets go of the connection.
func TestAnUpgradeOutlivesItsTimeouts(t *testing.T) {
	for name, timeouts := range map[string]ply.Timeouts{
		"total":  {Total: time.Hour},
		"phases": {Connect: time.Hour, TLS: time.Hour, ResponseHeader: time.Hour, IdleRead: time.Hour},
		"all":    generous,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := serveInMemory(t, http.HandlerFunc(upgrade), nil)
				c := newClient(t, ply.Options{Transport: m.transport(t), Timeouts: timeouts})
				resp, err := c.Get(foreign{t.Context(), make(chan struct{})}, m.url, ply.SetHeader("Connection", "Upgrade"), ply.SetHeader("Upgrade", "echo"))
				require.NoError(t, err)
				conn := resp.Body.(io.ReadWriteCloser)
				lines := bufio.NewReader(conn)
				for _, want := range []string{"one\n", "two\n"} {
					time.Sleep(24 * time.Hour)
					io.WriteString(conn, want)
					if got, err := lines.ReadString('\n'); got != want || err != nil {
						t.Errorf("got %q, %v, want %q", got, err, want)
					}
				}
				conn.Close()
			})
		})
	}
}

func TestTimeoutErrorSaysWhatStruck(t *testing.T) {
	cause := errors.New("cause")
	tests := map[string]*ply.TimeoutError{
		"ply: connect timeout after 30s":          {Phase: ply.PhaseConnect, Limit: 30 * time.Second},
		"ply: TLS handshake timeout after 10s":    {Phase: ply.PhaseTLS, Limit: 10 * time.Second},
		"ply: response header timeout after 1.5s": {Phase: ply.PhaseResponseHeader, Limit: 1500 * time.Millisecond},
		"ply: idle read timeout":                  {Phase: ply.PhaseIdleRead},
		"ply: total timeout after 2562047h47m16s": {Phase: ply.PhaseTotal, Limit: 1<<63 - 1 - 854775807},
	}
	for want, e := range tests {
		if got := e.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	e := &ply.TimeoutError{Phase: ply.PhaseTLS, Err: cause}
	got := []bool{errors.Is(e, context.DeadlineExceeded), errors.Is(e, cause), errors.Is(e, context.Canceled), e.Timeout(), e.Temporary()}
	if diff := cmp.Diff([]bool{true, true, false, true, true}, got); diff != "" {
		t.Errorf("is a deadline, its cause, a cancel, a timeout, temporary (-want +got):\n%s", diff)
	}
}
