package budget

import "time"

// Stats counts what a [Budget] did since it was made, for all keys or for one.
type Stats struct {
	Calls     int64 // pass of a request into the retry layer, the hops of redirects included
	Retries   int64 // extra requests that were paid for, by their kind
	Hedges    int64 // copies of slow requests
	Refreshes int64 // what a cache fetched ahead of time
	Refused   int64 // extra requests of any kind that were not allowed

	// Amplification is what was sent in the last minute for each call: 1.05 if there were five extra requests for a hundred calls.
	// It is 1 without calls.
	Amplification float64
}

// Stats returns the counts of all keys together.
func (b *Budget) Stats() Stats {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.totals.stats(now)
}

// StatsFor returns the counts of one key, zero but for the Amplification if nothing is known of it.
func (b *Budget) StatsFor(key string) Stats {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.accounts != nil {
		if a, ok := b.accounts.Peek(key); ok {
			return a.stats(now)
		}
	}
	return Stats{Amplification: 1}
}

func (t *totals) stats(now time.Time) Stats {
	return Stats{
		Calls:         t.calls,
		Retries:       t.granted[Retry],
		Hedges:        t.granted[Hedge],
		Refreshes:     t.granted[Refresh],
		Refused:       t.refused,
		Amplification: t.recent.amplification(now),
	}
}

// Counts gives the counts of all keys to telemetry, level for those that go down too.
func (b *Budget) Counts(yield func(name, unit, description string, level bool, value int64)) {
	s := b.Stats()
	yield("ply.budget.calls", "{call}", "Calls that extra requests are set beside.", false, s.Calls)
	yield("ply.budget.retries", "{request}", "Retries that were paid for.", false, s.Retries)
	yield("ply.budget.hedges", "{request}", "Hedges that were paid for.", false, s.Hedges)
	yield("ply.budget.refreshes", "{request}", "Refreshes ahead of time that were paid for.", false, s.Refreshes)
	yield("ply.budget.refused", "{request}", "Extra requests that were not allowed.", false, s.Refused)
	yield("ply.budget.amplification", "%", "Requests for each hundred calls in the last minute.", true, int64(s.Amplification*100+0.5))
}

// window counts calls and extra requests of the last minute, in slots of five seconds.
type window struct {
	slots [slots]struct{ number, calls, extra int64 }
}

const (
	slots     = 12
	slotWidth = int64(5 * time.Second)
)

func (w *window) add(now time.Time, calls, extra int64) {
	number := now.UnixNano() / slotWidth
	s := &w.slots[number%slots]
	if s.number != number {
		s.number, s.calls, s.extra = number, 0, 0
	}
	s.calls += calls
	s.extra += extra
}

func (w *window) amplification(now time.Time) float64 {
	oldest := now.UnixNano()/slotWidth - slots
	var calls, extra int64
	for _, s := range w.slots {
		if s.number > oldest {
			calls += s.calls
			extra += s.extra
		}
	}
	if calls == 0 {
		return 1
	}
	return 1 + float64(max(0, extra))/float64(calls) // less than zero: what is refunded now was paid for before the window
}
