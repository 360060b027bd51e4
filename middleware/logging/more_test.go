package logging_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/internal/reqctx"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/redact"
)

func TestHeadersShowOnlyWhatIsAllowed(t *testing.T) {
	var j journal
	o := logging.Options{Logger: j.logger(), Headers: true, Redactor: &redact.Redactor{
		ShowHeaders: []string{"x-mine", "X-Api-Key"}, HideHeaders: []string{"server"},
	}}
	h := logging.New(o)(plytest.NewOrigin(plytest.Status(302,
		"Location", "https://u:p@example.org/next?token=hush", "Set-Cookie", "a=hush", "Server", "hush", "Date", "now", "X-Other", "hush")))
	req := newRequest(t, t.Context(), "GET", "")
	req.Body = nil
	req.Header = http.Header{"Authorization": {"hush"}, "Accept": {"a", "b"}, "X-Mine": {"seen"}, "X-Api-Key": {"hush"}}
	resp, err := h.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Header.Set("Date", "changed by the caller")
	readAll(resp.Body)
	_, got, _ := strings.Cut(strings.TrimSpace(j.String()), "body.size=0 ")
	want := `http.request.header.accept="[a b]" http.request.header.authorization=[REDACTED] http.request.header.x-api-key=[REDACTED] http.request.header.x-mine=[seen] ` +
		`http.response.header.content-length=[0] http.response.header.date=[now] http.response.header.location="[https://REDACTED:REDACTED@example.org/next?token=REDACTED]" ` +
		`http.response.header.server=[REDACTED] http.response.header.set-cookie=[REDACTED] http.response.header.x-other=[REDACTED]`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestQueryPresets(t *testing.T) {
	const target = "https://example.com/o?page=2&X-Amz-Signature=hush&access_token=hush"
	for _, tt := range []struct {
		name string
		r    *redact.Redactor
		want string
	}{
		{"default", nil, "page=REDACTED&X-Amz-Signature=REDACTED&access_token=REDACTED"},
		{"some shown", &redact.Redactor{ShowParams: []string{"page", "access_token"}}, "page=2&X-Amz-Signature=REDACTED&access_token=REDACTED"},
		{"signed URLs", &redact.Redactor{HideParams: redact.SignedURLs}, "page=2&X-Amz-Signature=REDACTED&access_token=REDACTED"},
	} {
		u, _ := url.Parse(target)
		if got := tt.r.URL(u); got != "https://example.com/o?"+tt.want {
			t.Errorf("%s: %s", tt.name, got)
		}
	}
	spelled := &redact.Redactor{HideParams: []string{"sig"}}
	if got := spelled.Query("%73ig=hush&%74oken=hush&a=b"); got != "%73ig=REDACTED&%74oken=REDACTED&a=b" {
		t.Error(got)
	}
	if got := spelled.HeaderValue("location", "//u:hush@example.org/"); got != "//REDACTED:REDACTED@example.org/" {
		t.Error(got)
	}
	r := &redact.Redactor{Path: func(p string) string { return strings.ReplaceAll(p, "42", "{id}") }}
	if got := r.URLText("https://example.com/users/42"); got != "https://example.com/users/{id}" {
		t.Error(got)
	}
}

func TestBodiesAreTakenAsTheyPass(t *testing.T) {
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
		readAll(resp.Body)
	})
}

func TestMaskSecrets(t *testing.T) {
	mask := logging.MaskMembers("email")
	for _, tt := range []struct{ in, want string }{
		{`{"email":"a@b","n":1}`, `{"email":"REDACTED","n":1}`},
		{`{"EMAIL" : "a\"b" }`, `{"EMAIL" : "REDACTED" }`},
		{`{"access_token":123,"n":1}`, `{"access_token":"REDACTED","n":1}`},
		{`{"secret":{"a":[1,"}"]},"n":1}`, `{"secret":"REDACTED","n":1}`},
		{`{"secret":[{"a":"]"}]}`, `{"secret":"REDACTED"}`},
		{`{"secret":null}`, `{"secret":"REDACTED"}`},
		{`[{"a":{"b":{"apiKey":"x"}}},{"session":"y"}]`, `[{"a":{"b":{"apiKey":"REDACTED"}}},{"session":"REDACTED"}]`},
		{`{"\u0074oken":"x"}`, `{"\u0074oken":"REDACTED"}`},
		{`{"a":"token","b":"c"}`, `{"a":"token","b":"c"}`},
		{`{"token`, `{"token`},
		{`{"token":`, `{"token":"REDACTED"`},
		{`{"token":"abc`, `{"token":"REDACTED"`},
		{`{"token":{"a":"b`, `{"token":"REDACTED"`},
		{`{"next":"https://h/?k=v"}`, `{"next":"https://h/?k=REDACTED"}`},
		{``, ``},
	} {
		if got := string(mask("application/json", []byte(tt.in))); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.in, got, tt.want)
		}
	}
}

// What a body is called does not say what it is.
func TestMaskSecretsOfOtherMediaTypes(t *testing.T) {
	for _, tt := range []struct{ mediaType, in, want string }{
		{"text/plain", ` {"access_token":"hush","n":1}`, ` {"access_token":"REDACTED","n":1}`},
		{"text/plain", `)]}', {"access_token":"hush","n":1}`, `)]}', {"access_token":"REDACTED","n":1}`},
		{"text/plain", `"{\"pin\":\"hush\"}"`, `"{\"pin\":\"REDACTED\"}"`},
		{"text/plain", "[INFO] token=hush, done", "[INFO] token=REDACTED, done"},
		{"text/plain", "<a><token>hush</token></a>", "REDACTED"},
		{"text/html", "<?xml version='1.0'?><token>hush</token>", "REDACTED"},
		{"text/html", `<p>no such page</p>`, `<p>no such page</p>`},
		{"application/xml", "\n<password>hush</password>", "REDACTED"},
		{"application/soap+xml", "<password>hush", "REDACTED"},
		{"application/x-www-form-urlencoded", `{"access_token":"c2VjcmV0LXRva2Vu=="}`, `{"access_token":"REDACTED"}`},
		{"application/x-www-form-urlencoded", "c2VjcmV0LXRva2Vu==", "REDACTED"},
		{"application/x-www-form-urlencoded", "<token>hush=</token>", "REDACTED"},
		{"application/graphql", `mutation { login(user: "joe", password: "hush") { token } }`, `mutation { login(user: "joe", password: "REDACTED") { token } }`},
		{"application/json", `{"query":"mutation { login(password: \"hush\", pin: 1234) { id } }"}`, `{"query":"mutation { login(password: \"REDACTED\", pin: REDACTED) { id } }"}`},
		{"application/json", `[{"name":"DB_PASSWORD","value":"hush"},{"name":"n","value":"1"}]`, `[{"name":"DB_PASSWORD","value":"REDACTED"},{"name":"n","value":"1"}]`},
		{"application/json", `{"Key":"api-key", "n":1, "Value":["hush"]}`, `{"Key":"REDACTED", "n":1, "Value":"REDACTED"}`},
		{"application/json", `[{"name":"token"},{"value":"1"},{"name":`, `[{"name":"token"},{"value":"1"},{"name":`},
		{"application/json", `password=hush&n=1`, `password=REDACTED&n=1`},
		{"application/json", `{password: "hush"}`, `{password: "REDACTED"}`},
		{"application/json", `{"fault":"<password>hush</password>"}`, `{"fault":"<password>REDACTED</password>"}`},
		{"application/json", `{"max_tokens":100,"token_type":"x","usage":{"total_tokens":8}}`, `{"max_tokens":100,"token_type":"x","usage":{"total_tokens":8}}`},
		{"text/yaml", "password: hush\nuser: joe", "password: REDACTED\nuser: joe"},
		{"text/html", `<p>x <password>hush</password></p>`, `<p>x <password>REDACTED</password></p>`},
		{"application/json", `{"message":"401 with Bearer hush4242"}`, `{"message":"401 with Bearer REDACTED"}`},
	} {
		if got := string(logging.MaskSecrets(tt.mediaType, []byte(tt.in))); got != tt.want {
			t.Errorf("%s: %s\n got %s\nwant %s", tt.mediaType, tt.in, got, tt.want)
		}
	}
}

func TestTheTemplateIsRedacted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		log := logging.New(logging.Options{Logger: j.logger(), Redactor: &redact.Redactor{Path: func(p string) string { return strings.ReplaceAll(p, "123:hush", "REDACTED") }}})
		req := newRequest(t, reqctx.WithURLTemplate(t.Context(), "/bot123:hush/{method};sid=hush"), "GET", "")
		resp, err := log(plytest.NewOrigin(plytest.Status(204))).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		readAll(resp.Body)
		if said := j.String(); strings.Contains(said, "hush") || !strings.Contains(said, "/botREDACTED/{method};sid=REDACTED") {
			t.Error(said)
		}
	})
}

func FuzzMaskSecrets(f *testing.F) {
	f.Add(`{"a":[1,{"b":"`, `"}]}`)
	f.Add(`{"x":"\"",`, `,"y":1}`)
	f.Fuzz(func(t *testing.T, before, after string) {
		logging.MaskSecrets("application/json", []byte(before+`"password":"c4n4ry"`+after))
		if strings.ContainsAny(before, `"\`) || strings.Contains(before, "c4n4ry") || strings.Contains(after, "c4n4ry") {
			return // the member might not be one
		}
		if got := string(logging.MaskSecrets("application/json", []byte(before+`"password":"c4n4ry"`+after))); strings.Contains(got, "c4n4ry") {
			t.Errorf("%q", got)
		}
		nested, err := json.Marshal("{" + before + `"password":"c4n4ry"` + after)
		if err != nil {
			return
		}
		for cut := range min(len(nested), 40) { // a body can end anywhere
			text := `{"event":` + string(nested[:len(nested)-cut])
			if got := string(logging.MaskSecrets("application/json", []byte(text))); strings.Contains(got, "c4n4") {
				t.Errorf("%q gives %q", text, got)
			}
		}
	})
}

func TestSampling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ok, bad := plytest.Text("hello"), plytest.Status(500)
		for _, tt := range []struct {
			name    string
			sample  logging.Sample
			pause   time.Duration
			replies []plytest.Reply
			want    []string
		}{
			{"all", logging.Sample{}, 0, []plytest.Reply{ok, ok}, []string{"200", "200"}},
			{"one in three", logging.Sample{Every: 3}, 0, []plytest.Reply{ok, ok, ok, ok, ok, ok, ok}, []string{"200", "200 suppressed=2", "200 suppressed=2"}},
			{"failures always", logging.Sample{Every: 3}, 0, []plytest.Reply{ok, ok, bad, bad, ok, ok}, []string{"200", "500 suppressed=1", "500", "200 suppressed=1"}},
			{"by rate", logging.Sample{PerSecond: 2}, 250 * time.Millisecond, []plytest.Reply{ok, ok, ok, ok, ok, ok}, []string{"200", "200", "200", "200 suppressed=1"}},
		} {
			var j journal
			h := logging.New(logging.Options{Logger: j.logger(), Sample: tt.sample})(plytest.NewOrigin(tt.replies...))
			for range tt.replies {
				if resp, err := h.RoundTrip(newRequest(t, t.Context(), "GET", "")); err == nil {
					readAll(resp.Body)
				}
				time.Sleep(tt.pause)
			}
			var got []string
			for line := range strings.Lines(j.String()) {
				_, status, _ := strings.Cut(line, "status_code=")
				_, suppressed, _ := strings.Cut(strings.TrimSpace(line), " suppressed=")
				if status = status[:3]; suppressed != "" {
					status += " suppressed=" + suppressed
				}
				got = append(got, status)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s (-want +got)\n%s", tt.name, diff)
			}
		}
	})
}

func TestCallIDIsTheSameForAllOfACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		l := logging.New(logging.Options{Logger: slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}))})
		origin := &plytest.Origin{Paths: map[string][]plytest.Reply{
			"/a": {plytest.Status(503), plytest.Status(307, "Location", "/b")},
			"/b": {plytest.Text("hello")},
		}}
		hc := &http.Client{Transport: l(retry.New(retry.Options{})(l(origin)))}
		get := func(req *http.Request) map[string]int {
			b.Reset()
			resp, err := hc.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			readAll(resp.Body)
			ids := map[string]int{}
			for line := range strings.Lines(b.String()) {
				_, id, _ := strings.Cut(strings.TrimSpace(line), "call.id=")
				ids[id]++
			}
			return ids
		}
		req := func() *http.Request {
			r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://example.com/a", nil)
			return r
		}
		ids := get(req())
		for id, n := range ids {
			if len(ids) != 1 || len(id) != 16 || n != 5 {
				t.Errorf("ids %v", ids)
			}
		}
		own := req()
		own = own.WithContext(logging.WithCallID(own.Context(), "mine"))
		header := req()
		header.Header.Set("X-Request-Id", "r1")
		for want, r := range map[string]*http.Request{"mine": own, "r1": header} {
			if ids := get(r); ids[want] == 0 || len(ids) != 1 {
				t.Errorf("ids %v, want %s", ids, want)
			}
		}
	})
}

func TestRateDoesNotSaveUpForABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		h := logging.New(logging.Options{Logger: j.logger(), Sample: logging.Sample{PerSecond: 2}})(plytest.NewOrigin(plytest.Text("hello")))
		for range 2 {
			for range 10 {
				if resp, err := h.RoundTrip(newRequest(t, t.Context(), "GET", "")); err == nil {
					readAll(resp.Body)
				}
			}
			time.Sleep(time.Hour)
		}
		if n := strings.Count(j.String(), "\n"); n != 4 {
			t.Errorf("%d records of two bursts", n)
		}
	})
}

func TestLevelOf(t *testing.T) {
	status := func(code int) logging.Outcome { return logging.Outcome{Response: &http.Response{StatusCode: code}} }
	for _, tt := range []struct {
		name          string
		o             logging.Outcome
		call, attempt slog.Level
	}{
		{"200", status(200), slog.LevelInfo, slog.LevelDebug},
		{"304", status(304), slog.LevelInfo, slog.LevelDebug},
		{"401", status(401), slog.LevelWarn, slog.LevelWarn},
		{"404", status(404), slog.LevelInfo, slog.LevelDebug},
		{"409", status(409), slog.LevelInfo, slog.LevelDebug},
		{"412", status(412), slog.LevelInfo, slog.LevelDebug},
		{"416", status(416), slog.LevelInfo, slog.LevelDebug},
		{"429", status(429), slog.LevelError, slog.LevelWarn},
		{"503", status(503), slog.LevelError, slog.LevelWarn},
		{"error", logging.Outcome{Err: io.EOF}, slog.LevelError, slog.LevelWarn},
		{"cancelled", logging.Outcome{Err: context.Canceled}, slog.LevelInfo, slog.LevelInfo},
		{"late", logging.Outcome{Err: context.DeadlineExceeded}, slog.LevelWarn, slog.LevelWarn},
	} {
		if got := logging.DefaultLevel(tt.o); got != tt.call {
			t.Errorf("call, %s: %s, want %s", tt.name, got, tt.call)
		}
		slow := tt.o
		slow.Slow = true
		if got := logging.DefaultLevel(slow); got != min(tt.call+4, slog.LevelError) {
			t.Errorf("slow call, %s: %s", tt.name, got)
		}
		tt.o.Attempt = 1
		if got := logging.DefaultLevel(tt.o); got != tt.attempt {
			t.Errorf("attempt, %s: %s, want %s", tt.name, got, tt.attempt)
		}
	}
}

func TestCacheStatusInOneWord(t *testing.T) {
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
			readAll(resp.Body)
		}
		_, got, _ := strings.Cut(strings.TrimSpace(j.String()), "response.body.size=0 ")
		if got != want {
			t.Errorf("%s: %s, want %s", field, got, want)
		}
	}
}

func TestRedirectsCountAsResends(t *testing.T) {
	var j journal
	origin := &plytest.Origin{Paths: map[string][]plytest.Reply{"/a": {plytest.Status(302, "Location", "/b")}, "/b": {plytest.Status(302, "Location", "/c")}}}
	hc := &http.Client{Transport: logging.New(logging.Options{Logger: j.logger()})(origin)}
	resp, err := hc.Get("http://example.com/a")
	if err != nil {
		t.Fatal(err)
	}
	readAll(resp.Body)
	lines := strings.Split(strings.TrimSpace(j.String()), "\n")
	for i, want := range []string{"", "resend_count=1", "resend_count=2"} {
		if len(lines) != 3 || !strings.Contains(lines[i], want) || want == "" && strings.Contains(lines[i], "resend") {
			t.Errorf("log %s", &j)
		}
	}
}

// A cache between the logger and the retry layer answers with a response of its own.
func TestRetriesBelowACacheAreSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := cache.New(cache.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var inner, outer journal
		origin := plytest.NewOrigin(plytest.Status(503), plytest.Text("hello", "Cache-Control", "max-age=60"), plytest.ResetConnection())
		stack := c.Middleware(retry.New(retry.Options{})(origin))
		h := logging.New(logging.Options{Logger: outer.logger()})(logging.New(logging.Options{Logger: inner.logger()})(stack))
		for _, want := range []struct{ path, said string }{
			{"/a", `resend_count=1 attempts="[503 200]" cache.status=miss`},
			{"/a", "cache.status=hit"},
			{"/b", `resend_count=2 attempts="[connection_reset connection_reset connection_reset]" retry.stop=attempts`},
		} {
			inner.Reset()
			outer.Reset()
			req := newRequest(t, t.Context(), "GET", "")
			req.Body, req.URL.Path = nil, want.path
			if resp, err := h.RoundTrip(req); err == nil {
				readAll(resp.Body)
			}
			for _, line := range []string{inner.String(), outer.String()} {
				if !strings.Contains(line, want.said) || strings.Contains(line, "resend") != strings.Contains(want.said, "resend") {
					t.Errorf("no %s in %s", want.said, line)
				}
			}
		}
	})
}

// The next page is a call of its own, even if it is asked for with the context of the last one.
func TestACallThatIsOverMakesNoAttempts(t *testing.T) {
	var j journal
	l := logging.New(logging.Options{Logger: j.logger()})
	resp, err := retry.New(retry.Options{})(plytest.NewOrigin(plytest.Text("hello"))).RoundTrip(newRequest(t, t.Context(), "PUT", ""))
	if err != nil {
		t.Fatal(err)
	}
	readAll(resp.Body)
	resp, err = l(plytest.NewOrigin(plytest.Text("hello"))).RoundTrip(newRequest(t, resp.Request.Context(), "PUT", ""))
	if err != nil {
		t.Fatal(err)
	}
	readAll(resp.Body)
	if !strings.Contains(j.String(), `msg="http call"`) {
		t.Errorf("log %s", &j)
	}
}

func TestCurl(t *testing.T) {
	req := newRequest(t, t.Context(), "PATCH", `{"name":"it's","token":"hush"}`)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer hush")
	want := `curl -X PATCH -H 'Authorization: REDACTED' -H 'Content-Type: application/json' --data-binary '{"name":"it'\''s","token":"REDACTED"}' 'http://REDACTED:REDACTED@example.com:8080/path?token=REDACTED'`
	if diff := cmp.Diff(want, logging.Curl(req)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	copied := &closeCounter{Reader: strings.NewReader("x")}
	req.GetBody = func() (io.ReadCloser, error) { return copied, nil }
	if logging.Curl(req); copied.n != 1 {
		t.Errorf("the copy of the body was closed %d times", copied.n)
	}
	body, _ := io.ReadAll(req.Body)
	if len(body) == 0 {
		t.Error("the request's body was consumed")
	}
	text := func(body string) *http.Request {
		req, _ := http.NewRequest("POST", "http://h", strings.NewReader(body))
		req.Header.Set("Content-Type", "text/plain")
		return req
	}
	for _, tt := range []struct {
		name string
		req  *http.Request
		want string
	}{
		{"GET", &http.Request{URL: &url.URL{Scheme: "http", Host: "h", Path: "/a"}}, "curl http://h/a"},
		{"HEAD", &http.Request{Method: "HEAD", URL: &url.URL{Scheme: "http", Host: "h"}, Host: "v"}, "curl --head -H 'Host: v' http://h"},
		{"stream", &http.Request{Method: "POST", URL: &url.URL{Scheme: "http", Host: "h"}, Body: io.NopCloser(strings.NewReader("x"))}, "curl -H Content-Type: --data-binary @body http://h"},
		{"line breaks", &http.Request{Header: http.Header{"Accept": {"a\r\nb"}}, URL: &url.URL{Scheme: "http", Host: "h"}}, "curl -H 'Accept: a??b' http://h"},
		{"made-up host", &http.Request{Host: "v\nAuthorization: x", URL: &url.URL{Scheme: "http", Host: "h"}}, "curl -H 'Host: v?Authorization: x' http://h"},
		{"patterns", &http.Request{URL: &url.URL{Scheme: "http", Host: "h", Path: "/", RawQuery: "a[b]=1"}}, "curl --globoff 'http://h/?a[b]=REDACTED'"},
		{"a body that looks like the name of a file", text("@/etc/passwd"), "curl -H 'Content-Type: text/plain' --data-raw @/etc/passwd http://h"},
	} {
		if got := logging.Curl(tt.req); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestErrorTypeOfATLSAlert(t *testing.T) {
	for _, op := range []string{"remote error", "local error"} {
		err := &net.OpError{Op: "proxyconnect", Err: &net.OpError{Op: op, Err: errors.New("tls: handshake failure")}}
		if got := (logging.Outcome{Err: err}).ErrorType(); got != "tls" {
			t.Errorf("%s: %s", op, got)
		}
	}
}

func TestAResponseThatComesWithAnErrorIsClosed(t *testing.T) {
	body := &closeCounter{Reader: strings.NewReader("x")}
	var j journal
	next := roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: body}, io.ErrUnexpectedEOF
	})
	resp, err := logging.New(logging.Options{Logger: j.logger()})(next).RoundTrip(newRequest(t, t.Context(), "GET", ""))
	if resp != nil || err == nil || body.n != 1 || strings.Count(j.String(), "\n") != 1 {
		t.Errorf("%v, %v, closed %d times, log %s", resp, err, body.n, &j)
	}
}

type closeCounter struct {
	io.Reader
	n int
}

func (c *closeCounter) Close() error { c.n++; return nil }

// A shell takes the command apart into the words that were meant.
func TestCurlIsQuotedForTheShell(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		return // nothing to ask
	}
	nasty := "a'b\"c$HOME`id`\\ $(id) !x;y&z|*?\t"
	req := &http.Request{Header: http.Header{"Accept": {nasty}}, URL: &url.URL{Scheme: "http", Host: "h"}}
	out, err := exec.Command(sh, "-c", "curl() { printf '%s\\n' \"$@\"; }; "+logging.Curl(req)).Output()
	if diff := cmp.Diff("-H\nAccept: "+nasty+"\nhttp://h\n", string(out)); diff != "" || err != nil {
		t.Errorf("(-want +got)\n%s%v", diff, err)
	}
}

// Twelve secrets go through logging, cache and retry with all that can be logged turned on.
func TestSecretsAppearNowhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const canary = "c4n4ry"
		var j bytes.Buffer
		logger := slog.New(slog.NewJSONHandler(&j, &slog.HandlerOptions{Level: slog.LevelDebug}))
		l := logging.New(logging.Options{Logger: logger, Headers: true, BodyBytes: 1 << 16})
		c, err := cache.New(cache.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var texts []string
		var failing error = &url.Error{Op: "Get", URL: "https://u:" + canary + "@h/?t=" + canary, Err: io.EOF}
		origin := &plytest.Origin{Paths: map[string][]plytest.Reply{
			"/ok": {plytest.Text(`{"password":"`+canary+`"}`, "Content-Type", "application/json", "Set-Cookie", "sid="+canary, "Cache-Control", "max-age=60",
				"X-Custom", canary, "Www-Authenticate", "Bearer "+canary)},
			"/moved": {plytest.Status(302, "Location", "/ok?token="+canary)},
			"/fails": {plytest.Fail(failing)},
		}}
		hc := &http.Client{Transport: l(c.Middleware(retry.New(retry.Options{})(l(origin))))}
		for _, path := range []string{"/ok", "/ok", "/moved", "/fails"} {
			for _, method := range []string{"GET", "POST"} {
				target := "https://" + canary + ":" + canary + "@example.com" + path + "?token=" + canary + "&X-Amz-Signature=" + canary
				req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(`{"client_secret":"`+canary+`"}`))
				if err != nil {
					t.Fatal(err)
				}
				if method == "GET" {
					req.Body, req.GetBody, req.ContentLength = nil, nil, 0
				}
				for _, name := range []string{"Authorization", "Cookie", "X-Api-Key", "Proxy-Authorization", "X-Custom"} {
					req.Header.Set(name, canary)
				}
				req.Header.Set("Content-Type", "application/json")
				req.Header.Set("Referer", "https://example.com/?token="+canary)
				texts = append(texts, logging.Curl(req))
				resp, err := hc.Do(req)
				if err != nil {
					// http.Client adds the URL of the request by itself; what is below it is ours.
					texts = append(texts, err.(*url.Error).Err.Error())
					continue
				}
				texts = append(texts, resp.Header.Values("Cache-Status")...)
				readAll(resp.Body)
			}
		}
		texts = append(texts, j.String())
		for _, text := range texts {
			if i := strings.Index(text, canary); i >= 0 {
				t.Errorf("a secret in …%s…", text[max(0, i-200):min(len(text), i+100)])
			}
		}
		if strings.Count(j.String(), "\n") < 16 {
			t.Errorf("only %d records", strings.Count(j.String(), "\n"))
		}
	})
}
