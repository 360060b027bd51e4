package ply_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
)

func TestConflictingOptionsAreErrorsBeforeAnythingIsSent(t *testing.T) {
	transport := &recorder{}
	c := newClient(t, ply.Options{Transport: transport})
	tests := []struct {
		name   string
		option string // that the error names
		url    string
		opts   []ply.RequestOption
	}{
		{"JSON and form", "BodyForm", "http://a.test/", []ply.RequestOption{ply.BodyJSON(1), ply.BodyForm(url.Values{"a": {"1"}})}},
		{"credentials and Authorization", "SetHeader", "http://a.test/", []ply.RequestOption{ply.BasicAuth("u", "hunter2"), ply.SetHeader("Authorization", "hunter2")}},
		{"Authorization and credentials", "Bearer", "http://a.test/", []ply.RequestOption{ply.SetHeader("authorization", "hunter2"), ply.Bearer("hunter2")}},
		{"credentials and credentials in the URL", "BasicAuth", "http://u:hunter2@a.test/", []ply.RequestOption{ply.BasicAuth("u", "hunter2")}},
		{"two TLS settings", "PinCertificate", "http://a.test/", []ply.RequestOption{ply.InsecureSkipVerify(), ply.PinCertificate([32]byte{})}},
		{"nil TLS setting", "TLSConfig", "http://a.test/", []ply.RequestOption{ply.TLSConfig(nil)}},
		{"no sum of a certificate", "PinCertificate", "http://a.test/", []ply.RequestOption{ply.PinCertificate()}},
		{"MaxRedirects of zero", "MaxRedirects", "http://a.test/", []ply.RequestOption{ply.MaxRedirects(0)}},
		{"proxy without a host", "ProxyURL", "http://a.test/", []ply.RequestOption{ply.ProxyURL("http://")}},
		{"proxy of another kind", "ProxyURL", "http://a.test/", []ply.RequestOption{ply.ProxyURL("gopher://p:hunter2@proxy.test")}},
		{"user name with a colon", "BasicAuth", "http://a.test/", []ply.RequestOption{ply.BasicAuth("u:hunter2", "")}},
		{"relative URL", "url", "/x?token=hunter2", nil},
		{"URL without a scheme", "url", "//b.test/x?token=hunter2", nil},
		{"path value without a place", "PathValue", "http://a.test/{ID}", []ply.RequestOption{ply.PathValue("id", "hunter2")}},
		{"path value in the host", "PathValue", "http://{id}/", []ply.RequestOption{ply.PathValue("id", "hunter2")}},
		{"path value in the query", "PathValue", "http://a.test/?q={id}", []ply.RequestOption{ply.PathValue("id", "hunter2")}},
		{"empty path value", "PathValue", "http://a.test/{id}", []ply.RequestOption{ply.PathValue("id", "")}},
		{"path value that climbs", "PathValue", "http://a.test/{id}", []ply.RequestOption{ply.PathValue("id", "..")}},
		{"Edit without a function", "Edit", "http://a.test/", []ply.RequestOption{ply.Edit(nil)}},
		{"URL that cannot be parsed", "url", "http://a.test/%zz?token=hunter2", nil},
		{"URL with a slash in its password", "url", "http://u:hunter2/3@a.test/", nil},
		{"proxy with a slash in its password", "ProxyURL", "http://a.test/", []ply.RequestOption{ply.ProxyURL("http://u:hunter2/3@a.test/")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body := &closeCounter{Reader: strings.NewReader("x")}
			_, err := c.Post(t.Context(), tt.url, append([]ply.RequestOption{ply.Combine(), {}}, tt.opts...)...)
			var oe *ply.OptionError
			if !errors.As(err, &oe) || strings.Contains(err.Error(), "hunter2") {
				t.Fatalf("got %v, want an *OptionError without the secret", err)
			}
			if oe.Option != tt.option {
				t.Errorf("the error names the option %s, want %s", oe.Option, tt.option)
			}
			if tt.name != "JSON and form" {
				c.Post(t.Context(), tt.url, append([]ply.RequestOption{ply.BodyReader(body)}, tt.opts...)...)
				if body.closed != 1 {
					t.Errorf("the body was closed %d times", body.closed)
				}
			}
		})
	}
	if len(transport.got) != 0 {
		t.Errorf("something was sent: %+v", transport.got)
	}
}

func TestInvalidMethodIsAnErrorAndClosesTheBody(t *testing.T) {
	transport := &recorder{}
	c := newClient(t, ply.Options{Transport: transport})
	for _, method := range []string{"G T", "GET\r\n", "GÉT", "(GET)"} {
		body := &closeCounter{Reader: strings.NewReader("x")}
		req, err := c.NewRequest(t.Context(), method, "http://a.test/", ply.BodyReader(body))
		if err == nil || req != nil || body.closed != 1 {
			t.Errorf("%q: request %v, error %v, body closed %d times", method, req, err, body.closed)
		}
	}
	if len(transport.got) != 0 {
		t.Errorf("something was sent: %+v", transport.got)
	}
}

func TestSetHeaderHostSetsTheHost(t *testing.T) {
	transport := &recorder{}
	c := newClient(t, ply.Options{BaseURL: "http://a.test/v1", Transport: transport})
	for _, tt := range []struct {
		url  string
		opts []ply.RequestOption
		want string
	}{
		{"/x", nil, "a.test"},
		{"/x", []ply.RequestOption{ply.SetHeader("host", "b.test")}, "b.test"},
		{"http://a.test:/x", nil, "a.test"},
		{"http://a.test:81/x", []ply.RequestOption{ply.OmitHeader("Host")}, "a.test:81"},
	} {
		get(t, c, tt.url, tt.opts...)
		if got := transport.last(); got.Host != tt.want || len(got.Header) != 0 {
			t.Errorf("%s: got host %q and header %v", tt.url, got.Host, got.Header)
		}
	}
}

func TestARequestWithoutAContextIsAnError(t *testing.T) {
	c := newClient(t, ply.Options{Transport: &recorder{}})
	body := &closeCounter{Reader: strings.NewReader("x")}
	var none context.Context
	_, err := c.Post(none, "http://a.test/", ply.BodyReader(body))
	var oe *ply.OptionError
	if !errors.As(err, &oe) || body.closed != 1 {
		t.Errorf("got %v; the body was closed %d times", err, body.closed)
	}
}

func TestOptionsDoNotLeakToRequestsInTheSameContext(t *testing.T) {
	var bytes int64
	var c *ply.Client
	transport := &recorder{}
	c = newClient(t, ply.Options{Transport: transport, Use: []ply.Middleware{func(next ply.Handler) ply.Handler {
		return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/token" {
				return next.RoundTrip(r)
			}
			side, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://a.test/token", nil)
			if err != nil {
				return nil, err
			}
			if err := ply.Discard(c.Do(side)); err != nil {
				return nil, err
			}
			return next.RoundTrip(r)
		})
	}}})
	_, err := ply.Bytes(c.Get(t.Context(), "http://a.test/", ply.DownloadProgress(func(n, _ int64) { bytes += n })))
	require.NoError(t, err)
	if len(transport.got) != 2 || bytes != 2*int64(len("ok")) {
		t.Errorf("%d requests; progress adds up to %d", len(transport.got), bytes)
	}
}

func TestBodyIsClosedAfterAFailingOption(t *testing.T) {
	body := &closeCounter{Reader: strings.NewReader("x")}
	c := newClient(t, ply.Options{Transport: &recorder{}})
	if _, err := c.Post(t.Context(), "http://a.test/", ply.MaxRedirects(-1), ply.Combine(ply.BodyReader(body))); err == nil || body.closed != 1 {
		t.Errorf("got %v; closed %d times", err, body.closed)
	}
}

func TestEditRunsLastAndMayFail(t *testing.T) {
	transport := &recorder{}
	c := newClient(t, ply.Options{Transport: transport})
	resp, err := c.Post(t.Context(), "http://a.test/", ply.Edit(func(r *http.Request) error {
		r.Header.Set("X-Length", fmt.Sprint(r.ContentLength))
		return nil
	}), ply.BodyString("four"))
	require.NoError(t, err)
	resp.Body.Close()
	if got := transport.last().Header.Get("X-Length"); got != "4" {
		t.Errorf("the edit saw a length of %q", got)
	}
	refused := errors.New("refused")
	body := &closeCounter{Reader: strings.NewReader("x")}
	_, err = c.Post(t.Context(), "http://a.test/", ply.BodyReader(body), ply.Edit(func(*http.Request) error { return refused }))
	if !errors.Is(err, refused) || body.closed != 1 || len(transport.got) != 1 {
		t.Errorf("got %v; body closed %d times; %d requests sent", err, body.closed, len(transport.got))
	}
	for _, o := range []ply.RequestOption{ply.Edit(func(*http.Request) error { return nil }), ply.PathValue("a", "b")} {
		if _, err := ply.New(ply.Options{Defaults: []ply.RequestOption{o}}); err == nil {
			t.Error("accepted as a default")
		}
	}
}
