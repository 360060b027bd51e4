package retry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

func TestInfoOfEachResponse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var below []int
		origin := plytest.NewOrigin(plytest.Status(503), plytest.Text("hello"))
		spy := testutil.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
			info, ok := retry.InfoFromContext(req.Context())
			if !ok || info.Stop != "" {
				t.Errorf("info below the layer: %+v, %v", info, ok)
			}
			below = append(below, len(info.Attempts)+1)
			time.Sleep(time.Second)
			return origin.RoundTrip(req)
		})
		hc := &http.Client{Transport: retry.New(retry.Options{Backoff: retry.Constant(3 * time.Second), AttemptHeader: "X-Attempt"})(spy)}
		resp, err := hc.Get("http://example.com/")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		info, ok := retry.InfoFrom(resp)
		want := retry.Info{
			Attempts: []retry.Outcome{{Status: 503, Duration: time.Second}, {Status: 200, Wait: 3 * time.Second, Duration: time.Second}},
			Max:      3,
			Stop:     retry.StopDone,
		}
		if diff := cmp.Diff(want, info); diff != "" || !ok {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if diff := cmp.Diff([]int{1, 2}, below); diff != "" {
			t.Errorf("numbers below (-want +got)\n%s", diff)
		}
		var sent []string
		for _, x := range origin.Exchanges() {
			sent = append(sent, x.Header.Get("X-Attempt"))
		}
		if diff := cmp.Diff([]string{"", "2"}, sent); diff != "" {
			t.Errorf("attempt header (-want +got)\n%s", diff)
		}
		if _, ok := retry.InfoFrom(&http.Response{}); ok {
			t.Error("a response from nowhere has info")
		}
		if _, ok := retry.InfoFrom(nil); ok {
			t.Error("nil has info")
		}
	})
}

// A cache outside of retry answers with a response that knows nothing of attempts, and a failed call leaves no response.
func TestWithInfoSeesEachCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := cache.New(cache.Options{})
		require.NoError(t, err)
		defer c.Close()
		origin := plytest.NewOrigin(plytest.Status(503), plytest.Text("hello", "Cache-Control", "max-age=60"), plytest.Fail(errors.New("broken")))
		hc := &http.Client{Transport: c.Middleware(retry.New(retry.Options{})(origin))}
		for _, want := range []struct {
			url      string
			known    bool
			attempts int
			stop     retry.Stop
		}{
			{"http://a.test/1", true, 2, retry.StopDone},
			{"http://a.test/1", false, 0, ""}, // a hit
			{"http://a.test/2", true, 1, retry.StopFatal},
		} {
			ctx, info := retry.WithInfo(t.Context())
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, want.url, nil)
			if resp, err := hc.Do(req); err == nil {
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			got, known := info()
			if known != want.known || len(got.Attempts) != want.attempts || got.Stop != want.stop {
				t.Errorf("%s: %+v, %v; want %+v", want.url, got, known, want)
			}
		}
	})
}

func ExampleWithInfo() {
	client := &http.Client{Transport: retry.New(retry.Options{MaxAttempts: 2, Backoff: retry.Constant(0)})(plytest.NewOrigin(plytest.ResetConnection()))}
	ctx, info := retry.WithInfo(context.Background())
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "https://example.com/", nil)
	if _, err := client.Do(req); err != nil {
		i, _ := info()
		fmt.Println(len(i.Attempts), "attempts, stopped for", i.Stop)
	}
	// Output:
	// 2 attempts, stopped for attempts
}
