package ply_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
)

// TestTransportLimitsAreTimeoutErrors: limits of *http.Transport and its dialer, without any of the client's.
func TestTransportLimitsAreTimeoutErrors(t *testing.T) {
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

// TestDialCutByTheCallersDeadlineIsNoTimeoutError, for transports that dial in the context of the request.
func TestDialCutByTheCallersDeadlineIsNoTimeoutError(t *testing.T) {
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

func TestConnectTimeoutLimitsNameLookups(t *testing.T) {
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

// TestOwnTransportHasDefaultLimits: over real sockets, as that transport cannot be given other ones.
// The server accepts connections and says nothing.
func TestOwnTransportHasDefaultLimits(t *testing.T) {
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

func TestTimeoutsWithATransportThatBreaksTheContract(t *testing.T) {
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
