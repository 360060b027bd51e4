package ply_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

// withToken is a layer that fetches a token before each request, by the same way, and then waits for its turn.
func withToken(wait time.Duration) ply.Middleware {
	return func(next http.RoundTripper) http.RoundTripper {
		return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			fetch, err := http.NewRequestWithContext(r.Context(), http.MethodPost, "http://a.test/token", nil)
			if err != nil {
				return nil, err
			}
			resp, err := next.RoundTrip(fetch)
			if err != nil {
				return nil, err
			}
			resp.Body.Close()
			select {
			case <-time.After(wait):
				return next.RoundTrip(r)
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		})
	}
}

// ends tells of each exchange how it ended.
func ends(h ply.CallHop) (ends []string) {
	for _, x := range h.Exchanges {
		end := http.StatusText(x.Status)
		if x.Err != nil {
			end += "!"
		}
		ends = append(ends, end)
	}
	return ends
}

// An attempt has several exchanges where a layer below asks for something else: its error belongs to the one that had it.
func TestAnErrorBelongsToTheExchangeThatHadIt(t *testing.T) {
	tests := []struct {
		name  string
		paths map[string][]plytest.Reply
		layer ply.Middleware
		want  []string
	}{
		{"after the token, while waiting for a turn", map[string][]plytest.Reply{"/token": {plytest.Status(200)}}, withToken(time.Hour), []string{"OK", "!"}},
		{"the token", map[string][]plytest.Reply{"/token": {plytest.Stall()}}, withToken(0), []string{"!"}},
		{"after the token, the request itself", map[string][]plytest.Reply{"/token": {plytest.Status(200)}, "/": {plytest.Stall()}}, withToken(0), []string{"OK", "!"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, ply.Options{Transport: &plytest.Origin{Paths: tt.paths}, Use: []ply.Middleware{retry.New(retry.Options{}), tt.layer}, Timeouts: ply.Timeouts{Total: time.Second}})
				ctx := ply.WithCallInfo(t.Context())
				_, err := c.Get(ctx, "http://a.test/")
				require.Error(t, err)
				i, _ := ply.CallInfoFromContext(ctx)
				require.Equal(t, tt.want, ends(i.Hops[0]), "%s", i)
				require.Equal(t, time.Second, i.Hops[0].Header.Duration)
			})
		})
	}
}

// The body that broke is that of the answer, not of the 401 before it.
func TestABrokenBodyBelongsToItsExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		again := func(next http.RoundTripper) http.RoundTripper {
			return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
				resp, err := next.RoundTrip(r)
				if err != nil || resp.StatusCode != http.StatusUnauthorized {
					return resp, err
				}
				resp.Body.Close()
				return next.RoundTrip(r)
			})
		}
		header := []string{"ETag", `"1"`, "Accept-Ranges", "bytes", "Content-Type", "text/plain"}
		broken := plytest.Text("0123456789", header...)
		broken.Fault = plytest.CutAfter(4)
		rest := plytest.Status(206, "ETag", `"1"`, "Content-Range", "bytes 4-9/10")
		rest.Body = "456789"
		c := newClient(t, ply.Options{
			Transport: plytest.NewOrigin(plytest.Status(401), broken, rest),
			Use:       []ply.Middleware{retry.New(retry.Options{Resume: 1}), again},
		})
		i := recorded(t, c, "http://a.test/")
		require.Equal(t, []string{"Unauthorized", "OK!", "Partial Content"}, ends(i.Hops[0]), "%s", i)
	})
}

// What a layer of others takes is in the record, though it has no name there.
func TestTheTimeOfLayersIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := func(next http.RoundTripper) http.RoundTripper {
			return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
				time.Sleep(3 * time.Second)
				resp, err := next.RoundTrip(r)
				time.Sleep(5 * time.Second)
				return resp, err
			})
		}
		i := recorded(t, newClient(t, ply.Options{Transport: plytest.NewOrigin(plytest.Status(503), plytest.Text("ok")), Use: []ply.Middleware{retry.New(retry.Options{Backoff: retry.Constant(time.Second)}), limit}}), "http://a.test/")
		for _, row := range []string{
			"in layers 0.00ms 3000.00ms", "attempt 1: 503 HTTP/1.1 3000.00ms 0.00ms",
			"wait 3000.00ms 1000.00ms", "in layers 4000.00ms 8000.00ms", "attempt 2: 200 HTTP/1.1 12000.00ms 0.00ms",
			"in layers 12000.00ms 5000.00ms",
		} {
			if !strings.Contains(strings.Join(strings.Fields(i.String()), " "), row) {
				t.Errorf("no %q in\n%s", row, i)
			}
		}
	})
}

// The total timeout may strike while retry waits: then the error says both, with the attempts, and the record does not speak of a caller who has gone.
func TestTheTotalTimeoutWhileRetryWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, ply.Options{
			Transport: plytest.NewOrigin(plytest.Refuse()),
			Use: []ply.Middleware{retry.New(retry.Options{
				Backoff: retry.Constant(500 * time.Millisecond),
				OnRetry: func(context.Context, retry.Event) { time.Sleep(700 * time.Millisecond) }, // or the wait would not begin
			})},
			Timeouts: ply.Timeouts{Total: time.Second},
		})
		ctx := ply.WithCallInfo(t.Context())
		_, err := c.Get(ctx, "http://a.test/")
		var total *ply.TimeoutError
		var failed *retry.Error
		if !errors.As(err, &total) || total.Phase != ply.PhaseTotal || !errors.As(err, &failed) || len(failed.Attempts) != 1 || failed.Stop != retry.StopDeadline {
			t.Errorf("got %v", err)
		}
		if errors.Is(err, context.Canceled) || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("got %v", err)
		}
		i, _ := ply.CallInfoFromContext(ctx)
		if h := i.Hops[0]; h.Stop != "deadline" || i.Total != time.Second {
			t.Errorf("got\n%s", i)
		}
	})
}
