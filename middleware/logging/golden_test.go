package logging_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/redact"
)

// The whole line of each outcome, as the layer outside of a cache and a retry layer writes it.
func TestTheLineOfEachOutcomeAboveCacheAndRetry(t *testing.T) {
	const (
		head = `http.request.method=GET url.full=http://example.com/a server.address=example.com server.port=80 `
		ok   = `http.response.status_code=200 network.protocol.version=1.1 `
	)
	fresh := plytest.Text("hello", "Cache-Control", "max-age=60, stale-while-revalidate=60", "ETag", `"1"`)
	tests := []struct {
		name    string
		replies []plytest.Reply
		pause   []time.Duration // before each request
		limit   time.Duration   // of each request
		want    string          // the last line
	}{
		{
			"miss", []plytest.Reply{fresh}, []time.Duration{0}, 0,
			`level=INFO msg="http call" ` + head + ok + `duration=0s ttfb=0s http.response.body.size=5 cache.status=miss cache.reason=uri-miss`,
		},
		{
			"hit", []plytest.Reply{fresh}, []time.Duration{0, time.Second}, 0,
			`level=INFO msg="http call" ` + head + ok + `duration=0s ttfb=0s http.response.body.size=5 cache.status=hit`,
		},
		{
			"stale", []plytest.Reply{fresh}, []time.Duration{0, 90 * time.Second}, 0,
			`level=INFO msg="http call" ` + head + ok + `duration=0s ttfb=0s http.response.body.size=5 cache.status=stale cache.reason=stale-while-revalidate`,
		},
		{
			"revalidated", []plytest.Reply{fresh, plytest.Status(304, "ETag", `"1"`)}, []time.Duration{0, time.Hour}, 0,
			`level=INFO msg="http call" ` + head + ok + `duration=0s ttfb=0s http.response.body.size=5 cache.status=revalidated cache.reason=stale`,
		},
		{
			"refreshed", []plytest.Reply{fresh, fresh}, []time.Duration{0, time.Hour}, 0,
			`level=INFO msg="http call" ` + head + ok + `duration=0s ttfb=0s http.response.body.size=5 cache.status=refreshed cache.reason=stale`,
		},
		{
			"retried", []plytest.Reply{plytest.Status(503), plytest.ResetConnection(), fresh}, []time.Duration{0}, 0,
			`level=INFO msg="http call" ` + head + ok + `duration=2s ttfb=2s http.response.body.size=5 http.request.resend_count=2 attempts="[503 connection_reset 200]" cache.status=miss cache.reason=uri-miss`,
		},
		{
			"given up", []plytest.Reply{plytest.ResetConnection()}, []time.Duration{0}, 0,
			`level=ERROR msg="http call" ` + head + `error.type=connection_reset error="retry: GET http://example.com/a: 3 attempts in 2s (attempts): read tcp: read: connection reset by peer" duration=2s ttfb=2s http.request.resend_count=2 attempts="[connection_reset connection_reset connection_reset]" retry.stop=attempts`,
		},
		{
			"timeout", []plytest.Reply{plytest.Stall()}, []time.Duration{0}, time.Second,
			`level=WARN msg="http call" ` + head + `error.type=timeout error="retry: GET http://example.com/a: 1 attempt in 1s (deadline): context deadline exceeded" duration=1s ttfb=1s retry.stop=deadline`,
		},
		{
			"cancelled", []plytest.Reply{plytest.Stall()}, []time.Duration{0}, -time.Second,
			`level=INFO msg="http call" ` + head + `error.type=canceled error="retry: GET http://example.com/a: 1 attempt in 1s (canceled): context canceled" duration=1s ttfb=1s retry.stop=canceled`,
		},
		{
			"cut", []plytest.Reply{{Body: "hello", Fault: plytest.CutAfter(3)}}, []time.Duration{0}, 0,
			`level=ERROR msg="http call" ` + head + ok + `error.type=eof error="unexpected EOF" duration=0s ttfb=0s http.response.body.size=3 cache.status=miss cache.reason="not stored: no freshness, no validator"`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, err := cache.New(cache.Options{})
				require.NoError(t, err)
				defer c.Close()
				var j journal
				again := retry.New(retry.Options{Backoff: retry.Constant(time.Second)})
				h := logging.New(logging.Options{Logger: j.logger()})(c.Middleware(again(plytest.NewOrigin(tt.replies...))))
				for _, pause := range tt.pause {
					time.Sleep(pause)
					j.Reset()
					ctx, cancel := limited(t.Context(), tt.limit)
					req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://example.com/a", nil)
					if resp, err := h.RoundTrip(req); err == nil {
						readAll(resp.Body)
					}
					cancel()
					synctest.Wait()
				}
				if diff := cmp.Diff(tt.want+"\n", j.String()); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			})
		})
	}
}

// limited bounds a context: a negative limit cancels it.
func limited(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	switch {
	case limit > 0:
		return context.WithTimeout(ctx, limit)
	case limit < 0:
		ctx, cancel := context.WithCancel(ctx)
		time.AfterFunc(-limit, cancel)
		return ctx, cancel
	}
	return ctx, func() {}
}

func TestTheLinesOfARedirect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		origin := &plytest.Origin{Paths: map[string][]plytest.Reply{"/a": {plytest.Status(302, "Location", "/b?token=hush")}, "/b": {plytest.Text("hello")}}}
		hc := &http.Client{Transport: logging.New(logging.Options{Logger: j.logger(), Headers: true})(origin)}
		resp, err := hc.Get("http://example.com/a")
		require.NoError(t, err)
		readAll(resp.Body)
		want := `level=INFO msg="http call" http.request.method=GET url.full=http://example.com/a server.address=example.com server.port=80 http.response.status_code=302 network.protocol.version=1.1 duration=0s ttfb=0s http.response.body.size=0 http.response.header.content-length=[0] http.response.header.date="[Sat, 01 Jan 2000 00:00:00 GMT]" http.response.header.location="[/b?token=REDACTED]"
level=INFO msg="http call" http.request.method=GET url.full="http://example.com/b?token=REDACTED" server.address=example.com server.port=80 http.response.status_code=200 network.protocol.version=1.1 duration=0s ttfb=0s http.response.body.size=5 http.request.resend_count=1 http.request.header.referer=[http://example.com/a] http.response.header.content-length=[5] http.response.header.date="[Sat, 01 Jan 2000 00:00:00 GMT]"
`
		if diff := cmp.Diff(want, j.String()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

func TestAPanicIsSaidAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		h := logging.New(logging.Options{Logger: j.logger()})(roundTripper(func(*http.Request) (*http.Response, error) { panic("hush") }))
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

// lines collects records that come from any goroutine.
type lines struct {
	mu   sync.Mutex // guards text
	text strings.Builder
	some chan struct{}
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.some <- struct{}{}:
	default:
	}
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A real server and transport: nothing in them may keep the response alive, nor anything in the layer.
func TestABodyThatIsNeverClosedIsSaid(t *testing.T) {
	stop := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "hello")
		w.(http.Flusher).Flush()
		<-stop
	}))
	defer server.Close()
	defer close(stop)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	out := &lines{some: make(chan struct{}, 1)}
	logger := slog.New(slog.NewTextHandler(out, without("time", "duration", "ttfb", "call.id", "url.full", "server.address", "server.port")))
	h := logging.New(logging.Options{Logger: logger, BodyBytes: 10, Headers: true, Sample: logging.Sample{Every: 1000}})(retry.New(retry.Options{})(transport))
	drop(t, ctx, h, server.URL)
	deadline := time.After(time.Minute)
	for said := false; !said; {
		runtime.GC()
		select {
		case <-out.some:
			said = true
		case <-deadline:
			t.Fatal("nothing is said of the body")
		default:
		}
	}
	want := `level=WARN msg="http call" http.request.method=GET http.response.status_code=200 network.protocol.version=1.1 http.response.body.size=2 never_closed=true`
	if got := out.String(); !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 1 {
		t.Errorf("got %s", got)
	}
}

//go:noinline
func drop(t *testing.T, ctx context.Context, h http.RoundTripper, url string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := h.RoundTrip(req)
	require.NoError(t, err)
	io.ReadFull(resp.Body, make([]byte, 2))
}

func TestABodyThatIsClosedIsNotSaidToBeOpen(t *testing.T) {
	out := &lines{}
	h := logging.New(logging.Options{Logger: slog.New(slog.NewTextHandler(out, nil))})(plytest.NewOrigin(plytest.Text("hello")))
	for range 10 {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://example.com/", nil)
		resp, err := h.RoundTrip(req)
		require.NoError(t, err)
		resp.Body.Close()
	}
	for range 3 {
		runtime.GC()
	}
	if got := out.String(); strings.Count(got, "\n") != 10 || strings.Contains(got, "never_closed") {
		t.Errorf("got %s", got)
	}
}

func TestTheConnectionIsSaidOnRequest(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	var j journal
	h := logging.New(logging.Options{Logger: j.logger(), Connection: true})(transport)
	for _, want := range []string{"conn.reused=false", "conn.reused=true"} {
		j.Reset()
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		resp, err := h.RoundTrip(req)
		require.NoError(t, err)
		readAll(resp.Body)
		_, port, _ := strings.Cut(server.Listener.Addr().String(), ":")
		if want := " network.peer.address=127.0.0.1 network.peer.port=" + port + " " + want + "\n"; !strings.HasSuffix(j.String(), want) {
			t.Errorf("no %sin %s", want, &j)
		}
	}
}

func TestTheContextBringsRedactor(t *testing.T) {
	var j journal
	hide := &redact.Redactor{Path: func(string) string { return "/…" }}
	show := &redact.Redactor{ShowParams: []string{"page"}}
	req, _ := http.NewRequestWithContext(redact.With(t.Context(), hide), http.MethodGet, "http://example.com/joe?page=2", nil)
	for name, tt := range map[string]struct {
		own  *redact.Redactor
		want string
	}{
		"the context's":   {nil, "http://example.com/…?page=REDACTED"},
		"the layer's own": {show, "http://example.com/joe?page=2"},
	} {
		j.Reset()
		h := logging.New(logging.Options{Logger: j.logger(), Redactor: tt.own})(plytest.NewOrigin(plytest.Fail(errors.New("no way to http://example.com/joe?page=2"))))
		h.RoundTrip(req)
		if strings.Count(j.String(), tt.want) != 2 || strings.Count(j.String(), "http://") != 2 {
			t.Errorf("%s: %s", name, &j)
		}
		if got := logging.CurlWith(tt.own, req); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}
