package stored

import "github.com/plyhttp/ply/middleware/cache/internal/invalidation"

// A RecordKey is where a byte store keeps the responses of one key.
type RecordKey struct {
	Hash [32]byte
	Name string
}

// A Record is where a byte store has a response, and the generations of its tags there.
type Record struct {
	Key         *RecordKey
	Generations []Generation
}

// RecordKey is where a byte store has the entry, or nil.
func (e *Entry) RecordKey() *RecordKey {
	if e.Record == nil {
		return nil
	}
	return e.Record.Key
}

// Generations are those of the tags, in a byte store.
func (e *Entry) Generations() []Generation {
	if e.Record == nil {
		return nil
	}
	return e.Record.Generations
}

// A Generation is the value of one tag's invalidation counter. Its first half names the process that made it.
type Generation [16]byte

// A HashKey keys the hashes of the credentials that a response varies on, so that a reader of the store cannot guess them offline.
type HashKey [32]byte

// Tag is a place among the tags of a history.
func (p RecordKey) Tag() invalidation.Tag { return invalidation.Tag(p.Hash[:16]) }
