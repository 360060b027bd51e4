package redact_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/redact"
)

func TestURL(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", "https://example.com/a/b", "https://example.com/a/b"},
		{"user and password", "https://u:p@example.com/", "https://REDACTED:REDACTED@example.com/"},
		{"user alone", "https://ghp_x@example.com/", "https://REDACTED@example.com/"},
		{"query keeps keys and order", "http://h/?b=1&a=2&b=3", "http://h/?b=REDACTED&a=REDACTED&b=REDACTED"},
		{"empty value", "http://h/?a=", "http://h/?a=REDACTED"},
		{"flag", "http://h/?acl&x=1", "http://h/?acl&x=REDACTED"},
		{"bare token", "http://h/?sk_live_4242", "http://h/?REDACTED"},
		{"bare token of letters", "http://h/?abcdefghijklmnopqrstuvwxyzabcdefghijklmn", "http://h/?REDACTED"},
		{"bare token of capitals", "http://h/?AbCdEfGhIjKlMnOp", "http://h/?REDACTED"},
		{"bare token of small letters", "http://h/?correcthorse", "http://h/?REDACTED"},
		{"padded token", "http://h/?c2VjcmV0LXRva2VuLTEyMzQ=", "http://h/?REDACTED"},
		{"token with two pads", "http://h/?c2VjcmV0LXRva2Vu==", "http://h/?REDACTED"},
		{"padded token of letters", "http://h/?correcthorse=", "http://h/?REDACTED"},
		{"padded token beside a parameter", "http://h/?a=1&c2VjcmV0LXRva2VuLTEyMzQ=", "http://h/?a=REDACTED&REDACTED"},
		{"no plausible name", "http://h/?c2VjcmV0LXRva2VuLTEyMzQabc=x", "http://h/?REDACTED"},
		{"JSON", `http://h/?{"token":"c2VjcmV0=="}`, "http://h/?REDACTED"},
		{"several without values", "http://h/?q=&page=&X-Amz-Security-Token=", "http://h/?q=REDACTED&page=REDACTED&X-Amz-Security-Token=REDACTED"},
		{"names of many kinds", "http://h/?filter[user.name]=x&$top=1&utm_source=y&f%5Ba%5D=z&x2=1", "http://h/?filter[user.name]=REDACTED&$top=REDACTED&utm_source=REDACTED&f%5Ba%5D=REDACTED&x2=REDACTED"},
		{"flag of several words", "http://h/?publicAccessBlock", "http://h/?publicAccessBlock"},
		{"semicolons", "http://h/?a=1;b=2", "http://h/?a=REDACTED"},
		{"malformed escapes", "http://h/?a=%zz&%zz=b", "http://h/?a=REDACTED&%zz=REDACTED"},
		{"value with equals signs", "http://h/?sig=a==&n=1", "http://h/?sig=REDACTED&n=REDACTED"},
		{"origin alone", "http://u:hush@h", "http://REDACTED:REDACTED@h"},
		{"query after the origin", "http://h?a=hush", "http://h?a=REDACTED"},
		{"user without a host", "http://u:hush@/x", "http://REDACTED:REDACTED@/x"},
		{"fragment dropped", "http://h/p#token", "http://h/p"},
		{"lone question mark", "http://h/p?", "http://h/p?"},
		{"opaque", "mailto:joe@example.com", "mailto:REDACTED"},
		{"reference", "/next?token=x", "/next?token=REDACTED"},
		{"session in the path", "http://h/a;jsessionid=1F/b;v=1", "http://h/a;jsessionid=REDACTED/b;v=1"},
		{"escaped path kept", "http://h/a%2Fb", "http://h/a%2Fb"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u, err := url.Parse(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			before := *u
			if got := redact.URL(u); got != tt.want {
				t.Errorf("URL(%q) = %q, want %q", tt.in, got, tt.want)
			}
			if *u != before {
				t.Error("the URL was changed")
			}
		})
	}
	if got := redact.URL(nil); got != "" {
		t.Errorf("URL(nil) = %q", got)
	}
	for want, u := range map[string]url.URL{
		"http://h/a": {Scheme: "http", Host: "h", Path: "a"},
		"//h/a":      {Host: "h", Path: "/a"},
		"//h":        {Host: "h"},
		"a":          {Path: "a"},
		"":           {},
	} {
		if got := redact.URL(&u); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := redact.URL(&url.URL{Path: "/a", RawQuery: "x\ny=1"}); got != "/a?x%0Ay=REDACTED" {
		t.Errorf("line break in a query: %q", got)
	}
}

func TestURLTemplate(t *testing.T) {
	r := &redact.Redactor{Path: func(p string) string { return strings.ReplaceAll(p, "123:hush", "REDACTED") }}
	for in, want := range map[string]string{
		"/users/{id}":                      "/users/{id}",
		"/bot123:hush/{method}":            "/botREDACTED/{method}",
		"/a;jsessionid=hush/{id}":          "/a;jsessionid=REDACTED/{id}",
		"/search{?q,token}":                "/search{?q,token}",
		"/search?token=hush&q={q}":         "/search?token=REDACTED&q=REDACTED",
		"https://u:hush@h/{id}?key=hush#x": "https://REDACTED@h/{id}?key=REDACTED",
		"":                                 "",
	} {
		if got := r.URLTemplate(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

// Path gets the path of a template, from its first slash.
func TestURLTemplatePath(t *testing.T) {
	r := &redact.Redactor{Path: func(p string) string { return "[" + p + "]" }}
	for in, want := range map[string]string{
		"https://h/{id}?a=hush": "https://h[/{id}]?a=REDACTED",
		"https://h":             "https://h[]",
		"https://u:hush@h":      "https://REDACTED@h[]",
		"file:///{id}":          "file://[/{id}]",
		"://u:hush@h/{id}":      "://REDACTED@h[/{id}]",
		"{id}":                  "[{id}]",
		"?token=hush":           "[]?token=REDACTED",
	} {
		if got := r.URLTemplate(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

// What is shown of a field by its name: as it is, as a URL without its secrets, or not at all; and what a redactor changes about it.
func TestHeaderValueByName(t *testing.T) {
	const secret = "https://u:hush@h/?token=hush"
	chosen := &redact.Redactor{ShowHeaders: []string{"x-custom", "X-Api-Key", "Authorization"}, HideHeaders: []string{"server", "location"}}
	for _, test := range []struct{ name, value, byDefault, chosen string }{
		{"Content-Type", "text/plain", "text/plain", "text/plain"},
		{"content-type", "text/plain", "text/plain", "text/plain"},
		{"Server", "nginx", "nginx", "REDACTED"},
		{"Surrogate-Key", "users users-7", "users users-7", "users users-7"},
		{"Cache-Tag", "users,token=hush", "users,token=REDACTED", "users,token=REDACTED"},
		{"Xkey", "v", "REDACTED", "REDACTED"},            // some servers take it for a credential
		{"X-Cache-Key", "v", "REDACTED", "REDACTED"},     // has the URL
		{"Idempotency-Key", "v", "REDACTED", "REDACTED"}, // with it, a server may give out the answer to the request
		{"X-Custom", "v", "REDACTED", "v"},
		{"X-Other", "v", "REDACTED", "REDACTED"},
		{"X-Api-Key", "v", "REDACTED", "REDACTED"},
		{"Authorization", "v", "REDACTED", "REDACTED"},
		{"Cookie", "v", "REDACTED", "REDACTED"},
		{"Location", secret, "https://REDACTED:REDACTED@h/?token=REDACTED", "REDACTED"},
		{"referer", secret, "https://REDACTED:REDACTED@h/?token=REDACTED", "https://REDACTED:REDACTED@h/?token=REDACTED"},
		{"Content-Location", "/a?token=hush", "/a?token=REDACTED", "/a?token=REDACTED"},
		{"Location", "http://h/%zz hush", "REDACTED", "REDACTED"},
		{"Via", "1.1 " + secret, "1.1 https://REDACTED:REDACTED@h/?token=REDACTED", "1.1 https://REDACTED:REDACTED@h/?token=REDACTED"},
	} {
		var none *redact.Redactor
		if got := none.HeaderValue(test.name, test.value); got != test.byDefault {
			t.Errorf("%s: %s is shown as %s, want %s", test.name, test.value, got, test.byDefault)
		}
		if got := chosen.HeaderValue(test.name, test.value); got != test.chosen {
			t.Errorf("%s, chosen: %s is shown as %s, want %s", test.name, test.value, got, test.chosen)
		}
	}
	h := http.Header{"Cookie": {"a", "b"}, "Accept": {"c", "d"}}
	want := http.Header{"Cookie": {"REDACTED", "REDACTED"}, "Accept": {"c", "d"}}
	if diff := cmp.Diff(want, (*redact.Redactor)(nil).Header(h)); diff != "" || h.Get("Cookie") != "a" {
		t.Errorf("header (-want +got)\n%s", diff)
	}
}

// Which values of a query are shown.
func TestParametersByName(t *testing.T) {
	const raw = "page=1&Page=2&token=3&sig=4&X-Amz-Signature=5&%70age=6&%74oken=7&%zz=8"
	for _, test := range []struct {
		name string
		r    *redact.Redactor
		want string
	}{
		{"none", nil, "page=REDACTED&Page=REDACTED&token=REDACTED&sig=REDACTED&X-Amz-Signature=REDACTED&%70age=REDACTED&%74oken=REDACTED&%zz=REDACTED"},
		{"zero", &redact.Redactor{}, "page=REDACTED&Page=REDACTED&token=REDACTED&sig=REDACTED&X-Amz-Signature=REDACTED&%70age=REDACTED&%74oken=REDACTED&%zz=REDACTED"},
		{"ShowParams", &redact.Redactor{ShowParams: []string{"page", "token"}}, "page=1&Page=REDACTED&token=REDACTED&sig=REDACTED&X-Amz-Signature=REDACTED&%70age=6&%74oken=REDACTED&%zz=REDACTED"},
		{"HideParams", &redact.Redactor{HideParams: []string{"Page"}}, "page=1&Page=REDACTED&token=REDACTED&sig=REDACTED&X-Amz-Signature=REDACTED&%70age=6&%74oken=REDACTED&%zz=REDACTED"},
		{"HideParams, empty", &redact.Redactor{HideParams: []string{}}, "page=1&Page=2&token=REDACTED&sig=REDACTED&X-Amz-Signature=REDACTED&%70age=6&%74oken=REDACTED&%zz=REDACTED"},
		{"both", &redact.Redactor{ShowParams: []string{"page"}, HideParams: []string{"page"}}, "page=REDACTED&Page=2&token=REDACTED&sig=REDACTED&X-Amz-Signature=REDACTED&%70age=REDACTED&%74oken=REDACTED&%zz=REDACTED"},
	} {
		if diff := cmp.Diff(test.want, test.r.Query(raw)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", test.name, diff)
		}
	}
}
