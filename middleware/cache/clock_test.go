package cache_test

import (
	"testing"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store/storetest"
)

// A clock that was set back makes what is stored stale, not fresh for ever.
func TestClockSetBackMakesStoredResponsesStale(t *testing.T) {
	m := storetest.NewMap(1 << 24)
	o := says("x", "Cache-Control: max-age=600", `Etag: "a"`)
	inFreshBubble(t, func(t *testing.T) {
		time.Sleep(24 * time.Hour)
		newRig(t, o, cache.Options{Store: plain{m}}).get(url)
	})
	inFreshBubble(t, func(t *testing.T) { // a day earlier
		g := newRig(t, o, cache.Options{Store: plain{m}})
		have, _ := g.get(url)
		if have.Outcome == "hit" {
			t.Error("a response of tomorrow is fresh")
		}
	})
}
