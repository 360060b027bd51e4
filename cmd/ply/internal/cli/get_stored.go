package cli

import (
	"context"
	"net/http"
	"sync"

	"github.com/plyhttp/ply/middleware/cache"
)

// storings takes down which responses of a call are not stored, though their headers said so: that is known once a body has been read. Make one with withStorings.
type storings struct {
	mu      sync.Mutex // guards all of it
	last    string     // method and URL of the last response of which the header says that it is stored
	reasons map[string]string
}

// withStorings returns a context whose requests report to the storings.
func withStorings(ctx context.Context) (context.Context, *storings) {
	s := &storings{reasons: map[string]string{}}
	return cache.WithTrace(ctx, &cache.Trace{
		Answered: func(r *http.Request, status cache.Status) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.last = ""; status.Stored {
				s.last = r.Method + " " + r.URL.String()
			}
		},
		NotStored: func(r *http.Request, reason string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.reasons[r.Method+" "+r.URL.String()] = reason
		},
	}), s
}

// refused says why the last response was not stored after all, or is empty.
func (s *storings) refused() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reasons[s.last]
}
