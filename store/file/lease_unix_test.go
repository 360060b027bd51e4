//go:build unix

package file

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
)

func init() { parts["lease"] = underLeases }

// underLeases has twenty callers ask for each of args[2:] at once, and checks what they get.
func underLeases(args []string) error {
	lasts, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
	s, err := Open(args[0], Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	c, err := cache.New(cache.Options{Store: s, Lease: lasts, StoreTimeout: 10 * time.Second})
	if err != nil {
		return err
	}
	defer c.Close()
	client := &http.Client{Transport: c.Middleware(nil)}
	failed := make(chan error, 20*len(args))
	var wg sync.WaitGroup
	for _, url := range args[2:] {
		for range 20 {
			wg.Go(func() {
				r, _ := http.NewRequestWithContext(context.Background(), "GET", url, nil)
				resp, err := client.Do(r)
				if err != nil {
					failed <- err
					return
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				if err != nil || !proven(r.URL.Path, body) {
					failed <- fmt.Errorf("%s: %d bytes, %v", r.URL.Path, len(body), err)
				}
			})
		}
	}
	wg.Wait()
	close(failed)
	return <-failed
}

// TestOneFetchAcrossProcesses has three programs with one directory ask for the same at once: the origin is asked once for each answer.
func TestOneFetchAcrossProcesses(t *testing.T) {
	const programs = 3
	var mu sync.Mutex // guards asked
	asked := make(map[string]int)
	o := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked[r.URL.Path]++
		mu.Unlock()
		w.Header().Set("Cache-Control", "max-age=600")
		w.Write(proof(r.URL.Path, 100_000))
	}))
	defer o.Close()
	args := []string{t.TempDir(), "1m"}
	for i := range 8 {
		args = append(args, fmt.Sprint(o.URL, "/", i))
	}
	var running []*exec.Cmd
	for range programs {
		c := process(t, "lease", args...)
		require.NoError(t, c.Start())
		running = append(running, c)
	}
	for _, c := range running {
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for path, n := range asked {
		if n != 1 {
			t.Errorf("%s was asked for %d times", path, n)
		}
	}
	if len(asked) != 8 {
		t.Errorf("asked for: %v", asked)
	}
}

// TestAKilledHolderCostsItsLease kills a program while it asks the origin. Another one that waits for it goes on.
func TestAKilledHolderCostsItsLease(t *testing.T) {
	held, dead := make(chan struct{}), make(chan struct{})
	var first sync.Once
	o := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		first.Do(func() {
			close(held)
			<-dead
		})
		w.Header().Set("Cache-Control", "max-age=600")
		w.Write(proof(r.URL.Path, 1000))
	}))
	defer o.Close()
	args := []string{t.TempDir(), "2s", o.URL + "/a"}
	holder, waiter := process(t, "lease", args...), process(t, "lease", args...)
	require.NoError(t, holder.Start())
	<-held
	require.NoError(t, holder.Process.Kill())
	holder.Wait()
	close(dead)
	require.NoError(t, waiter.Run())
}
