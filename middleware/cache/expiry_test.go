package cache_test

import (
	"net/http"
	"testing"
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
