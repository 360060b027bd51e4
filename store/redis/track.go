package redis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/plyhttp/ply/internal/storetext"
	goredis "github.com/redis/go-redis/v9"
)

const (
	pingEvery  = time.Second             // a connection that says nothing for so long is asked whether it lives
	minPause   = 20 * time.Millisecond   // between two tries to connect, doubled each time
	maxPause   = 1000 * time.Millisecond // and at most this
	trackSteps = 3                       // replies to expect at the beginning: HELLO, CLIENT SETNAME, CLIENT TRACKING
)

// tracker hears from servers which keys change. It has one goroutine for each server that it follows, all of them owned by listen.
type tracker struct {
	store  *Store
	echoes chan<- string
}

// errRefused is a server that is there, but does not tell.
var errRefused = errors.New("the server refuses to track")

// follow keeps a tracking connection to one server until the context is done. "" is said when one is lost, for what was missed then and until the next;
// when the next one is there, for what was read in between; and after each vain try if the server answers other calls:
// then there is nothing better than to take everything for changed, again and again.
func (t *tracker) follow(ctx context.Context, opt *goredis.Options) {
	// The invariant of all that follows: between two messages about one key, a listener that reads the key sees every change in between,
	// or is told "". So each gap in the connection has a "" behind it.
	pause := minPause
	answered := t.store.answered.Load()
	for ctx.Err() == nil {
		began := time.Now()
		err := t.track(ctx, opt)
		if ctx.Err() != nil {
			return
		}
		now := t.store.answered.Load()
		if errors.Is(err, errRefused) || now != answered {
			t.store.listeners.publish("")
		}
		answered = now
		if errors.Is(err, errRefused) {
			pause = maxPause
		} else if time.Since(began) > 2*maxPause {
			pause = minPause
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, maxPause)
	}
}

// track listens on one connection until it breaks.
func (t *tracker) track(ctx context.Context, opt *goredis.Options) error {
	conn, err := t.connect(ctx, opt)
	if err != nil {
		return err
	}
	defer conn.Close()
	// The deferred calls run in this order: the end of ctx is no longer listened for, ctx ends, watch returns, the connection is closed.
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if opt.Addr == sentinels {
		wg.Go(func() { t.watch(ctx, opt, conn) })
	}
	conn.SetDeadline(time.Now().Add(t.store.opt.Timeout))
	if err := t.subscribe(ctx, conn, opt); err != nil {
		return err
	}
	r := &pushes{r: bufio.NewReader(conn), invalidated: t.onInvalidated}
	for range trackSteps {
		if err := r.next(); err != nil {
			return err
		}
	}
	// What changed before the server began to track was not reported, and what was read meanwhile may be out of date:
	//	they: change k        we: TRACKING ON, ""        the cache: drops its copy of k
	t.store.listeners.publish("")
	defer t.store.listeners.publish("") // at the end of the store there is no listener left
	asked := false                      // a PING is on its way; its answer is a reply that next skips
	for {
		conn.SetDeadline(time.Now().Add(pingEvery))
		_, err := r.r.Peek(1)
		var timeout net.Error
		switch {
		case err == nil:
			asked = false
			if err := r.next(); err != nil {
				return err
			}
		case errors.As(err, &timeout) && timeout.Timeout() && !asked:
			asked = true
			conn.SetDeadline(time.Now().Add(pingEvery))
			if _, err := conn.Write([]byte("PING\r\n")); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

// sentinels is what go-redis says is the address of a server that sentinels know.
const sentinels = "FailoverClient"

// watch closes the connection when the sentinels name another server. The old master, if it lives, goes on for up to ten seconds as if nothing were.
func (t *tracker) watch(ctx context.Context, opt *goredis.Options, conn net.Conn) {
	tick := time.NewTicker(topologyEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, err := t.connect(ctx, opt)
		if err != nil {
			continue
		}
		now.Close()
		if now.RemoteAddr().String() != conn.RemoteAddr().String() {
			conn.Close()
			return
		}
	}
}

func (t *tracker) connect(ctx context.Context, opt *goredis.Options) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, t.store.opt.Timeout)
	defer cancel()
	return opt.Dialer(ctx, opt.Network, opt.Addr)
}

// subscribe sends what makes the connection one that tells of changes.
func (t *tracker) subscribe(ctx context.Context, conn net.Conn, opt *goredis.Options) error {
	user, password := opt.Username, opt.Password
	switch {
	case opt.StreamingCredentialsProvider != nil:
		return fmt.Errorf("%w: its credentials come in a stream", errRefused)
	case opt.CredentialsProviderContext != nil:
		var err error
		if user, password, err = opt.CredentialsProviderContext(ctx); err != nil {
			return err
		}
	case opt.CredentialsProvider != nil:
		user, password = opt.CredentialsProvider()
	}
	hello := []string{"HELLO", "3"}
	if password != "" || user != "" {
		if user == "" {
			user = "default"
		}
		hello = append(hello, "AUTH", user, password)
	}
	var b strings.Builder
	for _, args := range [][]string{
		hello,
		{"CLIENT", "SETNAME", "ply-changes"},
		{"CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", t.store.prefix},
	} {
		fmt.Fprintf(&b, "*%d\r\n", len(args))
		for _, arg := range args {
			fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(arg), arg)
		}
	}
	_, err := conn.Write([]byte(b.String()))
	return err
}

// onInvalidated is called with a name in Redis that has changed, "" for all.
func (t *tracker) onInvalidated(name string) {
	key, ok := strings.CutPrefix(name, t.store.prefix)
	switch {
	case name == "":
		t.store.listeners.publish("")
	case !ok || !storetext.ValidKey(key):
	case t.store.written.known(key):
		// Our own change, or another one right behind it: verify asks. If it cannot keep up, the key counts as changed, which costs a hit and is never wrong.
		select {
		case t.echoes <- key:
		default:
			t.store.listeners.publish(key)
		}
	default:
		t.store.listeners.publish(key)
	}
}
