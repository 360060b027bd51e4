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

// A response that no cache has seen was not refused by one.
func TestStatusOfAResponseThatNoCacheHasSeenHasNoOutcome(t *testing.T) {
	for name, resp := range map[string]*http.Response{
		"none":              nil,
		"without the field": {Header: http.Header{}},
		"of another cache":  {Header: http.Header{"Cache-Status": {"other; hit"}}},
	} {
		if s, ok := cache.StatusOf(resp); ok || s.Outcome() != "" {
			t.Errorf("%s: %q, %t", name, s.Outcome(), ok)
		}
	}
}
