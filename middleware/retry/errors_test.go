package retry_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/redact"
)

func TestLastResponseIsReturnedIntact(t *testing.T) {
	bubble(t, func(t *testing.T) {
		origin := plytest.NewOrigin(plytest.Reply{Status: 503, Body: "first"}, plytest.Reply{Status: 503, Body: "second"},
			plytest.Reply{Status: 502, Body: "third", Header: http.Header{"X": {"y"}}})
		resp, err := do(t, retry.Options{}, origin, newRequest(t, "GET"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); string(body) != "third" || err != nil || resp.StatusCode != 502 || resp.Header.Get("X") != "y" {
			t.Errorf("got %d %q, %v", resp.StatusCode, body, err)
		}
	})
}

func TestErrorListsAllAttempts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		origin := plytest.NewOrigin(plytest.Status(503), plytest.Refuse(), plytest.ResetConnection())
		_, err := do(t, retry.Options{Backoff: retry.Constant(time.Second)}, origin, newRequest(t, "GET"))
		var e *retry.Error
		if !errors.As(err, &e) {
			t.Fatal(err)
		}
		const want = "retry: GET http://example.com/path?token=REDACTED: 3 attempts in 2s (attempts): read tcp: read: connection reset by peer"
		if diff := cmp.Diff(want, err.Error()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		o := retry.Options{MaxAttempts: 1, Redactor: &redact.Redactor{Path: func(string) string { return "/…" }}}
		if _, err := do(t, o, plytest.NewOrigin(plytest.ResetConnection()), newRequest(t, "GET")); !strings.Contains(err.Error(), "http://example.com/…?token=REDACTED") {
			t.Errorf("the redactor is not asked: %v", err)
		}
		type row struct {
			Status       int
			Failed       bool
			Unsent       bool
			Wait, Passed time.Duration
		}
		var got []row
		for _, a := range e.Attempts {
			got = append(got, row{a.Status, a.Err != nil, a.Unsent, a.Wait, a.Duration})
		}
		if diff := cmp.Diff([]row{{503, false, false, 0, 0}, {0, true, true, time.Second, 0}, {0, true, false, time.Second, 0}}, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if !errors.Is(err, syscall.ECONNRESET) || errors.Is(err, context.DeadlineExceeded) || !e.OriginUnavailable() || e.Timeout() {
			t.Errorf("%#v", e)
		}
	})
}

func TestOriginUnavailableByError(t *testing.T) {
	bubble(t, func(t *testing.T) {
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		for _, tt := range []struct {
			name  string
			req   *http.Request
			reply plytest.Reply
			want  bool
		}{
			{"refused", newRequest(t, "GET"), plytest.Refuse(), true},
			{"lost", newRequest(t, "POST"), plytest.ResetConnection(), true},
			{"timeout", newRequest(t, "GET"), plytest.Fail(timeoutErr{}), true},
			{"certificate", newRequest(t, "GET"), plytest.BadCertificate(), false},
			{"no such host", newRequest(t, "GET"), plytest.NoSuchHost(), true},
			{"unknown", newRequest(t, "GET"), plytest.Fail(errors.New("x")), true},
			{"refused by a guard", newRequest(t, "GET"), plytest.Fail(verdict(false)), false},
			{"cancelled", newRequest(t, "GET").WithContext(canceled), plytest.Refuse(), false},
			{"a layer inside says so", newRequest(t, "GET"), plytest.Fail(down(true)), true},
			{"a layer inside says no", newRequest(t, "GET"), plytest.Fail(down(false)), false},
		} {
			_, err := call(t, retry.Options{}, tt.req, tt.reply)
			var e *retry.Error
			if !errors.As(err, &e) || e.OriginUnavailable() != tt.want {
				t.Errorf("%s: %v, want unavailable %v", tt.name, err, tt.want)
			}
		}
	})
}

// The origin was down, but the caller gave up before that was certain.
func TestCanceledCallIsNotOriginUnavailable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		first, second := &closes{Reader: strings.NewReader("a")}, &closes{Reader: strings.NewReader("a")}
		req := newRequest(t, "PUT").WithContext(ctx)
		req.Body, req.GetBody = first, func() (io.ReadCloser, error) { return second, nil }
		o := retry.Options{Backoff: retry.Constant(time.Minute), OnRetry: func(context.Context, retry.Event) { time.AfterFunc(time.Second, cancel) }}
		_, err := call(t, o, req, plytest.Refuse())
		var e *retry.Error
		if !errors.As(err, &e) || e.Stop != retry.StopCanceled || e.OriginUnavailable() || !errors.Is(err, context.Canceled) || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%v", err)
		}
		if first.n != 1 || second.n != 1 {
			t.Errorf("bodies closed %d and %d times", first.n, second.n)
		}
	})
}
