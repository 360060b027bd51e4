package cache_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
)

func TestModes(t *testing.T) {
	for _, test := range []struct {
		mode                cache.Mode
		empty, fresh, stale string
	}{
		{cache.ModeDefault, "miss", "hit", "refreshed"},
		{cache.ModeNoStore, "bypassed", "bypassed", "bypassed"},
		{cache.ModeReload, "miss", "refreshed", "refreshed"},
		{cache.ModeNoCache, "miss", "refreshed", "refreshed"},
		{cache.ModeForceCache, "miss", "hit", "stale"},
		{cache.ModeOnlyIfCached, "refused", "hit", "stale"},
		{cache.ModeReadOnly, "miss", "hit", "refreshed"},
		{cache.ModeReadOnly + 1, "miss", "hit", "refreshed"}, // no mode
	} {
		t.Run(test.mode.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{})
				in, _ := http.NewRequestWithContext(cache.WithMode(t.Context(), test.mode), "GET", url, nil)
				have, resp := g.send(in)
				if have.Outcome != test.empty || (have.Status == 504) != (test.empty == "refused") {
					t.Errorf("empty: %v, want %s", have, test.empty)
				}
				_ = resp
				require.NoError(t, g.Clear(t.Context()))
				g.get(url)
				if have, _ := g.send(in); have.Outcome != test.fresh {
					t.Errorf("fresh: %v, want %s", have, test.fresh)
				}
				time.Sleep(61 * time.Second)
				if have, _ := g.send(in); have.Outcome != test.stale {
					t.Errorf("stale: %v, want %s", have, test.stale)
				}
				for _, asked := range g.origin.asked {
					if len(asked.Header) != 0 {
						t.Errorf("a mode reached the origin: %v", asked.Header)
					}
				}
			})
		})
	}
}

func TestModeReadOnlyStoresNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{})
		in, _ := http.NewRequestWithContext(cache.WithMode(t.Context(), cache.ModeReadOnly), "GET", url, nil)
		g.send(in)
		have, _ := g.send(in)
		g.want(have, 200, "x", "miss", 2)
	})
}

func TestDisableAndModesNestByContext(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{})
		on := t.Context()
		off := cache.Disable(on)
		outcome := func(ctx context.Context) string {
			r, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
			have, _ := g.send(r)
			return have.Outcome
		}
		outcome(on)
		var got []string
		for _, ctx := range []context.Context{on, off, cache.Enable(off), cache.Disable(cache.Enable(off)), on} {
			got = append(got, outcome(ctx))
		}
		if diff := cmp.Diff([]string{"hit", "bypassed", "hit", "bypassed", "hit"}, got); diff != "" {
			t.Errorf("outcomes (-want +got)\n%s", diff)
		}
		post, _ := http.NewRequestWithContext(off, "POST", url, nil)
		g.send(post)
		if got := outcome(on); got != "hit" {
			t.Errorf("after an unsafe request in a disabled scope: %s, want hit", got)
		}
		g.SetEnabled(false)
		if got := outcome(on); got != "bypassed" || g.Enabled() {
			t.Errorf("switched off: %s", got)
		}
		g.SetEnabled(true)
		if got := outcome(on); got != "hit" {
			t.Errorf("switched on again: %s", got)
		}
	})
}

func TestModeReadOnlyStartsNoRefresh(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=1, stale-while-revalidate=60"), cache.Options{})
		g.get(url)
		time.Sleep(2 * time.Second)
		r, _ := http.NewRequestWithContext(cache.WithMode(t.Context(), cache.ModeReadOnly), "GET", url, nil)
		have, _ := g.send(r)
		synctest.Wait()
		g.want(have, 200, "x", "stale", 1)
	})
}

// What is under way when an operator switches the cache off leaves the store as it is.
func TestDisableDuringExchangeStoresNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says(strings.Repeat("x", 100<<10), "Cache-Control: max-age=60"), cache.Options{})
		r, _ := http.NewRequestWithContext(t.Context(), "GET", url, nil)
		resp, err := g.rt.RoundTrip(r)
		require.NoError(t, err)
		g.SetEnabled(false)
		readAll(resp)
		if n := g.entries(); n != 0 {
			t.Errorf("%d entries", n)
		}
	})
}
