package sqlite_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/sqlite"
)

// TestLarge stores a large body in pieces and reads it, in a process whose heap is watched.
func TestLarge(t *testing.T) {
	path := file(t)
	cmd := process(t, "large", path)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Run(), out.String())
	t.Log(out.String())
	sound(t, path)
}

const (
	piece    = 256 << 10
	heapSize = 32 << 20
)

func storeLarge(path string) error {
	s, err := sqlite.Open(path, sqlite.Options{MaxBytes: 2 * *large})
	if err != nil {
		return err
	}
	defer s.Close()
	done, peak := make(chan struct{}), make(chan uint64)
	go func() { peak <- testutil.WatchHeap(done) }()
	n := int(*large / piece)
	data := make([]byte, piece)
	began := time.Now()
	for i := range n {
		copy(data, fmt.Sprintf("piece %d of the body", i))
		if err := s.Put(background, fmt.Sprint("body.", i), store.Record{Data: data, Kind: store.KindBody, Owner: "body"}); err != nil {
			return err
		}
	}
	if err := s.Put(background, "body", store.Record{Data: []byte("entry"), Kind: store.KindEntry}); err != nil {
		return err
	}
	written := time.Since(began)
	began = time.Now()
	for i := range n {
		r, err := s.Get(background, fmt.Sprint("body.", i))
		if err != nil {
			return err
		}
		copy(data, fmt.Sprintf("piece %d of the body", i))
		if !bytes.HasPrefix(r.Data, fmt.Appendf(nil, "piece %d of the body", i)) || len(r.Data) != piece {
			return fmt.Errorf("piece %d is not what was put", i)
		}
	}
	read := time.Since(began)
	close(done)
	heap := <-peak
	fmt.Printf("%d MiB: written in %v, read in %v, heap at most %.1f MiB", *large>>20, written.Round(time.Millisecond), read.Round(time.Millisecond), float64(heap)/(1<<20))
	if status, err := os.ReadFile("/proc/self/status"); err == nil {
		if at := bytes.Index(status, []byte("VmHWM:")); at >= 0 {
			line, _, _ := bytes.Cut(status[at:], []byte("\n"))
			fmt.Printf(", the whole process %s", bytes.TrimSpace(bytes.TrimPrefix(line, []byte("VmHWM:"))))
		}
	}
	if heap > heapSize {
		return fmt.Errorf("the heap had %d bytes, want at most %d", heap, heapSize)
	}
	return s.Close()
}

// TestLargeResponse has a program fetch and store a large body, and another one serve it from the file, each with a heap that is watched.
func TestLargeResponse(t *testing.T) {
	o, path := newOrigin(t), file(t)
	url := fmt.Sprint(o.URL, "/large/", *large)
	var sums [2]string
	for run := range sums {
		cmd := process(t, "response", path)
		cmd.Env = append(cmd.Env, "PLY_SQLITE_URL="+url)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		require.NoError(t, cmd.Run(), out.String())
		t.Log(strings.TrimSpace(out.String()))
		var outcome string
		_, err := fmt.Sscan(out.String(), &outcome, &sums[run])
		require.NoError(t, err)
		if want := []string{"miss", "hit"}[run]; outcome != want {
			t.Errorf("run %d: a %s, want a %s", run+1, outcome, want)
		}
	}
	if sums[0] != sums[1] || o.asked.Load() != 1 {
		t.Errorf("sums %v, the origin was asked %d times, want the same body and one request", sums, o.asked.Load())
	}
	sound(t, path)
}

func fetchLarge(path string) error {
	s, err := sqlite.Open(path, sqlite.Options{MaxBytes: 2 * *large})
	if err != nil {
		return err
	}
	defer s.Close()
	c, err := cache.New(cache.Options{Store: s, MaxEntryBytes: *large, MaxInFlightBytes: heapSize / 2, StoreTimeout: 20 * time.Second})
	if err != nil {
		return err
	}
	defer c.Close()
	done, peak := make(chan struct{}), make(chan uint64)
	go func() { peak <- testutil.WatchHeap(done) }()
	began := time.Now()
	resp, err := (&http.Client{Transport: c.Middleware(http.DefaultTransport)}).Get(os.Getenv("PLY_SQLITE_URL"))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	sum, err := unseal(resp.Body, *large)
	if err != nil {
		return err
	}
	took := time.Since(began)
	if err := c.Close(); err != nil {
		return err
	}
	close(done)
	heap := <-peak
	status, _ := cache.StatusOf(resp)
	fmt.Printf("%s %s %d MiB in %v, heap at most %.1f MiB", status.Outcome(), sum, *large>>20, took.Round(time.Millisecond), float64(heap)/(1<<20))
	if heap > heapSize {
		return fmt.Errorf("the heap had %d bytes, want at most %d", heap, heapSize)
	}
	return s.Close()
}
