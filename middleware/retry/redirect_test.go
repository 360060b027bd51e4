package retry_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

func TestRedirectHopsShareMaxAttempts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		origin := &plytest.Origin{Paths: map[string][]plytest.Reply{
			"/a": {plytest.Status(503), plytest.Status(307, "Location", "/b")},
			"/b": {plytest.Status(503), plytest.Status(307, "Location", "/c")},
			"/c": {plytest.Status(503)},
		}}
		hc := &http.Client{Transport: retry.New(retry.Options{Backoff: retry.Constant(time.Second), MaxElapsed: time.Hour})(origin)}
		resp, err := hc.Get("http://example.com/a")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		info, _ := retry.InfoFrom(resp)
		// Two retries for the whole call: one for /a, one for /b, none for /c.
		if origin.Count() != 5 || info.Stop != retry.StopAttempts || info.Earlier != 4 || info.Resends() != 4 || len(info.Attempts) != 1 {
			t.Errorf("%d requests, %+v", origin.Count(), info)
		}
	})
}

func TestRedirectHopsShareMaxElapsed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		origin := &plytest.Origin{Latency: time.Second, Paths: map[string][]plytest.Reply{
			"/a": {plytest.Status(307, "Location", "/b")},
			"/b": {plytest.Status(503)},
		}}
		hc := &http.Client{Transport: retry.New(retry.Options{Backoff: retry.Constant(0), MaxElapsed: 1500 * time.Millisecond})(origin)}
		resp, err := hc.Get("http://example.com/a")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if info, _ := retry.InfoFrom(resp); info.Stop != retry.StopDeadline || origin.Count() != 2 {
			t.Errorf("%d requests, %+v", origin.Count(), info)
		}
	})
}

func TestInfoCountsRetriesOfAllHops(t *testing.T) {
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
