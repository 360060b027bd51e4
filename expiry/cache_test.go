package expiry_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// outcomes sends a request through a cache at each of these times after the first, and returns what the cache did for each.
func outcomes(t *testing.T, ctx context.Context, o cache.Options, origin *plytest.Origin, at ...time.Duration) []string {
	t.Helper()
	c, err := cache.New(o)
	require.NoError(t, err)
	defer c.Close()
	rt := c.Middleware(origin)
	begin := time.Now()
	var all []string
	for _, after := range at {
		time.Sleep(time.Until(begin.Add(after)))
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://h/", nil)
		require.NoError(t, err)
		resp, err := rt.RoundTrip(r)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		resp.Body.Close()
		status, _ := cache.StatusOf(resp)
		all = append(all, status.Outcome())
		synctest.Wait()
	}
	return all
}

// After a minute, and before, each lifetime shows: the requests come at once, after 30 seconds, and after 90.
func TestFillingInForDefaultInsideACache(t *testing.T) {
	fill := expiry.First(expiry.Default(), expiry.After(time.Minute))
	for _, test := range []struct {
		name   string
		header []string
		s      expiry.Strategy
		want   []string
	}{
		{"nothing, and a fill-in", nil, fill, []string{"miss", "hit", "refreshed"}},
		{"nothing, and none", nil, expiry.Default(), []string{"miss", "miss", "miss"}},
		{"nothing, and no strategy", nil, nil, []string{"miss", "miss", "miss"}},
		{"an entity tag, and a fill-in", []string{"Etag", `"1"`}, fill, []string{"miss", "hit", "refreshed"}},
		{"an entity tag, and none", []string{"Etag", `"1"`}, expiry.Default(), []string{"miss", "refreshed", "refreshed"}},
		{"no-store", []string{"Cache-Control", "no-store"}, fill, []string{"miss", "miss", "miss"}},
		{"no-cache and a tag", []string{"Cache-Control", "no-cache", "Etag", `"1"`}, fill, []string{"miss", "refreshed", "refreshed"}},
		{"Pragma and a tag", []string{"Pragma", "no-cache", "Etag", `"1"`}, fill, []string{"miss", "refreshed", "refreshed"}},
		{"max-age=0 and a tag", []string{"Cache-Control", "max-age=0", "Etag", `"1"`}, fill, []string{"miss", "refreshed", "refreshed"}},
		{"a longer max-age", []string{"Cache-Control", "max-age=120"}, fill, []string{"miss", "hit", "hit"}},
		{"a shorter one", []string{"Cache-Control", "max-age=10"}, fill, []string{"miss", "refreshed", "refreshed"}},
		{"at most ten seconds of what fills in", nil, expiry.Clamp(fill, 0, 10*time.Second), []string{"miss", "refreshed", "refreshed"}},
		{"at least two minutes of what says nothing", nil, expiry.Clamp(expiry.Default(), 2*time.Minute, 0), []string{"miss", "hit", "hit"}},
		{"for a status", nil, expiry.First(expiry.ByStatus(map[int]expiry.Strategy{200: expiry.Default()}), expiry.After(time.Minute)), []string{"miss", "hit", "refreshed"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				origin := plytest.NewOrigin(plytest.Text("x", test.header...))
				got := outcomes(t, t.Context(), cache.Options{Expiry: test.s}, origin, 0, 30*time.Second, 90*time.Second)
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("outcomes (-want +got)\n%s", diff)
				}
			})
		})
	}
}

// A 304 without a lifetime gives the response that it confirms the lifetime that fills in, once more.
func TestFillingInHoldsAfterAValidation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := plytest.NewOrigin(plytest.Text("x", "Etag", `"1"`), plytest.Status(304, "Etag", `"1"`))
		fill := expiry.First(expiry.Default(), expiry.After(time.Minute))
		got := outcomes(t, t.Context(), cache.Options{Expiry: fill}, origin, 0, 90*time.Second, 120*time.Second, 180*time.Second)
		if diff := cmp.Diff([]string{"miss", "revalidated", "hit", "revalidated"}, got); diff != "" {
			t.Errorf("outcomes (-want +got)\n%s", diff)
		}
	})
}

// Each window, in place of what the server allows, in place of nothing, and forbidden; and past its end.
func TestStaleWindowsInsideACache(t *testing.T) {
	const swr, sie = "max-age=10, stale-while-revalidate=100", "max-age=10, stale-if-error=100"
	for _, test := range []struct {
		name, control         string
		whileRevalidate, ifOn time.Duration
		failing               bool
		at                    time.Duration
		want                  string
	}{
		{"within a window of its own", "max-age=10", time.Minute, 0, false, 30 * time.Second, "stale"},
		{"past it", "max-age=10", time.Minute, 0, false, 71 * time.Second, "refreshed"},
		{"zero leaves it to the server", swr, 0, time.Minute, false, 30 * time.Second, "stale"},
		{"negative forbids what the server allows", swr, -1, 0, false, 30 * time.Second, "refreshed"},
		{"shorter than the server's", swr, 10 * time.Second, 0, false, 30 * time.Second, "refreshed"},
		{"in place of an error", "max-age=10", 0, time.Minute, true, 30 * time.Second, "stale"},
		{"in place of an error, past it", "max-age=10", 0, time.Minute, true, 71 * time.Second, "refreshed"},
		{"in place of an error, left to the server", sie, time.Minute, 0, true, 30 * time.Second, "stale"},
		{"in place of an error, forbidden", sie, 0, -1, true, 30 * time.Second, "refreshed"},
		{"never what must be revalidated", "max-age=10, must-revalidate", time.Minute, time.Minute, false, 30 * time.Second, "refreshed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				origin := plytest.NewOrigin(plytest.Text("x", "Cache-Control", test.control), plytest.Text("y"))
				if test.failing {
					origin.Script[1] = plytest.Status(503)
				}
				s := expiry.StaleWindows(nil, test.whileRevalidate, test.ifOn)
				if diff := cmp.Diff([]string{"miss", test.want}, outcomes(t, t.Context(), cache.Options{Expiry: s}, origin, 0, test.at)); diff != "" {
					t.Errorf("outcomes (-want +got)\n%s", diff)
				}
			})
		})
	}
}

// The longest times there are stand for times without an end. Their sums do not overflow, nor does that which is the end of a record in a store.
func TestTheLongestTimesInsideACache(t *testing.T) {
	const longest = math.MaxInt64
	for name, o := range map[string]cache.Options{
		"stale windows":                  {Expiry: expiry.StaleWindows(nil, longest, longest)},
		"stale windows of a lifetime":    {Expiry: expiry.StaleWindows(expiry.Clamp(nil, 0, time.Minute), longest, 0)},
		"stale windows of the cache":     {StaleWhileRevalidate: longest, StaleIfError: longest},
		"kept for the origin to confirm": {StaleWhileRevalidate: time.Hour, RetainStale: longest},
		"a store that may take its time": {StaleWhileRevalidate: time.Hour, StoreTimeout: longest},
		"all of them":                    {Expiry: expiry.StaleWindows(expiry.After(time.Minute), longest, longest), RetainStale: longest, StoreTimeout: longest},
	} {
		for _, kept := range []store.Store{nil, storetest.NewMap(0)} {
			t.Run(fmt.Sprintf("%s, %T", name, kept), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o.Store = kept
					origin := plytest.NewOrigin(plytest.Text("x", "Cache-Control", "max-age=60"))
					if diff := cmp.Diff([]string{"miss", "hit", "stale"}, outcomes(t, t.Context(), o, origin, 0, 30*time.Second, 90*time.Second)); diff != "" {
						t.Errorf("outcomes (-want +got)\n%s", diff)
					}
				})
			})
		}
	}
}

// A Precedence asks the choice for the request after the response; of any other strategy that choice takes the place.
func TestPrecedenceInsideACacheAsksTheRequestsChoiceInItsTurn(t *testing.T) {
	for _, test := range []struct {
		name string
		s    expiry.Strategy
		want []string
	}{
		{"a Precedence", expiry.Precedence{}, []string{"miss", "refreshed"}},
		{"a pointer to one", &expiry.Precedence{}, []string{"miss", "refreshed"}},
		{"a type that embeds one", struct{ expiry.Precedence }{}, []string{"miss", "refreshed"}},
		{"another strategy", expiry.FromServer(), []string{"miss", "hit"}},
		{"none", nil, []string{"miss", "hit"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				origin := plytest.NewOrigin(plytest.Text("x", "Cache-Control", "max-age=10"))
				ctx := cache.WithExpiry(t.Context(), expiry.After(time.Hour))
				if got := outcomes(t, ctx, cache.Options{Expiry: test.s}, origin, 0, 30*time.Second); !slices.Equal(got, test.want) {
					t.Errorf("outcomes %q, want %q", got, test.want)
				}
			})
		})
	}
}

// Each adjustment and choice of a lifetime reaches what is served.
func TestStrategiesInsideACache(t *testing.T) {
	byURL, err := expiry.ByURL(expiry.URLRule{Pattern: "h", Strategy: expiry.After(time.Minute)}, expiry.URLRule{Pattern: "*", Strategy: expiry.NoStore()})
	require.NoError(t, err)
	otherURL, err := expiry.ByURL(expiry.URLRule{Pattern: "i", Strategy: expiry.After(time.Minute)})
	require.NoError(t, err)
	minute := expiry.After(time.Minute)
	for _, test := range []struct {
		name string
		s    expiry.Strategy
		want []string // at once, after 40 seconds, and after 80
	}{
		{"a fixed lifetime", minute, []string{"miss", "hit", "refreshed"}},
		{"a sliding one", expiry.Sliding(minute), []string{"miss", "hit", "hit"}},
		{"until a time", expiry.At(time.Date(2000, 1, 1, 0, 1, 0, 0, time.UTC)), []string{"miss", "hit", "refreshed"}},
		{"without end", expiry.NeverExpires(), []string{"miss", "hit", "hit"}},
		{"half of it at most taken off", expiry.Jitter(expiry.After(200*time.Second), 0.5), []string{"miss", "hit", "hit"}},
		{"validated each time, without a validator", expiry.AlwaysRevalidate(), []string{"miss", "miss", "miss"}},
		{"not stored", expiry.NoStore(), []string{"miss", "miss", "miss"}},
		{"for its type", expiry.ByType(map[string]expiry.Strategy{"text/*": minute}), []string{"miss", "hit", "refreshed"}},
		{"for another type", expiry.ByType(map[string]expiry.Strategy{"image/*": minute}), []string{"miss", "refreshed", "refreshed"}},
		{"for its URL", byURL, []string{"miss", "hit", "refreshed"}},
		{"for another URL", otherURL, []string{"miss", "refreshed", "refreshed"}},
		{"for another status", expiry.ByStatus(map[int]expiry.Strategy{404: minute}), []string{"miss", "refreshed", "refreshed"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				origin := plytest.NewOrigin(plytest.Text("x", "Content-Type", "text/plain", "Cache-Control", "max-age=1"))
				got := outcomes(t, t.Context(), cache.Options{Expiry: test.s}, origin, 0, 40*time.Second, 80*time.Second)
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("outcomes (-want +got)\n%s", diff)
				}
			})
		})
	}
}
