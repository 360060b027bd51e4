package logging_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/plytest"
)

func TestCacheStatusOfEachOutcome(t *testing.T) {
	for field, want := range map[string]string{
		`ply; hit; ttl=30`:  "cache.status=hit",
		`ply; hit; ttl=-30`: "cache.status=stale",
		`ply; fwd=stale; fwd-status=503; detail="served from store: status 503"`: `cache.status=stale cache.reason="served from store: status 503"`,
		`ply; fwd=stale; fwd-status=304`:                                         "cache.status=revalidated cache.reason=stale",
		`ply; fwd=uri-miss; fwd-status=304`:                                      "cache.status=miss cache.reason=uri-miss",
		`ply; fwd=request; fwd-status=200; stored`:                               "cache.status=refreshed cache.reason=request",
		`ply; fwd=uri-miss; stored; detail="a; hit, \"b"`:                        `cache.status=miss cache.reason="a; hit, \"b"`,
		`ply; fwd=method`: "cache.status=bypassed cache.reason=method",
		`ply`:             "cache.status=refused",
	} {
		var j journal
		h := logging.New(logging.Options{Logger: j.logger()})(plytest.NewOrigin(plytest.Text("", "Cache-Status", field)))
		if resp, err := h.RoundTrip(newRequest(t, t.Context(), "GET", "")); err == nil {
			testutil.ReadAll(resp.Body)
		}
		_, got, _ := strings.Cut(strings.TrimSpace(j.String()), "response.body.size=0 ")
		if got != want {
			t.Errorf("%s: %s, want %s", field, got, want)
		}
	}
}

// What a server claims of a cache is believed only where no ply cache took part.
func TestForgedCacheStatusIsIgnored(t *testing.T) {
	claims := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Status", `ply; hit; detail="forged"`)
	}
	server := plytest.NewServer(t, plytest.Handle(claims))
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c, err := cache.New(cache.Options{})
	require.NoError(t, err)
	defer c.Close()
	pass := func(next http.RoundTripper) http.RoundTripper { return testutil.RoundTripFunc(next.RoundTrip) }
	always := func(*http.Request) bool { return true }
	for name, tt := range map[string]struct {
		layers []ply.Middleware
		want   string
	}{
		"no layer":             {nil, ""},
		"other layers":         {[]ply.Middleware{pass, ply.Named("a", pass)}, ""},
		"a cache":              {[]ply.Middleware{c.Middleware}, "cache.status=miss"},
		"a cache below others": {[]ply.Middleware{pass, ply.Named("a", ply.Chain(pass, c.Middleware)), pass}, "cache.status=miss"},
		"a cache for some":     {[]ply.Middleware{ply.When(always, c.Middleware)}, "cache.status=miss"},
	} {
		var j journal
		h := ply.Chain(append([]ply.Middleware{logging.New(logging.Options{Logger: j.logger()})}, tt.layers...)...)(transport)
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		resp, err := h.RoundTrip(req)
		require.NoError(t, err)
		testutil.ReadAll(resp.Body)
		if strings.Contains(j.String(), "forged") || strings.Contains(j.String(), "cache.status") != (tt.want != "") || !strings.Contains(j.String(), tt.want) {
			t.Errorf("%s: %s", name, &j)
		}
	}
}
