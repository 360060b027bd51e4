package memcached

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// A server is one of those that a store has its items on, with the connections to it.
type server struct {
	network, addr string
	dial          func(ctx context.Context, network, addr string) (net.Conn, error)
	timeout       time.Duration
	slots         chan struct{} // a token for each call that runs: no other server waits for a hung one
	guarded       bool          // see away

	mu       sync.Mutex // guards the fields below; it is held over no I/O
	idle     []*conn    // the last one was used last
	closed   bool
	hung     int       // calls in a row that the server left without a reply
	awayTill time.Time // until then no call is made, but for one that probes
}

// What counts as hung is a call that the server has left without a reply until its time was over, unless that was shorter than hangTime.
// After hangsInRow of them, calls fail at once, and one in each probeEvery is let through.
const (
	hangTime   = 20 * time.Millisecond
	hangsInRow = 3
	probeEvery = 250 * time.Millisecond
)

var (
	errAway   = errors.New("the server does not answer at the moment")
	errClosed = errors.New("the store is closed")
)

// do calls f with a connection, and returns when f does. The connection's deadline is the context's, so that f ends with the context, canceled or late.
// f is called again with a new connection if the one that it had turns out to have been closed by the server: each change that a store makes may be made twice.
func (s *server) do(ctx context.Context, f func(*conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.isAway(time.Now()) {
		return fmt.Errorf("%s: %w", s.addr, errAway)
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	began := time.Now()
	stale, err := s.try(ctx, f)
	if stale {
		s.closeIdle()
		_, err = s.try(ctx, f)
	}
	if err == nil || errors.As(err, new(refusal)) {
		s.answered()
		return err
	}
	late := errors.Is(err, os.ErrDeadlineExceeded)
	if ctx.Err() != nil || late {
		s.unanswered(began)
		if err = ctx.Err(); err == nil { // the connection's deadline may come before the context's timer
			err = context.DeadlineExceeded
		}
		return err
	}
	return fmt.Errorf("%s: %w", s.addr, err)
}

// try runs f once. stale says that the connection was from the pool and has been closed by the server before it replied.
func (s *server) try(ctx context.Context, f func(*conn) error) (stale bool, err error) {
	c, err := s.take(ctx)
	if err != nil {
		return false, err
	}
	deadline, _ := ctx.Deadline()
	c.SetDeadline(deadline)
	c.replied = false
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	err = f(c)
	switch ended := !stop(); {
	case err != nil:
		c.Close()
		return c.reused && !c.replied && ctx.Err() == nil && !errors.Is(err, os.ErrDeadlineExceeded), err
	case ended, c.r.Buffered() > 0: // the deadline of the past may still be about to be set; more was said than asked for, and would pass for the next reply
		c.Close()
	default:
		s.give(c)
	}
	return false, nil
}

// take returns a connection from the pool, or a new one.
func (s *server) take(ctx context.Context) (*conn, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, errClosed
	}
	if n := len(s.idle); n > 0 {
		c := s.idle[n-1]
		s.idle = s.idle[:n-1]
		s.mu.Unlock()
		return c, nil
	}
	s.mu.Unlock()
	c, err := s.dial(ctx, s.network, s.addr)
	if err != nil {
		return nil, err
	}
	return newConn(c), nil
}

// give puts a connection into the pool. There are never more of them than slots.
func (s *server) give(c *conn) {
	c.reused = true
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.idle = append(s.idle, c)
	}
	s.mu.Unlock()
	if closed {
		c.Close()
	}
}

// closeIdle closes the connections in the pool: when the server has closed one, it has closed them all.
func (s *server) closeIdle() {
	s.mu.Lock()
	idle := s.idle
	s.idle = nil
	s.mu.Unlock()
	for _, c := range idle {
		c.Close()
	}
}

func (s *server) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.closeIdle()
}

func (s *server) answered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hung, s.awayTill = 0, time.Time{}
}

func (s *server) unanswered(began time.Time) {
	now := time.Now()
	if now.Sub(began) < hangTime {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hung++; s.hung >= hangsInRow {
		s.awayTill = now.Add(probeEvery)
	}
}

// isAway reports whether the server counts as away. A store with one server leaves that to the cache. Among several, the cache sees one that hangs
// between others that answer: without this, each request with a key of its would wait to the end of its time.
func (s *server) isAway(now time.Time) bool {
	if !s.guarded {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hung < hangsInRow {
		return false
	}
	if now.Before(s.awayTill) {
		return true
	}
	s.awayTill = now.Add(probeEvery) // this call probes
	return false
}
