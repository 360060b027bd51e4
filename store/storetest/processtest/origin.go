package processtest

import (
	"bytes"
	"crypto/sha256"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

const bodySize = 100_000 // several chunks

// origin is a server that counts what it is asked for.
type origin struct {
	*httptest.Server
	hold func(n int) // called with the number of the request for its path, before the answer

	mu    sync.Mutex // guards times
	times map[string][]time.Time
}

// newOrigin starts an origin that ends with the test. hold must return by the end of the test.
func newOrigin(t *testing.T, hold func(n int)) *origin {
	o := &origin{hold: hold, times: make(map[string][]time.Time)}
	o.Server = httptest.NewServer(o)
	t.Cleanup(o.Close)
	return o
}

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	o.times[r.URL.Path] = append(o.times[r.URL.Path], time.Now())
	n := len(o.times[r.URL.Path])
	o.mu.Unlock()
	o.hold(n)
	w.Header().Set("Cache-Control", "max-age=600")
	_, _ = w.Write(proof(r.URL.Path))
}

// asked returns how many requests have come for each path.
func (o *origin) asked() map[string]int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := make(map[string]int)
	for path, times := range maps.All(o.times) {
		n[path] = len(times)
	}
	return n
}

// second returns when the second request for a path came, or the zero time.
func (o *origin) second(path string) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.times[path]) < 2 {
		return time.Time{}
	}
	return o.times[path][1]
}

// proof returns the body for a path, which shows where it belongs and that it is whole.
func proof(path string) []byte {
	b := []byte(path)
	for len(b) < bodySize {
		sum := sha256.Sum256(b)
		b = append(b, bytes.Repeat(sum[:], 32)...)
	}
	return b
}
