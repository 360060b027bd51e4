package durable

import (
	"crypto/sha256"
	"encoding/hex"
	"io"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// Place hashes a key: nothing of it stands in the store. A shared cache and a private one do not find each other's responses.
func (d *Store) Place(key string) stored.RecordKey {
	if d.shared {
		return newPlace("shared", key)
	}
	return newPlace("private", key)
}

func newPlace(posture, key string) (p stored.RecordKey) {
	h := sha256.New()
	io.WriteString(h, posture)
	h.Write([]byte{0})
	io.WriteString(h, key)
	h.Sum(p.Hash[:0])
	p.Name = "e1." + hex.EncodeToString(p.Hash[:])
	return p
}

// placeOf is the place with a name that the store has listed.
func placeOf(name string) (p stored.RecordKey, ok bool) {
	if len(name) != len("e1.")+2*len(p.Hash) || name[:3] != "e1." {
		return p, false
	}
	n, err := hex.Decode(p.Hash[:], []byte(name[3:]))
	p.Name = name
	return p, err == nil && n == len(p.Hash)
}
