package ply_test

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
)

// TestRequestsWithEqualSettingsShareConnections: and only with each other.
func TestRequestsWithEqualSettingsShareConnections(t *testing.T) {
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

// TestVariantKeepsConfiguredHTTP2Apart: golang.org/x/net/http2 would put a variant's connections into the pool
// of the transport that it was configured for, whose requests may verify.
func TestVariantKeepsConfiguredHTTP2Apart(t *testing.T) {
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

func TestVariantOfAnHTTP1TransportHasNoHTTP2(t *testing.T) {
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

// TestVariantsNeedATransportToCopy: connection settings of a request need an *http.Transport, not just any Handler.
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
