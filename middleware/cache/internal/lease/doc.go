// Package lease lets one process at a time, among those that share a store, ask the origin for what none of them has stored.
//
//	lease.go    who holds a lease, how it is taken and given back
//	wait.go     those who wait for one
//	record.go   its record in the store
package lease
