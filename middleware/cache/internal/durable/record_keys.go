package durable

import (
	"crypto/sha256"
	"encoding/hex"
	"io"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// RecordKey hashes a key: nothing of it stands in the store. A shared cache and a private one do not find each other's responses.
func (d *Store) RecordKey(key string) stored.RecordKey {
	if d.shared {
		return newRecordKey("shared", key)
	}
	return newRecordKey("private", key)
}

func newRecordKey(posture, key string) (p stored.RecordKey) {
	h := sha256.New()
	io.WriteString(h, posture)
	h.Write([]byte{0})
	io.WriteString(h, key)
	h.Sum(p.Hash[:0])
	p.Name = "e1." + hex.EncodeToString(p.Hash[:])
	return p
}

// parseRecordKey is the place with a name that the store has listed.
func parseRecordKey(name string) (p stored.RecordKey, ok bool) {
	if len(name) != len("e1.")+2*len(p.Hash) || name[:3] != "e1." {
		return p, false
	}
	n, err := hex.Decode(p.Hash[:], []byte(name[3:]))
	p.Name = name
	return p, err == nil && n == len(p.Hash)
}
