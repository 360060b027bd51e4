package fleet

import "time"

// invalidate changes a key at the origin, and then its generation in the store: that is read and put, and so is that of its path with any query.
// A process with its own memory invalidates there alone.
func (m *model) invalidate(p *process, k int) {
	key := m.keys[k]
	key.content++
	i := &invalidation{acknowledged: -1}
	key.invalidations = append(key.invalidations, i)
	p.copies[k] = copied{}
	if !m.Shared {
		if f := p.flights[k]; f != nil {
			f.generation = -1 // what it brings is not kept, nor joined
		}
		i.acknowledged = m.now
		return
	}
	m.renew(p, key, func() { i.acknowledged = m.now })
}

// renew gives a key another generation, and tries again until the store takes it.
func (m *model) renew(p *process, key *key, done func()) {
	again := func() { m.after(time.Second, func() { m.renew(p, key, func() {}) }) }
	m.call(p, func(ok bool) {
		if !ok {
			done()
			again()
			return
		}
		m.call(p, func(ok bool) {
			if !ok {
				done()
				again()
				return
			}
			key.generation++
			key.marked = false // but for an hour
			m.change(p, key)
			m.call(p, func(bool) { done() })
		})
	})
}

// scheduleDeploy replaces the processes, in their order. What they have under way goes on.
func (m *model) scheduleDeploy() {
	if m.Deploy == 0 {
		return
	}
	for i := range m.processes {
		at := m.Deploy + m.DeployTakes*time.Duration(i)/time.Duration(m.Processes)
		m.after(at, func() { m.processes[i] = m.newProcess() })
	}
}
