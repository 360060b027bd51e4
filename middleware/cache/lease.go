package cache

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply/store"
)

// leases have the processes that share a store ask the origin one at a time for what none of them has stored. Before the one who leads an exchange
// asks the origin, it leaves a notice in the store. The others wait for what it stores, within bounds:
//
//	A: nothing stored; leaves a notice, asks the origin
//	                                                       B: nothing stored; finds the notice, and looks at it again and again
//	A: stores the answer, then takes its notice back
//	                                                       B: finds the notice gone, looks into the store, answers from there
//
// A lease is a hint and no lock: if two processes hold one at a time, or a store forgets it, the origin is asked twice, and nothing else is wrong.
// So a request goes on by itself as soon as anything is wrong with its lease.
type leases struct {
	durable *durable
	lasts   time.Duration
	pace    pace
	silence func()          // ends the store's notifications
	closing <-chan struct{} // closed with the cache

	mu     sync.Mutex // guards the fields below
	held   map[*lease]struct{}
	bells  map[string][]chan struct{} // of those who wait, by the notice's key
	closed bool
}

// parting is what those who have waited do when a lease is given back.
type parting uint8

const (
	inTurn  parting = iota // one of them takes it
	allOver                // one of each process goes on without: so that they do not fail one after the other, if the origin does
	each                   // all go on without: what the origin answers is not for several requests
)

// lasts is for how long others who come do the same.
func (p parting) lasts() time.Duration {
	switch p {
	case allOver:
		return time.Second
	case each:
		return hitForMissTime
	}
	return 0
}

func newLeases(d *durable, lasts time.Duration, closing <-chan struct{}) *leases {
	l := &leases{
		durable: d, lasts: lasts, pace: alonePace, silence: func() {}, closing: closing,
		held: make(map[*lease]struct{}), bells: make(map[string][]chan struct{}),
	}
	if notifier, ok := store.As[store.Notifier](d.given); ok {
		l.pace, l.silence = notifiedPace, notifier.Notify(l.ring)
	}
	return l
}

// checkLease finds leases that nobody could hold.
func (o *Options) checkLease() error {
	_, memory := o.Store.(*Memory)
	switch {
	case o.Lease == 0:
		return nil
	case o.Lease < time.Millisecond:
		return errors.New("cache: Lease is shorter than a millisecond: give what an answer takes, or zero for none")
	case o.Store == nil || memory:
		return errors.New("cache: Lease needs a Store that other processes share, and a Memory is none: drop Lease, or give such a Store")
	case o.NoCollapse:
		return errors.New("cache: NoCollapse and Lease contradict each other: drop one of them")
	}
	return nil
}

// parting is what those do who have waited for a body that is not stored.
func (o *outcome) parting() parting {
	if o.reason == notReadToItsEnd {
		return inTurn
	}
	return allOver
}

// close gives back what is held: what is under way will not be stored.
func (l *leases) close() {
	if l == nil {
		return
	}
	l.silence()
	l.mu.Lock()
	l.closed = true
	held := l.held
	l.held = nil
	l.mu.Unlock()
	if len(held) == 0 {
		return
	}
	l.durable.behind.start(func(ctx context.Context) {
		for lease := range held {
			lease.endIn(ctx, inTurn)
		}
	})
}

// A lease is this process's right to ask the origin, as far as the others respect it.
type lease struct {
	of   *leases
	key  string
	by   nonce
	over atomic.Bool
}

// take leaves a notice, or returns that of another process.
func (l *leases) take(ctx context.Context, x *exchange) (*lease, *notice, error) {
	mine := &lease{of: l, key: l.key(x), by: l.durable.newNonce()}
	n := newNotice(mine.by, x)
	guard := l.durable.guard
	for range maxAttempts {
		err := guard.put(ctx, mine.key, n.record(time.Now().Add(l.lasts)))
		switch {
		case err == nil:
			l.hold(mine)
			return mine, nil, nil
		case !errors.Is(err, store.ErrConflict):
			mine.end(inTurn) // the store may have taken it all the same
			return nil, nil, err
		}
		records, err := guard.get(ctx, mine.key)
		if err != nil {
			return nil, nil, err
		}
		other, err := readNotice(mine.key, records[0])
		switch {
		case err == errNewer:
			return nil, nil, err
		case err != nil, other.by == nonce{}, other.overtaken(x.seen):
			n.version = records[0].Version // which is none if it has just been taken back
		case other.by == mine.by: // a store said that there was a conflict, and took it
			l.hold(mine)
			return mine, nil, nil
		default:
			return nil, &other, nil
		}
	}
	return nil, nil, errContended
}

func (l *leases) hold(mine *lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.held[mine] = struct{}{}
	}
}

// end gives a lease back, behind everybody's back. The first call counts.
func (l *lease) end(p parting) {
	if l.ends() {
		l.of.durable.behind.start(func(ctx context.Context) { l.giveBack(ctx, p) })
	}
}

// endIn is end for one who is behind everybody's back already.
func (l *lease) endIn(ctx context.Context, p parting) {
	if l.ends() {
		l.giveBack(ctx, p)
	}
}

func (l *lease) ends() bool {
	if l == nil || l.over.Swap(true) {
		return false
	}
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	delete(l.of.held, l)
	return true
}

// giveBack removes the notice, or replaces it by one that nobody waits for. If nobody waits there is no need for that:
// answers that cannot be shared leave nothing behind in the store.
func (l *lease) giveBack(ctx context.Context, p parting) {
	guard := l.of.durable.guard
	for range maxAttempts {
		records, err := guard.get(ctx, l.key)
		if err != nil {
			return
		}
		n, err := readNotice(l.key, records[0])
		if err != nil || n.by != l.by {
			return
		}
		if n.parting = p; n.awaited && p != inTurn {
			err = guard.put(ctx, l.key, n.record(time.Now().Add(p.lasts())))
		} else {
			err = guard.deleteVersion(ctx, l.key, n.version)
		}
		if !errors.Is(err, store.ErrConflict) {
			return
		}
	}
}

// lease is the lease of an exchange, or nil.
func (x *exchange) lease() *lease {
	if x.flight == nil {
		return nil
	}
	return x.flight.lease
}

// parting is what those do who have waited for an answer, after what became of it in the store.
func partingAfter(err error) parting {
	switch {
	case err == nil, errors.Is(err, errOlder), errors.Is(err, errOvertaken):
		return inTurn
	case errors.Is(err, store.ErrTooLarge), errors.Is(err, errUnfit):
		return each
	}
	return allOver
}

// unleased gives the lease of an exchange back, unless the answer is on its way to the store.
func (f *flight) unleased() {
	switch {
	case f.missed():
		f.lease.end(each)
	case f.entry != nil && !f.lent: // who stores it gives it back
	case f.failed != nil && !ownError(f.failed), inTrouble(f.status):
		f.lease.end(allOver)
	default:
		f.lease.end(inTurn)
	}
}
