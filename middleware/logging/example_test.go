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
	client := &http.Client{Transport: log(plytest.Play(plytest.Text("hello")))}

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
	origin := plytest.Play(plytest.Status(503), plytest.Text("hello"))
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

func ExampleRedactor() {
	r := &logging.Redactor{ShowParams: []string{"page"}}
	u, _ := url.Parse("https://joe:hush@example.com/list?page=2&token=hush")
	fmt.Println(r.URL(u))
	fmt.Println(r.HeaderValue("Location", "/next?token=hush"))
	// Output:
	// https://REDACTED:REDACTED@example.com/list?page=2&token=REDACTED
	// /next?token=REDACTED
}
