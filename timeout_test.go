package ply_test

import (
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
	"strconv"
	"sync"
	"testing"
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

// others returns t with generous limits for all phases but the scenario's.
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

func TestTimeoutErrorNamesThePhase(t *testing.T) {
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
