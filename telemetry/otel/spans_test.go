package plyotel_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/auth"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/note"
	"github.com/plyhttp/ply/plytest"
	plyotel "github.com/plyhttp/ply/telemetry/otel"
)

const server = "server.address=a.test server.port=80 "

func TestSpanOfEachAttemptOutcome(t *testing.T) {
	tests := []struct {
		name  string
		reply plytest.Reply
		read  func(io.ReadCloser)
		want  string
	}{
		{
			"success", plytest.Reply{Body: "hello", Wait: time.Second}, testutil.ReadAll,
			`client "GET" http.request.method=GET http.response.body.size=5 http.response.status_code=200 network.protocol.version=1.1 ` + server + `url.full=http://REDACTED:REDACTED@a.test/x?token=REDACTED took=1s`,
		},
		{
			"not found", plytest.Status(404), testutil.ReadAll,
			`client "GET" error.type=404 http.request.method=GET http.response.body.size=0 http.response.status_code=404 network.protocol.version=1.1 ` + server + `url.full=http://REDACTED:REDACTED@a.test/x?token=REDACTED status=Error "" took=0s`,
		},
		{
			"refused", plytest.Refuse(), testutil.ReadAll,
			`client "GET" error.type=connection_refused http.request.method=GET ` + server + `url.full=http://REDACTED:REDACTED@a.test/x?token=REDACTED status=Error "dial tcp 192.0.2.1:80: connect: connection refused" took=0s`,
		},
		{
			"an error with secrets", plytest.Fail(&url.Error{Op: "dial", URL: "http://a.test/?token=hush", Err: io.EOF}), testutil.ReadAll,
			`client "GET" error.type=eof http.request.method=GET ` + server + `url.full=http://REDACTED:REDACTED@a.test/x?token=REDACTED status=Error "dial \"http://a.test/?token=REDACTED\": EOF" took=0s`,
		},
		{
			"broken body", plytest.Reply{Body: "hello", Fault: plytest.ResetAfter(3)}, testutil.ReadAll,
			`client "GET" error.type=connection_reset http.request.method=GET http.response.body.size=3 http.response.status_code=200 network.protocol.version=1.1 ` + server + `url.full=http://REDACTED:REDACTED@a.test/x?token=REDACTED status=Error "read tcp: read: connection reset by peer" took=0s`,
		},
		{
			"closed early", plytest.Text("hello"), func(b io.ReadCloser) { io.ReadFull(b, make([]byte, 2)); b.Close(); b.Close() },
			`client "GET" http.request.method=GET http.response.body.size=2 http.response.status_code=200 network.protocol.version=1.1 ply.body.closed_early=true ` + server + `url.full=http://REDACTED:REDACTED@a.test/x?token=REDACTED took=0s`,
		},
		{
			"read whole but not to its end", plytest.Text("hello"), func(b io.ReadCloser) { io.ReadFull(b, make([]byte, 5)); b.Close() },
			`client "GET" http.request.method=GET http.response.body.size=5 http.response.status_code=200 network.protocol.version=1.1 ` + server + `url.full=http://REDACTED:REDACTED@a.test/x?token=REDACTED took=0s`,
		},
		{
			"the context ends before the body", plytest.Reply{Body: "hello", Fault: plytest.StallAfter(3)}, func(io.ReadCloser) { time.Sleep(time.Hour) },
			`client "GET" error.type=timeout http.request.method=GET http.response.body.size=0 http.response.status_code=200 network.protocol.version=1.1 ` + server + `url.full=http://REDACTED:REDACTED@a.test/x?token=REDACTED status=Error "context deadline exceeded" took=1m0s`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newRecorded()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				h := s.telemetry(t).Attempt(plytest.NewOrigin(tt.reply))
				if resp, err := h.RoundTrip(request(t, ctx, "http://user:pass@a.test/x?token=hush")); err == nil {
					tt.read(resp.Body)
				}
				if diff := cmp.Diff([]string{tt.want}, s.ended()); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			})
		})
	}
}

func TestSpansOfACallAboveCacheAndRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRecorded()
		telemetry := s.telemetry(t)
		origin := &plytest.Origin{Latency: time.Second, Paths: map[string][]plytest.Reply{
			"/users/7": {plytest.Status(503), plytest.ResetConnection(), plytest.Text("Ann", "Cache-Control", "max-age=60")},
		}}
		client, err := ply.New(ply.Options{
			BaseURL: "http://a.test", Transport: origin, UseCall: []ply.Middleware{telemetry.Call},
			Use: []ply.Middleware{newCache(t).Middleware, retry.New(retry.Options{Backoff: retry.Constant(time.Second)}), telemetry.Attempt},
		})
		require.NoError(t, err)
		defer client.Close()
		for range 2 {
			require.NoError(t, ply.Discard(client.Get(t.Context(), "/users/{id}", ply.PathValue("id", "7"))))
		}
		const target = server + `url.full=http://a.test/users/7 url.template=/users/{id}`
		want := []string{
			`client "GET /users/{id}" error.type=503 http.request.method=GET http.response.body.size=0 http.response.status_code=503 network.protocol.version=1.1 ` + target + ` status=Error "" took=1s`,
			`client "GET /users/{id}" error.type=connection_reset http.request.method=GET http.request.resend_count=1 ` + target + ` status=Error "read tcp: read: connection reset by peer" took=1s`,
			`client "GET /users/{id}" http.request.method=GET http.request.resend_count=2 http.response.body.size=3 http.response.status_code=200 network.protocol.version=1.1 ` + target + ` took=1s`,
			`internal "call GET /users/{id}" http.request.method=GET http.request.resend_count=2 http.response.status_code=200 ply.cache.reason=uri-miss ply.cache.status=miss ply.retry.attempts=3 ply.retry.stop=done ` + target +
				` event=retry(error.type=503 ply.retry.attempts=1 ply.retry.wait=1 at 1s) event=retry(error.type=connection_reset ply.retry.attempts=2 ply.retry.wait=1 at 3s) took=5s`,
			`internal "call GET /users/{id}" http.request.method=GET http.response.status_code=200 ply.cache.status=hit ` + target + ` took=0s`,
		}
		if diff := cmp.Diff(want, s.ended()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		oneTree(t, s.spans.Ended()[:4])
		guideShowsOnly(t, want[:4])
		for _, x := range origin.Exchanges()[:3] {
			if !slices.ContainsFunc(s.spans.Ended(), func(span trace.ReadOnlySpan) bool {
				return strings.Contains(x.Header.Get("Traceparent"), span.SpanContext().SpanID().String())
			}) {
				t.Errorf("traceparent %q is that of no span", x.Header.Get("Traceparent"))
			}
		}
	})
}

// guideShowsOnly looks for each attribute that the tree in docs/observability.md has in the spans.
func guideShowsOnly(t *testing.T, spans []string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/observability.md")
	require.NoError(t, err)
	_, tree, found := strings.Cut(string(page), "\ncall GET /users/{id}")
	require.True(t, found, "the guide shows no tree of spans")
	tree, _, _ = strings.Cut(tree, "```")
	printed := strings.Join(spans, "\n")
	for word := range strings.FieldsSeq(tree) {
		if strings.Contains(word, "=") && !strings.Contains(printed, word) {
			t.Errorf("docs/observability.md shows %s, which no span has", word)
		}
	}
}

func TestTheSpansOfACallTellWhatLayersTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRecorded()
		telemetry := s.telemetry(t)
		limit := func(next http.RoundTripper) http.RoundTripper {
			return ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
				start := time.Now()
				time.Sleep(2 * time.Second)
				note.Tell(req.Context(), note.Note{Layer: "limit", Event: "waited", Detail: "for a slot", Start: start, Duration: time.Since(start)})
				return next.RoundTrip(req.WithContext(note.WithHedge(req.Context(), 1)))
			})
		}
		require.NoError(t, get(t, telemetry.Call(limit(telemetry.Attempt(plytest.NewOrigin()))), "http://a.test/"))
		spans := s.ended()
		require.Len(t, spans, 2)
		require.Contains(t, spans[0], "ply.hedge=1")
		require.Contains(t, spans[1], "event=limit waited(ply.note.detail=for a slot ply.note.duration=2 at 0s)")
	})
}

// Who shares the exchange of another call has no exchange of its own, and says so.
func TestSpanOfACollapsedCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRecorded()
		telemetry := s.telemetry(t)
		origin := &plytest.Origin{Latency: time.Second, Script: []plytest.Reply{plytest.Text("hello", "Cache-Control", "max-age=60")}}
		h := telemetry.Call(newCache(t).Middleware(telemetry.Attempt(origin)))
		var calls sync.WaitGroup
		for range 3 {
			calls.Go(func() { get(t, h, "http://a.test/") })
		}
		calls.Wait()
		said := strings.Join(s.ended(), "\n")
		if strings.Count(said, "client ") != 1 || strings.Count(said, "internal ") != 3 || strings.Count(said, "ply.cache.collapsed=true") != 2 {
			t.Errorf("got %s", said)
		}
	})
}

func TestSpanForEachHopOfARedirect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRecorded()
		telemetry := s.telemetry(t)
		origin := &plytest.Origin{Paths: map[string][]plytest.Reply{"/a": {plytest.Status(302, "Location", "/b?token=hush")}, "/b": {plytest.Text("hello")}}}
		for name, hc := range map[string]*http.Client{
			"alone":       {Transport: telemetry.Attempt(origin)},
			"below retry": {Transport: retry.New(retry.Options{})(telemetry.Attempt(origin))},
		} {
			s.spans.Reset()
			resp, err := hc.Do(request(t, ply.WithURLTemplate(t.Context(), "/{a}"), "http://a.test/a"))
			require.NoError(t, err)
			testutil.ReadAll(resp.Body)
			want := []string{
				`client "GET /{a}" http.request.method=GET http.response.body.size=0 http.response.status_code=302 network.protocol.version=1.1 ` + server + `url.full=http://a.test/a url.template=/{a} took=0s`,
				`client "GET" http.request.method=GET http.request.resend_count=1 http.response.body.size=5 http.response.status_code=200 network.protocol.version=1.1 ` + server + `url.full=http://a.test/b?token=REDACTED took=0s`,
			}
			if diff := cmp.Diff(want, s.ended()); diff != "" {
				t.Errorf("%s (-want +got)\n%s", name, diff)
			}
		}
	})
}

func TestSpanOfACallSaysWhatAuthDid(t *testing.T) {
	s := newRecorded()
	origin := plytest.NewOrigin(plytest.Status(401, "Www-Authenticate", `Bearer error="insufficient_scope"`))
	layer := auth.New(auth.Options{Source: auth.Static(auth.Token{Value: "hush"}), Origins: []string{"http://a.test"}})
	require.NoError(t, get(t, s.telemetry(t).Call(layer(origin)), "http://a.test/"))
	if got := s.ended()[0]; !strings.Contains(got, "ply.auth.reason=insufficient_scope ply.auth.status=rejected") || strings.Contains(got, "hush") {
		t.Errorf("got %s", got)
	}
}

func TestPanicEndsTheSpansAndGoesOn(t *testing.T) {
	s := newRecorded()
	telemetry := s.telemetry(t)
	h := telemetry.Call(telemetry.Attempt(testutil.RoundTripFunc(func(*http.Request) (*http.Response, error) { panic("hush") })))
	func() {
		defer func() {
			if v := recover(); v != "hush" {
				t.Errorf("the panic is %v", v)
			}
		}()
		get(t, h, "http://a.test/")
	}()
	got := s.ended()
	if len(got) != 2 || !strings.Contains(got[0], "error.type=panic") || !strings.Contains(got[1], "error.type=panic") || strings.Contains(fmt.Sprint(got), "hush") {
		t.Errorf("got %q", got)
	}
	for _, series := range s.measured(t) {
		if strings.HasPrefix(series, "http.client.active_requests") && !strings.HasSuffix(series, ": 0") {
			t.Error(series)
		}
	}
}

func TestAtHeadersEndsTheSpanAtTheHeader(t *testing.T) {
	s := newRecorded()
	telemetry := s.telemetry(t, func(o *plyotel.Options) { o.AtHeaders = true })
	resp, err := telemetry.Call(telemetry.Attempt(plytest.NewOrigin(plytest.Text("hello")))).RoundTrip(request(t, t.Context(), "http://a.test/"))
	require.NoError(t, err)
	defer resp.Body.Close()
	if got := s.ended(); len(got) != 2 || strings.Contains(got[0], "body.size") {
		t.Errorf("got %q", got)
	}
}

// decodedBody says of itself what the body of a decode layer says.
type decodedBody struct{ io.ReadCloser }

func (decodedBody) DecodedFrom() (string, int64) { return "br", 7 }

func TestTheSpanOfACallTellsWhatADecodeLayerRemoved(t *testing.T) {
	s := newRecorded()
	telemetry := s.telemetry(t)
	decodeLike := func(next http.RoundTripper) http.RoundTripper {
		return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if err == nil {
				resp.Body = decodedBody{resp.Body}
			}
			return resp, err
		})
	}
	h := ply.Chain(telemetry.Call, telemetry.Call, decodeLike, telemetry.Attempt)(plytest.NewOrigin(plytest.Text("hello")))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://example.test/", nil)
	require.NoError(t, err)
	resp, err := h.RoundTrip(req)
	require.NoError(t, err)
	testutil.ReadAll(resp.Body)
	said := 0
	for _, span := range s.ended() {
		if strings.Contains(span, "ply.decode.codings=br ply.decode.encoded_size=7") {
			said++
		}
	}
	if said != 2 {
		t.Errorf("%d spans say it, want those of the calls and not that of the attempt below:\n%s", said, strings.Join(s.ended(), "\n"))
	}
}
