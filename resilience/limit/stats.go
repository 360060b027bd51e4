package limit

// Stats counts what a [Limiter] did since it was made.
type Stats struct {
	Waited    int64 // requests that got their slot after a wait of a millisecond or more
	QueueFull int64 // requests that were not sent, because too many waited already
	Late      int64 // requests that were not sent, because the wait was or would have been too long
	InFlight  int64 // requests under way now
	Queued    int64 // requests that wait now
}

// KeyStats is how one key stands.
type KeyStats struct {
	InFlight int // requests under way
	Queued   int // requests that wait
	Limit    int // how many may be under way; zero means any number
}

// Stats returns the counts of all keys together.
func (l *Limiter) Stats() Stats {
	s := Stats{Waited: l.waited.Load(), QueueFull: l.full.Load(), Late: l.late.Load()}
	for _, g := range l.gates.All() {
		k := g.stats()
		s.InFlight += int64(k.InFlight)
		s.Queued += int64(k.Queued)
	}
	return s
}

// StatsFor returns how one key stands, and whether anything is known of it.
func (l *Limiter) StatsFor(key string) (KeyStats, bool) {
	g, ok := l.gates.Peek(key)
	if !ok {
		return KeyStats{}, false
	}
	return g.stats(), true
}

func (g *gate) stats() KeyStats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return KeyStats{InFlight: g.inFlight, Queued: g.queue.Len(), Limit: g.limit()}
}

// Counts gives the counts to telemetry, level for those that go down too.
func (l *Limiter) Counts(yield func(name, unit, description string, level bool, value int64)) {
	s := l.Stats()
	yield("ply.limit.waited", "{request}", "Requests that had to wait.", false, s.Waited)
	yield("ply.limit.queue_full", "{request}", "Requests not sent, because too many waited already.", false, s.QueueFull)
	yield("ply.limit.late", "{request}", "Requests not sent, because they would have waited too long.", false, s.Late)
	yield("ply.limit.in_flight", "{request}", "Requests under way.", true, s.InFlight)
	yield("ply.limit.queued", "{request}", "Requests that wait.", true, s.Queued)
}
