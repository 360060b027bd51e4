package har_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/har"
	"github.com/plyhttp/ply/redact"
)

func TestPlaceholdersWithNumbersStay(t *testing.T) {
	for name, tt := range map[string]struct{ field, value, want string }{
		"credentials":                      {"Authorization", "REDACTED-2", "REDACTED-2"},
		"a field of the program":           {"X-Tenant", "REDACTED-12", "REDACTED-12"},
		"cookies":                          {"Cookie", "sid=REDACTED-1; empty=; theme=REDACTED", "sid=REDACTED-1; empty=; theme=REDACTED"},
		"a cookie whose name is hidden":    {"cookie", "REDACTED-3; sid=REDACTED-1", "REDACTED-3; sid=REDACTED-1"},
		"a new cookie":                     {"Set-Cookie", "sid=REDACTED-1; Path=/a; Expires=Wed, 21 Oct 2026 07:28:00 GMT; HttpOnly; SameSite=Lax", "sid=REDACTED-1; Path=/a; Expires=Wed, 21 Oct 2026 07:28:00 GMT; HttpOnly; SameSite=Lax"},
		"folded cookies":                   {"Set-Cookie", "a=REDACTED-1; Path=/, b=REDACTED-2; Secure", "a=REDACTED-1; Path=/, b=REDACTED-2; Secure"},
		"a URL":                            {"Location", "https://REDACTED-1:REDACTED-1@h.example/?token=REDACTED-2&page=REDACTED", "https://REDACTED-1:REDACTED-1@h.example/?token=REDACTED-2&page=REDACTED"},
		"a cookie that is a secret":        {"Cookie", "sid=hush; theme=REDACTED-1", "REDACTED; theme=REDACTED-1"},
		"cookies that are secrets":         {"Cookie", "sid=hush; theme=hush", "REDACTED"},
		"a new cookie that is a secret":    {"Set-Cookie", "sid=hush; Path=/", "REDACTED"},
		"a further cookie in an attribute": {"Set-Cookie", "sid=REDACTED-1; Secure; Path=/, b=hush; HttpOnly", "sid=REDACTED-1; Secure; HttpOnly"},
		"an attribute of its own":          {"Set-Cookie", "sid=REDACTED-1; hush; x=hush", "sid=REDACTED-1"},
		"more than a placeholder":          {"Authorization", "REDACTED-1hush", "REDACTED"},
		"a number that is none":            {"Authorization", "REDACTED-01", "REDACTED"},
		"several lines":                    {"Authorization", "REDACTED-1\nhush", "REDACTED-1"},
		"a placeholder among others":       {"Sec-Websocket-Protocol", "hush, bearer, REDACTED-2", "REDACTED-2"},
		"several placeholders":             {"X-Context", `["REDACTED-2","hush","REDACTED-3"]`, "REDACTED"},
		"a value before the placeholder":   {"Location", "/?token=hush&token=REDACTED-1", "/?token=REDACTED&token=REDACTED-1"},
		"a password":                       {"Location", "https://REDACTED-1:hush@h.example/", "https://REDACTED:REDACTED@h.example/"},
	} {
		t.Run(name, func(t *testing.T) {
			entry := &har.Entry{Request: har.Request{URL: "http://h.example/", Headers: []har.Pair{{Name: tt.field, Value: tt.value}}}}
			archive := encoded(t, har.Options{}, entry)
			if have := decoded(t, archive)[0].Request.Headers[0].Value; have != tt.want {
				t.Errorf("have %q, want %q", have, tt.want)
			}
			if strings.Contains(string(archive), "hush") {
				t.Errorf("%s", archive)
			}
		})
	}
}

func TestPlaceholdersOfURLsAndCookiesStay(t *testing.T) {
	entry := &har.Entry{
		Request: har.Request{
			URL: "https://h.example/a?token=REDACTED-2&page=3&flag", QueryString: []har.Pair{{Name: "token", Value: "REDACTED-2"}, {Name: "page", Value: "3"}},
			Cookies: []har.Cookie{{Name: "sid", Value: "REDACTED-1"}, {Name: "other", Value: "hush"}},
		},
		Response: har.Response{RedirectURL: "/b?code=REDACTED-4&x=hush"},
	}
	have := decoded(t, encoded(t, har.Options{Redactor: &redact.Redactor{ShowParams: []string{"page"}}}, entry))[0]
	want := har.Request{
		URL: "https://h.example/a?token=REDACTED-2&page=3&REDACTED", QueryString: []har.Pair{{Name: "token", Value: "REDACTED-2"}, {Name: "page", Value: "3"}},
		Cookies: []har.Cookie{{Name: "sid", Value: "REDACTED-1"}, {Name: "other", Value: "REDACTED"}}, Headers: []har.Pair{},
	}
	if diff := cmp.Diff(want, have.Request); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff("/b?code=REDACTED-4&x=REDACTED", have.Response.RedirectURL); diff != "" {
		t.Error(diff)
	}
}
