package fleet

import "time"

// flight is a fetch of a process, for all its requests that wait for one answer.
type flight struct {
	process    *process
	key        int
	generation int             // when it was looked up
	waiting    []time.Duration // when the requests that wait for it arrived
	answered   bool
	version    int           // of the answer
	fetched    time.Duration // when it was requested
	lease      *leaseRecord  // held, or nil
	waitBegan  time.Duration // for a lease
	attempts   int
}

func (m *model) arrive(a Arrival) {
	p := m.processes[a.Process]
	if a.Write {
		m.invalidate(p, a.Key)
		return
	}
	m.Requests++
	c, there := m.copyOf(p, a.Key)
	switch {
	case !m.Shared && there && m.fresh(c.fetched), there && m.unchecked(c) && m.fresh(c.fetched):
		m.serve(a.Key, int(c.version), a.At)
	case !m.Shared, there && m.unchecked(c): // stale, but it need not be compared: the store is not read
		m.exchange(p, a.Key, m.keys[a.Key].generation, a.At)
	default:
		m.lookUp(p, a.Key, a.At)
	}
}

func (m *model) fresh(fetched time.Duration) bool { return m.now-fetched < m.TTL }

// copyOf returns a process's copy, unless it has heard that the record or its generation has changed since it was read.
func (m *model) copyOf(p *process, k int) (c copied, there bool) {
	if c = p.copies[k]; !c.there || !m.Shared || !m.Notify {
		return c, c.there
	}
	for _, change := range m.keys[k].changed {
		if change.at <= c.read {
			break
		}
		if change.by != p && change.at+m.Delay <= m.now {
			p.copies[k] = copied{}
			return copied{}, false
		}
	}
	return c, true
}

// unchecked reports whether a copy need not be compared with the store yet.
func (m *model) unchecked(c copied) bool {
	recheck := m.L1TTL
	if m.Notify {
		recheck = max(recheck, 30*time.Second)
	}
	return m.now-c.checked < recheck
}

// lookUp asks the store, and serves what it has or goes on to the origin.
func (m *model) lookUp(p *process, k int, arrived time.Duration) {
	m.read(p, k, func(r record, generation int, ok bool) {
		switch {
		case ok && r.usable(generation) && m.fresh(r.fetched):
			m.serve(k, r.version, arrived)
			return
		case !ok: // copies are served while the store is away
			if c, there := m.copyOf(p, k); there && m.fresh(c.fetched) {
				m.serve(k, int(c.version), arrived)
				return
			}
		}
		m.exchange(p, k, generation, arrived)
	})
}

// read reads the record and the generation of a key, and keeps a copy. Where it finds nothing, though the process has found something before,
// it reads what does not vary on the whole query, too: at other times both are read in one call.
func (m *model) read(p *process, k int, f func(r record, generation int, ok bool)) {
	m.call(p, func(ok bool) {
		key := m.keys[k]
		if !ok {
			f(record{}, key.generation, false)
			return
		}
		r, generation, found := key.record, key.generation, p.found[k]
		p.found[k] = r.usable(generation)
		if !p.found[k] {
			p.copies[k] = copied{}
			if r.present {
				m.forget(p, k)
			}
			if found {
				m.call(p, func(bool) { f(r, generation, true) })
				return
			}
		} else if m.Tiered {
			p.copies[k] = copied{true, int32(r.version), r.fetched, m.now, m.now}
		}
		f(r, generation, true)
	})
}

func (r record) usable(generation int) bool { return r.present && r.generation == generation }

// forget removes an invalidated record in the background: it reads the record, reads its generation, and removes it.
func (m *model) forget(p *process, k int) {
	if _, under := p.forgetting[k]; under {
		return
	}
	p.forgetting[k] = struct{}{}
	key := m.keys[k]
	m.call(p, func(ok bool) {
		seen := key.record
		m.call(p, func(ok bool) {
			if !ok || !seen.present || seen.usable(key.generation) {
				delete(p.forgetting, k)
				return
			}
			m.call(p, func(ok bool) {
				delete(p.forgetting, k)
				if ok && key.record.changes == seen.changes && key.record.present {
					key.record = record{changes: seen.changes + 1}
					m.change(p, key)
				}
			})
		})
	})
}

// exchange joins the fetch for a key in this process, or begins one.
func (m *model) exchange(p *process, k, generation int, arrived time.Duration) {
	if f := p.flights[k]; f != nil && f.generation >= generation {
		if f.answered {
			m.serve(k, f.version, arrived)
			return
		}
		f.waiting = append(f.waiting, arrived)
		return
	}
	f := &flight{process: p, key: k, generation: generation, waiting: []time.Duration{arrived}}
	p.flights[k] = f
	if m.Shared && m.Lease > 0 && !p.store.failing {
		f.waitBegan = m.now
		m.acquire(f)
		return
	}
	m.fetch(f)
}

// fetch asks the origin.
func (m *model) fetch(f *flight) {
	m.Fetches++
	second := int(m.now / time.Second)
	for len(m.PerSecond) <= second {
		m.PerSecond = append(m.PerSecond, 0)
	}
	m.PerSecond[second]++
	f.fetched, f.version = m.now, m.keys[f.key].content
	m.after(m.Origin, func() {
		m.answer(f)
		m.commit(f, 0)
	})
}

// answer serves all who wait for a fetch.
func (m *model) answer(f *flight) {
	f.answered = true
	for _, arrived := range f.waiting {
		m.serve(f.key, f.version, arrived)
	}
	f.waiting = nil
}

func (m *model) end(f *flight) {
	if f.process.flights[f.key] == f {
		delete(f.process.flights, f.key)
	}
	m.release(f)
}

// commit stores an answer, unless it was invalidated, or something later is stored: the record and the generation are read,
// the generation is put if it is not kept as long, and the record is put; again and again if another process was faster.
func (m *model) commit(f *flight, attempt int) {
	p, key := f.process, m.keys[f.key]
	if !m.Shared {
		if f.generation == key.generation {
			p.copies[f.key] = copied{true, int32(f.version), f.fetched, m.now, m.now}
		}
		m.end(f)
		return
	}
	m.call(p, func(ok bool) {
		seen := key.record
		switch {
		case !ok, key.generation != f.generation, seen.usable(key.generation) && seen.fetched > f.fetched, attempt == maxAttempts:
			m.end(f)
		case key.marked:
			m.putRecord(f, seen, attempt)
		default:
			m.putMark(f, seen, attempt)
		}
	})
}

// putMark puts the generation. After a conflict it is read again: that of another process serves as well.
func (m *model) putMark(f *flight, seen record, attempt int) {
	p, key := f.process, m.keys[f.key]
	m.call(p, func(ok bool) {
		switch {
		case !ok:
			m.end(f)
		case key.marked:
			m.call(p, func(bool) { m.putRecord(f, seen, attempt) })
		default:
			key.marked = true
			m.change(p, key)
			m.putRecord(f, seen, attempt)
		}
	})
}

func (m *model) putRecord(f *flight, seen record, attempt int) {
	p, key := f.process, m.keys[f.key]
	m.call(p, func(ok bool) {
		switch {
		case !ok:
			m.end(f)
		case key.record.changes != seen.changes:
			m.after(time.Duration(m.random.Int64N(int64(attempt+1)*int64(time.Millisecond))), func() { m.commit(f, attempt+1) })
		default:
			key.record = record{true, f.version, f.generation, f.fetched, seen.changes + 1}
			m.change(p, key)
			if m.Tiered {
				p.copies[f.key] = copied{true, int32(f.version), f.fetched, m.now, m.now}
			}
			m.end(f)
		}
	})
}

// serve notes that a request got a content, which an invalidation before it may have made stale.
func (m *model) serve(k, version int, arrived time.Duration) {
	if i := m.keys[k].invalidations; version < len(i) && i[version].acknowledged >= 0 && arrived > i[version].acknowledged {
		i[version].stale = max(i[version].stale, arrived-i[version].acknowledged)
	}
}
