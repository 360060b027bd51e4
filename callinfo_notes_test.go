package ply_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/note"
	"github.com/plyhttp/ply/plytest"
)

// What layers tell stands in the record where it happened, between the exchanges and waits of the call.
func TestNotesOfLayersAreInTheRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := func(next ply.Handler) ply.Handler {
			return ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
				start := time.Now()
				time.Sleep(2 * time.Second)
				note.Tell(req.Context(), note.Note{Layer: "gate", Event: "waited", Detail: "for a key", Start: start, Duration: time.Since(start)})
				return next.RoundTrip(req)
			})
		}
		origin := plytest.NewOrigin(plytest.Reply{Status: 503, Wait: time.Second}, plytest.Reply{Wait: time.Second})
		c := newClient(t, ply.Options{Transport: origin, Use: []ply.Middleware{retry.New(retry.Options{Backoff: retry.Constant(3 * time.Second)}), gate}})
		resp, err := c.Get(ply.WithCallInfo(t.Context()), "http://a.test/")
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		info, _ := ply.CallInfoFrom(resp)
		want := []ply.CallNote{
			{Layer: "gate", Event: "waited", Detail: "for a key", Span: ply.CallSpan{Duration: 2 * time.Second}},
			{Layer: "gate", Event: "waited", Detail: "for a key", Span: ply.CallSpan{Start: 6 * time.Second, Duration: 2 * time.Second}},
		}
		if diff := cmp.Diff(want, info.Hops[0].Notes); diff != "" {
			t.Error(diff)
		}
		var rows []string
		for line := range strings.Lines(info.String()) {
			if strings.HasPrefix(line, "  ") && !strings.HasPrefix(line, "   ") {
				rows = append(rows, strings.Join(strings.Fields(strings.TrimRight(line, " █▒░\n")), " "))
			}
		}
		wantRows := []string{
			"retry: 2 attempts",
			"gate waited for a key 0.00ms 2000.00ms",
			"attempt 1: 503 HTTP/1.1 2000.00ms 1000.00ms",
			"wait 3000.00ms 3000.00ms",
			"gate waited for a key 6000.00ms 2000.00ms",
			"attempt 2: 200 HTTP/1.1 8000.00ms 1000.00ms",
			"body, 0 bytes 9000.00ms 0.00ms",
		}
		if diff := cmp.Diff(wantRows, rows); diff != "" {
			t.Errorf("%s\n%s", diff, info)
		}
		if info.Amplification != 2 || info.Hops[0].Requests != 2 {
			t.Errorf("amplification %v of %d requests", info.Amplification, info.Hops[0].Requests)
		}
		encoded, err := json.Marshal(info)
		require.NoError(t, err)
		require.Contains(t, string(encoded), `"Event":"waited"`)
	})
}

// A copy is an exchange of the attempt that it belongs to.
func TestCopiesAreExchangesOfTheirAttempt(t *testing.T) {
	twice := func(next ply.Handler) ply.Handler {
		return ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if err == nil {
				resp.Body.Close()
			}
			return next.RoundTrip(req.WithContext(note.WithHedge(req.Context(), 1)))
		})
	}
	c := newClient(t, ply.Options{Transport: plytest.NewOrigin(plytest.Status(500), plytest.Text("ok")), Use: []ply.Middleware{retry.New(retry.Options{}), twice}})
	resp, err := c.Get(ply.WithCallInfo(t.Context()), "http://a.test/")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	info, _ := ply.CallInfoFrom(resp)
	x := info.Hops[0].Exchanges
	if len(x) != 2 || x[0].Hedge != 0 || x[1].Hedge != 1 || x[1].Attempt != 1 || info.Amplification != 2 {
		t.Errorf("%+v", x)
	}
	for _, want := range []string{"retry: 1 attempt, 2 requests", "attempt 1, copy 1: 200"} {
		require.Contains(t, info.String(), want)
	}
}
