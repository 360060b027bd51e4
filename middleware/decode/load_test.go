package decode_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/decode"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

// loadBodies is how many bodies there are under load.
const loadBodies = 60

func loadText(seed int) []byte { return text(seed, 500+seed*331%30000) }

func loadCodings(seed int) []string {
	codings := []string{allCodings[seed%len(allCodings)]}
	if seed%7 == 0 {
		codings = append(codings, allCodings[seed%3])
	}
	return codings
}

var loadEncoded = sync.OnceValue(func() (bodies [loadBodies][]byte) {
	for seed := range bodies {
		bodies[seed] = encode(loadText(seed), loadCodings(seed)...)
	}
	return bodies
})

// selfVerifying serves bodies that follow from their URL, in one or two codings that follow from it, too, in flushed pieces.
func selfVerifying(w http.ResponseWriter, r *http.Request) {
	seed, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
	body := loadEncoded()[seed]
	for _, coding := range loadCodings(seed) {
		w.Header().Add("Content-Encoding", named(coding))
	}
	if seed%2 == 0 {
		w.Header().Set("Cache-Control", "max-age=60")
	}
	for len(body) > 0 {
		n := min(len(body), 3000)
		w.Write(body[:n])
		w.(http.Flusher).Flush()
		body = body[n:]
	}
}

// Many callers read, leave early, are canceled and close while they read, over real connections. Each one that reads gets its own body.
func TestUnderLoadEachCallerReadsItsOwnBody(t *testing.T) {
	plytest.CheckGoroutines(t)
	server := httptest.NewServer(http.HandlerFunc(selfVerifying))
	defer server.Close()
	for name, above := range map[string]bool{"above the cache": true, "below the cache": false} {
		t.Run(name, func(t *testing.T) {
			c, err := cache.New(cache.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			layers := []ply.Middleware{decode.New(decode.Options{}), c.Middleware, retry.New(retry.Options{})}
			if !above {
				layers = []ply.Middleware{c.Middleware, retry.New(retry.Options{}), decode.New(decode.Options{})}
			}
			client, err := ply.New(ply.Options{BaseURL: server.URL, Use: layers})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			var wg sync.WaitGroup
			for worker := range 12 {
				wg.Go(func() {
					random := rand.New(rand.NewPCG(1, uint64(worker)))
					for range 40 {
						if err := visit(t.Context(), client, random); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

// visit makes one request and reads as much of its body as chance says.
func visit(ctx context.Context, client *ply.Client, random *rand.Rand) error {
	seed := random.IntN(loadBodies)
	want := loadText(seed)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	resp, err := client.Get(ctx, "/"+strconv.Itoa(seed))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	whole := true
	var leaving sync.WaitGroup
	defer leaving.Wait()
	switch random.IntN(5) {
	case 0: // leaves early
		want = want[:random.IntN(len(want))]
		got := make([]byte, len(want))
		if _, err := io.ReadFull(resp.Body, got); err != nil || !bytes.Equal(got, want) {
			return fmt.Errorf("the first %d bytes of body %d: %w", len(want), seed, err)
		}
		return nil
	case 1: // is canceled while it reads
		whole = false
		leaving.Go(cancel)
	case 2: // closes while it reads
		whole = false
		leaving.Go(func() { resp.Body.Close() })
	}
	got, err := io.ReadAll(resp.Body)
	if !bytes.HasPrefix(want, got) {
		return fmt.Errorf("body %d has bytes of another: %q", seed, got)
	}
	if whole && (err != nil || len(got) != len(want)) {
		return fmt.Errorf("body %d: %d of %d bytes, %w", seed, len(got), len(want), err)
	}
	if !whole && err == nil && len(got) != len(want) {
		return fmt.Errorf("body %d: %d of %d bytes look complete", seed, len(got), len(want))
	}
	return nil
}
