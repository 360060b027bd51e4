package logging_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

// The whole line of each outcome, as the layer outside of a cache and a retry layer writes it.
func TestRecordOfEachOutcomeAboveCacheAndRetry(t *testing.T) {
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
						testutil.ReadAll(resp.Body)
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

func TestRecordsOfARedirect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		origin := &plytest.Origin{Paths: map[string][]plytest.Reply{"/a": {plytest.Status(302, "Location", "/b?token=hush")}, "/b": {plytest.Text("hello")}}}
		hc := &http.Client{Transport: logging.New(logging.Options{Logger: j.logger(), Headers: true})(origin)}
		resp, err := hc.Get("http://example.com/a")
		require.NoError(t, err)
		testutil.ReadAll(resp.Body)
		want := `level=INFO msg="http call" http.request.method=GET url.full=http://example.com/a server.address=example.com server.port=80 http.response.status_code=302 network.protocol.version=1.1 duration=0s ttfb=0s http.response.body.size=0 http.response.header.content-length=[0] http.response.header.date="[Sat, 01 Jan 2000 00:00:00 GMT]" http.response.header.location="[/b?token=REDACTED]"
level=INFO msg="http call" http.request.method=GET url.full="http://example.com/b?token=REDACTED" server.address=example.com server.port=80 http.response.status_code=200 network.protocol.version=1.1 duration=0s ttfb=0s http.response.body.size=5 http.request.resend_count=1 http.request.header.referer=[http://example.com/a] http.response.header.content-length=[5] http.response.header.date="[Sat, 01 Jan 2000 00:00:00 GMT]"
`
		if diff := cmp.Diff(want, j.String()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}
