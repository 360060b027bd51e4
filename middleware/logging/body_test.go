package logging_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/plytest"
)

func TestBodiesAreCapturedAsTheyPass(t *testing.T) {
	const long = 100
	for _, tt := range []struct {
		name   string
		header []string
		body   string
		want   string
	}{
		{"text", []string{"Content-Type", "text/plain; charset=utf-8"}, "hello", ` response.body=hello`},
		{"truncated", []string{"Content-Type", "text/plain"}, strings.Repeat("x", long), ` response.body=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx response.body.truncated=true`},
		{"json", []string{"Content-Type", "application/problem+json"}, `{"a":1,"token":"hush"}`, ` response.body="{\"a\":1,\"token\":\"REDACTED\"}"`},
		{"json cut inside a secret", []string{"Content-Type", "application/json"}, `{"some":1, "password": "` + strings.Repeat("h", long), ` response.body="{\"some\":1, \"password\": \"REDACTED\"" response.body.truncated=true`},
		{"form", []string{"Content-Type", "application/x-www-form-urlencoded"}, "a=hush&b=hush", ` response.body="a=REDACTED&b=REDACTED"`},
		{"binary", []string{"Content-Type", "image/png"}, "hush", ""},
		{"no type", []string{}, "hush", ""},
		{"event stream", []string{"Content-Type", "text/event-stream"}, "hush", ""},
		{"coded", []string{"Content-Type", "text/plain", "Content-Encoding", "gzip"}, "hush", ""},
	} {
		var j journal
		o := logging.Options{Logger: j.logger(), BodyBytes: 32}
		h := logging.New(o)(plytest.NewOrigin(plytest.Text(tt.body, tt.header...)))
		req := newRequest(t, t.Context(), "POST", tt.body)
		for i := 0; i < len(tt.header); i += 2 {
			req.Header.Set(tt.header[i], tt.header[i+1])
		}
		resp, err := h.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if j.Len() != 0 {
			t.Errorf("%s: written before the body has ended", tt.name)
		}
		got, err := io.ReadAll(iotest.OneByteReader(resp.Body))
		if string(got) != tt.body || err != nil {
			t.Errorf("%s: read %q, %v", tt.name, got, err)
		}
		resp.Body.Close()
		_, line, _ := strings.Cut(strings.TrimRight(j.String(), "\n"), fmt.Sprint("response.body.size=", len(tt.body)))
		want := strings.ReplaceAll(tt.want, "response", "request") + tt.want
		if diff := cmp.Diff(want, line); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, diff)
		}
	}
}

// The first byte reaches the caller while the server holds back the second.
func TestBodiesAreNeverHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		origin := plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			for range 3 {
				w.Write([]byte("x"))
				w.(http.Flusher).Flush()
				time.Sleep(time.Hour)
			}
		}))
		h := logging.New(logging.Options{Logger: j.logger(), BodyBytes: 1 << 20})(origin)
		start := time.Now()
		resp, err := h.RoundTrip(newRequest(t, t.Context(), "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if _, err := resp.Body.Read(make([]byte, 100)); err != nil || time.Since(start) != time.Duration(i)*time.Hour {
				t.Errorf("byte %d after %s, %v", i, time.Since(start), err)
			}
		}
		testutil.ReadAll(resp.Body)
	})
}
