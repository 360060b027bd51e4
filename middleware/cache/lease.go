package cache

// A lease has the processes that share a store ask the origin one at a time for what none of them has stored: before the one who leads an exchange
// asks the origin, it puts a record in the store, which lasts as long as the lease. The others wait for what it stores, within bounds:
//
//	A: nothing stored, lease taken, asks the origin
//	                                                B: nothing stored, lease held by A: looks into the store again and again
//	A: stores the answer, gives the lease back
//	                                                B: answers from the store
//
// A lease is a hint and no lock: nothing is wrong if two processes hold one at a time, but that the origin is asked twice. So whatever goes wrong
// with it, a request goes on by itself.
type lease struct {
	key string // of the record
}

func leaseKey(at place) string { return "l1." + at.name }

var _ = leaseKey(place{}) == (&lease{}).key
