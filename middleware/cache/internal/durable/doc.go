// Package durable keeps stored responses as records of a byte store, which processes may share.
//
//	store.go                    update by compare-and-swap, list, remove
//	lookup.go                   one look for a request: its records in one read, and the copies in memory
//	record.go, frame.go         the record of an entry; what all records begin with
//	record_keys.go              under which keys records stand
//	bodies.go                   bodies that are read when a response is found, and those that are gone
//	chunks.go                   large bodies as records of their own
//	chunk_writer.go, chunk_reader.go   a large body on its way in, and out
//	tombstones.go               large bodies that nothing names any more
//	generations.go              invalidation across processes
//	pending_invalidations.go    invalidations that the store has not acknowledged
//	hash_keys.go                the key of the hashes of credentials, the same in all processes
//	l1.go                       copies in this process's memory
//	peek.go                     looking without a trace
//	moving.go                   entries on their way to another cache, and from there
//	verify.go                   every record, read and checked
//	each.go                     going through all responses, for what looks at a whole store
package durable
