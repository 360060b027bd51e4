package retry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

func TestWaitThatDoesNotFitTheDeadlineStops(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, tt := range []struct {
			name   string
			within time.Duration
			o      retry.Options
			want   int
		}{
			{"deadline far away", time.Hour, retry.Options{}, 3},
			{"wait does not fit", 1500 * time.Millisecond, retry.Options{}, 1},
			{"wait ends with the deadline", 2 * time.Second, retry.Options{}, 1},
			{"one wait fits", 3 * time.Second, retry.Options{}, 2},
			{"too little would be left", 3 * time.Second, retry.Options{MinAttemptTime: time.Second}, 1},
			{"MaxElapsed", time.Hour, retry.Options{MaxElapsed: 3 * time.Second}, 2},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), tt.within)
			defer cancel()
			tt.o.Backoff = retry.Constant(2 * time.Second)
			stop := retry.StopDeadline
			if tt.want == 3 {
				stop = retry.StopAttempts
			}
			start := time.Now()
			got, err := call(t, tt.o, newRequest(t, "GET").WithContext(ctx), plytest.Status(500))
			if diff := cmp.Diff(result{tt.want, 500, stop}, got); diff != "" || err != nil {
				t.Errorf("%s (-want +got)\n%s%v", tt.name, diff, err)
			}
			if took := time.Since(start); took != time.Duration(tt.want-1)*2*time.Second {
				t.Errorf("%s: took %s", tt.name, took)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := call(t, retry.Options{Backoff: retry.Constant(time.Minute)}, newRequest(t, "GET").WithContext(ctx), plytest.ResetConnection())
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the error does not match both reasons: %v", err)
		}
	})
}

// A header that comes at the moment of the timeout counts or does not: a response whose context is about to end is neither.
func TestHeaderAtTheMomentOfTheTimeout(t *testing.T) {
	for range 100 {
		bubble(t, func(t *testing.T) {
			next := testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
				time.Sleep(time.Second)
				return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("x")), Request: r}, nil
			})
			resp, err := do(t, retry.Options{MaxAttempts: 1, AttemptTimeout: time.Second}, next, newRequest(t, "GET"))
			synctest.Wait()
			if err == nil && resp.Request.Context().Err() != nil || err != nil && !errors.Is(err, retry.ErrAttemptTimeout) {
				t.Fatalf("%v, %v", resp, err)
			}
		})
	}
}

func TestAttemptTimeoutIsToldFromTheCallersDeadline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := retry.Options{AttemptTimeout: time.Second, Backoff: retry.Constant(0)}
		resp, err := do(t, o, plytest.NewOrigin(plytest.Stall(), plytest.Text("hello")), newRequest(t, "GET"))
		if err != nil {
			t.Fatal(err)
		}
		info, _ := retry.InfoFrom(resp)
		if first := info.Attempts[0]; first.Err != retry.ErrAttemptTimeout || !first.Timeout || first.Duration != time.Second {
			t.Errorf("first attempt: %+v", first)
		}
		time.Sleep(time.Hour) // the time for the header must not count for the body
		if body, err := io.ReadAll(resp.Body); string(body) != "hello" || err != nil {
			t.Errorf("body %q, %v", body, err)
		}
		resp.Body.Close()

		_, err = do(t, o, plytest.NewOrigin(plytest.Stall()), newRequest(t, "GET"))
		if !errors.Is(err, retry.ErrAttemptTimeout) || !errors.Is(err, context.DeadlineExceeded) || stopOf(t, err) != retry.StopAttempts {
			t.Errorf("after three timeouts: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err = do(t, o, plytest.NewOrigin(plytest.Stall()), newRequest(t, "GET").WithContext(ctx))
		if errors.Is(err, retry.ErrAttemptTimeout) || !errors.Is(err, context.DeadlineExceeded) || stopOf(t, err) != retry.StopDeadline {
			t.Errorf("after the caller's own deadline: %v", err)
		}
	})
}

// The context of an attempt ends with the body of its response, and not before.
func TestAttemptContextLivesUntilTheBodyEnds(t *testing.T) {
	for _, tt := range []struct {
		name string
		use  func(io.ReadCloser)
	}{
		{"read", func(b io.ReadCloser) { io.Copy(io.Discard, b) }},
		{"closed", func(b io.ReadCloser) { b.Close() }},
	} {
		var attempt context.Context
		origin := testutil.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
			attempt = req.Context()
			return plytest.NewOrigin(plytest.Text("hello")).RoundTrip(req)
		})
		resp, err := do(t, retry.Options{AttemptTimeout: time.Hour}, origin, newRequest(t, "GET"))
		if err != nil || attempt.Err() != nil {
			t.Fatalf("%s: %v, context %v", tt.name, err, attempt.Err())
		}
		tt.use(resp.Body)
		if attempt.Err() == nil {
			t.Errorf("%s: the context is still alive", tt.name)
		}
		resp.Body.Close()
	}
}

func TestAttemptContextEndsWithAnEmptyBody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		next := testutil.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 204, Body: http.NoBody, Request: req}, nil
		})
		resp, err := do(t, retry.Options{AttemptTimeout: time.Second}, next, newRequest(t, "GET"))
		if err != nil || resp.Body != http.NoBody || resp.Request.Context().Err() == nil {
			t.Errorf("%+v, %v", resp, err)
		}
	})
}

func TestBodyTimeoutBoundsEachRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := retry.Options{BodyTimeout: time.Second}
		origin := plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for range 10 {
				time.Sleep(900 * time.Millisecond)
				w.Write([]byte("x"))
				w.(http.Flusher).Flush()
			}
		}))
		resp, err := do(t, o, origin, newRequest(t, "GET"))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			time.Sleep(time.Minute) // a slow reader is not a slow server
			if _, err := resp.Body.Read(make([]byte, 1)); err != nil {
				t.Error(err)
			}
		}
		if body, err := io.ReadAll(resp.Body); len(body) != 8 || err != nil {
			t.Errorf("a steady body: %q, %v", body, err)
		}
		resp.Body.Close()

		resp, err = do(t, o, plytest.NewOrigin(plytest.Reply{Body: "hello", Fault: plytest.StallAfter(2)}), newRequest(t, "GET"))
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); string(body) != "he" || !errors.Is(err, retry.ErrBodyTimeout) {
			t.Errorf("a stalled body: %q, %v", body, err)
		}
		resp.Body.Close()
	})
}

// Policies and limiters of others have timeouts that do not say Timeout.
func TestTimeoutsKnownByTheirText(t *testing.T) {
	bubble(t, func(t *testing.T) {
		exceeded := plytest.Fail(fmt.Errorf("policy: %w", errors.New("timeout exceeded")))
		got, err := call(t, retry.Options{}, newRequest(t, "GET"), exceeded, exceeded, exceeded)
		if diff := cmp.Diff(result{3, 0, retry.StopAttempts}, got); diff != "" {
			t.Error(diff)
		}
		var failed *retry.Error
		if errors.As(err, &failed); !failed.Attempts[0].Timeout {
			t.Error("the outcome is no timeout")
		}
		got, _ = call(t, retry.Options{}, newRequest(t, "POST"), exceeded)
		if diff := cmp.Diff(result{1, 0, retry.StopMethod}, got); diff != "" {
			t.Error(diff)
		}
		noTimeLeft := plytest.Fail(fmt.Errorf("limit: %w", errors.New("rate: Wait(n=1) would exceed context deadline")))
		got, err = call(t, retry.Options{}, newRequest(t, "GET"), noTimeLeft)
		if diff := cmp.Diff(result{1, 0, retry.StopDeadline}, got); diff != "" {
			t.Error(diff)
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v is no deadline", err)
		}
	})
}
