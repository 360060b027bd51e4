package store

import "encoding/binary"

// WithSum returns a record as Compressed keeps it, of a first byte and the rest, with the sum that fits them.
func WithSum(data []byte) []byte {
	b := append([]byte{data[0], 0, 0, 0, 0}, data[1:]...)
	binary.LittleEndian.PutUint32(b[1:], sum(b))
	return b
}
