package retry_test

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

func TestRetryAfterAndRateLimitReset(t *testing.T) {
	bubble(t, func(t *testing.T) {
		now := time.Now().UTC()
		at := func(d time.Duration, layout string) string { return now.Add(d).Format(layout) }
		const rfc850, asctime = "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC
		const jittered, stop = -1, -2
		for _, tt := range []struct {
			name   string
			header []string
			want   time.Duration // at least, and a tenth more at most
		}{
			{"seconds", []string{"Retry-After", "30"}, 30 * time.Second},
			{"zero", []string{"Retry-After", "0"}, jittered},
			{"white space", []string{"Retry-After", " 30 "}, 30 * time.Second},
			{"IMF-fixdate", []string{"Retry-After", at(30*time.Second, http.TimeFormat)}, 30 * time.Second},
			{"RFC 850 date", []string{"Retry-After", at(30*time.Second, rfc850)}, 30 * time.Second},
			{"asctime date", []string{"Retry-After", at(30*time.Second, asctime)}, 30 * time.Second},
			{"date by a clock ahead", []string{"Retry-After", at(5*time.Minute+30*time.Second, http.TimeFormat), "Date", at(5*time.Minute, http.TimeFormat)}, 30 * time.Second},
			{"date by a clock behind", []string{"Retry-After", at(-4*time.Minute, http.TimeFormat), "Date", at(-4*time.Minute-30*time.Second, http.TimeFormat)}, 30 * time.Second},
			{"Date of a stored response", []string{"Retry-After", at(30*time.Second, http.TimeFormat), "Date", at(-time.Hour, http.TimeFormat)}, 30 * time.Second},
			{"past date", []string{"Retry-After", at(-time.Minute, http.TimeFormat)}, jittered},
			{"ms", []string{"Retry-After-Ms", "1500", "Retry-After", "2"}, 1500 * time.Millisecond},
			{"x-ms", []string{"X-Ms-Retry-After-Ms", "1500"}, 1500 * time.Millisecond},
			{"negative", []string{"Retry-After", "-5"}, jittered},
			{"sign", []string{"Retry-After", "+5"}, jittered},
			{"fraction", []string{"Retry-After", "1.5"}, 2 * time.Second},
			{"garbage", []string{"Retry-After", "abc"}, jittered},
			{"two values", []string{"Retry-After", "10", "Retry-After", "30"}, 30 * time.Second},
			{"list", []string{"Retry-After", "10, 30"}, jittered},
			{"at the cap", []string{"Retry-After", "60"}, 60 * time.Second},
			{"over the cap", []string{"Retry-After", "61"}, stop},
			{"overflow", []string{"Retry-After", "99999999999999999999"}, stop},
			{"overflow in the middle", []string{"Retry-After", "100000000000000000000"}, stop},
			{"overflow of a duration", []string{"Retry-After", "9223372037"}, stop},
			{"year 9999", []string{"Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT"}, stop},
			{"RateLimit-Reset is opt-in", []string{"RateLimit-Reset", "30"}, jittered},
		} {
			var wait time.Duration = stop
			o := retry.Options{MaxAttempts: 2, Backoff: retry.Constant(0), OnRetry: func(_ context.Context, e retry.Event) { wait = e.Wait }}
			checkWait(t, tt.name, o, &wait, tt.header, tt.want, now)
		}
		for _, tt := range []struct {
			name   string
			header []string
			want   time.Duration
		}{
			{"delta", []string{"RateLimit-Reset", "30"}, 30 * time.Second},
			{"X- and since 1970", []string{"X-RateLimit-Reset", fmt.Sprint(now.Add(30 * time.Second).Unix())}, 30 * time.Second},
			{"since 1970 and past", []string{"X-RateLimit-Reset", fmt.Sprint(now.Add(-30 * time.Second).Unix())}, jittered},
			{"Retry-After wins", []string{"Retry-After", "7", "RateLimit-Reset", "30"}, 7 * time.Second},
		} {
			var wait time.Duration = stop
			o := retry.Options{MaxAttempts: 2, Backoff: retry.Constant(0), RateLimitReset: true, OnRetry: func(_ context.Context, e retry.Event) { wait = e.Wait }}
			checkWait(t, "opted in: "+tt.name, o, &wait, tt.header, tt.want, now)
		}
	})
}

// checkWait plays a 429 with the header at a fixed time and compares the wait that was chosen.
func checkWait(t *testing.T, name string, o retry.Options, wait *time.Duration, header []string, want time.Duration, now time.Time) {
	t.Helper()
	reply := plytest.Status(429, header...)
	if reply.Header.Get("Date") == "" {
		reply.Header["Date"] = nil
	}
	// Dates count from the start of the bubble, so each row waits on a context of its own and leaves the clock alone.
	ctx, cancel := context.WithCancel(t.Context())
	hook := o.OnRetry
	o.OnRetry = func(ctx context.Context, e retry.Event) { hook(ctx, e); cancel() }
	got, _ := call(t, o, newRequest(t, "GET").WithContext(ctx), reply)
	cancel()
	if !time.Now().Equal(now) {
		t.Fatalf("%s: time has passed", name)
	}
	switch {
	case want == -2:
		if *wait != -2 || got != (result{1, 429, retry.StopRetryAfter}) {
			t.Errorf("%s: %+v after a wait of %s, want the response back", name, got, *wait)
		}
	case want == -1:
		if *wait != 0 {
			t.Errorf("%s: wait %s, want the backoff's own", name, *wait)
		}
	case *wait < want || *wait > want+want/10:
		t.Errorf("%s: wait %s, want %s", name, *wait, want)
	}
}

func TestLongerOfBackoffAndRetryAfterIsWaited(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var wait time.Duration
		o := retry.Options{MaxAttempts: 2, Backoff: retry.Constant(time.Minute), OnRetry: func(_ context.Context, e retry.Event) { wait = e.Wait }}
		call(t, o, newRequest(t, "GET"), plytest.RetryIn(503, time.Second))
		if wait != time.Minute {
			t.Errorf("wait %s", wait)
		}
	})
}

func TestHugeRetryAfterDoesNotOverflow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		reply := plytest.Status(503, "Retry-After", "99999999999999999999")
		got, err := call(t, retry.Options{MaxRetryAfter: math.MaxInt64}, newRequest(t, "GET").WithContext(ctx), reply)
		if diff := cmp.Diff(result{1, 503, retry.StopDeadline}, got); diff != "" {
			t.Errorf("%v (-want +got)\n%s", err, diff)
		}
	})
}

// Clients that were told the same wait do not come back together: up to a tenth is added at random.
func TestRetryAfterIsJittered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var longest time.Duration
		o := retry.Options{MaxAttempts: 2, Backoff: retry.Constant(0), Budget: retry.Unlimited, OnRetry: func(_ context.Context, e retry.Event) { longest = max(longest, e.Wait) }}
		for range 200 {
			call(t, o, newRequest(t, "GET"), plytest.RetryIn(503, 10*time.Second))
		}
		if longest < 10500*time.Millisecond || longest > 11*time.Second {
			t.Errorf("the longest of many waits is %s", longest)
		}
	})
}
