// Package memory keeps stored responses, or the records of a byte store, in this process: bounded by bytes and entries, read without a lock.
//
//	store.go       the store: keys, updates, room
//	shard.go       what goes first: slots that were used once before those that were used again
//	key_index.go   the slot of each key, found without a lock
//	tag_index.go   the keys of each tag
//	walk.go        a pass over all slots
//	peek.go        looking without a trace
//	records.go     the same store as a store.Store
package memory
