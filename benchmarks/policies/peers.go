package main

import (
	"github.com/Yiling-J/theine-go"
	"github.com/maypok86/otter/v2"
)

// otterStore is otter itself, with the cost of each key as its weight. What it would do on other goroutines it does at once.
type otterStore struct {
	*otter.Cache[uint64, int64]
	room
}

func newOtter(r room) store {
	return &otterStore{otter.Must(&otter.Options[uint64, int64]{
		MaximumWeight: uint64(r.limit),
		Weigher:       func(_ uint64, cost int64) uint32 { return uint32(cost) },
		Executor:      func(f func()) { f() },
	}), r}
}

func (o *otterStore) ask(key uint64) bool {
	if _, had := o.GetIfPresent(key); had {
		return true
	}
	o.Set(key, o.cost(key))
	o.CleanUp() // evicts now what it may evict a little later
	return false
}

// theineStore is theine itself, with the cost of each key.
type theineStore struct {
	*theine.Cache[uint64, int64]
	room
}

func newTheine(r room) store {
	c, err := theine.NewBuilder[uint64, int64](r.limit).Build()
	if err != nil {
		panic(err) // the options are our own
	}
	return &theineStore{c, r}
}

func (t *theineStore) ask(key uint64) bool {
	if _, had := t.Get(key); had {
		return true
	}
	cost := t.cost(key)
	t.Set(key, cost, cost)
	t.Wait() // until its goroutine has evicted
	return false
}

func (t *theineStore) close() { t.Close() }
