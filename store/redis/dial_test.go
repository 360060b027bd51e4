package redis_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/store/redis"
	"github.com/plyhttp/ply/store/redis/internal/server"
)

// farAway passes connections on, and everything on them d later, in each direction.
func farAway(t *testing.T, addr string, d time.Duration) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	pass := func(dst, src net.Conn) {
		defer dst.Close()
		defer src.Close()
		type chunk struct {
			at time.Time
			b  []byte
		}
		ch := make(chan chunk, 10000)
		go func() {
			defer close(ch)
			for {
				b := make([]byte, 64<<10)
				n, err := src.Read(b)
				if n > 0 {
					ch <- chunk{time.Now().Add(d), b[:n]}
				}
				if err != nil {
					return
				}
			}
		}()
		for c := range ch {
			time.Sleep(time.Until(c.at))
			if _, err := dst.Write(c.b); err != nil {
				io.Copy(io.Discard, src)
				return
			}
		}
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				time.Sleep(2 * d) // the handshake
				upstream, err := net.Dial("tcp", addr)
				if err != nil {
					c.Close()
					return
				}
				go pass(upstream, c)
				pass(c, upstream)
			}()
		}
	}()
	return l.Addr().String()
}

// A connection that takes longer to set up than a caller waits is there for the callers that come later.
func TestSlowConnectionIsThereForLaterCalls(t *testing.T) {
	srv := server.Start(t)
	s := open(t, farAway(t, srv.Addr, 25*time.Millisecond), redis.Options{})
	get := func(wait time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		_, err := s.Get(ctx, "a")
		return err
	}
	if err := get(25 * time.Millisecond); !errors.Is(err, context.DeadlineExceeded) { // half a round trip, of three that it takes
		t.Errorf("the first call: %v", err)
	}
	testutil.Eventually(t, "a call that is answered", func() bool { return get(100*time.Millisecond) == nil }) // two round trips
}
