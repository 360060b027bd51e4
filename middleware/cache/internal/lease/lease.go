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

// Leases let one process at a time, among those that share a store, ask the origin for what none of them has stored. Before a fetch asks the origin,
// it puts a lease record into the store. The others wait for what it stores, within bounds:
//
//	A: finds nothing stored; puts a lease record, asks the origin
//	                                                       B: finds nothing stored; finds the lease record, polls it
//	A: stores the answer, then removes its lease record
//	                                                       B: finds the lease record gone, looks into the store, answers from there
//
// A lease is a hint and no lock: if two processes hold one at a time, or a store forgets it, the origin is asked twice, and nothing else is wrong.
// So a request goes on by itself as soon as anything is wrong with its lease.
//
// mu is never held while the store is called. Leases have no goroutine: End uses a worker of the store, and notifications come on the store's own.
// New makes them for a cache, and the Close of the cache ends them, but for those of answers that are being stored (Storing). Nil Leases can be closed.
type Leases struct {
	// The fields above mu are set by New, and not changed afterwards.
	Store             *durable.Store
	TTL               time.Duration
	pace              pace
	stopNotifications func()          // ends the store's notifications
	closing           <-chan struct{} // closed with the cache

	mu      sync.Mutex                 // guards the fields below
	held    map[*Lease]struct{}        // to be ended by Close; nil after it
	waiters map[string][]chan struct{} // of those that wait, by the key of the lease record
	closed  bool
}

// Release says how the waiters go on when a lease is given back.
type Release uint8

const (
	ReleaseInTurn        Release = iota // one of them acquires it
	ReleaseOnePerProcess                // one of each process goes on without a lease, so that they do not fail one after the other if the origin does, or wait for what none can store
	ReleaseAll                          // all go on without a lease: what the origin answers is not for several requests
)

// lasts is for how long processes that come later do the same.
// The release record expires then, so no process needs to remove it.
func (p Release) lasts() time.Duration {
	switch p {
	case ReleaseOnePerProcess:
		return time.Second
	case ReleaseAll:
		return HitForMissTime
	}
	return 0
}

// New returns leases in the store d, each of which lasts that long if its process dies. closing ends all waits.
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

// Close gives back the leases that are held, but for those whose answers are being stored: the others will not be.
func (l *Leases) Close() {
	if l == nil {
		return
	}
	// The notifications end before the lock is taken: one that is under way may need the lock for onChange.
	l.stopNotifications()
	l.mu.Lock()
	l.closed = true
	held := l.held
	l.held = nil
	l.mu.Unlock()
	if len(held) == 0 {
		return
	}
	// If no worker is free, the records stay until they expire, and the waiters wait until then.
	l.Store.Workers.Go(func(ctx context.Context) {
		for lease := range held {
			lease.EndIn(ctx, ReleaseInTurn)
		}
	})
}

// A Lease is this process's right to ask the origin, as far as the others respect it.
// Acquire makes it. End, EndIn or the Close of the cache ends it, whichever comes first; over decides that.
// It is safe for concurrent use: only over changes.
type Lease struct {
	of   *Leases
	key  string
	by   stored.Generation
	over atomic.Bool
}

// A Subject is what a lease is about: an exchange, as far as other processes can tell it from others.
type Subject struct {
	Key       string             // the cache's
	Selectors []stored.Selector  // the fields that answers are known to vary on, with the request's values, sorted by name, each once
	URL       string             // for people
	Tags      []invalidation.Tag // the answer's, as far as they are known before it is there
	Seen      *durable.Snapshot  // the generations at the time of the lookup
}

// Acquire puts a lease record, or returns that of another process. Which of two processes gets it, the store's compare-and-swap decides.
// It blocks for calls of the store, no longer than the client allows, and holds no lock meanwhile.
// If it returns a Lease, the caller must end it; if it returns a Record or an error, there is nothing to end.
func (l *Leases) Acquire(ctx context.Context, s *Subject) (*Lease, *Record, error) {
	mine := &Lease{of: l, key: l.key(s), by: l.Store.NewGeneration()}
	n := newRecord(mine.by, s)
	client := l.Store.Client
	for range durable.MaxAttempts {
		err := client.Put(ctx, mine.key, n.record(time.Now().Add(l.TTL)))
		switch {
		case err == nil:
			l.hold(mine)
			return mine, nil, nil
		case !errors.Is(err, store.ErrConflict):
			mine.End(ReleaseInTurn) // the store may have taken the record all the same
			return nil, nil, err
		}
		records, err := client.Get(ctx, mine.key)
		if err != nil {
			return nil, nil, err
		}
		other, err := readRecord(mine.key, records[0])
		switch {
		case err == durable.ErrNewer:
			return nil, nil, err
		case err != nil, other.by == stored.Generation{}, other.overtaken(s.Seen):
			// The record is damaged, removed, or older than what the lookup has seen. The next Put replaces this very version, or conflicts.
			n.version = records[0].Version // empty if it has just been removed
		case other.by == mine.by: // the store reported a conflict though it took the record
			l.hold(mine)
			return mine, nil, nil
		default:
			return nil, &other, nil
		}
	}
	return nil, nil, durable.ErrContended
}

// hold remembers a lease for Close. A lease that is acquired during Close is left to expire.
// Held leases need no renewal: the record expires after TTL, also if this process dies.
func (l *Leases) hold(mine *Lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.held[mine] = struct{}{}
	}
}

// Storing keeps Close from giving the lease back: the answer is on its way to the store, and a waiter that woke now would not find it.
// It reports whether it came before Close. If so, the caller must call End or EndIn once the store has the answer, or will not have it;
// else Close has given the lease back, and the answer is not to be stored. A nil lease is always in time.
//
//	put: Storing   Close: leaves the lease alone   put: stores, gives it back   Close: waits for the worker
func (l *Lease) Storing() bool {
	if l == nil {
		return true
	}
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	delete(l.of.held, l)
	return !l.of.closed
}

// End gives a lease back, in the background. The first call of End or EndIn counts. Ending a nil lease does nothing.
// It does not wait for the store. If no worker is free, the record stays until it expires.
func (l *Lease) End(p Release) {
	if l.ends() {
		l.of.Store.Workers.Go(func(ctx context.Context) { l.release(ctx, p) })
	}
}

// EndIn is End for a caller that is in the background already.
func (l *Lease) EndIn(ctx context.Context, p Release) {
	if l.ends() {
		l.release(ctx, p)
	}
}

// ends reports whether this call is the first to end the lease.
// The swap lets one of several concurrent calls through. delete on the nil map that Close leaves does nothing.
func (l *Lease) ends() bool {
	if l == nil || l.over.Swap(true) {
		return false
	}
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	delete(l.of.held, l)
	return true
}

// release removes the lease record, or replaces it by one that says how the waiters go on. If none waits, it removes it in any case:
// answers that cannot be shared leave nothing in the store. A waiter that marks the record as contended at the same time makes a conflict, so release reads again.
// It runs once for a lease, in the background, without a lock. It leaves a record alone that is no longer this lease's.
func (l *Lease) release(ctx context.Context, p Release) {
	client := l.of.Store.Client
	for range durable.MaxAttempts {
		records, err := client.Get(ctx, l.key)
		if err != nil {
			return
		}
		n, err := readRecord(l.key, records[0])
		if err != nil || n.by != l.by {
			return
		}
		if n.Release = p; n.contended && p != ReleaseInTurn {
			err = client.Put(ctx, l.key, n.record(time.Now().Add(p.lasts())))
		} else {
			err = client.DeleteVersion(ctx, l.key, n.version)
		}
		if !errors.Is(err, store.ErrConflict) {
			return
		}
	}
}

// ReleaseAfter says how the waiters go on, by what became of the answer in the store: err is nil if it is there.
func ReleaseAfter(err error) Release {
	switch {
	case errors.Is(err, durable.ErrPerhapsOvertaken): // none of the waiters could store its answer, so that each would wait for all before it
		return ReleaseOnePerProcess
	case err == nil, errors.Is(err, ErrOlder), errors.Is(err, durable.ErrOvertaken):
		return ReleaseInTurn
	case errors.Is(err, store.ErrTooLarge), errors.Is(err, durable.ErrUnfit):
		return ReleaseAll
	}
	return ReleaseOnePerProcess
}

// ErrOff is why an answer is not stored while the cache is off.
var ErrOff = errors.New("switched off")

// ErrOlder is why an answer is not stored that has been overtaken.
var ErrOlder = errors.New("invalidated meanwhile, or something later is stored")

// HitForMissTime is for how long requests do not wait for one another after an answer that could not be shared.
const HitForMissTime = 10 * time.Second

// refreshPause is for how long a process leaves a refresh to another one before it tries again.
const refreshPause = 250 * time.Millisecond

// ErrOverdue is the error of a wait that has taken too long.
var ErrOverdue = errors.New("another process has not got an answer in time")

// Pause keeps a refresh that is left to another process from being tried again at once.
// It blocks without a lock, on the goroutine of a refresh.
func (l *Leases) Pause(ctx context.Context) {
	pause := time.NewTimer(min(refreshPause, l.TTL))
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
	}
}
