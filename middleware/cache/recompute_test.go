package cache_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/middleware/cache"
)

// The strategy of the context decides, and its lifetime begins when the response was received.
func TestRecomputeExpiryByAnotherStrategy(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60", "Age: 10"), cache.Options{})
		defer g.Close()
		g.get(url)
		synctest.Wait()
		received := g.only().Received()
		time.Sleep(30 * time.Minute)
		require.NoError(t, g.RecomputeExpiry(cache.WithExpiry(t.Context(), expiry.After(time.Hour))))
		e := g.only()
		if e.Age(time.Now()) != 30*time.Minute+10*time.Second || e.Expires().Before(received.Add(59*time.Minute)) || e.Expires().After(received.Add(time.Hour)) {
			t.Errorf("received %v, expires %v, age %v", received, e.Expires(), e.Age(time.Now()))
		}
		have, _ := g.get(url)
		g.want(have, 200, "x", "hit", 1)
		require.NoError(t, g.RecomputeExpiry(t.Context())) // the cache's own again
		if got := g.only().Expires(); !got.Equal(received.Add(50 * time.Second)) {
			t.Errorf("expires %v after it was received, want 50s", got.Sub(received))
		}
	})
}

func TestRecomputeExpiryOfOneEntry(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, echo("Accept"), cache.Options{})
		defer g.Close()
		for _, accept := range []string{"a", "b"} {
			g.get(url, "Accept: "+accept)
		}
		g.get(url+"/other", "Accept: a")
		synctest.Wait()
		longer := cache.WithExpiry(t.Context(), expiry.After(time.Hour))
		e, err := g.Entry(t.Context(), g.request(url, "Accept: a"))
		require.NoError(t, err)
		require.NoError(t, g.RecomputeEntryExpiry(longer, e))
		time.Sleep(10 * time.Minute)
		var outcomes []string
		for _, r := range []*http.Request{g.request(url, "Accept: a"), g.request(url, "Accept: b"), g.request(url+"/other", "Accept: a")} {
			have, _ := g.send(r)
			outcomes = append(outcomes, have.Outcome)
		}
		if diff := cmp.Diff([]string{"hit", "refreshed", "refreshed"}, outcomes); diff != "" {
			t.Errorf("that one, another variant, another URL (-want +got)\n%s", diff)
		}
	})
}

// An entry that was listed before a validation stands for what is in its place now.
func TestRecomputeExpiryOfAnEntryThatWasValidatedMeanwhile(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		version := "1"
		g := newRig(t, versions(&version), cache.Options{})
		defer g.Close()
		g.get(url)
		synctest.Wait()
		e := g.only()
		time.Sleep(time.Minute)
		g.get(url)
		synctest.Wait()
		require.NoError(t, g.RecomputeEntryExpiry(cache.WithExpiry(t.Context(), expiry.After(time.Hour)), e))
		time.Sleep(59 * time.Minute)
		have, _ := g.get(url)
		g.want(have, 200, "1", "hit", 2)
	})
}

func TestRecomputeExpiryRemovesWhatTheStrategyRefuses(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{})
		defer g.Close()
		g.get(url)
		synctest.Wait()
		e, refusing := g.only(), cache.WithExpiry(t.Context(), expiry.NoStore())
		require.NoError(t, g.RecomputeEntryExpiry(refusing, e))
		if n := g.entries(); n != 0 {
			t.Errorf("%d entries", n)
		}
		require.NoError(t, g.RecomputeEntryExpiry(refusing, e), "it is gone")
	})
}

func TestRecomputeExpiryShowsTheMethod(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var seen []string
		s := expiry.Func(func(r *http.Request, _ *http.Response, _ time.Time) expiry.Verdict {
			seen = append(seen, r.Method+" "+r.URL.String())
			return expiry.Lifetime(time.Hour)
		})
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{})
		defer g.Close()
		g.do("QUERY", url)
		synctest.Wait()
		require.NoError(t, g.RecomputeExpiry(cache.WithExpiry(t.Context(), s)))
		if diff := cmp.Diff([]string{"QUERY " + url}, seen); diff != "" {
			t.Errorf("the strategy saw (-want +got)\n%s", diff)
		}
	})
}

func TestRecomputeExpiryOfAForeignEntryIsAnError(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{})
		other := newRig(t, g.origin, cache.Options{})
		g.get(url)
		synctest.Wait()
		for name, e := range map[string]*cache.Entry{"another cache": g.only(), "none": nil, "zero": {}} {
			if err := other.RecomputeEntryExpiry(t.Context(), e); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
	})
}
