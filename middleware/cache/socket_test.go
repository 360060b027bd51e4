package cache_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
)

// socketed is an origin on a real socket, with the counts of what must not be left over.
type socketed struct {
	*httptest.Server
	conns      atomic.Int64
	goroutines int
	files      int
}

// onSocket starts an origin and sees to it that at the end of the test everything is as it was before.
func onSocket(t *testing.T, handler http.HandlerFunc) *socketed {
	t.Helper()
	s := &socketed{goroutines: runtime.NumGoroutine(), files: openFiles(t)}
	s.Server = httptest.NewUnstartedServer(handler)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			s.conns.Add(1)
		case http.StateClosed, http.StateHijacked:
			s.conns.Add(-1)
		}
	}
	s.Start()
	return s
}

// openFiles counts the file descriptors of this process. Where the system does not say, it is zero.
func openFiles(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil && runtime.GOOS == "linux" {
		t.Fatal(err)
	}
	return len(files)
}

// gone waits until nothing is left.
func (s *socketed) gone(t *testing.T, transport *http.Transport, c *cache.Cache) {
	t.Helper()
	c.Close()
	nothingInFlight(t, c)
	transport.CloseIdleConnections()
	waitFor(t, "connections", func() int { return int(s.conns.Load()) }, 0)
	s.Close()
	waitFor(t, "goroutines", runtime.NumGoroutine, s.goroutines)
	waitFor(t, "file descriptors", func() int { return openFiles(t) }, s.files)
}

// waitFor polls: what a kernel does takes a moment.
func waitFor(t *testing.T, what string, have func() int, want int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for have() > want {
		if time.Now().After(deadline) {
			t.Errorf("%d %s are left, want %d", have(), what, want)
			return
		}
		runtime.Gosched()
	}
}

func overSockets(t *testing.T, transport *http.Transport, options cache.Options) (*cache.Cache, http.RoundTripper) {
	t.Helper()
	c, err := cache.New(options)
	require.NoError(t, err)
	return c, c.Middleware(transport)
}

// A thousand callers over real sockets: one request, the one who leads is canceled half-way, some never read, some leave early.
func TestSocketsCollapseThousandCallers(t *testing.T) {
	const n, size = 1000, 256 << 10
	body := sealed("k", 1, size)
	var asked atomic.Int64
	begun, goOn := make(chan struct{}), make(chan struct{})
	s := onSocket(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		io.WriteString(w, body[:len(body)/2])
		w.(http.Flusher).Flush()
		close(begun)
		<-goOn
		io.WriteString(w, body[len(body)/2:])
	})
	transport := &http.Transport{}
	c, rt := overSockets(t, transport, cache.Options{})
	request := func(ctx context.Context) *http.Request {
		r, _ := http.NewRequestWithContext(ctx, "GET", s.URL, nil)
		return r
	}
	ctx, cancel := context.WithCancel(t.Context())
	leader, err := rt.RoundTrip(request(ctx))
	require.NoError(t, err)
	<-begun
	var wg, started sync.WaitGroup
	var failed atomic.Int64
	for i := range n {
		started.Add(1)
		wg.Go(func() {
			resp, err := rt.RoundTrip(request(t.Context()))
			started.Done()
			if err != nil {
				failed.Add(1)
				t.Error(err)
				return
			}
			switch {
			case i%10 == 0: // never reads
				return
			case i%10 == 1:
				io.ReadFull(resp.Body, make([]byte, 1000))
				resp.Body.Close()
				return
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			if string(got) != body || err != nil {
				failed.Add(1)
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	started.Wait()
	cancel()
	if _, err := io.ReadAll(leader.Body); err != context.Canceled {
		t.Errorf("the one who was canceled got %v", err)
	}
	leader.Body.Close()
	close(goOn)
	wg.Wait()
	if asked.Load() != 1 || failed.Load() != 0 || c.Stats().Collapsed != n {
		t.Errorf("%d requests, %d failed, %+v", asked.Load(), failed.Load(), c.Stats())
	}
	s.gone(t, transport, c)
}

// Ten thousand validations over one connection: one response that is not closed, and everything hangs.
func TestSocketsValidationsReuseOneConnection(t *testing.T) {
	n := int64(10_000)
	if underRace {
		n = 2000
	}
	s := onSocket(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"1"`)
		w.Header().Set("Cache-Control", "no-cache")
		if r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, strings.Repeat("x", 100))
	})
	transport := &http.Transport{MaxConnsPerHost: 1}
	c, rt := overSockets(t, transport, cache.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for i := next.Add(1); i <= n; i = next.Add(1) {
				r, _ := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("%s/%d", s.URL, i%7), nil)
				resp, err := rt.RoundTrip(r)
				if err != nil {
					t.Errorf("%d: %v", i, err)
					return
				}
				if i%3 > 0 {
					got, err := io.ReadAll(resp.Body)
					if len(got) != 100 || err != nil {
						t.Errorf("%d: %d bytes, %v", i, len(got), err)
					}
				}
				resp.Body.Close()
			}
		})
	}
	wg.Wait()
	if st := c.Stats(); st.Revalidated < n-200 {
		t.Errorf("%+v", st)
	}
	s.gone(t, transport, c)
}

// Connections come back from answers that cannot be shared, that break off, that are too large, and that had no waiter.
func TestSocketsAreReleased(t *testing.T) {
	s := onSocket(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		switch r.URL.Path {
		case "/private":
			w.Header().Set("Cache-Control", "no-store")
		case "/broken":
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, "half")
			panic(http.ErrAbortHandler)
		case "/slow":
			<-r.Context().Done()
			return
		case "/large":
			w.Write(make([]byte, 100<<10))
			w.(http.Flusher).Flush()
			w.Write(make([]byte, 100<<10))
			return
		}
		io.WriteString(w, strings.Repeat("x", 10<<10))
	})
	transport := &http.Transport{}
	c, rt := overSockets(t, transport, cache.Options{MaxEntryBytes: 64 << 10})
	var wg sync.WaitGroup
	for i := range 200 {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		r, _ := http.NewRequestWithContext(ctx, "GET", s.URL+[]string{"/", "/private", "/broken", "/slow", "/large"}[i%5], nil)
		wg.Go(func() {
			defer cancel()
			resp, err := rt.RoundTrip(r)
			if err != nil {
				return
			}
			if i%3 > 0 {
				io.Copy(io.Discard, io.LimitReader(resp.Body, int64(i)<<10))
			}
			if i%4 > 0 {
				resp.Body.Close() // the others end with their contexts
			}
		})
	}
	wg.Wait()
	s.gone(t, transport, c)
}
