package inspect_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/inspect"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

// The layer keeps the contract of http.RoundTripper: alone, around a cache, twice in a chain, and closed.
func TestInspectorKeepsTheRoundTripperContract(t *testing.T) {
	for name, layer := range map[string]func(next http.RoundTripper) http.RoundTripper{
		"alone": func(next http.RoundTripper) http.RoundTripper {
			return newInspector(t, inspect.Options{}).Middleware(next)
		},
		"keeps no bodies": func(next http.RoundTripper) http.RoundTripper {
			return newInspector(t, inspect.Options{MaxBodyBytes: -1, Keep: 1}).Middleware(next)
		},
		"around a cache and retry": func(next http.RoundTripper) http.RoundTripper {
			c, err := cache.New(cache.Options{})
			require.NoError(t, err)
			return ply.Chain(newInspector(t, inspect.Options{Cache: c}).Middleware, c.Middleware, retry.New(retry.Options{}))(next)
		},
		"twice": func(next http.RoundTripper) http.RoundTripper {
			in := newInspector(t, inspect.Options{})
			return ply.Chain(in.Middleware, in.Middleware)(next)
		},
		"closed": func(next http.RoundTripper) http.RoundTripper {
			in := newInspector(t, inspect.Options{})
			in.Close()
			return in.Middleware(next)
		},
		"the record alone": ply.RecordCalls,
	} {
		t.Run(name, func(t *testing.T) { plytest.CheckMiddleware(t, layer) })
	}
}
