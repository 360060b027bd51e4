package cache_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
)

func TestCacheStatusIsRemovedFrom101(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, &origin{answer: func(*http.Request) *http.Response { return reply(101, "", "Cache-Status: ply; hit") }}, cache.Options{})
		r, _ := http.NewRequestWithContext(t.Context(), "GET", url, nil)
		r.Header.Set("Upgrade", "x")
		resp, err := g.rt.RoundTrip(r)
		require.NoError(t, err)
		if s, ok := cache.StatusOf(resp); ok {
			t.Errorf("the origin speaks for this cache: %+v", s)
		}
	})
}
