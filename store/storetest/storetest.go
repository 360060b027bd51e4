package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/plyhttp/ply/store"
)

// Run checks everything that the documentation of [store.Store] asks for, and each optional interface that the store implements, in one subtest per rule.
//
// newStore returns an empty store that no other test uses: a new directory, a new prefix. It may be called several times at once by tests that run in parallel,
// and closes what it opens by t.Cleanup. The store must have room for 16 MiB and 4,096 records without evicting anything.
//
// The store's clock, if it has one of its own, must be within 100 ms of this process's. Run it with -race.
func Run(t *testing.T, newStore func(t *testing.T) store.Store) {
	t.Helper()
	runAll(t, rules, func(t *testing.T, _ int) []store.Store { return []store.Store{newStore(t)} })
}

// RunShared checks what holds when several processes have one store open. newStores returns n instances of one new, empty store,
// each opened as another process would open it: they share no memory that two processes would not share.
// It closes them by t.Cleanup.
//
// What one instance puts may reach the others with a delay of seconds, but no two of them may both change one version of a record.
func RunShared(t *testing.T, newStores func(t *testing.T, n int) []store.Store) {
	t.Helper()
	runAll(t, sharedRules, newStores)
}

// RunBounded checks what a store does when it is full. newStore returns an empty store that holds at most maxBytes, by its own accounting.
func RunBounded(t *testing.T, newStore func(t *testing.T, maxBytes int64) store.Store) {
	t.Helper()
	runAll(t, boundedRules, func(t *testing.T, _ int) []store.Store { return []store.Store{newStore(t, bound)} })
}

// rule is a part of the contract and its check.
type rule struct {
	name  string
	check func(*check)
}

var rules = []rule{
	{"absent", absent},
	{"exact bytes", exactBytes},
	{"fields come back", fieldsComeBack},
	{"every key is its own", everyKeyIsItsOwn},
	{"versions", versions},
	{"put replaces one version", putReplacesOneVersion},
	{"delete removes one version", deleteRemovesOneVersion},
	{"data is not shared", dataIsNotShared},
	{"expired in the past", expiredInThePast},
	{"expires in time", expiresInTime},
	{"does not expire early", doesNotExpireEarly},
	{"too large", tooLarge},
	{"owners", owners},
	{"many keys", manyKeys},
	{"context done", contextDone},
	{"one creation succeeds", oneCreationSucceeds},
	{"no lost update", noLostUpdate},
	{"put or delete", putOrDelete},
	{"reads are whole", readsAreWhole},
	{"get multi", getMulti},
	{"range", rangeLists},
	{"range while others write", rangeWhileOthersWrite},
	{"clear", clearForgets},
	{"delete expired", deleteExpired},
	{"size", size},
	{"notify", notifyStops},
}

var sharedRules = []rule{
	{"seen by others", seenByOthers},
	{"one creation succeeds", oneCreationSucceeds},
	{"no lost update", noLostUpdate},
	{"put or delete", putOrDelete},
	{"reads are whole", readsAreWhole},
	{"versions", sharedVersions},
	{"clear", sharedClear},
	{"notify", notifyHears},
}

var boundedRules = []rule{
	{"bound", boundHolds},
	{"newest stay", newestStay},
	{"used ones stay", usedOnesStay},
	{"too large for the bound", tooLargeForTheBound},
}

func runAll(t *testing.T, rules []rule, open func(t *testing.T, n int) []store.Store) {
	t.Helper()
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			stores := open(t, instances)
			ctx, cancel := context.WithTimeout(t.Context(), longest)
			defer cancel()
			r.check(&check{tb: t, ctx: ctx, Store: stores[0], all: stores, patience: soon})
		})
	}
}

const (
	instances = 4                      // of a shared store
	longest   = 2 * time.Minute        // that a rule may take
	soon      = 10 * time.Second       // for what has to happen soon, also on a slow machine
	slack     = 100 * time.Millisecond // between this clock and the store's
	bound     = 4 << 20                // of a bounded store
)

// tb is the part of [testing.TB] that checks use, so that a store that must fail can be shown to.
type tb interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
	Skipf(format string, args ...any)
}

// check is one rule being checked on a store, or on several instances of it.
type check struct {
	tb
	store.Store
	ctx      context.Context
	all      []store.Store
	patience time.Duration
}

// put stores a record, which has to succeed.
func (c *check) put(key string, r store.Record) {
	c.Helper()
	if err := c.Put(c.ctx, key, r); err != nil {
		c.Fatalf("Put(%q, %d bytes, version %q): %v, want no error", key, len(r.Data), r.Version, err)
	}
}

// create stores data under a key that must be absent, and returns the record that is there then.
func (c *check) create(key string, data []byte) store.Record {
	c.Helper()
	c.put(key, store.Record{Data: data, Kind: store.KindEntry})
	return c.present(key, data)
}

func (c *check) get(key string) store.Record {
	c.Helper()
	r, err := c.Get(c.ctx, key)
	if err != nil {
		c.Fatalf("Get(%q): %v, want no error", key, err)
	}
	return r
}

// present reads key, where data must be.
func (c *check) present(key string, data []byte) store.Record {
	c.Helper()
	r := c.get(key)
	c.same(key, r, data)
	return r
}

// same checks the data of a record that must be there.
func (c *check) same(key string, r store.Record, data []byte) {
	c.Helper()
	switch {
	case r.Version == "" && len(r.Data) == 0:
		c.Fatalf("%q is absent, want %s", key, excerpt(data))
	case r.Version == "":
		c.Fatalf("%q has no version", key)
	case string(r.Data) != string(data):
		c.Fatalf("%q holds %s, want %s", key, excerpt(r.Data), excerpt(data))
	}
}

// missing reads key, where nothing must be.
func (c *check) missing(key, why string) {
	c.Helper()
	c.zero(key, c.get(key), why)
}

func (c *check) zero(key string, r store.Record, why string) {
	c.Helper()
	if r.Data != nil || r.Version != "" || !r.Expires.IsZero() || r.Kind != 0 || r.Owner != "" || r.Label != "" {
		c.Fatalf("%q %s: got a record with %s and version %q, want the zero Record", key, why, excerpt(r.Data), r.Version)
	}
}

// poll calls done until it is true, and reports whether it was within patience.
func (c *check) poll(done func() bool) bool {
	deadline := time.Now().Add(c.patience)
	for !done() {
		if time.Now().After(deadline) {
			return false
		}
		<-time.After(5 * time.Millisecond)
	}
	return true
}

// within runs f, which must return in time even if it is stuck.
func (c *check) within(what string, f func()) {
	c.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f()
	}()
	select {
	case <-ended:
	case <-time.After(c.patience):
		c.Fatalf("%s has not returned after %v", what, c.patience)
	}
}
