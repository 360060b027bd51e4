package cache

import (
	"context"
	"slices"
	"sync"
	"time"
)

// debts are the invalidations that a store has not heard of yet. This process serves nothing that they are about.
// Those that the store did not take, because it was down, it is told again as soon as it answers.
type debts struct {
	mu     sync.Mutex // guards the fields below
	list   []*debt
	before time.Time // what was received earlier counts as invalidated: there have been too many debts
	paying bool
}

// A debt is some tags that are to get new generations.
type debt struct {
	tags []tag
	owed bool // the store has been told, and did not take it
}

// maxDebts bounds the invalidations that are remembered.
const maxDebts = 1024

// incur notes an invalidation before the store is told.
func (d *debts) incur(tags []tag) *debt {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.list) >= maxDebts {
		d.list, d.before = nil, time.Now()
	}
	owing := &debt{tags: tags}
	d.list = append(d.list, owing)
	return owing
}

// settle takes in whether the store has taken an invalidation.
func (d *debts) settle(owing *debt, taken bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	owing.owed = !taken
	if taken {
		d.list = slices.DeleteFunc(d.list, func(other *debt) bool { return other == owing })
	}
}

// concern tells whether a response is about something that the store does not know to be invalid.
func (d *debts) concern(e *Entry) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !e.received.After(d.before) || slices.ContainsFunc(d.list, func(owing *debt) bool {
		return slices.ContainsFunc(e.tags, func(t tag) bool { return slices.Contains(owing.tags, t) })
	})
}

// due returns what the store is to be told again, unless somebody does that already.
func (d *debts) due() []*debt {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.paying {
		return nil
	}
	var due []*debt
	for _, owing := range d.list {
		if owing.owed {
			due = append(due, owing)
		}
	}
	d.paying = due != nil
	return due
}

func (d *debts) paid() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.paying = false
}

// pay tells the store of the invalidations that it did not take.
func (d *durable) pay() {
	due := d.pending.due()
	if due == nil {
		return
	}
	started := d.behind.start(func(ctx context.Context) {
		defer d.pending.paid()
		for _, owing := range due {
			d.pending.settle(owing, d.renew(ctx, owing.tags) == nil)
		}
	})
	if !started {
		d.pending.paid()
	}
}
