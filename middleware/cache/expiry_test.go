package cache_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/middleware/cache"
)

func TestWithExpiryAppliesToItsRequests(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: no-store"), cache.Options{})
		hour := cache.WithExpiry(t.Context(), expiry.After(time.Hour))
		r, _ := http.NewRequestWithContext(hour, "GET", url, nil)
		g.send(r)
		time.Sleep(59 * time.Minute)
		have, _ := g.get(url)
		g.want(have, 200, "x", "hit", 1)
		time.Sleep(2 * time.Minute)
		have, _ = g.send(r)
		g.want(have, 200, "x", "refreshed", 2)
	})
}

func TestSlidingExpiryRestartsWithEachUse(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x"), cache.Options{Expiry: expiry.Sliding(expiry.After(10 * time.Second))})
		g.get(url)
		for range 5 {
			time.Sleep(9 * time.Second)
			have, _ := g.get(url)
			g.want(have, 200, "x", "hit", 1)
		}
		time.Sleep(11 * time.Second)
		have, _ := g.get(url)
		g.want(have, 200, "x", "refreshed", 2)
	})
}

// RFC 9111 §5.2.1.2: a response that is validated before each use is not served stale, whatever the request accepts.
func TestAlwaysRevalidateValidatesInSpiteOfMaxStale(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		version := "a"
		g := newRig(t, versions(&version), cache.Options{Expiry: expiry.AlwaysRevalidate()})
		g.get(url)
		have, _ := g.get(url, "Cache-Control: max-stale")
		g.want(have, 200, "a", "revalidated", 2)
	})
}

// RFC 5861: the stale windows of a strategy, on both sides of their ends.
func TestStaleWindowsOfAStrategy(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("x", "Cache-Control: max-age=10", `Etag: "a"`)
		g := newRig(t, o, cache.Options{Expiry: expiry.StaleWindows(expiry.Default(), 5*time.Second, 20*time.Second)})
		g.get(url)
		time.Sleep(14 * time.Second)
		have, _ := g.get(url)
		if have.Outcome != "stale" {
			t.Errorf("within stale-while-revalidate: %v", have)
		}
		synctest.Wait()
		g.want(have, 200, "x", have.Outcome, 2) // the refresh
		o.answer = func(*http.Request) *http.Response { return reply(503, "") }
		time.Sleep(29 * time.Second)
		have, _ = g.get(url)
		g.want(have, 200, "x", "stale", 3)
		time.Sleep(2 * time.Second)
		have, _ = g.get(url)
		if have.Status != 503 {
			t.Errorf("beyond stale-if-error: %v", have)
		}
	})
}
