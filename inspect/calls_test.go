package inspect_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/inspect"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

func newCache(t testing.TB, o cache.Options) *cache.Cache {
	t.Helper()
	c, err := cache.New(o)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func TestEachCallHasTheOutcomeOfItsCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, cache.Options{})
		in := newInspector(t, inspect.Options{Cache: c})
		origin := &plytest.Origin{Paths: map[string][]plytest.Reply{
			"/fresh":  {plytest.Text("a", "Cache-Control", "max-age=60")},
			"/etag":   {plytest.Text("b", "Cache-Control", "no-cache", "Etag", `"1"`), plytest.Status(304, "Etag", `"1"`)},
			"/swr":    {plytest.Text("c", "Cache-Control", "max-age=1, stale-while-revalidate=600")},
			"/never":  {plytest.Text("d", "Cache-Control", "no-store")},
			"/broken": {plytest.ResetConnection()},
		}}
		client := newClient(t, ply.Options{BaseURL: "http://a.test", Transport: origin, Use: []ply.Middleware{in.Middleware, c.Middleware}})
		for _, path := range []string{"/fresh", "/fresh", "/etag", "/etag", "/swr", "/never"} {
			fetch(t, client, path)
		}
		time.Sleep(2 * time.Second)
		fetch(t, client, "/swr")
		synctest.Wait()
		fetch(t, client, "/fresh", ply.SetHeader("Cache-Control", "no-store"))
		_, err := client.Get(t.Context(), "/broken")
		require.Error(t, err)
		require.NoError(t, ply.Discard(ply.AnyStatus(client.Get(t.Context(), "/none", ply.SetHeader("Cache-Control", "only-if-cached")))))

		var got []string
		for _, c := range calls(t, in) {
			got = append(got, fmt.Sprintf("%s %s %d %s", strings.TrimPrefix(c.URL, "http://a.test"), c.Outcome, c.Status, c.Reason))
		}
		want := []string{
			"/fresh miss 200 uri-miss", "/fresh hit 200 ", "/etag miss 200 uri-miss", "/etag revalidated 200 no-cache", "/swr miss 200 uri-miss",
			"/never miss 200 not stored: no-store", "/swr stale 200 stale-while-revalidate", "/fresh bypassed 200 request no-store", "/broken error 0 ",
			"/none refused 504 only-if-cached, nothing stored",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

func TestCollapsedCallIsShownAsCollapsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, cache.Options{})
		in := newInspector(t, inspect.Options{})
		origin := plytest.NewOrigin(plytest.Reply{Body: "a", Header: http.Header{"Cache-Control": {"max-age=60"}}, Wait: time.Second})
		client := newClient(t, ply.Options{BaseURL: "http://a.test", Transport: origin, Use: []ply.Middleware{in.Middleware, c.Middleware}})
		go fetch(t, client, "/")
		synctest.Wait()
		pending := calls(t, in)
		require.Equal(t, "pending", pending[0].Outcome)
		require.True(t, pending[0].Open)
		fetch(t, client, "/")
		synctest.Wait()
		got := calls(t, in)
		require.ElementsMatch(t, []string{"miss", "collapsed"}, []string{got[0].Outcome, got[1].Outcome})
	})
}

func TestDetailHasHopsAttemptsWaitsBodiesAndReasons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, cache.Options{})
		in := newInspector(t, inspect.Options{Cache: c})
		origin := &plytest.Origin{Paths: map[string][]plytest.Reply{
			"/old": {plytest.Status(http.StatusTemporaryRedirect, "Location", "/new")},
			"/new": {plytest.Status(503), plytest.Text(`{"name":"x","token":"c4nary"}`, "Cache-Control", "max-age=60", "Content-Type", "application/json")},
		}}
		client := newClient(t, ply.Options{
			BaseURL: "http://a.test", Transport: origin,
			Use: []ply.Middleware{in.Middleware, c.Middleware, retry.New(retry.Options{Backoff: retry.Constant(time.Second)})},
		})
		resp, err := client.Put(t.Context(), "/old", ply.BodyJSON(map[string]string{"password": "c4nary", "user": "u"}))
		require.NoError(t, err)
		discard(resp)

		all := calls(t, in)
		require.Len(t, all, 1)
		got := get[call](t, in, fmt.Sprintf("calls/%d", all[0].ID))
		require.Equal(t, []any{2, 3, 200, false, 1000.0}, []any{got.Hops, got.Attempts, got.Status, got.Open, got.WaitMs})
		require.Equal(t, 1000.0, got.DurationMs)
		require.Equal(t, []string{"cache bypassed", "retry 2 attempts"}, got.Layers)
		require.Len(t, got.HopList, 2)
		old, last := got.HopList[0], got.HopList[1]
		require.Equal(t, []any{"http://a.test/old", 307, 1}, []any{old.URL, old.Status, len(old.Exchanges)})
		require.Equal(t, []any{"http://a.test/new", 200, 2, 1000.0}, []any{last.URL, last.Status, len(last.Exchanges), last.Exchanges[1].WaitMs})
		require.Equal(t, `{"password":"REDACTED","user":"u"}`, last.Request.Body.Text)
		require.Contains(t, last.Response.Body.Text, `"token":"REDACTED"`)
		require.False(t, last.Response.Body.Truncated)
		require.Empty(t, got.Incomplete)
		require.Contains(t, got.Waterfall, "PUT http://a.test/old")
		require.Equal(t, []struct{ Name string }{{"cache"}, {"retry"}, {got.Chain[2].Name}}, got.Chain)
		require.Contains(t, got.Why, reason{0, "cache", "No stored response may answer this method.", "RFC 9111 §4, RFC 9110 §9.2.3", "https://www.rfc-editor.org/rfc/rfc9111#section-4"})
		require.Contains(t, got.Why, reason{Hop: 1, Layer: "retry", Text: "2 attempts were made."})
	})
}

func TestFailedCallSaysWhyRetryStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newInspector(t, inspect.Options{})
		client := newClient(t, ply.Options{BaseURL: "http://a.test", Transport: plytest.NewOrigin(plytest.ResetConnection()), Use: []ply.Middleware{in.Middleware, retry.New(retry.Options{})}})
		_, err := client.Get(t.Context(), "/?token=c4nary")
		require.Error(t, err)
		got := get[call](t, in, "calls/1")
		require.Equal(t, []any{"error", 0, "http://a.test/?token=REDACTED"}, []any{got.Outcome, got.Status, got.URL})
		require.NotEmpty(t, got.Error)
		require.Contains(t, got.Why, reason{Layer: "retry", Text: "3 attempts were made. No further one: there were as many as are allowed.", Section: "retry.Options.MaxAttempts"})
	})
}

// What the caller does not read, the inspector does not read either, and a body that is open is shown as far as it has come.
func TestOpenBodyIsShownAsFarAsItWasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newInspector(t, inspect.Options{MaxBodyBytes: 8})
		client := newClient(t, ply.Options{BaseURL: "http://a.test", Transport: plytest.NewOrigin(plytest.Text("hello, wörld", "Content-Type", "text/plain")), Use: []ply.Middleware{in.Middleware}})
		resp, err := client.Get(t.Context(), "/")
		require.NoError(t, err)
		got := get[call](t, in, "calls/1")
		require.True(t, got.Open)
		require.Equal(t, &body{MediaType: "text/plain", Open: true}, got.HopList[0].Response.Body)

		_, err = io.ReadFull(resp.Body, make([]byte, 5))
		require.NoError(t, err)
		got = get[call](t, in, "calls/1")
		require.Equal(t, &body{Size: 5, Text: "hello", MediaType: "text/plain", Open: true}, got.HopList[0].Response.Body)

		_, err = io.ReadFull(resp.Body, make([]byte, 4))
		require.NoError(t, err)
		resp.Body.Close()
		got = get[call](t, in, "calls/1")
		require.Equal(t, &body{Size: 9, Text: "hello, w", MediaType: "text/plain", Truncated: true, ClosedEarly: true}, got.HopList[0].Response.Body)
		require.False(t, got.Open)
	})
}

func TestOldestCallsGoWhenThereAreTooManyOrTheyTakeTooMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, tt := range map[string]struct {
			o    inspect.Options
			want int
		}{
			"number": {inspect.Options{Keep: 3}, 3},
			"bytes":  {inspect.Options{MaxBytes: 300 << 10}, 4}, // each 64 KiB and a little
			"one":    {inspect.Options{MaxBytes: 1}, 1},
		} {
			in := newInspector(t, tt.o)
			client := newClient(t, ply.Options{BaseURL: "http://a.test", Transport: plytest.NewOrigin(plytest.Text(strings.Repeat("x", 64<<10))), Use: []ply.Middleware{in.Middleware}})
			for range 10 {
				require.Len(t, fetch(t, client, "/"), 64<<10)
			}
			l := get[list](t, in, "calls")
			require.Len(t, l.Calls, tt.want, name)
			require.Equal(t, []int64{int64(11 - tt.want), 10}, []int64{l.Oldest, l.Calls[len(l.Calls)-1].ID}, name)
			require.Equal(t, http.StatusNotFound, ask(in, "GET", "calls/1", "").Code)
		}
	})
}

func TestListGoesOnWhereAPageHasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newInspector(t, inspect.Options{})
		client := newClient(t, ply.Options{BaseURL: "http://a.test", Transport: plytest.NewOrigin(plytest.Text("a")), Use: []ply.Middleware{in.Middleware}})
		for range 5 {
			fetch(t, client, "/")
		}
		first := get[list](t, in, "calls?limit=2")
		require.True(t, first.More)
		second := get[list](t, in, fmt.Sprintf("calls?after=%d", first.Version))
		require.False(t, second.More)
		require.Equal(t, []int64{3, 4, 5}, []int64{second.Calls[0].ID, second.Calls[1].ID, second.Calls[2].ID})
		require.Empty(t, get[list](t, in, fmt.Sprintf("calls?after=%d", second.Version)).Calls)
		require.Equal(t, 400, ask(in, "GET", "calls?after=x", "").Code)

		require.Equal(t, 204, ask(in, "DELETE", "calls", "").Code)
		emptied := get[list](t, in, "calls")
		require.Empty(t, emptied.Calls)
		require.Equal(t, int64(6), emptied.Oldest)
	})
}
