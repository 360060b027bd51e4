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
	list   []*debt    // never written to: it is replaced
	before time.Time  // what was received earlier counts as invalidated: there have been too many debts
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
	d.list = append(slices.Clone(d.list), owing)
	return owing
}

// settle takes in what the store has not taken of an invalidation, if anything.
func (d *debts) settle(owing *debt, left []tag) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.Index(d.list, owing)
	if i < 0 {
		return
	}
	d.list = slices.Clone(d.list)
	if len(left) == 0 {
		d.list = slices.Delete(d.list, i, i+1)
		return
	}
	d.list[i] = &debt{tags: left, owed: true}
}

// An account is the debts at one moment. Whoever reads the store takes one before, for a debt may be paid between the reading and the judging:
//
//	we read the marks   a debt is paid: the marks change   we ask what is owed, and it is nothing
type account struct {
	list   []*debt
	before time.Time
}

func (d *debts) account() account {
	d.mu.Lock()
	defer d.mu.Unlock()
	return account{d.list, d.before}
}

// concerns tells whether a response is about something that the store did not know to be invalid.
func (a account) concerns(e *Entry) bool {
	return !e.received.After(a.before) || slices.ContainsFunc(a.list, func(owing *debt) bool {
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
			if ctx.Err() != nil {
				return
			}
			left, _ := d.renew(ctx, owing.tags)
			d.pending.settle(owing, left)
		}
	})
	if !started {
		d.pending.paid()
	}
}
