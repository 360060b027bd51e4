package cache_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// A lifetime that slides goes on as long as the response is used, and so do its generations.
func TestGenerationsAreProlongedBySlidingExpiry(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := storetest.NewMap(1 << 24)
		o := says("x", `Cache-Groups: "g"`)
		options := cache.Options{Store: m, Expiry: expiry.Sliding(expiry.After(10 * time.Minute)), RetainStale: -1}
		g := newRig(t, o, options)
		g.get(url)
		for range 60 {
			time.Sleep(5 * time.Minute)
			have, _ := g.get(url)
			g.want(have, 200, "x", "hit", 1)
			synctest.Wait()
			if t.Failed() {
				return
			}
		}
		require.NoError(t, newRig(t, o, options).DeleteGroup(t.Context(), url, "g"))
		if have, _ := g.get(url); have.Outcome == "hit" {
			t.Error("it was invalidated")
		}
	})
}

// New rules may have responses live longer than their generations were to be kept.
func TestGenerationsAreProlongedByRecomputeExpiry(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := storetest.NewMap(1 << 24)
		o := says("x", "Cache-Control: max-age=60")
		newRig(t, o, cache.Options{Store: m}).get(url)
		g := newRig(t, o, cache.Options{Store: m, Expiry: expiry.After(100 * 24 * time.Hour)})
		require.NoError(t, g.RecomputeExpiry(t.Context()))
		time.Sleep(60 * 24 * time.Hour)
		have, _ := g.get(url)
		g.want(have, 200, "x", "hit", 1)
	})
}

// A store that loses generations loses responses, and never brings invalidated ones back.
func TestGenerationsLostLoseResponses(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := storetest.NewMap(1 << 24)
		o := says("old", "Cache-Control: max-age=600")
		a := newRig(t, o, cache.Options{Store: m.Open()})
		a.get(url)
		a.do("POST", url)
		for _, key := range keys(t, m, store.KindGeneration) {
			require.NoError(t, m.Delete(t.Context(), key, ""))
		}
		have, _ := a.get(url)
		a.want(have, 200, "old", "miss", 3)
	})
}
