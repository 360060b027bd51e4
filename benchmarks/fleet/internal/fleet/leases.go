package fleet

import (
	"slices"
	"time"
)

// leaseRecord says in the store that a process asks the origin.
type leaseRecord struct {
	until      time.Duration
	generation int // as its holder saw it
	contended  bool
}

// wait is a fetch that waits for the lease of another process.
type wait struct {
	flight  *flight
	of      *leaseRecord
	begun   time.Duration
	number  int  // of the timer that counts; others have been stopped
	looking bool // a call is under way
	again   bool // something has changed meanwhile
	over    bool
}

// A waiter looks after a quarter of the time that it has waited, within these bounds, or as soon as it hears of a change.
const (
	aloneLeast, aloneMost       = 5 * time.Millisecond, 250 * time.Millisecond
	notifiedLeast, notifiedMost = 100 * time.Millisecond, time.Second
	maxAttempts                 = 16
)

func (k *key) held(now time.Duration) *leaseRecord {
	if k.lease != nil && k.lease.until <= now {
		k.lease = nil
	}
	return k.lease
}

// acquire puts a lease record, or waits for that of another process.
func (m *model) acquire(f *flight) {
	p, key := f.process, m.keys[f.key]
	if f.attempts++; f.attempts > maxAttempts {
		m.fetch(f)
		return
	}
	m.call(p, func(ok bool) {
		switch held := key.held(m.now); {
		case !ok:
			m.fetch(f)
		case held == nil:
			m.hold(f)
		default:
			m.call(p, func(ok bool) {
				switch {
				case !ok:
					m.fetch(f)
				case key.held(m.now) != held:
					m.acquire(f)
				case held.generation < f.generation: // something has been invalidated since: that fetch is not for this one
					m.call(p, func(bool) { m.hold(f) })
				default:
					m.await(f, held)
				}
			})
		}
	})
}

// hold has a flight hold the lease. It looks into the store once more: another process may have stored the answer and given its lease back meanwhile.
func (m *model) hold(f *flight) {
	key := m.keys[f.key]
	f.lease = &leaseRecord{until: m.now + m.Lease, generation: f.generation}
	key.lease = f.lease
	m.wake(f.process, key)
	m.lookUpAgain(f, func() { m.fetch(f) })
}

// lookUpAgain answers from the store, or goes on.
func (m *model) lookUpAgain(f *flight, otherwise func()) {
	m.read(f.process, f.key, func(r record, generation int, ok bool) {
		if !ok || !r.usable(generation) || !m.fresh(r.fetched) {
			f.generation = max(f.generation, generation)
			otherwise()
			return
		}
		f.version, f.fetched = r.version, r.fetched
		m.answer(f)
		m.end(f)
	})
}

// release gives a lease back, in the background.
func (m *model) release(f *flight) {
	lease, p, key := f.lease, f.process, m.keys[f.key]
	if f.lease = nil; lease == nil {
		return
	}
	m.call(p, func(ok bool) {
		if !ok || key.held(m.now) != lease {
			return
		}
		m.call(p, func(ok bool) {
			if ok && key.held(m.now) == lease {
				key.lease = nil
				m.wake(p, key)
			}
		})
	})
}

// await waits until a lease record is gone, or another one is in its place.
func (m *model) await(f *flight, of *leaseRecord) {
	key := m.keys[f.key]
	w := &wait{flight: f, of: of, begun: m.now}
	key.waits = append(key.waits, w)
	m.after(max(f.waitBegan+m.Lease-m.now, 0), func() {
		if w.over || w.looking {
			return
		}
		m.stopWaiting(w)
		m.lookUpAgain(f, func() { m.fetch(f) })
	})
	begin := func() {
		w.looking = false
		if w.again {
			m.look(w)
			return
		}
		m.pause(w)
	}
	if of.contended {
		begin()
		return
	}
	w.looking = true
	m.call(f.process, func(ok bool) { // the mark that another process waits
		if ok && key.held(m.now) == of && !of.contended {
			of.contended = true
			m.wake(f.process, key)
		}
		begin()
	})
}

// pause has a waiter look after a while.
func (m *model) pause(w *wait) {
	least, most := aloneLeast, aloneMost
	if m.Notify {
		least, most = notifiedLeast, notifiedMost
	}
	w.number++
	number := w.number
	m.after(min(max((m.now-w.begun)/4, least), most), func() {
		if !w.over && !w.looking && w.number == number {
			m.look(w)
		}
	})
}

// look reads the lease record.
func (m *model) look(w *wait) {
	f, key := w.flight, m.keys[w.flight.key]
	w.looking, w.again = true, false
	m.call(f.process, func(ok bool) {
		w.looking = false
		switch {
		case !ok:
			m.stopWaiting(w)
			m.fetch(f)
		case key.held(m.now) != w.of:
			m.stopWaiting(w)
			m.lookUpAgain(f, func() { m.acquire(f) })
		case m.now-f.waitBegan >= m.Lease:
			m.stopWaiting(w)
			m.lookUpAgain(f, func() { m.fetch(f) })
		case w.again:
			m.look(w)
		default:
			m.pause(w)
		}
	})
}

func (m *model) stopWaiting(w *wait) {
	w.over = true
	key := m.keys[w.flight.key]
	key.waits = slices.DeleteFunc(key.waits, func(other *wait) bool { return other == w })
}

// wake notifies those of other processes who wait for a lease that its record has changed.
func (m *model) wake(by *process, k *key) {
	if !m.Notify {
		return
	}
	for _, w := range k.waits {
		if w.flight.process == by {
			continue
		}
		m.after(m.Delay, func() {
			switch {
			case w.over:
			case w.looking:
				w.again = true
			default:
				m.look(w)
			}
		})
	}
}
