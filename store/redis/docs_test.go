//go:build unix

package redis_test

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/store/redis"
	"github.com/plyhttp/ply/store/redis/internal/server"
)

// The documents show the line that people see of a record; only its version and its end are others each time.
func TestGuideShowsTheLineOfARecord(t *testing.T) {
	srv := server.Start(t)
	client := raw(t, srv.Addr)
	c, err := cache.New(cache.Options{Store: open(t, srv.Addr, redis.Options{})})
	require.NoError(t, err)
	hc := &http.Client{Transport: c.Middleware(plytest.NewOrigin(plytest.Text("hello", "Cache-Control", "max-age=3600")))}
	require.NoError(t, ply.Discard(hc.Get("https://example.com/articles?page=2")))
	require.NoError(t, c.Close())

	keys, err := client.Keys(t.Context(), "ply:e1.*").Result()
	require.NoError(t, err)
	require.Len(t, keys, 1)
	value, err := client.GetRange(t.Context(), keys[0], 0, 300).Result()
	require.NoError(t, err)
	line, _, _ := strings.Cut(value, "\n")
	changing := regexp.MustCompile(`^ply1 [0-9a-f]{16} \d{15} `)
	require.Regexp(t, changing, line)
	for _, name := range []string{"stores-operating", "stores-internals"} {
		page, err := os.ReadFile("../../docs/" + name + ".md")
		require.NoError(t, err)
		_, shown, _ := strings.Cut(string(page), "$ redis-cli --scan --pattern 'ply:e1.*' | head -1\n")
		lines := strings.SplitN(shown, "\n", 4)
		require.Equal(t, keys[0], lines[0], name)
		require.Equal(t, "$ redis-cli getrange "+keys[0]+" 0 300 | head -1", lines[1], name)
		require.Equal(t, changing.ReplaceAllString(line, ""), changing.ReplaceAllString(lines[2], ""), name)
	}
}
