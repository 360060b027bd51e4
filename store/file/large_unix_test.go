//go:build unix

package file

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/cache"
)

var large = flag.Int64("large", 24<<20, "the bytes of the body in TestLargeResponse")

// heapLimit is what a program that fetches or serves a body of any size may have on its heap.
const heapLimit = 32 << 20

// TestLargeResponse has a program fetch and store a large body, and another one serve it from the files, each with a heap that is watched.
func TestLargeResponse(t *testing.T) {
	sum := sha256.New()
	_, err := io.Copy(sum, largeBody(*large))
	require.NoError(t, err)
	var asked atomic.Int64
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Cache-Control", "max-age=600")
		w.Header().Set("Content-Length", strconv.FormatInt(*large, 10))
		io.Copy(w, largeBody(*large))
	}))
	t.Cleanup(origin.Close)
	dir := t.TempDir()
	for _, want := range []string{"miss ", "hit "} {
		c := process(t, "large response", dir, origin.URL, strconv.FormatInt(*large, 10))
		out, err := c.Output()
		require.NoError(t, err)
		t.Log(strings.TrimSpace(string(out)))
		if want += hex.EncodeToString(sum.Sum(nil)); !bytes.HasPrefix(out, []byte(want)) {
			t.Errorf("the program said %q, want %q", out, want)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the origin was asked %d times, want once", n)
	}
}

// largeBody is n bytes, the same ones each time.
func largeBody(n int64) io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{1}), n) }

// largeResponse gets a URL through a cache in a directory, and says where the body came from, its sum, and how large the heap became.
func largeResponse(args []string) error {
	dir, url := args[0], args[1]
	size, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil {
		return err
	}
	files, err := Open(dir, Options{MaxBytes: 2 * size})
	if err != nil {
		return err
	}
	defer files.Close()
	c, err := cache.New(cache.Options{Store: files, MaxEntryBytes: size, MaxInFlightBytes: heapLimit / 2, StoreTimeout: 20 * time.Second})
	if err != nil {
		return err
	}
	defer c.Close()
	done, peak := make(chan struct{}), make(chan uint64)
	go func() { peak <- testutil.WatchHeap(done) }()
	began := time.Now()
	resp, err := (&http.Client{Transport: c.Middleware(nil)}).Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, resp.Body); err != nil {
		return err
	}
	took := time.Since(began)
	if err := c.Close(); err != nil {
		return err
	}
	close(done)
	heap := <-peak
	status, _ := cache.StatusOf(resp)
	fmt.Printf("%s %x %d MiB in %v, heap at most %.1f MiB\n", status.Outcome(), sum.Sum(nil), size>>20, took.Round(time.Millisecond), float64(heap)/(1<<20))
	if heap > heapLimit {
		return fmt.Errorf("the heap had %d bytes, want at most %d", heap, heapLimit)
	}
	return files.Close()
}
