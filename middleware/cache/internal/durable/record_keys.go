package durable

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// RecordKey hashes a cache key: the store holds nothing of it in clear. A shared cache and a private one have different keys, so neither finds the other's responses.
func (d *Store) RecordKey(key string) stored.RecordKey {
	return newRecordKey(d.keySpace(), key)
}

// keySpace keeps the keys of shared and of private caches apart.
func (d *Store) keySpace() string { return keySpace(d.shared) }

func keySpace(shared bool) string {
	if shared {
		return "shared"
	}
	return "private"
}

// HashKey is the hash that a byte store has in the place of a cache key.
func HashKey(shared bool, key string) [32]byte { return hashOf(keySpace(shared), key) }

// RecordKeyOf is the place of what is stored under a key with this hash.
func RecordKeyOf(hash [32]byte) stored.RecordKey {
	var room [recordNameBytes]byte
	return stored.RecordKey{Hash: hash, Name: string(appendRecordName(room[:0], &hash))}
}

func newRecordKey[K string | []byte](kind string, key K) stored.RecordKey {
	return RecordKeyOf(hashOf(kind, key))
}

// hashRoom is room for what most keys are hashed with, on the stack.
const hashRoom = 512

func hashOf[K string | []byte](kind string, key K) [32]byte {
	var room [hashRoom]byte
	return sha256.Sum256(append(append(append(room[:0], kind...), 0), key...))
}

// recordNameBytes is the length of a record's name.
const recordNameBytes = len("e1.") + 2*sha256.Size

func appendRecordName(dst []byte, hash *[32]byte) []byte {
	return hex.AppendEncode(append(dst, "e1."...), hash[:])
}

// parseRecordKey returns the record key with a name that the store has listed.
func parseRecordKey(name string) (p stored.RecordKey, ok bool) {
	if len(name) != recordNameBytes || name[:3] != "e1." {
		return p, false
	}
	n, err := hex.Decode(p.Hash[:], []byte(name[3:]))
	p.Name = name
	return p, err == nil && n == len(p.Hash)
}
