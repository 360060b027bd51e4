package sqlite

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/plyhttp/ply/store"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is made of all that Get returns and the cache relies on, and of the key that was asked for:
// a page that was damaged on the disk, mixed up, or taken from another file can make a record absent, and never another one.
func checksum(key string, version int64, expires *int64, r store.Record) int64 {
	var room [64 + 2*maxKey]byte // on the stack
	b := append(room[:0], byte(r.Kind), flag(expires != nil))
	b = binary.BigEndian.AppendUint64(b, uint64(version))
	if expires != nil {
		b = binary.BigEndian.AppendUint64(b, uint64(*expires))
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(key)))
	b = append(b, key...)
	b = append(b, r.Owner...)
	return int64(crc32.Update(crc32.Checksum(b, castagnoli), castagnoli, r.Data))
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}
