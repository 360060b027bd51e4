package logging_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

func TestRedirectsCountAsResends(t *testing.T) {
	var j journal
	origin := &plytest.Origin{Paths: map[string][]plytest.Reply{"/a": {plytest.Status(302, "Location", "/b")}, "/b": {plytest.Status(302, "Location", "/c")}}}
	hc := &http.Client{Transport: logging.New(logging.Options{Logger: j.logger()})(origin)}
	resp, err := hc.Get("http://example.com/a")
	if err != nil {
		t.Fatal(err)
	}
	testutil.ReadAll(resp.Body)
	lines := strings.Split(strings.TrimSpace(j.String()), "\n")
	for i, want := range []string{"", "resend_count=1", "resend_count=2"} {
		if len(lines) != 3 || !strings.Contains(lines[i], want) || want == "" && strings.Contains(lines[i], "resend") {
			t.Errorf("log %s", &j)
		}
	}
}

// A cache between the logger and the retry layer answers with a response of its own.
func TestRetriesBelowACacheAreLogged(t *testing.T) {
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
				testutil.ReadAll(resp.Body)
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
func TestFinishedCallDoesNotMarkLaterRequestsAsAttempts(t *testing.T) {
	var j journal
	l := logging.New(logging.Options{Logger: j.logger()})
	resp, err := retry.New(retry.Options{})(plytest.NewOrigin(plytest.Text("hello"))).RoundTrip(newRequest(t, t.Context(), "PUT", ""))
	if err != nil {
		t.Fatal(err)
	}
	testutil.ReadAll(resp.Body)
	resp, err = l(plytest.NewOrigin(plytest.Text("hello"))).RoundTrip(newRequest(t, resp.Request.Context(), "PUT", ""))
	if err != nil {
		t.Fatal(err)
	}
	testutil.ReadAll(resp.Body)
	if !strings.Contains(j.String(), `msg="http call"`) {
		t.Errorf("log %s", &j)
	}
}

func TestRecordOutsideAndInsideRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		l := logging.New(logging.Options{Logger: j.logger()})
		origin := plytest.NewOrigin(plytest.Status(503), plytest.ResetConnection(), plytest.Text("hello"))
		h := l(retry.New(retry.Options{Backoff: retry.Constant(time.Second)})(l(origin)))
		resp, err := h.RoundTrip(newRequest(t, t.Context(), "PUT", "abc"))
		if err != nil {
			t.Fatal(err)
		}
		testutil.ReadAll(resp.Body)
		var got []string
		for line := range strings.Lines(j.String()) {
			got = append(got, keep(line, "level", "msg", "http.response.status_code", "error.type", "attempt", "http.request.resend_count"))
		}
		want := []string{
			`level=WARN msg="http attempt" http.response.status_code=503 error.type=503 attempt=1`,
			`level=WARN msg="http attempt" error.type=connection_reset http.request.resend_count=1 attempt=2`,
			`level=DEBUG msg="http attempt" http.response.status_code=200 http.request.resend_count=2 attempt=3`,
			`level=INFO msg="http call" http.response.status_code=200 http.request.resend_count=2`,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

func TestRetryStopIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		h := logging.New(logging.Options{Logger: j.logger()})(retry.New(retry.Options{})(plytest.NewOrigin(plytest.ResetConnection())))
		if _, err := h.RoundTrip(newRequest(t, t.Context(), "PUT", "abc")); err == nil {
			t.Fatal("no error")
		}
		for _, part := range []string{"level=ERROR", "retry.stop=attempts", "http.request.resend_count=2", "error.type=connection_reset"} {
			if !strings.Contains(j.String(), part) {
				t.Errorf("no %s in %s", part, &j)
			}
		}
		if strings.Contains(j.String(), "hush") || strings.Contains(j.String(), "pass@") {
			t.Errorf("a secret in %s", &j)
		}
	})
}

// The layers below may send a request body several times. The record has it once, as far as it was sent.
func TestBodyThatIsSentAgainIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			read [3]int // of each attempt; the last one succeeds
			want string
		}{
			{[3]int{0, 0, 7}, "http.request.body.size=7 request.body=payload"},
			{[3]int{7, 7, 7}, "http.request.body.size=7 request.body=payload"},
			{[3]int{3, 5, 0}, "http.request.body.size=5 request.body=paylo"},
		} {
			var j journal
			attempt := 0
			next := testutil.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
				io.ReadFull(req.Body, make([]byte, tt.read[attempt]))
				req.Body.Close()
				if attempt++; attempt < 3 {
					return nil, io.ErrUnexpectedEOF
				}
				return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
			})
			req := newRequest(t, t.Context(), "PUT", "payload")
			req.Header.Set("Content-Type", "text/plain")
			if _, err := logging.New(logging.Options{Logger: j.logger(), BodyBytes: 100})(retry.New(retry.Options{})(next)).RoundTrip(req); err != nil {
				t.Fatal(err)
			}
			if got := keep(j.String(), "http.request.body.size", "request.body"); got != tt.want {
				t.Errorf("after %v: got %s, want %s", tt.read, got, tt.want)
			}
		}
	})
}

// A request for the rest of a download is an attempt, although its call has stopped before.
func TestResumedDownloadIsLoggedAsAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		l := logging.New(logging.Options{Logger: j.logger()})
		whole := plytest.Text("0123456789", "Etag", `"1"`, "Accept-Ranges", "bytes")
		whole.Fault = plytest.CutAfter(4)
		rest := plytest.Reply{Status: 206, Body: "456789", Header: http.Header{"Etag": {`"1"`}, "Content-Range": {"bytes 4-9/10"}}}
		h := l(retry.New(retry.Options{Resume: 1})(l(plytest.NewOrigin(whole, rest))))
		req := newRequest(t, t.Context(), "GET", "")
		req.Body = nil
		resp, err := h.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		testutil.ReadAll(resp.Body)
		resp.Body.Close()
		var got []string
		for line := range strings.Lines(j.String()) {
			got = append(got, keep(line, "level", "msg", "http.response.status_code", "http.request.resend_count", "attempt", "attempts"))
		}
		want := []string{
			`level=WARN msg="http attempt" http.response.status_code=200 attempt=1`,
			`level=DEBUG msg="http attempt" http.response.status_code=206 http.request.resend_count=1 attempt=2`,
			`level=INFO msg="http call" http.response.status_code=200 http.request.resend_count=1 attempts="[eof`,
		}
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}
