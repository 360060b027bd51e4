package ply_test

import (
	"crypto/sha256"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/internal/connection"
)

// partitionOf returns the name by which a request's responses are kept apart, or "".
func partitionOf(r *http.Request) string {
	return strings.TrimPrefix(string(connection.Choices(r.Context()).Append(nil)), "\x00")
}

// TestPartitions: a layer such as a cache can keep responses apart by the trust of their connections.
func TestPartitions(t *testing.T) {
	s, _ := secureOrigin(t, false, ok)
	_, pool := certificate()
	one, two := &tls.Config{RootCAs: pool}, &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{clientCertificate(t, "two")}}
	pin := sha256.Sum256(s.Certificate().Raw)
	verifying := func() *http.Transport { return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}} }
	insecure := func() *http.Transport {
		return &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	}
	var last string
	layer := func(next ply.Handler) ply.Handler {
		return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			last = partitionOf(r)
			return next.RoundTrip(r)
		})
	}
	of := func(t *testing.T, c *ply.Client, opts ...ply.RequestOption) string {
		t.Helper()
		require.NoError(t, fetch(t.Context(), c, s.URL, opts...))
		return last
	}
	client := func(o ply.Options) *ply.Client {
		o.Use = []ply.Middleware{layer}
		return newClient(t, o)
	}

	c := client(ply.Options{Transport: verifying()})
	kinds := map[string][]ply.RequestOption{
		"verified":  nil,
		"insecure":  {ply.InsecureSkipVerify()},
		"pinned":    {ply.PinCertificate(pin)},
		"pinned, 2": {ply.PinCertificate(pin, [sha256.Size]byte{1})},
		"TLS two":   {ply.TLSConfig(two)},
	}
	seen := make(map[string]string)
	for kind, opts := range kinds {
		p := of(t, c, opts...)
		if other, ok := seen[p]; ok {
			t.Errorf("%s shares partition %q with %s", kind, p, other)
		}
		seen[p] = kind
		for more, and := range map[string]ply.RequestOption{
			"again": {}, "without a proxy": ply.ProxyURL(""), "without gzip": ply.OmitHeader("Accept-Encoding"), "in time": ply.Timeout(time.Hour),
		} {
			if got := of(t, c, append(slices.Clone(opts), and)...); got != p {
				t.Errorf("%s %s: partition %q, want %q as before", kind, more, got, p)
			}
		}
	}
	if seen[of(t, c, ply.TLSConfig(one.Clone()))] != "verified" {
		t.Error("the roots of the transport have another partition than the same roots of a request")
	}
	if kind, ok := seen[""]; ok {
		t.Errorf("%s has the common partition, with roots of its own", kind)
	}

	byRequest := of(t, c, kinds["insecure"]...)
	inner := newClient(t, ply.Options{Defaults: []ply.RequestOption{ply.InsecureSkipVerify()}})
	wrapped := newClient(t, ply.Options{Transport: insecure()})
	for name, o := range map[string]ply.Options{
		"a transport":          {Transport: insecure()},
		"a default":            {Transport: verifying(), Defaults: kinds["insecure"]},
		"a wrapped transport":  {Transport: &describing{insecure()}},
		"a wrapped client's":   {Transport: ply.Wrap(&http.Client{Transport: insecure()}, plain).Transport},
		"a chain":              {Transport: ply.Chain(acme, plain)(insecure())},
		"a condition":          {Transport: ply.When(func(*http.Request) bool { return true }, plain)(insecure())},
		"another client":       {Transport: inner},
		"another one's client": {Transport: wrapped.HTTPClient().Transport},
	} {
		if got := of(t, client(o)); got != byRequest {
			t.Errorf("insecure by way of %s: partition %q, want %q as by a request", name, got, byRequest)
		}
	}

	environment := client(ply.Options{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: pool}}})
	if got := of(t, environment); got != of(t, c) {
		t.Errorf("proxies of the environment: partition %q", got)
	}
	if got := of(t, environment, ply.ProxyURL("")); got == of(t, c) {
		t.Error("a request that passes them by shares their partition")
	}

	verified := func(tls.ConnectionState) error { return nil }
	special := of(t, client(ply.Options{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, VerifyConnection: verified}}}))
	if _, ok := seen[special]; ok {
		t.Errorf("a verification of its own shares partition %q with %s", special, seen[special])
	}
	if got := of(t, client(ply.Options{Transport: insecure()}), ply.TLSConfig(one)); got == byRequest {
		t.Error("a configuration that verifies shares the partition of those that don't")
	}
	if got := of(t, client(ply.Options{Transport: insecure()}), ply.ProxyURL("")); got != byRequest {
		t.Errorf("a variant that doesn't verify has partition %q", got)
	}
}

// TestNestedRequestStaysInItsPartition: what an unverified response led to is no more trustworthy than that response.
func TestNestedRequestStaysInItsPartition(t *testing.T) {
	s, _ := secureOrigin(t, false, ok)
	plain := httptest.NewServer(http.HandlerFunc(ok))
	defer plain.Close()
	var got []string
	c := newClient(t, ply.Options{Use: []ply.Middleware{func(next ply.Handler) ply.Handler {
		return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			got = append(got, partitionOf(r))
			return next.RoundTrip(r)
		})
	}}})
	resp := get(t, c, s.URL, ply.InsecureSkipVerify())
	require.NoError(t, fetch(resp.Request.Context(), c, plain.URL))
	if got[0] == "" || got[1] != got[0] {
		t.Errorf("got partitions %q", got)
	}
}
