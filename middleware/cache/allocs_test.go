package cache_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
)

// A hit costs the response with its body, and the two parts of its header map.
func TestHitAllocations(t *testing.T) {
	for _, test := range []struct {
		name   string
		fields []string
		want   float64
	}{
		{"8 fields served", []string{"Cache-Control: max-age=60", "Content-Type: text/plain", "Etag: \"a\"", "Vary: Accept, Accept-Language", "X-A: 1"}, 3},
		{"16 fields served", []string{"Cache-Control: max-age=60", "Content-Type: text/plain", "Etag: \"a\"", "X-A: 1", "X-B: 1", "X-C: 1", "X-D: 1", "X-E: 1", "X-F: 1", "X-G: 1", "X-H: 1", "X-I: 1", "X-J: 1"}, 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newRig(t, says(strings.Repeat("x", 1<<20), test.fields...), cache.Options{Store: cache.NewMemory(cache.MemoryOptions{})})
			g.get(url)
			r, err := http.NewRequestWithContext(context.Background(), "GET", url, nil)
			require.NoError(t, err)
			r.Header.Set("Accept", "text/html, text/plain;q=0.5")
			readAll(roundTrip(t, g.rt, r))
			got := testing.AllocsPerRun(100, func() {
				resp, err := g.rt.RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			})
			if got > test.want {
				t.Errorf("%v allocations, want %v at most", got, test.want)
			}
		})
	}
}
