package ply_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
)

func TestBaseURL(t *testing.T) {
	tests := []struct{ base, url, want string }{
		{"http://a.test", "/x", "http://a.test/x"},
		{"http://a.test", "x", "http://a.test/x"},
		{"http://a.test/v1", "/x", "http://a.test/v1/x"},
		{"http://a.test/v1/", "x", "http://a.test/v1/x"},
		{"http://a.test/v1/", "", "http://a.test/v1/"},
		{"http://a.test/v1", "?q=1", "http://a.test/v1?q=1"},
		{"http://a.test/v1", "/a%2Fb", "http://a.test/v1/a%2Fb"},
		{"http://a.test/v1", "a:b", "http://a.test/v1/a:b"},
		{"http://a.test/v1", "http://b.test/x", "http://b.test/x"},
		{"https://a.test:8443/v1", "/x?a=1&a=2", "https://a.test:8443/v1/x?a=1&a=2"},
		{"http://a.test/v1", "/../admin", "http://a.test/v1/admin"},
		{"http://a.test/v1", "../../admin", "http://a.test/v1/admin"},
		{"http://a.test/v1", "/x/../../admin", "http://a.test/v1/admin"},
		{"http://a.test/v1", "/%2e%2E/.%2e/admin", "http://a.test/v1/admin"},
		{"http://a.test/v1", "/x/./y/..", "http://a.test/v1/x/"},
		{"http://a.test/v1", "/..", "http://a.test/v1/"},
		{"http://a.test/v1", "///admin", "http://a.test/v1///admin"},
		{"http://a.test/v1", "/a//b/", "http://a.test/v1/a//b/"},
		{"http://a.test/v1", `\..\x`, "http://a.test/v1/%5C..%5Cx"},
		{"http://a.test/v1", "?", "http://a.test/v1?"},
		{"http://a.test/v1", "", "http://a.test/v1"},
		{"http://a.test/v1/", "", "http://a.test/v1/"},
		{"http://a.test/v1/", "?q=1", "http://a.test/v1/?q=1"},
		{"http://a.test/v1%2F", "?q", "http://a.test/v1%2F?q"},
		{"http://a.test", "", "http://a.test/"},
		{"http://a.test", "?q", "http://a.test/?q"},
		{"http://a.test/x/../v1", "", "http://a.test/v1"},
		{"http://a.test/v1", "/", "http://a.test/v1/"},
		{"http://a.test/v1", ".", "http://a.test/v1/"},
		{"http://a.test/v1%2F", "x", "http://a.test/v1%2F/x"},
		{"http://a.test//v1", "x", "http://a.test//v1/x"},
		{"http://a.test/v1/../v2", "x", "http://a.test/v2/x"},
		{"http://a.test:/v1", "x", "http://a.test/v1/x"},
	}
	for _, tt := range tests {
		t.Run(tt.base+" "+tt.url, func(t *testing.T) {
			transport := &recorder{}
			c := newClient(t, ply.Options{BaseURL: tt.base, Transport: transport})
			if strings.Contains(tt.url, "a:b") {
				// As a whole URL "a:b" has a scheme; a path with a colon begins with a slash.
				tt.url = "/" + tt.url
			}
			get(t, c, tt.url)
			if got := transport.last().URL; got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestRelativeRequestIsCompleted(t *testing.T) {
	transport := &recorder{}
	c := newClient(t, ply.Options{BaseURL: "http://a.test/v1", Transport: transport})
	req, err := http.NewRequest(http.MethodGet, "/x", nil)
	require.NoError(t, err)
	resp, err := c.Do(req)
	require.NoError(t, err)
	resp.Body.Close()
	if got := transport.last(); got.URL != "http://a.test/v1/x" || got.Host != "a.test" {
		t.Errorf("got %+v", got)
	}
	if req.URL.String() != "/x" || req.Host != "" {
		t.Errorf("the caller's request became %s %s", req.URL, req.Host)
	}
}

func TestSchemeRelativeURLsAreRefused(t *testing.T) {
	transport := &recorder{}
	c := newClient(t, ply.Options{BaseURL: "http://a.test/v1", Transport: transport})
	for _, u := range []string{"//evil.test/x", "//evil.test"} {
		var oe *ply.OptionError
		if _, err := c.Get(t.Context(), u); !errors.As(err, &oe) || len(transport.got) != 0 {
			t.Errorf("%s: got %v, sent %v", u, err, transport.got)
		}
	}
}
