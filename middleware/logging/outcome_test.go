package logging_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/plytest"
)

func TestErrorTypeOfTLSAlert(t *testing.T) {
	for _, op := range []string{"remote error", "local error"} {
		err := &net.OpError{Op: "proxyconnect", Err: &net.OpError{Op: op, Err: errors.New("tls: handshake failure")}}
		if got := (logging.Outcome{Err: err}).ErrorType(); got != "tls" {
			t.Errorf("%s: %s", op, got)
		}
	}
}

func TestPanicIsLoggedAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		h := logging.New(logging.Options{Logger: j.logger()})(testutil.RoundTripFunc(func(*http.Request) (*http.Response, error) { panic("hush") }))
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://example.com/a", nil)
		func() {
			defer func() {
				if v := recover(); v != "hush" {
					t.Errorf("the panic is %v", v)
				}
			}()
			h.RoundTrip(req)
		}()
		want := `level=ERROR msg="http call" http.request.method=GET url.full=http://example.com/a server.address=example.com server.port=80 error.type=panic error="the next handler has panicked" duration=0s ttfb=0s` + "\n"
		if diff := cmp.Diff(want, j.String()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

func TestOneRecordForEachOutcome(t *testing.T) {
	const target = `url.full="http://REDACTED:REDACTED@example.com:8080/path?token=REDACTED" server.address=example.com server.port=8080`
	tests := []struct {
		name   string
		reply  plytest.Reply
		method string
		read   func(io.ReadCloser)
		want   string
	}{
		{
			"success", plytest.Reply{Body: "hello", Wait: time.Second}, "GET", testutil.ReadAll,
			`level=INFO msg="http call" http.request.method=GET ` + target + ` http.response.status_code=200 network.protocol.version=1.1 duration=1s ttfb=1s http.response.body.size=5`,
		},
		{
			"request body", plytest.Text("hello"), "POST", testutil.ReadAll,
			`level=INFO msg="http call" http.request.method=POST ` + target + ` http.response.status_code=200 network.protocol.version=1.1 duration=0s ttfb=0s http.request.body.size=3 http.response.body.size=5`,
		},
		{
			"unknown method", plytest.Text("hello"), "BREW", testutil.ReadAll,
			`level=INFO msg="http call" http.request.method_original=BREW http.request.method=_OTHER ` + target + ` http.response.status_code=200 network.protocol.version=1.1 duration=0s ttfb=0s http.request.body.size=3 http.response.body.size=5`,
		},
		{
			"closed early", plytest.Text("hello"), "GET", func(b io.ReadCloser) { b.Read(make([]byte, 2)); b.Close() },
			`level=INFO msg="http call" http.request.method=GET ` + target + ` http.response.status_code=200 network.protocol.version=1.1 duration=0s ttfb=0s http.response.body.size=2 closed_early=true`,
		},
		{
			"read whole but not to its end", plytest.Text("hello"), "GET", func(b io.ReadCloser) { io.ReadFull(b, make([]byte, 5)); b.Close() },
			`level=INFO msg="http call" http.request.method=GET ` + target + ` http.response.status_code=200 network.protocol.version=1.1 duration=0s ttfb=0s http.response.body.size=5`,
		},
		{
			"not found", plytest.Status(404), "GET", testutil.ReadAll,
			`level=INFO msg="http call" http.request.method=GET ` + target + ` http.response.status_code=404 network.protocol.version=1.1 error.type=404 duration=0s ttfb=0s http.response.body.size=0`,
		},
		{
			"forbidden", plytest.Status(403), "GET", testutil.ReadAll,
			`level=WARN msg="http call" http.request.method=GET ` + target + ` http.response.status_code=403 network.protocol.version=1.1 error.type=403 duration=0s ttfb=0s http.response.body.size=0`,
		},
		{
			"too many", plytest.Status(429), "GET", testutil.ReadAll,
			`level=ERROR msg="http call" http.request.method=GET ` + target + ` http.response.status_code=429 network.protocol.version=1.1 error.type=429 duration=0s ttfb=0s http.response.body.size=0`,
		},
		{
			"server error", plytest.Status(500), "GET", testutil.ReadAll,
			`level=ERROR msg="http call" http.request.method=GET ` + target + ` http.response.status_code=500 network.protocol.version=1.1 error.type=500 duration=0s ttfb=0s http.response.body.size=0`,
		},
		{
			"refused", plytest.Refuse(), "GET", testutil.ReadAll,
			`level=ERROR msg="http call" http.request.method=GET ` + target + ` error.type=connection_refused error="dial tcp 192.0.2.1:8080: connect: connection refused" duration=0s ttfb=0s`,
		},
		{
			"broken body", plytest.Reply{Body: "hello", Fault: plytest.ResetAfter(3)}, "GET", testutil.ReadAll,
			`level=ERROR msg="http call" http.request.method=GET ` + target + ` http.response.status_code=200 network.protocol.version=1.1 error.type=connection_reset error="read tcp: read: connection reset by peer" duration=0s ttfb=0s http.response.body.size=3`,
		},
		{
			"slow", plytest.Reply{Body: "hello", Wait: time.Minute}, "GET", testutil.ReadAll,
			`level=WARN msg="http call" http.request.method=GET ` + target + ` http.response.status_code=200 network.protocol.version=1.1 duration=1m0s ttfb=1m0s http.response.body.size=5 slow=true`,
		},
		{
			"cache", plytest.Text("hello", "Cache-Status", `cdn; hit, ply; fwd=stale; fwd-status=200; stored; detail="max-age=60; past"`), "GET", testutil.ReadAll,
			`level=INFO msg="http call" http.request.method=GET ` + target + ` http.response.status_code=200 network.protocol.version=1.1 duration=0s ttfb=0s http.response.body.size=5 cache.status=refreshed cache.reason="max-age=60; past"`,
		},
		{
			"another cache", plytest.Text("hello", "Cache-Status", `cdn; hit`), "GET", testutil.ReadAll,
			`level=INFO msg="http call" http.request.method=GET ` + target + ` http.response.status_code=200 network.protocol.version=1.1 duration=0s ttfb=0s http.response.body.size=5`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var j journal
				h := logging.New(logging.Options{Logger: j.logger(), Slow: time.Minute})(plytest.NewOrigin(tt.reply))
				req := newRequest(t, t.Context(), tt.method, "abc")
				if tt.method == "GET" {
					req.Body, req.GetBody = nil, nil
				}
				if resp, err := h.RoundTrip(req); err == nil {
					tt.read(resp.Body)
				}
				if diff := cmp.Diff(tt.want+"\n", j.String()); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			})
		})
	}
}
