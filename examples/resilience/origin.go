package main

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A server gets into trouble when it is told to.
type server struct {
	down  atomic.Bool // 503 for all
	stall atomic.Bool // the next request gets no answer

	requests atomic.Int64

	mu             sync.Mutex // guards what follows
	underWay, most int
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	switch {
	case s.down.Load():
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case s.stall.CompareAndSwap(true, false):
		<-r.Context().Done()
		return
	case r.URL.Path == "/slow":
		s.count(1)
		defer s.count(-1)
		select {
		case <-time.After(20 * time.Millisecond):
		case <-r.Context().Done():
			return
		}
	}
	if r.URL.Path == "/article" {
		w.Header().Set("Cache-Control", "max-age=0")
	} else {
		w.Header().Set("Cache-Control", "no-store")
	}
	fmt.Fprintln(w, "All HTTP is caching.")
}

func (s *server) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.underWay += n
	s.most = max(s.most, s.underWay)
}

func (s *server) mostUnderWay() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.most
}
