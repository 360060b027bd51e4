// Package testutil has what the tests of several packages need.
package testutil

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"
)

// RoundTripFunc is an [http.RoundTripper] that is a function.
type RoundTripFunc func(*http.Request) (*http.Response, error)

// RoundTrip calls f.
func (f RoundTripFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// ReadAll reads a body to its end and closes it.
func ReadAll(body io.ReadCloser) {
	io.Copy(io.Discard, body)
	body.Close()
}

// UnfinishedServer returns the URL of a server whose answers begin with "hello" and do not end before the test does.
func UnfinishedServer(t testing.TB) string {
	t.Helper()
	stop := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "hello")
		w.(http.Flusher).Flush()
		<-stop
	}))
	t.Cleanup(func() {
		close(stop)
		server.Close()
	})
	return server.URL
}

// Abandon sends req, reads two bytes of the response and drops it, neither read to its end nor closed.
// It is not inlined, so that nothing on the stack of its caller refers to the response.
//
//go:noinline
func Abandon(t testing.TB, rt http.RoundTripper, req *http.Request) {
	t.Helper()
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	io.ReadFull(resp.Body, make([]byte, 2))
}

// Eventually waits until done reports true. The test fails if it does not within 30 seconds.
func Eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after 30 seconds", what)
		}
	}
}

// WatchHeap samples the bytes of live and dead objects on the heap until done is closed, and returns the most that it saw.
func WatchHeap(done <-chan struct{}) (most uint64) {
	runtime.GC()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	for {
		metrics.Read(sample)
		most = max(most, sample[0].Value.Uint64())
		select {
		case <-done:
			return most
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// SkipUnlessCI skips a test whose machine lacks what it needs. With CI set the test fails instead, so that none goes unrun there.
func SkipUnlessCI(t testing.TB, reason any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}
