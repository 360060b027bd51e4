package ply_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
)

// secureOrigin starts a TLS server whose certificate is not trusted by default.
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

// TestCertificatePinErrorPassesEveryLayer: layers, proxies, protocols.
func TestCertificatePinErrorPassesEveryLayer(t *testing.T) {
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

// TestUnverifiedSessionIsNotResumed: by requests that verify it in another way, since crypto/tls doesn't call VerifyPeerCertificate for resumed sessions.
func TestUnverifiedSessionIsNotResumed(t *testing.T) {
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

func TestPinHoldsForResumedSessions(t *testing.T) {
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

// quiet is the log of servers whose handshakes fail as the test wants it.
var quiet = log.New(io.Discard, "", 0)
