// Package benchmarks measures the cache side by side with its peers, in one run:
// the bare transport in memory, the least that any cache must do (the floor), ply, and the HTTP caches that others have written.
// It is a module of its own, so that the peers' code never reaches those who use ply.
//
//	go run ./benchmarks/table
//
// prints the table; docs/performance-methods.md explains it. The tests prove that each contender returns the right bytes,
// and that each benchmark measures what its name says.
package benchmarks
