package cache_test

import (
	"testing"

	"github.com/plyhttp/ply/middleware/cache"
)

// RFC 9213.
func TestTargetedCacheControlFields(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("x", "Cache-Control: no-store", "CDN-Cache-Control: max-age=60")
		g := newRig(t, o, cache.Options{Shared: true, TargetedFields: []string{"CDN-Cache-Control"}})
		g.get(url)
		have, _ := g.get(url)
		g.want(have, 200, "x", "hit", 1)
		plain := newRig(t, says("x", "Cache-Control: no-store", "CDN-Cache-Control: max-age=60"), cache.Options{Shared: true})
		plain.get(url)
		have, _ = plain.get(url)
		plain.want(have, 200, "x", "miss", 2)
	})
}
