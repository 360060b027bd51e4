package cache_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/plytest"
)

// The cache keeps the contract of http.RoundTripper, private and shared.
func TestCacheKeepsTheRoundTripperContract(t *testing.T) {
	for name, options := range map[string]cache.Options{"private": {}, "shared": {Shared: true}} {
		t.Run(name, func(t *testing.T) {
			plytest.CheckMiddleware(t, func(next http.RoundTripper) http.RoundTripper {
				c, err := cache.New(options)
				require.NoError(t, err)
				return c.Middleware(next)
			})
		})
	}
}
