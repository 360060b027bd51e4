package redis

import (
	"context"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Notify implements [store.Notifier]: f is called with the keys that another store, process or person changes, and with "" when the connection
// that tells of them was lost or is there again. Redis tells of records that it drops or that expire, too.
// What this store itself changes is asked for once more, and not passed on if it is still there.
// f must not call stop.
func (s *Store) Notify(f func(key string)) (stop func()) {
	return s.listeners.add(&listener{f: f})
}

// listener is one function that Notify was given.
type listener struct {
	mu      sync.Mutex // is held while f runs, so that stop can promise that no call follows
	stopped bool
	f       func(key string)
}

func (l *listener) notify(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.stopped {
		l.f(key)
	}
}

// listenerSet has a store's listeners, and the goroutines that listen for them while there is one.
type listenerSet struct {
	store *Store

	mu        sync.Mutex  // guards the fields below
	listeners []*listener // is replaced and never changed, so that publish can walk it without the lock
	closed    bool
	quit      context.CancelFunc // ends the goroutines; nil while there are none
	wg        sync.WaitGroup
}

func (e *listenerSet) add(l *listener) (stop func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return func() {}
	}
	e.listeners = append(append([]*listener(nil), e.listeners...), l)
	if e.quit == nil {
		ctx, quit := context.WithCancel(context.Background())
		e.quit = quit
		e.store.written.remember(true)
		echoes := make(chan string, 1024)
		e.wg.Go(func() { e.store.verify(ctx, echoes) })
		e.wg.Go(func() { e.store.listen(ctx, echoes) })
	}
	return func() { e.remove(l) }
}

// remove waits for a call of f that is under way, and no call follows. The lock of the set is not held then: f may be slow.
func (e *listenerSet) remove(l *listener) {
	l.mu.Lock()
	l.stopped = true
	l.mu.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	var rest []*listener
	for _, other := range e.listeners {
		if other != l {
			rest = append(rest, other)
		}
	}
	e.listeners = rest
	if len(rest) == 0 {
		e.stopTracking()
	}
}

// stopTracking ends the goroutines, without waiting for them: to publish, they take e.mu, which is held here.
func (e *listenerSet) stopTracking() {
	if e.quit != nil {
		e.quit()
		e.quit = nil
		e.store.written.remember(false)
	}
}

// close ends the goroutines, and waits for them without the lock. A listener that was added after it is never called.
func (e *listenerSet) close() {
	e.mu.Lock()
	e.closed = true
	for _, l := range e.listeners {
		l.mu.Lock()
		l.stopped = true
		l.mu.Unlock()
	}
	e.listeners = nil
	e.stopTracking()
	e.mu.Unlock()
	e.wg.Wait()
}

// publish passes a key on to the listeners.
func (e *listenerSet) publish(key string) {
	e.mu.Lock()
	listeners := e.listeners
	e.mu.Unlock()
	for _, l := range listeners {
		l.notify(key)
	}
}

// topologyEvery is how often a cluster is asked for its masters. Clients learn of new ones when they are redirected; this is for those who only listen.
const topologyEvery = time.Second

// listen follows the servers until the context is done.
func (s *Store) listen(ctx context.Context, echoes chan<- string) {
	t := &tracker{store: s, echoes: echoes}
	c, ok := s.client.(*goredis.ClusterClient)
	if !ok {
		t.follow(ctx, s.client.(*goredis.Client).Options())
		return
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	// followed belongs to this goroutine. A server that has left is not followed any more, and each goroutine of it ends with its own context.
	followed := make(map[string]context.CancelFunc) // by address
	tick := time.NewTicker(topologyEvery)
	defer tick.Stop()
	for {
		now := make(map[string]bool)
		if masters, err := s.servers(ctx); err == nil && len(masters) > 0 {
			for _, master := range masters {
				opt := master.Options()
				now[opt.Addr] = true
				if followed[opt.Addr] == nil {
					ctx, stop := context.WithCancel(ctx)
					followed[opt.Addr] = stop
					wg.Go(func() { t.follow(ctx, opt) })
				}
			}
			for addr, stop := range followed {
				if !now[addr] { // what it would have said is lost
					stop()
					delete(followed, addr)
					s.listeners.publish("")
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.ReloadState(ctx)
		}
	}
}
