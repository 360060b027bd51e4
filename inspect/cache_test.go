package inspect_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/inspect"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/plytest"
)

type (
	entry struct {
		ID, Key, Method, URL      string
		Parts, Headers            []field
		Status                    int
		Fresh                     bool
		AgeMs, LifetimeMs, LeftMs float64
		Freshness                 float64
		Vary, Tags                []string
		Received, Expires         time.Time
	}
	entries struct {
		Entries []entry
		Next    string
		Stats   struct{ Entries, Stored int64 }
	}
	stats struct {
		StepMs  int64
		Buckets []map[string]int64
		Totals  map[string]int64
		Kept    map[string]int64
		Cache   map[string]any
	}
)

// stored returns an inspector whose cache has five entries at two origins: two variants, two with tags, one that is stale.
func stored(t *testing.T) (*inspect.Inspector, *ply.Client) {
	t.Helper()
	c := newCache(t, cache.Options{Tags: cache.SurrogateKey})
	in := newInspector(t, inspect.Options{Cache: c})
	origin := &plytest.Origin{Paths: map[string][]plytest.Reply{
		"/vary":  {plytest.Text("v", "Cache-Control", "max-age=100", "Vary", "Accept-Language")},
		"/x":     {plytest.Text("x", "Cache-Control", "max-age=100", "Surrogate-Key", "x all")},
		"/y":     {plytest.Text("y", "Cache-Control", "max-age=100", "Surrogate-Key", "y all")},
		"/stale": {plytest.Text("s", "Cache-Control", "max-age=1", "Etag", `"1"`)},
	}}
	client := newClient(t, ply.Options{Transport: origin, Use: []ply.Middleware{in.Middleware, c.Middleware}})
	fetch(t, client, "http://b.test/vary", ply.SetHeader("Accept-Language", "de"))
	fetch(t, client, "http://b.test/vary", ply.SetHeader("Accept-Language", "en"))
	for _, path := range []string{"x", "y", "stale"} {
		fetch(t, client, "http://a.test/"+path)
	}
	return in, client
}

func TestCacheViewShowsWhatIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, _ := stored(t)
		time.Sleep(25 * time.Second)
		l := get[entries](t, in, "cache")
		require.Len(t, l.Entries, 5)
		require.Equal(t, []int64{5, 5}, []int64{l.Stats.Entries, l.Stats.Stored})
		stale, x, de := l.Entries[0], l.Entries[1], l.Entries[3]
		require.Equal(t, []any{"http://a.test/stale", "GET", 200, false, 0.0, -24_000.0}, []any{stale.URL, stale.Method, stale.Status, stale.Fresh, stale.Freshness, stale.LeftMs})
		require.Equal(t, []any{"http://a.test/x", true, 0.75, 25_000.0, 100_000.0, 75_000.0}, []any{x.URL, x.Fresh, x.Freshness, x.AgeMs, x.LifetimeMs, x.LeftMs})
		require.Equal(t, []string{"all", "x"}, x.Tags)
		require.Equal(t, []string{"Accept-Language"}, de.Vary)
		require.Equal(t, de.Key, l.Entries[4].Key, "variants have one key")
		require.NotEqual(t, de.ID, l.Entries[4].ID)
		require.Contains(t, de.Parts, field{"method", "GET"})
		require.Contains(t, x.Headers, field{"Cache-Control", "max-age=100"})

		require.Len(t, get[entries](t, in, "cache?prefix=http://b.test/").Entries, 2)
		require.Len(t, get[entries](t, in, "cache?tag=all").Entries, 2)
		require.Empty(t, get[entries](t, in, "cache?tag=none").Entries)
		require.Equal(t, 400, ask(in, "GET", "cache?limit=-1", "").Code)
	})
}

func TestCacheViewComesInPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, _ := stored(t)
		var urls []string
		after := ""
		for range 3 {
			l := get[entries](t, in, "cache?limit=2&after="+url.QueryEscape(after))
			for _, e := range l.Entries {
				urls = append(urls, e.URL)
			}
			after = l.Next
		}
		require.Empty(t, after)
		require.Equal(t, []string{"http://a.test/stale", "http://a.test/x", "http://a.test/y", "http://b.test/vary", "http://b.test/vary"}, urls)
	})
}

func TestEntriesAreDeletedAndPurged(t *testing.T) {
	for name, tt := range map[string]struct {
		do             func(in http.Handler, all []entry) (method, target, content string)
		status, remain int
		answer         string
	}{
		"one variant":   {func(_ http.Handler, all []entry) (string, string, string) { return "DELETE", "cache/" + all[3].ID, "" }, 200, 4, `{"deleted":1}`},
		"all of a key":  {func(_ http.Handler, all []entry) (string, string, string) { return "DELETE", "cache/" + all[3].Key, "" }, 200, 3, `{"deleted":2}`},
		"an unknown id": {func(http.Handler, []entry) (string, string, string) { return "DELETE", "cache/abc.def", "" }, 400, 5, ""},
		"what is gone": {func(_ http.Handler, all []entry) (string, string, string) {
			return "DELETE", "cache/" + all[3].Key + ".00", ""
		}, 404, 5, ""},
		"a tag": {func(http.Handler, []entry) (string, string, string) { return "POST", "cache/purge", `{"tag":"all"}` }, 200, 3, "{}"},
		"a URL": {func(http.Handler, []entry) (string, string, string) {
			return "POST", "cache/purge", `{"url":"http://b.test/vary"}`
		}, 200, 3, "{}"},
		"a pattern": {func(http.Handler, []entry) (string, string, string) {
			return "POST", "cache/purge", `{"pattern":"a.test/*"}`
		}, 200, 2, `{"deleted":3}`},
		"all":            {func(http.Handler, []entry) (string, string, string) { return "POST", "cache/purge", `{"all":true}` }, 200, 0, "{}"},
		"nothing chosen": {func(http.Handler, []entry) (string, string, string) { return "POST", "cache/purge", `{}` }, 400, 5, ""},
		"two at once": {func(http.Handler, []entry) (string, string, string) {
			return "POST", "cache/purge", `{"tag":"x","all":true}`
		}, 400, 5, ""},
		"no JSON":         {func(http.Handler, []entry) (string, string, string) { return "POST", "cache/purge", `tag=x` }, 400, 5, ""},
		"a URL of a path": {func(http.Handler, []entry) (string, string, string) { return "POST", "cache/purge", `{"url":"/x"}` }, 400, 5, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in, _ := stored(t)
				method, target, content := tt.do(in, get[entries](t, in, "cache").Entries)
				w := ask(in, method, target, content)
				require.Equal(t, tt.status, w.Code, w.Body)
				if tt.answer != "" {
					require.JSONEq(t, tt.answer, w.Body.String())
				}
				require.Len(t, get[entries](t, in, "cache").Entries, tt.remain)
			})
		})
	}
}

func TestWithoutACacheThereIsNoneToSee(t *testing.T) {
	in := newInspector(t, inspect.Options{})
	for _, w := range []struct{ method, target, content string }{{"GET", "cache", ""}, {"DELETE", "cache/abc", ""}, {"POST", "cache/purge", `{"all":true}`}} {
		got := ask(in, w.method, w.target, w.content)
		require.Equal(t, 404, got.Code)
		require.Contains(t, got.Body.String(), "inspect.Options.Cache")
	}
}

func TestStatisticsCountByOutcomeOverTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, client := stored(t)
		time.Sleep(10 * time.Second)
		fetch(t, client, "http://a.test/x")
		fetch(t, client, "http://a.test/x")
		s := get[stats](t, in, "stats")
		require.Equal(t, int64(1000), s.StepMs)
		require.Len(t, s.Buckets, 2)
		require.Equal(t, []int64{5, 5, 0, 5, 5}, []int64{s.Buckets[0]["requests"], s.Buckets[0]["misses"], s.Buckets[0]["hits"], s.Buckets[0]["exchanges"], s.Buckets[0]["bytes"]})
		require.Equal(t, []int64{2, 0, 2, 0, 2, 5}, []int64{s.Buckets[1]["requests"], s.Buckets[1]["misses"], s.Buckets[1]["hits"], s.Buckets[1]["exchanges"], s.Buckets[1]["bytes"], s.Buckets[1]["entries"]})
		require.Equal(t, int64(10_000), s.Buckets[1]["t"]-s.Buckets[0]["t"])
		require.Equal(t, []int64{7, 2}, []int64{s.Totals["requests"], s.Totals["hits"]})
		require.Equal(t, []int64{7, 500}, []int64{s.Kept["calls"], s.Kept["keep"]})
		require.Positive(t, s.Kept["bytes"])
		require.Equal(t, 5.0, s.Cache["entries"])

		time.Sleep(5 * time.Minute) // the seconds fall out of their ring, the minutes do not
		require.Empty(t, get[stats](t, in, "stats").Buckets)
		minutes := get[stats](t, in, "stats?step=60")
		require.Equal(t, int64(60_000), minutes.StepMs)
		require.Equal(t, int64(7), minutes.Buckets[0]["requests"])
		fetch(t, client, "http://a.test/x") // in a place of the ring that had another second
		require.Equal(t, int64(1), get[stats](t, in, "stats").Buckets[0]["requests"])
	})
}

// While a page follows, each second has the size of the cache as it has without one.
func TestStatisticsHaveTheCacheWhileAPageFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, client := stored(t)
		page := newEventReader(in)
		defer page.stop()
		for range 3 {
			time.Sleep(time.Second)
			fetch(t, client, "http://a.test/x")
			time.Sleep(time.Second)
			resp, err := client.Get(t.Context(), "http://a.test/x")
			require.NoError(t, err)
			time.Sleep(500 * time.Millisecond) // the page looks while the body is open
			discard(resp)
		}
		for _, b := range get[stats](t, in, "stats").Buckets[1:] {
			require.Equal(t, int64(5), b["entries"])
		}
	})
}

type archive struct {
	Log struct {
		Entries []struct {
			Time    float64
			Request struct {
				Method, URL string
				PostData    *struct{ MimeType, Text string }
			}
			Response struct {
				Status  int
				Content struct{ Text, Comment string }
			}
			Cache struct{ Comment string }
			Ply   struct{ Outcome string } `json:"_ply"`
		}
	}
}

func TestCallsAreExportedAsHAR(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, client := stored(t)
		resp, err := client.Post(t.Context(), "http://a.test/x", ply.BodyString("name=x"))
		require.NoError(t, err)
		discard(resp)
		for content, want := range map[string]int{`{}`: 6, `{"ids":[]}`: 6, `{"ids":[6,1]}`: 2, `{"ids":[99]}`: 0} {
			w := ask(in, "POST", "har", content)
			require.Equal(t, 200, w.Code, w.Body)
			require.Equal(t, `attachment; filename="ply.har"`, w.Header().Get("Content-Disposition"))
			var a archive
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &a), w.Body)
			require.Len(t, a.Log.Entries, want, content)
			if want == 2 {
				first, last := a.Log.Entries[0], a.Log.Entries[1]
				require.Equal(t, []any{"GET", "http://b.test/vary", 200, "v", "miss: uri-miss", "miss"},
					[]any{first.Request.Method, first.Request.URL, first.Response.Status, first.Response.Content.Text, first.Cache.Comment, first.Ply.Outcome})
				require.Equal(t, []any{"POST", "REDACTED"}, []any{last.Request.Method, last.Request.PostData.Text})
			}
		}
		require.Equal(t, 400, ask(in, "POST", "har", `{"ids":"all"}`).Code)
		require.Equal(t, 400, ask(in, "POST", "har", fmt.Sprintf(`{"ids":[%s1]}`, string(make([]byte, 2<<20)))).Code)
	})
}
