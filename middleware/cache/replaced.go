package cache

import "context"

// remove deletes a stored response, and with it those that it has hidden: one that the request selects as well would be found next time.
func (x *exchange) remove(old *Entry) {
	c := x.cache
	if c.closed.Load() || c.off.Load() {
		return
	}
	ctx := context.WithoutCancel(x.request.Context())
	key, selects := x.foundIn, x.selects()
	remove := func(ctx context.Context) error {
		return c.store.update(ctx, key, func(set *variants) *variants {
			return set.without(func(e *Entry) bool { return old.sameSlot(e) || selects(e) })
		})
	}
	told := func(err error) { c.fault(ctx, "update", err) }
	if c.durable == nil {
		told(remove(ctx))
		return
	}
	c.durable.behind.soon(remove, told)
}

// outgrown removes what was stored if the answer in its place turned out to be too large for the store as it came: it has been replaced all the same.
func (x *exchange) outgrown(e *Entry, reason string) {
	switch reason {
	case tooLarge, tooLargeToFilter, overBudget:
		if old := x.selected; old != nil && ends(old, e.status, e.received) {
			x.remove(old)
		}
	}
}
