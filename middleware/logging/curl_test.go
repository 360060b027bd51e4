package logging_test

import (
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/middleware/logging"
)

func TestCurl(t *testing.T) {
	req := newRequest(t, t.Context(), "PATCH", `{"name":"it's","token":"hush"}`)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer hush")
	want := `curl -X PATCH -H 'Authorization: REDACTED' -H 'Content-Type: application/json' --data-binary '{"name":"it'\''s","token":"REDACTED"}' 'http://REDACTED:REDACTED@example.com:8080/path?token=REDACTED'`
	if diff := cmp.Diff(want, logging.Curl(req)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	copied := &closeCounter{Reader: strings.NewReader("x")}
	req.GetBody = func() (io.ReadCloser, error) { return copied, nil }
	if logging.Curl(req); copied.n != 1 {
		t.Errorf("the copy of the body was closed %d times", copied.n)
	}
	body, _ := io.ReadAll(req.Body)
	if len(body) == 0 {
		t.Error("the request's body was consumed")
	}
	text := func(body string) *http.Request {
		req, _ := http.NewRequest("POST", "http://h", strings.NewReader(body))
		req.Header.Set("Content-Type", "text/plain")
		return req
	}
	for _, tt := range []struct {
		name string
		req  *http.Request
		want string
	}{
		{"GET", &http.Request{URL: &url.URL{Scheme: "http", Host: "h", Path: "/a"}}, "curl http://h/a"},
		{"HEAD", &http.Request{Method: "HEAD", URL: &url.URL{Scheme: "http", Host: "h"}, Host: "v"}, "curl --head -H 'Host: v' http://h"},
		{"stream", &http.Request{Method: "POST", URL: &url.URL{Scheme: "http", Host: "h"}, Body: io.NopCloser(strings.NewReader("x"))}, "curl -H Content-Type: --data-binary @body http://h"},
		{"line breaks", &http.Request{Header: http.Header{"Accept": {"a\r\nb"}}, URL: &url.URL{Scheme: "http", Host: "h"}}, "curl -H 'Accept: a??b' http://h"},
		{"made-up host", &http.Request{Host: "v\nAuthorization: x", URL: &url.URL{Scheme: "http", Host: "h"}}, "curl -H 'Host: v?Authorization: x' http://h"},
		{"patterns", &http.Request{URL: &url.URL{Scheme: "http", Host: "h", Path: "/", RawQuery: "a[b]=1"}}, "curl --globoff 'http://h/?a[b]=REDACTED'"},
		{"a body that looks like the name of a file", text("@/etc/passwd"), "curl -H 'Content-Type: text/plain' --data-raw @/etc/passwd http://h"},
	} {
		if got := logging.Curl(tt.req); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// A shell takes the command apart into the words that were meant.
func TestCurlIsQuotedForTheShell(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		return // nothing to ask
	}
	nasty := "a'b\"c$HOME`id`\\ $(id) !x;y&z|*?\t"
	req := &http.Request{Header: http.Header{"Accept": {nasty}}, URL: &url.URL{Scheme: "http", Host: "h"}}
	out, err := exec.Command(sh, "-c", "curl() { printf '%s\\n' \"$@\"; }; "+logging.Curl(req)).Output()
	if diff := cmp.Diff("-H\nAccept: "+nasty+"\nhttp://h\n", string(out)); diff != "" || err != nil {
		t.Errorf("(-want +got)\n%s%v", diff, err)
	}
}

func TestCurlOfUnusualRequests(t *testing.T) {
	u := &url.URL{Scheme: "http", Host: "h"}
	for _, tt := range []struct {
		name string
		req  *http.Request
		want string
	}{
		{"a body without a type has none in curl either", &http.Request{Method: "POST", URL: u, Body: http.NoBody}, "curl -H Content-Type: --data-binary '' http://h"},
		{"no content that has a type", &http.Request{Method: "PUT", URL: u, Header: http.Header{"Content-Type": {"text/plain"}}}, "curl -X PUT -H 'Content-Type: text/plain' --data-binary '' http://h"},
		{"no content", &http.Request{Method: "DELETE", URL: u}, "curl -X DELETE http://h"},
		{"", &http.Request{Method: "POST", URL: u, Body: http.MaxBytesReader(nil, nil, 1)}, "curl -H Content-Type: --data-binary @body http://h"},
		{"an empty value", &http.Request{URL: u, Header: http.Header{"Accept": {""}}}, "curl -H 'Accept;' http://h"},
		{"a name that curl takes for a file", &http.Request{URL: u, Header: http.Header{"@/etc/passwd": {"x"}}}, "curl -H '?/etc/passwd: REDACTED' http://h"},
	} {
		if got := logging.Curl(tt.req); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
