// Package storetest checks whether a [store.Store] keeps its contract. Those who write a store run it from a test:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) store.Store { return open(t) })
//	}
//
// [RunShared] adds what holds between several processes, and [RunBounded] what a store does when it is full.
// [Map] is a store in memory that keeps all of it, for tests and for reading. Package processtest, below this one, has tests with several real processes.
//
// Where to find what: storetest.go has the runners and the table of rules. basic.go has the rules for single records, expiry.go those for time,
// atomic.go those for concurrent changes, extras.go those for the optional interfaces, shared.go and bounded.go those of RunShared and RunBounded.
// body.go makes data that proves where it belongs. map.go is Map. broken_test.go has a broken store for each rule.
package storetest
