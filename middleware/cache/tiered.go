package cache

import (
	"github.com/plyhttp/ply/store"
)

// Tiered returns a store for [Options.Store] with two levels: l2, which processes may share, and l1 with decoded copies of it in this process's memory.
// What is requested often is served from l1; what any process has stored is in l2 for all. New responses go to both.
//
// l1 holds copies of one database only: two that have different contents need a Memory each, or the copies of one would answer for the other.
//
// A copy is used without asking l2 for [Options.L1TTL]. If l2 is a [store.Notifier], a copy goes at once when another process changes the response
// or invalidates it. What l2 does not have is not remembered: each miss asks l2 once.
// A store does not tell of what it has changed itself: two caches of one process each need a Notifier of their own, opened twice.
// While l2 is down, copies are served, and invalidations that other processes make meanwhile are not noticed. Before a store.Notifier copies go
// when the connection to l2 is lost, for what it would have told of cannot be known.
//
// Used as a [store.Store] without a cache, it is l2.
func Tiered(l1 *Memory, l2 store.Store) store.Store { return &tiered{Store: l2, l1: l1} }

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
