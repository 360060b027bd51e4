package logging_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/plytest"
)

// However large what a server or a caller sends is, a record stays small; and it stays one line.
func TestARecordStaysSmall(t *testing.T) {
	const huge = 1 << 20
	many := http.Header{"Content-Type": {"text/plain"}, "Etag": {strings.Repeat("é", huge)}}
	for i := range 5000 {
		many.Add(fmt.Sprintf("X-Field-%d", i), "x")
		many.Add("Vary", "a\nb")
	}
	for name, reply := range map[string]plytest.Reply{
		"header": {Status: 200, Header: many, Body: "hello"},
		"error":  plytest.Fail(fmt.Errorf("%s\nend", strings.Repeat("x", huge))),
		"reason": plytest.Text("", "Cache-Status", `ply; fwd=miss; detail="`+strings.Repeat("x", huge)+`"`),
	} {
		var j journal
		h := logging.New(logging.Options{Logger: j.logger(), Headers: true, BodyBytes: 100})(plytest.NewOrigin(reply))
		req := newRequest(t, t.Context(), "GET", "")
		req.Method = strings.Repeat("M", huge)
		req.URL.RawQuery = strings.Repeat("a", huge) + "\n=1"
		req.Header.Set("User-Agent", strings.Repeat("x", huge)+"\n")
		if resp, err := h.RoundTrip(req); err == nil {
			readAll(resp.Body)
		}
		if n := j.Len(); n > 64<<10 || n == 0 || strings.Count(j.String(), "\n") != 1 || !utf8.ValidString(j.String()) {
			t.Errorf("%s: %d bytes in %d lines", name, n, strings.Count(j.String(), "\n"))
		}
	}
}

func TestSecretsInBodiesThatHideThem(t *testing.T) {
	wide := func(s string) string {
		var b strings.Builder
		for _, r := range s {
			b.WriteString(string(r) + "\x00")
		}
		return b.String()
	}
	for name, reply := range map[string]plytest.Reply{
		"another charset":            plytest.Text(wide(`{"password":"hush"}`), "Content-Type", "application/json; charset=utf-16le"),
		"another charset, not named": plytest.Text("\xff\xfe"+wide(`{"password":"hush"}`), "Content-Type", "application/json"),
		"no mark either":             plytest.Text(wide(`{"password":"hush"}`), "Content-Type", "application/json"),
		"JSON in JSON":               plytest.Text(`{"event":"{\"user\":\"joe\",\"password\":\"hush\"}"}`, "Content-Type", "application/json"),
		"and in that":                plytest.Text(`{"event":"[\"{\\\"password\\\":\\\"hush\\\"}\"]"}`, "Content-Type", "application/json"),
		"JSON in JSON, cut":          plytest.Text(`{"event":"{\"user\":\"joe\",\"password\":\"hush and more`, "Content-Type", "application/json"),
		"cut in an escape":           plytest.Text(`{"event":"{\"password\":\"hush\`, "Content-Type", "application/json"),
	} {
		var j journal
		h := logging.New(logging.Options{Logger: j.logger(), BodyBytes: 1 << 10})(plytest.NewOrigin(reply))
		resp, err := h.RoundTrip(newRequest(t, t.Context(), "GET", ""))
		require.NoError(t, err)
		readAll(resp.Body)
		if said := strings.ReplaceAll(strings.ReplaceAll(j.String(), `\x00`, ""), "\x00", ""); strings.Contains(said, "hush") {
			t.Errorf("%s: %s", name, said)
		}
	}
	want := `{"event":"{\"user\":\"joe\",\"password\":\"REDACTED\"}","n":1}`
	if got := string(logging.MaskSecrets("application/json", []byte(`{"event":"{\"user\":\"joe\",\"password\":\"hush\"}","n":1}`))); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	plain := `{"event":"{\"user\" : \"\u006aoe\"}"}` // without a secret nothing changes
	if got := string(logging.MaskSecrets("application/json", []byte(plain))); got != plain {
		t.Errorf("got %s", got)
	}
}

// What a server claims of a cache is believed only where nobody knows better.
func TestAServerCannotClaimAHit(t *testing.T) {
	claims := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Status", `ply; hit; detail="forged"`)
	}
	server := plytest.NewServer(t, plytest.Handle(claims))
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c, err := cache.New(cache.Options{})
	require.NoError(t, err)
	defer c.Close()
	pass := func(next http.RoundTripper) http.RoundTripper { return roundTripper(next.RoundTrip) }
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
		readAll(resp.Body)
		if strings.Contains(j.String(), "forged") || strings.Contains(j.String(), "cache.status") != (tt.want != "") || !strings.Contains(j.String(), tt.want) {
			t.Errorf("%s: %s", name, &j)
		}
	}
}

func TestCurlOfOddRequests(t *testing.T) {
	u := &url.URL{Scheme: "http", Host: "h"}
	for _, tt := range []struct {
		name string
		req  *http.Request
		want string
	}{
		{"a body without a type has none in curl either", &http.Request{Method: "POST", URL: u, Body: http.NoBody}, "curl -X POST http://h"},
		{"", &http.Request{Method: "POST", URL: u, Body: http.MaxBytesReader(nil, nil, 1)}, "curl -H Content-Type: --data-binary @body http://h"},
		{"an empty value", &http.Request{URL: u, Header: http.Header{"Accept": {""}}}, "curl -H 'Accept;' http://h"},
		{"a name that curl takes for a file", &http.Request{URL: u, Header: http.Header{"@/etc/passwd": {"x"}}}, "curl -H '?/etc/passwd: REDACTED' http://h"},
	} {
		if got := logging.Curl(tt.req); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// A handler may keep and change what it is given; the record of the attempt and that of the call share nothing.
func TestHandlersMayChangeWhatTheyAreGiven(t *testing.T) {
	var b bytes.Buffer
	spoil := &spoiling{slog.NewTextHandler(&b, without("time", "duration", "ttfb", "call.id"))}
	l := logging.New(logging.Options{Logger: slog.New(spoil), Headers: true})
	h := l(l(plytest.NewOrigin(plytest.Text("hello", "Vary", "a"))))
	req := newRequest(t, t.Context(), "GET", "")
	req.Header.Set("Accept", "text/plain")
	resp, err := h.RoundTrip(req)
	require.NoError(t, err)
	header := resp.Header.Clone()
	readAll(resp.Body)
	if diff := cmp.Diff(header, resp.Header); diff != "" || req.Header.Get("Accept") != "text/plain" || strings.Contains(b.String(), "spoiled") {
		t.Errorf("%s%s", diff, &b)
	}
}

type spoiling struct{ slog.Handler }

func (s *spoiling) Handle(ctx context.Context, r slog.Record) error {
	err := s.Handler.Handle(ctx, r)
	r.Attrs(func(a slog.Attr) bool {
		if values, ok := a.Value.Any().([]string); ok {
			values[0] = "spoiled"
		}
		return true
	})
	return err
}
