package logging_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/redact"
)

// without hides what changes from run to run.
func without(keys ...string) *slog.HandlerOptions {
	return &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		for _, key := range keys {
			if a.Key == key {
				return slog.Attr{}
			}
		}
		return a
	}}
}

func ExampleNew() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, without("time", "duration", "ttfb", "call.id")))
	log := logging.New(logging.Options{Logger: logger})
	client := &http.Client{Transport: log(plytest.NewOrigin(plytest.Text("hello")))}

	resp, err := client.Get("https://example.com/greeting?key=hush")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	// Output:
	// level=INFO msg="http call" http.request.method=GET url.full="https://example.com/greeting?key=REDACTED" server.address=example.com server.port=443 http.response.status_code=200 network.protocol.version=1.1 http.response.body.size=5
}

func ExampleNew_attempts() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		Level:       slog.LevelDebug,
		ReplaceAttr: without("time", "duration", "ttfb", "call.id", "server.port", "network.protocol.version", "http.response.body.size").ReplaceAttr,
	}))
	log := logging.New(logging.Options{Logger: logger})
	again := retry.New(retry.Options{Backoff: retry.Constant(0)})
	origin := plytest.NewOrigin(plytest.Status(503), plytest.Text("hello"))
	client := &http.Client{Transport: log(again(log(origin)))}

	resp, err := client.Get("https://example.com/")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	// Output:
	// level=WARN msg="http attempt" http.request.method=GET url.full=https://example.com/ server.address=example.com http.response.status_code=503 error.type=503 attempt=1
	// level=DEBUG msg="http attempt" http.request.method=GET url.full=https://example.com/ server.address=example.com http.response.status_code=200 http.request.resend_count=1 attempt=2
	// level=INFO msg="http call" http.request.method=GET url.full=https://example.com/ server.address=example.com http.response.status_code=200 http.request.resend_count=1 attempts="[503 200]"
}

func ExampleCurl() {
	req, _ := http.NewRequest(http.MethodPost, "https://example.com/login?key=hush", strings.NewReader(`{"user":"joe","password":"hush"}`))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer hush")
	fmt.Println(logging.Curl(req))
	// Output:
	// curl -H 'Authorization: REDACTED' -H 'Content-Type: application/json' --data-binary '{"user":"joe","password":"REDACTED"}' 'https://example.com/login?key=REDACTED'
}

func ExampleMaskMembers() {
	mask := logging.MaskMembers("email")
	fmt.Printf("%s\n", mask("application/json", []byte(`{"name":"Joe","email":"joe@example.com","auth_token":"hush"}`)))
	// Output:
	// {"name":"Joe","email":"REDACTED","auth_token":"REDACTED"}
}

func ExampleOptions_redactor() {
	r := &redact.Redactor{ShowParams: []string{"page"}}
	u, _ := url.Parse("https://joe:hush@example.com/list?page=2&token=hush")
	fmt.Println(r.URL(u))
	fmt.Println(r.HeaderValue("Location", "/next?token=hush"))
	// Output:
	// https://REDACTED:REDACTED@example.com/list?page=2&token=REDACTED
	// /next?token=REDACTED
}

func ExampleWithCallID() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == "url.full" || a.Key == "call.id" {
			return a
		}
		return slog.Attr{}
	}}))
	client := &http.Client{Transport: logging.New(logging.Options{Logger: logger})(plytest.NewOrigin(plytest.Text("hello")))}

	serve := func(r *http.Request) error { // as a server's handler, that makes a request of its own
		ctx := logging.WithCallID(r.Context(), r.Header.Get("X-Request-Id"))
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://example.com/greeting", nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	}
	incoming, _ := http.NewRequest(http.MethodGet, "/", nil)
	incoming.Header.Set("X-Request-Id", "8f14e45f")
	if err := serve(incoming); err != nil {
		fmt.Println(err)
	}
	// Output:
	// url.full=https://example.com/greeting call.id=8f14e45f
}

func ExampleDefaultLevel() {
	quiet := logging.Options{Level: func(o logging.Outcome) slog.Level {
		if o.Cache.Status == "hit" {
			return slog.LevelDebug
		}
		return logging.DefaultLevel(o)
	}}
	fmt.Println(quiet.Level(logging.Outcome{Response: &http.Response{StatusCode: 200}, Cache: logging.CacheStatus{Status: "hit"}}))
	fmt.Println(quiet.Level(logging.Outcome{Response: &http.Response{StatusCode: 503}}))
	// Output:
	// DEBUG
	// ERROR
}

func ExampleCurlWith() {
	req, _ := http.NewRequest(http.MethodGet, "https://example.com/list?page=2&key=hush", nil)
	req.Header.Set("X-Tenant", "acme")
	fmt.Println(logging.CurlWith(&redact.Redactor{ShowParams: []string{"page"}, ShowHeaders: []string{"X-Tenant"}}, req))
	// Output:
	// curl -H 'X-Tenant: acme' 'https://example.com/list?page=2&key=REDACTED'
}

func ExampleMaskSecrets() {
	fmt.Printf("%s\n", logging.MaskSecrets("application/json", []byte(`{"user":"joe","password":"hu`))) // a body that was cut
	fmt.Printf("%s\n", logging.MaskSecrets("application/x-www-form-urlencoded", []byte("user=joe&password=hush")))
	// Output:
	// {"user":"joe","password":"REDACTED"
	// user=REDACTED&password=REDACTED
}

func ExampleSample() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == "http.response.status_code" || a.Key == "suppressed" {
			return a
		}
		return slog.Attr{}
	}}))
	ok, bad := plytest.Text("hello"), plytest.Status(500)
	log := logging.New(logging.Options{Logger: logger, Sample: logging.Sample{Every: 100}})
	client := &http.Client{Transport: log(plytest.NewOrigin(ok, ok, ok, bad, ok))}
	for range 5 {
		resp, err := client.Get("https://example.com/")
		if err != nil {
			fmt.Println(err)
			return
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	// Output:
	// http.response.status_code=200
	// http.response.status_code=500 suppressed=2
}
