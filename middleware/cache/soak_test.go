package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/stretchr/testify/require"
)

// wanted is the body that a request is to get: it names all that the answer depends on.
func wanted(r *http.Request) string {
	text := fmt.Sprintf("%s for %q in %q;", r.URL.Path, r.Header.Get("Authorization"), r.Header.Get("A"))
	return strings.Repeat(text, 1+len(r.URL.Path)%5)
}

// unreliable answers rightly, slowly, wrongly or not at all, by chance.
type unreliable struct {
	mu  sync.Mutex
	rng *rand.Rand
}

func (u *unreliable) chance(n int) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.rng.IntN(n)
}

func (u *unreliable) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r.Body.Close()
	}
	time.Sleep(time.Duration(u.chance(50)) * time.Millisecond)
	body := wanted(r)
	tag := fmt.Sprintf("Etag: \"%x\"", body)
	fields := []string{"Vary: A", tag, fmt.Sprintf("Cache-Control: max-age=%d, stale-while-revalidate=2, stale-if-error=5", u.chance(3)), "Date: " + time.Now().UTC().Format(http.TimeFormat)}
	switch u.chance(20) {
	case 0:
		return nil, errors.New("connection refused")
	case 1:
		return reply(503, "down"), nil
	case 2: // breaks off
		resp := reply(200, body, fields...)
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(body[:len(body)/2]), failing{errors.New("reset")}))
		return resp, nil
	}
	if strings.Contains(r.Header.Get("If-None-Match"), strings.TrimPrefix(tag, "Etag: ")) {
		return reply(304, "", fields...), nil
	}
	if n := len(body) / 2; r.Header.Get("Range") == fmt.Sprintf("bytes=0-%d", n-1) {
		return reply(206, body[:n], append(fields, fmt.Sprintf("Content-Range: bytes 0-%d/%d", n-1, len(body)))...), nil
	}
	return reply(200, body, fields...), nil
}

// Random requests, callers and faults: no caller ever gets another answer than its own, whole or not at all.
func TestNobodyEverGetsAWrongAnswer(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	synctest.Test(t, func(t *testing.T) {
		origin := &unreliable{rng: rand.New(rand.NewPCG(seed, 1))}
		c, err := cache.New(cache.Options{Store: cache.NewMemory(cache.MemoryOptions{MaxEntries: 40})})
		require.NoError(t, err)
		rt := c.Middleware(origin)
		var wg sync.WaitGroup
		for worker := range 10 {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(seed, uint64(worker)+2))
				for range 200 {
					oneCall(t, rt, rng)
				}
			})
		}
		wg.Wait()
		c.Close()
		if s := c.Stats(); s.Hits == 0 || s.Revalidated == 0 || s.Stale == 0 || s.Entries > 40 {
			t.Errorf("stats %+v", s)
		}
	})
}

func oneCall(t *testing.T, rt http.RoundTripper, rng *rand.Rand) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(20+rng.IntN(2000))*time.Millisecond)
	defer cancel()
	method := [...]string{"GET", "GET", "GET", "GET", "GET", "GET", "HEAD", "POST"}[rng.IntN(8)]
	r, _ := http.NewRequestWithContext(ctx, method, fmt.Sprintf("http://h/%s", strings.Repeat("p", rng.IntN(5))), nil)
	for _, name := range []string{"A", "Authorization"} {
		if n := rng.IntN(4); n > 0 {
			r.Header.Set(name, fmt.Sprint(n))
		}
	}
	want := wanted(r)
	half := rng.IntN(6) == 0 && method == "GET"
	if half {
		r.Header.Set("Range", fmt.Sprintf("bytes=0-%d", len(want)/2-1))
	}
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	if rng.IntN(10) == 0 {
		return // without reading
	}
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil && !strings.HasPrefix(want, string(body)):
		t.Errorf("%s: before the break %q, want a beginning of %q", method, body, want)
	case err != nil, resp.StatusCode == 503, method == "HEAD":
	case resp.StatusCode == 206 && string(body) != want[:len(want)/2], resp.StatusCode == 200 && string(body) != want:
		t.Errorf("%s %d: %q, want %q", method, resp.StatusCode, body, want)
	case resp.StatusCode != 200 && resp.StatusCode != 206:
		t.Errorf("%s: status %d", method, resp.StatusCode)
	}
	if rng.IntN(3) == 0 {
		time.Sleep(time.Duration(rng.IntN(3000)) * time.Millisecond)
	}
}
