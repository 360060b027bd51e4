package durable

import (
	"crypto/sha256"
	"encoding/hex"
	"io"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// RecordKey hashes a cache key: the store holds nothing of it in clear. A shared cache and a private one have different keys, so neither finds the other's responses.
func (d *Store) RecordKey(key string) stored.RecordKey {
	if d.shared {
		return newRecordKey("shared", key)
	}
	return newRecordKey("private", key)
}

func newRecordKey(kind, key string) (p stored.RecordKey) {
	h := sha256.New()
	io.WriteString(h, kind)
	h.Write([]byte{0})
	io.WriteString(h, key)
	h.Sum(p.Hash[:0])
	p.Name = "e1." + hex.EncodeToString(p.Hash[:])
	return p
}

// parseRecordKey returns the record key with a name that the store has listed.
func parseRecordKey(name string) (p stored.RecordKey, ok bool) {
	if len(name) != len("e1.")+2*len(p.Hash) || name[:3] != "e1." {
		return p, false
	}
	n, err := hex.Decode(p.Hash[:], []byte(name[3:]))
	p.Name = name
	return p, err == nil && n == len(p.Hash)
}
