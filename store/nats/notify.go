package nats

import (
	"context"
	"strings"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Notify implements [store.Notifier]: f is called with the keys that another store, process or person changes, and with "" when the connection was lost or is there again,
// when the store is cleared, and when it begins to listen. What this store itself changes is not passed on, nor what the server drops.
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

func (l *listener) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
}

// listenerSet has a store's listeners, and the goroutine that listens for them while there is one.
type listenerSet struct {
	store *Store

	mu     sync.Mutex // guards the fields below
	all    map[*listener]struct{}
	closed bool
	quit   context.CancelFunc // ends the goroutine; nil while there is none
	wg     sync.WaitGroup
}

func (e *listenerSet) add(l *listener) (stop func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return func() {}
	}
	if e.all == nil {
		e.all = make(map[*listener]struct{})
	}
	e.all[l] = struct{}{}
	if e.quit == nil {
		ctx, quit := context.WithCancel(context.Background())
		e.quit = quit
		e.wg.Go(func() { e.store.listen(ctx) })
	}
	return func() {
		l.stop() // waits for a call that is under way, without the lock of the set
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.all, l)
		if len(e.all) == 0 && e.quit != nil { // without waiting for the goroutine, which takes e.mu to publish
			e.quit()
			e.quit = nil
		}
	}
}

// close ends the goroutines, and waits for them without the lock.
func (e *listenerSet) close() {
	e.mu.Lock()
	e.closed = true
	for l := range e.all {
		go l.stop() // f may be slow; the goroutine ends with it
	}
	e.all = nil
	if e.quit != nil {
		e.quit()
		e.quit = nil
	}
	e.mu.Unlock()
	e.wg.Wait()
}

// publish passes a key on to the listeners.
func (e *listenerSet) publish(key string) {
	e.mu.Lock()
	var listeners []*listener
	for l := range e.all {
		listeners = append(listeners, l)
	}
	e.mu.Unlock()
	for _, l := range listeners {
		l.notify(key)
	}
}

// retryEvery is how long the store waits before it tries again to listen.
const retryEvery = 250 * time.Millisecond

// listen passes changes on until the context is done. What was missed while it did not listen is said by "".
func (s *Store) listen(ctx context.Context) {
	select {
	case <-s.connected:
	case <-ctx.Done():
		return
	}
	if s.connErr != nil {
		return
	}
	changes := s.conn.StatusChanged(natsgo.RECONNECTING, natsgo.CONNECTED)
	defer s.conn.RemoveStatusListener(changes)
	for ctx.Err() == nil {
		s.follow(ctx, changes)
		if ctx.Err() != nil {
			return
		}
		s.listeners.publish("")
		select {
		case <-ctx.Done():
		case <-time.After(retryEvery):
		}
	}
}

// checkEvery is how often the store looks whether the bucket is still the one that it listens to. One that was deleted and made again has numbers that begin again,
// and a consumer of before would wait for those that come next.
const checkEvery = 5 * time.Second

// follow listens to the bucket until something goes wrong or the connection changes.
func (s *Store) follow(ctx context.Context, changes <-chan natsgo.Status) {
	ctx, cancel := context.WithCancel(ctx)
	var reading sync.WaitGroup
	defer reading.Wait() // second: after the context has ended
	defer cancel()
	made, err := s.made(ctx)
	if err != nil {
		return
	}
	messages, err := s.subscribe(ctx)
	if err != nil {
		return
	}
	defer messages.Stop()
	s.listeners.publish("")
	reading.Go(func() {
		defer cancel()
		for {
			m, err := messages.Next(jetstream.NextContext(ctx))
			if err != nil {
				return
			}
			s.hear(m)
		}
	})
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-changes:
			return
		case <-tick.C:
			if now, err := s.made(ctx); err != nil || !now.Equal(made) {
				return
			}
		}
	}
}

// made returns when the bucket was made.
func (s *Store) made(ctx context.Context) (time.Time, error) {
	return call(s, ctx, func(ctx context.Context, b *bucket) (time.Time, error) {
		info, err := b.Info(ctx)
		if err != nil {
			return time.Time{}, err
		}
		return info.Created, nil
	})
}

// subscribe has the server tell of each message from now on, without its value.
func (s *Store) subscribe(ctx context.Context) (jetstream.MessagesContext, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	return withBucket(s, ctx, func(ctx context.Context, b *bucket) (jetstream.MessagesContext, error) {
		consumer, err := b.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
			FilterSubjects: []string{s.subject("r.>"), s.subject(clearKey)}, DeliverPolicy: jetstream.DeliverNewPolicy, HeadersOnly: true, MaxResetAttempts: 1,
		})
		if err != nil {
			return nil, err
		}
		return consumer.Messages(jetstream.PullHeartbeat(time.Second))
	})
}

// hear passes a change on, unless this store made it or it is none.
func (s *Store) hear(m jetstream.Msg) {
	key, isRecord := strings.CutPrefix(m.Subject(), s.subject("r."))
	header := m.Headers()
	switch {
	case header.Get(byHeader) == s.id || header.Get(usedHeader) != "":
	case isRecord:
		s.listeners.publish(decoder.Replace(key))
	default:
		s.listeners.publish("")
	}
}
