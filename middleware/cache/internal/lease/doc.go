// Package lease has the processes that share a store ask the origin one at a time for what none of them has stored.
//
//	lease.go    who holds a lease, how it is taken and given back
//	wait.go     those who wait for one
//	record.go   its record in the store
package lease
