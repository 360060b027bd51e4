package stored

import "github.com/plyhttp/ply/middleware/cache/internal/invalidation"

// A RecordKey is where the responses under one key of the cache stand in a store.
type RecordKey struct {
	Hash [32]byte
	Name string
}

// A Generation is a generation. The first half names the process that made it.
type Generation [16]byte

// A HashKey goes into the hashes of credentials that a response varies on, so that nobody who reads the store can try them out.
type HashKey [32]byte

// Tag is a place among the tags of a history.
func (p RecordKey) Tag() invalidation.Tag { return invalidation.Tag(p.Hash[:16]) }
