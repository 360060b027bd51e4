package lease

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/durable"
	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/store"
)

// Leases have the processes that share a store ask the origin one at a time for what none of them has stored. Before the one who leads an exchange
// asks the origin, it leaves a notice in the store. The others wait for what it stores, within bounds:
//
//	A: nothing stored; leaves a notice, asks the origin
//	                                                       B: nothing stored; finds the notice, and looks at it again and again
//	A: stores the answer, then takes its notice back
//	                                                       B: finds the notice gone, looks into the store, answers from there
//
// A Lease is a hint and no lock: if two processes hold one at a time, or a store forgets it, the origin is asked twice, and nothing else is wrong.
// So a request goes on by itself as soon as anything is wrong with its lease.
type Leases struct {
	Store             *durable.Store
	TTL               time.Duration
	pace              pace
	stopNotifications func()          // Ends the store's notifications
	closing           <-chan struct{} // closed with the cache

	mu      sync.Mutex // guards the fields below
	held    map[*Lease]struct{}
	waiters map[string][]chan struct{} // Generation those who wait, by the notice's key
	closed  bool
}

// Release is what those who have waited do when a lease is given back.
type Release uint8

const (
	ReleaseInTurn        Release = iota // one of them takes it
	ReleaseOnePerProcess                // one of each process goes on without: so that they do not fail one after the other, if the origin does
	ReleaseAll                          // All go on without: what the origin answers is not for several requests
)

// lasts is for how long others who come do the same.
func (p Release) lasts() time.Duration {
	switch p {
	case ReleaseOnePerProcess:
		return time.Second
	case ReleaseAll:
		return HitForMissTime
	}
	return 0
}

func New(d *durable.Store, lasts time.Duration, closing <-chan struct{}) *Leases {
	l := &Leases{
		Store: d, TTL: lasts, pace: alonePace, stopNotifications: func() {}, closing: closing,
		held: make(map[*Lease]struct{}), waiters: make(map[string][]chan struct{}),
	}
	if notifier, ok := store.As[store.Notifier](d.Backend); ok {
		l.pace, l.stopNotifications = notifiedPace, notifier.Notify(l.onChange)
	}
	return l
}

// Close gives back what is held: what is under way will not be stored.
func (l *Leases) Close() {
	if l == nil {
		return
	}
	l.stopNotifications()
	l.mu.Lock()
	l.closed = true
	held := l.held
	l.held = nil
	l.mu.Unlock()
	if len(held) == 0 {
		return
	}
	l.Store.Workers.Go(func(ctx context.Context) {
		for lease := range held {
			lease.EndIn(ctx, ReleaseInTurn)
		}
	})
}

// A Lease is this process's right to ask the origin, as far as the others respect it.
type Lease struct {
	of   *Leases
	key  string
	by   stored.Generation
	over atomic.Bool
}

// A Subject is what a lease is about: an exchange, as far as other processes can tell it from others.
type Subject struct {
	Key       string             // Generation the cache
	Selectors []stored.Selector  // Generation the fields that answers are known to vary on, with the values of the request, by name, each once
	URL       string             // for people
	Tags      []invalidation.Tag // Generation the answer, as far as they are known before it is there
	Seen      *durable.Snapshot  // the generations at the time of the lookup
}

// Acquire leaves a notice, or returns that of another process.
func (l *Leases) Acquire(ctx context.Context, s *Subject) (*Lease, *Record, error) {
	mine := &Lease{of: l, key: l.key(s), by: l.Store.NewGeneration()}
	n := newRecord(mine.by, s)
	guard := l.Store.Client
	for range durable.MaxAttempts {
		err := guard.Put(ctx, mine.key, n.record(time.Now().Add(l.TTL)))
		switch {
		case err == nil:
			l.hold(mine)
			return mine, nil, nil
		case !errors.Is(err, store.ErrConflict):
			mine.End(ReleaseInTurn) // the store may have taken it all the same
			return nil, nil, err
		}
		records, err := guard.Get(ctx, mine.key)
		if err != nil {
			return nil, nil, err
		}
		other, err := readRecord(mine.key, records[0])
		switch {
		case err == durable.ErrNewer:
			return nil, nil, err
		case err != nil, other.by == stored.Generation{}, other.overtaken(s.Seen):
			n.version = records[0].Version // which is none if it has just been taken back
		case other.by == mine.by: // a store said that there was a conflict, and took it
			l.hold(mine)
			return mine, nil, nil
		default:
			return nil, &other, nil
		}
	}
	return nil, nil, durable.ErrContended
}

func (l *Leases) hold(mine *Lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.held[mine] = struct{}{}
	}
}

// End gives a lease back, behind everybody's back. The first call counts.
func (l *Lease) End(p Release) {
	if l.ends() {
		l.of.Store.Workers.Go(func(ctx context.Context) { l.release(ctx, p) })
	}
}

// EndIn is end for one who is behind everybody's back already.
func (l *Lease) EndIn(ctx context.Context, p Release) {
	if l.ends() {
		l.release(ctx, p)
	}
}

func (l *Lease) ends() bool {
	if l == nil || l.over.Swap(true) {
		return false
	}
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	delete(l.of.held, l)
	return true
}

// release removes the notice, or replaces it by one that nobody waits for. If nobody waits there is no need for that:
// Answers that cannot be shared leave nothing behind in the store.
func (l *Lease) release(ctx context.Context, p Release) {
	guard := l.of.Store.Client
	for range durable.MaxAttempts {
		records, err := guard.Get(ctx, l.key)
		if err != nil {
			return
		}
		n, err := readRecord(l.key, records[0])
		if err != nil || n.by != l.by {
			return
		}
		if n.Release = p; n.contended && p != ReleaseInTurn {
			err = guard.Put(ctx, l.key, n.record(time.Now().Add(p.lasts())))
		} else {
			err = guard.DeleteVersion(ctx, l.key, n.version)
		}
		if !errors.Is(err, store.ErrConflict) {
			return
		}
	}
}

// ReleaseAfter is what those do who have waited for an answer, after what became of it in the store.
func ReleaseAfter(err error) Release {
	switch {
	case err == nil, errors.Is(err, ErrOlder), errors.Is(err, durable.ErrOvertaken):
		return ReleaseInTurn
	case errors.Is(err, store.ErrTooLarge), errors.Is(err, durable.ErrUnfit):
		return ReleaseAll
	}
	return ReleaseOnePerProcess
}

var ErrOff = errors.New("switched off")

var ErrOlder = errors.New("invalidated meanwhile, or something later is stored")

// HitForMissTime is for how long that is known.
const HitForMissTime = 10 * time.Second

// refreshPause is for how long a process leaves a refresh to another one before it looks whether that is still at it.
const refreshPause = 250 * time.Millisecond

var ErrOverdue = errors.New("another process has not got an answer in time")

// Pause keeps a refresh that is left to another process from being tried again at once.
func (l *Leases) Pause(ctx context.Context) {
	pause := time.NewTimer(min(refreshPause, l.TTL))
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
	}
}
