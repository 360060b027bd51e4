package cache_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
)

// numbers is a text in which each place can be told from any other.
func numbers(n int) string {
	b := make([]byte, 0, n+8)
	for len(b) < n {
		b = fmt.Appendf(b, "%07x ", len(b))
	}
	return string(b[:n])
}

// inParts makes an origin for a text that can be asked for in parts.
func inParts(text string) roundTripper {
	return func(r *http.Request) (*http.Response, error) {
		var first, last int
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last); err != nil {
			return reply(200, text, "Cache-Control: max-age=60", `Etag: "a"`), nil
		}
		return reply(206, text[first:last+1], "Cache-Control: max-age=60", `Etag: "a"`, fmt.Sprintf("Content-Range: bytes %d-%d/%d", first, last, len(text))), nil
	}
}

func getRange(t *testing.T, rt http.RoundTripper, first, last int) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	require.NoError(t, err)
	r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", first, last))
	resp, err := rt.RoundTrip(r)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return string(body)
}

// A representation that comes in thousands of small parts is not copied as a whole for each of them.
func TestRangeSmallPartsAreCombinedInLinearTime(t *testing.T) {
	const size, step = 1 << 20, 1 << 10
	text := numbers(size)
	var forwards, fromTheMiddle []int
	for i := range size / step {
		forwards = append(forwards, i)
	}
	backwards := slices.Clone(forwards)
	slices.Reverse(backwards)
	for i := range size / step / 2 {
		fromTheMiddle = append(fromTheMiddle, size/step/2+i, size/step/2-1-i)
	}
	for name, order := range map[string][]int{"forwards": forwards, "backwards": backwards, "from the middle to both ends": fromTheMiddle} {
		t.Run(name, func(t *testing.T) {
			c, err := cache.New(cache.Options{})
			require.NoError(t, err)
			defer c.Close()
			rt := c.Middleware(inParts(text))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for _, i := range order {
				if got := getRange(t, rt, i*step, i*step+step-1); got != text[i*step:i*step+step] {
					t.Fatalf("the wrong bytes for part %d", i)
				}
			}
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > 24*size { // as a whole each time, it would be five hundred times the size
				t.Errorf("%d MB allocated for a representation of %d", got>>20, size>>20)
			}
			asked := c.Stats().Misses
			r, err := http.NewRequest("GET", url, nil)
			require.NoError(t, err)
			resp := roundTrip(t, rt, r)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			if string(body) != text || resp.StatusCode != 200 || c.Stats().Misses != asked {
				t.Errorf("the parts are not the whole: %d, %d bytes, %+v", resp.StatusCode, len(body), c.Stats())
			}
			if s := c.Stats(); s.Bytes > size*5/4 {
				t.Errorf("charged with %d bytes", s.Bytes)
			}
		})
	}
}

// Parts of all lengths, that overlap or leave gaps, by many callers at a time: what is served is always the text, and what has been served stays as it was.
func TestRangeCombinedPartsEqualTheWhole(t *testing.T) {
	const size = 20_000
	text := numbers(size)
	c, err := cache.New(cache.Options{MaxEntryBytes: 15_000})
	require.NoError(t, err)
	defer c.Close()
	rt := c.Middleware(inParts(text))
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(worker)))
			at := random.IntN(size)
			kept := make(map[[2]int]string)
			for i := range 1500 {
				first := min(max(at-random.IntN(50), 0), size-1)
				last := min(first+random.IntN(400), size-1)
				at = last
				if random.IntN(2) == 0 {
					at = first - random.IntN(400)
				}
				if random.IntN(40) == 0 || at < 0 || at >= size-1 {
					at = random.IntN(size)
				}
				got := getRange(t, rt, first, last)
				if got != text[first:last+1] {
					t.Errorf("bytes %d to %d are wrong", first, last)
					return
				}
				kept[[2]int{first, last}] = got
				if i == 750 && worker == 0 {
					c.Clear(t.Context())
				}
			}
			for at, got := range kept {
				if got != text[at[0]:at[1]+1] {
					t.Error("what was served has changed")
				}
			}
		})
	}
	wg.Wait()
	if s := c.Stats(); s.Hits == 0 || s.Stored == 0 {
		t.Errorf("nothing was combined: %+v", s)
	}
}
