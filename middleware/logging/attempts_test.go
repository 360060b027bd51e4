package logging_test

import (
	"net/http"
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
