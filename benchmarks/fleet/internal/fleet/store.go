package fleet

import "time"

// breaker is how a process finds out that the store fails, and leaves it alone.
type breaker struct {
	failing  bool // the latest call has failed
	refusals int
	down     bool
	probing  bool
	next     time.Duration // when it may be probed
}

const (
	tolerance     = 5
	probeInterval = 500 * time.Millisecond
)

func (m *model) storeDown() bool { return m.Down > 0 && m.now >= m.Down && m.now < m.Up }

// call makes a call of the store, unless it is left alone, and then runs f.
func (m *model) call(p *process, f func(ok bool)) {
	b := &p.store
	if b.down {
		if !b.probing && m.now >= b.next {
			m.probe(b)
		}
		f(false)
		return
	}
	m.Calls++
	if !p.warm {
		m.Calls++
		p.warm = true
	}
	m.after(m.Call, func() {
		ok := !m.storeDown()
		b.failing = !ok
		if ok {
			b.refusals = 0
		} else if b.refusals++; b.refusals >= tolerance && !b.down && !b.probing && m.now >= b.next {
			m.probe(b)
		}
		f(ok)
	})
}

// probe finds out whether the store is there. No request waits for it.
func (m *model) probe(b *breaker) {
	b.probing = true
	m.Calls++
	m.after(m.Call, func() {
		up := !m.storeDown()
		b.probing, b.down, b.refusals, b.next = false, !up, 0, m.now+probeInterval
		if up {
			b.failing = false
		}
	})
}

// change notes that a process has changed the record or the generation of a key: the others hear of it.
func (m *model) change(by *process, k *key) {
	copy(k.changed[1:], k.changed[:])
	k.changed[0] = change{m.now, by}
}

// scheduleOutage empties the store when it comes back, if it is to be. A process that loses the connection on which it hears of changes drops its copies:
// it cannot know which changes it misses.
func (m *model) scheduleOutage() {
	if m.Down > 0 && m.Notify {
		m.after(m.Down+m.Delay, func() {
			for _, p := range m.processes {
				clear(p.copies)
			}
		})
	}
	if m.Down == 0 || !m.Emptied {
		return
	}
	m.after(m.Up, func() {
		for _, k := range m.keys {
			k.record = record{changes: k.record.changes + 1}
			k.lease, k.marked = nil, false
		}
	})
}
