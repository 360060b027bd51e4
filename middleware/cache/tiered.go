package cache

import (
	"github.com/plyhttp/ply/store"
)

// Tiered returns a store for [Options.Store] that keeps copies of what is in far, decoded, in near: what is asked for often is served from this
// process's memory, and what any process has stored is there for all. What is stored goes to both.
//
// A Clone is used without asking far for [Options.L1TTL]. If far is a [store.Notifier], a copy goes at once when another process changes the response
// or invalidates it. What far does not have is not remembered: each miss asks far once.
// A store does not tell of what it has changed itself: two caches of one process each need a Notifier of their own, opened twice.
// While far is down, copies are served, and invalidations that others make meanwhile are not heard of.
//
// As a [store.Store] of its own, without a cache, it is far.
func Tiered(near *Memory, far store.Store) store.Store { return &tiered{Store: far, l1: near} }

type tiered struct {
	store.Store
	l1 *Memory
}

var errTiers = optionError("Store", "is a Tiered without a Memory, or over a store that is itself tiered: give it a Memory and a plain store")

func (t *tiered) check() error {
	if _, nested := t.Store.(*tiered); t.l1 == nil || t.Store == nil || nested {
		return errTiers
	}
	return nil
}
