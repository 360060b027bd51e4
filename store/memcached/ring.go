package memcached

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strconv"
)

// A ring says which server has a key, as ketama does: each server has points on a circle, and a key belongs to the first point at or after its own place.
// A server that is added takes its share of the keys from all others, and no other key moves. All processes with the same servers agree, whatever their order.
type ring []point

type point struct {
	at     uint64
	server int
}

// pointsEach is the number of points of a server. With 160 the shares of ten servers differ by about a tenth.
const pointsEach = 160

func newRing(names []string) ring {
	r := make(ring, 0, len(names)*pointsEach)
	for server, name := range names {
		for n := range pointsEach {
			r = append(r, point{place(name + "#" + strconv.Itoa(n)), server})
		}
	}
	slices.SortFunc(r, func(a, b point) int {
		if a.at != b.at {
			return cmp.Compare(a.at, b.at)
		}
		return cmp.Compare(names[a.server], names[b.server]) // two points in one place: the order of the list must not matter
	})
	return r
}

// server returns the index of the server that has the key.
func (r ring) server(key string) int {
	i, _ := slices.BinarySearchFunc(r, place(key), func(p point, at uint64) int { return cmp.Compare(p.at, at) })
	return r[i%len(r)].server
}

func place(text string) uint64 {
	sum := sha256.Sum256([]byte(text))
	return binary.BigEndian.Uint64(sum[:])
}
