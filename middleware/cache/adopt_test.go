package cache_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/middleware/cache"
)

// imported returns a cache in memory with what another one has imported for n URLs, before the first request for any.
func imported(t *testing.T, o *origin, n int) *rig {
	t.Helper()
	a := newPlainRig(t, says("old", "Cache-Control: max-age=100"), cache.Options{})
	for i := range n {
		a.get(fmt.Sprint(url, "/", i))
	}
	synctest.Wait()
	b := newPlainRig(t, o, cache.Options{})
	report, err := cache.Copy(t.Context(), b.Cache, a.Cache)
	require.NoError(t, err)
	require.Equal(t, n, report.Entries)
	return b
}

// The first request for what was imported moves it in memory: a removal that goes on meanwhile must not look in the wrong place each time.
func TestRequestDuringARemovalKeepsNothingOfAnImport(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := imported(t, says("new", "Cache-Control: max-age=100"), 64)
		first := true
		n, err := b.DeleteFunc(t.Context(), func(*cache.Entry) bool { // no lock is held: the requests stand for those of other goroutines
			if first {
				for i := range 64 {
					b.get(fmt.Sprint(url, "/", i))
				}
			}
			first = false
			return true
		})
		require.NoError(t, err)
		if n < 64 {
			t.Errorf("%d removed", n)
		}
		for i := range 64 {
			if have, _ := b.get(fmt.Sprint(url, "/", i)); have.Body != "new" {
				t.Errorf("%d: %v", i, have)
			}
		}
	})
}

func TestRecomputeExpiryOfAnImportedEntryAfterItsFirstRequest(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := imported(t, mute(t), 1)
		e := b.only()
		b.get(url + "/0")
		require.NoError(t, b.RecomputeEntryExpiry(cache.WithExpiry(t.Context(), expiry.After(time.Hour)), e))
		time.Sleep(30 * time.Minute)
		have, _ := b.get(url + "/0")
		b.want(have, 200, "old", "hit", 0)
	})
}
