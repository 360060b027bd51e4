package ply_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/plyhttp/ply"
)

func TestPathValuesAreSegments(t *testing.T) {
	tests := []struct {
		url, want string
		opts      []ply.RequestOption
	}{
		{"http://a.test/users/{id}", "http://a.test/users/7", []ply.RequestOption{ply.PathValue("id", "7")}},
		{"/users/{id}/files/{name}?x={id}", "http://a.test/v1/users/7/files/a%2Fb%3Fc%23d%20%25?x={id}", []ply.RequestOption{ply.PathValue("name", "a/b?c#d %"), ply.PathValue("id", "7")}},
		{"/{a}/{b}", "http://a.test/v1/%7Bb%7D/%7Ba%7D", []ply.RequestOption{ply.PathValue("a", "{b}"), ply.PathValue("b", "{a}")}},
		{"/{a}/{a}", "http://a.test/v1/x/x", []ply.RequestOption{ply.PathValue("a", "x")}},
		{"{a}", "http://a.test/v1/evil.test", []ply.RequestOption{ply.PathValue("a", "evil.test")}},
		{"/{a}", "http://a.test/v1/%2Fevil.test", []ply.RequestOption{ply.PathValue("a", "/evil.test")}},
		{"/%7Bliteral%7D", "http://a.test/v1/%7Bliteral%7D", nil},
		{"/{\"a\": 1}", "http://a.test/v1/%7B%22a%22:%201%7D", nil},
		{"?q={id}", "http://a.test/v1?q={id}", nil},
		{"{id}/items", "http://a.test/v1/user:42/items", []ply.RequestOption{ply.PathValue("id", "user:42")}},
		{"{id}", "http://a.test/v1/https:%2F%2Fevil.test", []ply.RequestOption{ply.PathValue("id", "https://evil.test")}},
		{"{id}:cancel", "http://a.test/v1/job:cancel", []ply.RequestOption{ply.PathValue("id", "job")}},
		{"{a}//{b}", "http://a.test/v1/http://evil.test", []ply.RequestOption{ply.PathValue("a", "http:"), ply.PathValue("b", "evil.test")}},
		{"{a}:/{b}", "http://a.test/v1/http:/evil.test", []ply.RequestOption{ply.PathValue("a", "http"), ply.PathValue("b", "evil.test")}},
		{"{a}://{b}", "http://a.test/v1/http://evil.test", []ply.RequestOption{ply.PathValue("a", "http"), ply.PathValue("b", "evil.test")}},
		{"{a}", "http://a.test/v1/%2F%2Fevil.test%2Fx", []ply.RequestOption{ply.PathValue("a", "//evil.test/x")}},
		{"{a}", "http://a.test/v1/%5C%5Cevil.test", []ply.RequestOption{ply.PathValue("a", `\\evil.test`)}},
		{"/{a}", "http://a.test/v1/%252e%252e", []ply.RequestOption{ply.PathValue("a", "%2e%2e")}},
		{"/{a}{b}", "http://a.test/v1/...x", []ply.RequestOption{ply.PathValue("a", "..."), ply.PathValue("b", "x")}},
		{"/x/http://{a}", "http://a.test/v1/x/http://y", []ply.RequestOption{ply.PathValue("a", "y")}},
		{"/{a}", "http://a.test/v1/%0A%20%3B%2C", []ply.RequestOption{ply.PathValue("a", "\n ;,")}},
	}
	for _, tt := range tests {
		transport := &recorder{}
		get(t, newClient(t, ply.Options{BaseURL: "http://a.test/v1", Transport: transport}), tt.url, tt.opts...)
		if got := transport.last().URL; got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.url, got, tt.want)
		}
	}
}

func TestPathValueThatIsNoSegmentIsAnError(t *testing.T) {
	tests := []struct {
		url  string
		want string // part of the error
		opts []ply.RequestOption
	}{
		{"/{a}", "{a}", []ply.RequestOption{ply.PathValue("a", "")}},
		{"/{a}", "{a}", []ply.RequestOption{ply.PathValue("a", ".")}},
		{"/{a}/x", "{a}", []ply.RequestOption{ply.PathValue("a", "..")}},
		{"/{a}{b}", "{a}", []ply.RequestOption{ply.PathValue("a", "."), ply.PathValue("b", ".")}},
		{"/{a}", "no {b}", []ply.RequestOption{ply.PathValue("a", "x"), ply.PathValue("b", "y")}},
		{"http://{host}/", "no {host}", []ply.RequestOption{ply.PathValue("host", "evil.test")}},
		{"//{host}/", "no {host}", []ply.RequestOption{ply.PathValue("host", "evil.test")}},
		{"{scheme}://{host}/{id}", "none is given for {id}", []ply.RequestOption{ply.PathValue("scheme", "http"), ply.PathValue("host", "evil.test")}},
		{"/users/{id}", "none is given for {id}", nil},
		{"/users/{id}/{other}", "none is given for {other}", []ply.RequestOption{ply.PathValue("id", "{other}")}},
		{"/{us{id}er}", "none is given for {id}", nil},
	}
	for _, tt := range tests {
		for _, o := range []ply.Options{{}, {BaseURL: "http://a.test/v1"}} {
			var oe *ply.OptionError
			req, err := newClient(t, o).NewRequest(t.Context(), http.MethodGet, tt.url, tt.opts...)
			if !errors.As(err, &oe) || oe.Option != "PathValue" || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %v, %v; want an error with %q", tt.url, req, err, tt.want)
			}
		}
	}
	var oe *ply.OptionError
	if _, err := ply.New(ply.Options{BaseURL: "http://a.test/{tenant}"}); !errors.As(err, &oe) || oe.Option != "BaseURL" {
		t.Errorf("a placeholder in BaseURL: %v", err)
	}
}
