package retry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

func TestABucketCounts(t *testing.T) {
	b := &retry.TokenBucket{Capacity: 10, RetryCost: 5, Floor: 1}
	failed := retry.Outcome{Status: 503}
	for range 5 { // two are paid for, one comes from the floor, two are refused
		b.Allow("a", failed)
	}
	b.Allow("b", failed)
	if diff := cmp.Diff(retry.BudgetStats{Granted: 4, Refused: 2, InTrouble: 2, Empty: 1}, b.Stats()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for range 10 {
		b.Success("a")
	}
	if s := b.Stats(); s.InTrouble != 1 || s.Empty != 0 {
		t.Errorf("after recovery %+v", s)
	}
	if s := (&retry.TokenBucket{}).Stats(); s != (retry.BudgetStats{}) {
		t.Errorf("without any call %+v", s)
	}
}

// A cache outside of retry answers with a response that knows nothing of attempts, and a failed call leaves no response.
func TestWithInfoHearsOfEveryCall(t *testing.T) {
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

func TestRetriesOfAllHopsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := &plytest.Origin{Paths: map[string][]plytest.Reply{
			"/a": {plytest.Status(503), plytest.Status(302, "Location", "/b")}, "/b": {plytest.Status(503), plytest.Text("hello")},
		}}
		hc := &http.Client{Transport: retry.New(retry.Options{})(origin)}
		ctx, info := retry.WithInfo(t.Context())
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://a.test/a", nil)
		resp, err := hc.Do(req)
		require.NoError(t, err)
		resp.Body.Close()
		if i, _ := info(); i.Retries() != 2 || i.Resends() != 3 || i.Earlier != 2 {
			t.Errorf("%d retries, %d resends, %+v", i.Retries(), i.Resends(), i)
		}
	})
}
