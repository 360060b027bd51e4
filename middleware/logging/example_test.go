package logging_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"

	"github.com/plyhttp/ply/middleware/logging"
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
