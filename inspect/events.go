package inspect

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	maxReaders  = 16                     // pages that follow at once
	pause       = 100 * time.Millisecond // between two batches, so that a busy program does not keep a page busy
	heartbeat   = 15 * time.Second
	writeWithin = 30 * time.Second // after which a reader that takes nothing is given up
	batch       = 500
)

// serveEvents tells a page what changes, for as long as it listens. It writes at its reader's pace, and makes each row when it writes it:
// a slow reader misses nothing and holds nothing up. The stream ends with the request, with Close, or when nothing can be written for a while.
func (in *Inspector) serveEvents(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Type", "text/event-stream")
		return
	}
	reader := in.follow()
	if reader == nil {
		w.Header().Set("Retry-After", "30")
		fail(w, http.StatusServiceUnavailable, errors.New("too many pages are open: close one"))
		return
	}
	defer in.leave(reader)
	w.Header().Set("Content-Type", "text/event-stream")
	s := &stream{in: in, w: w, flush: http.NewResponseController(w), reader: reader, seen: in.resumed(r.Header.Get("Last-Event-ID"))}
	defer s.flush.SetWriteDeadline(time.Time{}) //nolint:errcheck // the connection may serve other requests
	s.hello()
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	tick := time.NewTimer(0)
	defer tick.Stop()
	for s.err == nil && !in.closed.Load() {
		s.changes()
		tick.Reset(pause)
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
		select {
		case <-reader.changed:
		case <-beat.C:
			s.write(": \n\n")
		case <-r.Context().Done():
			return
		}
	}
}

// follow makes a reader, or returns nil if there are enough, or the inspector is closed.
func (in *Inspector) follow() *reader {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.readers) >= maxReaders || in.closed.Load() {
		return nil
	}
	r := &reader{changed: make(chan struct{}, 1)}
	in.readers[r] = struct{}{}
	in.watching.Add(1)
	return r
}

func (in *Inspector) leave(r *reader) {
	in.mu.Lock()
	defer in.mu.Unlock()
	delete(in.readers, r)
	in.watching.Add(-1)
}

// resumed returns the version that a page has seen before it lost its connection, or zero for one that has seen nothing of this inspector.
func (in *Inspector) resumed(lastEventID string) int64 {
	instance, text, _ := strings.Cut(lastEventID, "-")
	version, err := strconv.ParseInt(text, 10, 64)
	if instance != in.instance || err != nil || version < 0 {
		return 0
	}
	return version
}

// stream writes the events of one reader.
type stream struct {
	in     *Inspector
	w      http.ResponseWriter
	flush  *http.ResponseController
	reader *reader
	seen   int64 // the version up to which it has been told
	bucket bucket
	cache  cacheStats
	err    error
}

func (s *stream) write(text string) {
	if s.err != nil {
		return
	}
	s.flush.SetWriteDeadline(time.Now().Add(writeWithin)) //nolint:errcheck // a server without deadlines has its own
	if _, s.err = s.w.Write([]byte(text)); s.err == nil {
		if err := s.flush.Flush(); !errors.Is(err, http.ErrNotSupported) {
			s.err = err
		}
	}
}

func (s *stream) event(name string, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		s.err = err
		return
	}
	s.write(fmt.Sprintf("event: %s\nid: %s-%d\ndata: %s\n\n", name, s.in.instance, s.seen, text))
}

func (s *stream) hello() {
	_, version, oldest, _ := s.in.changedSince(1<<62, 0)
	s.event("hello", struct {
		Instance    string    `json:"instance"`
		Version     int64     `json:"version"`
		Oldest      int64     `json:"oldest"`
		Keep        int       `json:"keep"`
		Cache       bool      `json:"cache"`
		Now         time.Time `json:"now"`
		StatsStepMs int64     `json:"statsStepMs"`
	}{s.in.instance, version, oldest, s.in.o.Keep, s.in.o.Cache != nil, moment(time.Now()), s.in.seconds.step * 1000})
}

// changes writes what has changed since the last time.
func (s *stream) changes() {
	s.in.mu.Lock()
	reset := s.reader.reset
	s.reader.reset = false
	s.in.mu.Unlock()
	if reset {
		s.event("reset", map[string]any{"instance": s.in.instance, "version": s.seen})
	}
	for more := true; more && s.err == nil; {
		before := s.seen
		l := s.in.list(s.seen, batch)
		if more = l.More; l.Version == before {
			break
		}
		s.seen = l.Version
		s.event("calls", l)
	}
	s.counters()
}

func (s *stream) counters() {
	s.in.mu.Lock()
	now := s.in.seconds.peek(time.Now())
	s.in.mu.Unlock()
	if now.Requests > 0 && now != s.bucket {
		s.bucket = now
		s.event("stats", now)
	}
	if c := s.in.cacheStats(); c != nil && *c != s.cache {
		s.cache = *c
		s.event("cache", c)
	}
}
