package main

import (
	"math"
	"math/rand/v2"
)

// room is what a store may hold.
type room struct {
	limit   int64
	size    func(key uint64) int // bytes of a body, or nil if each key counts as one
	entries int                  // how many keys that is, about
}

// cost is what a key takes of the limit.
func (r room) cost(key uint64) int64 {
	if r.size == nil {
		return 1
	}
	return overhead() + int64(r.size(key))
}

// trace is a sequence of keys.
type trace struct {
	name   string
	keys   []uint64
	warm   int               // how many requests are not counted: the store is empty at first
	counts func(uint64) bool // which keys are counted; nil for all
	room   room
}

// single begins the keys that belong to no skewed draw: those of scans, and those that are asked for twice.
const single = 1 << 40

// traces makes the traces for stores of a size in which all entries count the same.
func traces(size, n int, seed uint64) []trace {
	drawn := func(key uint64) bool { return key < single }
	all := room{limit: int64(size), entries: size}
	return []trace{
		{"skewed", skewed(size, n, seed), n / 4, nil, all},
		{"skewed, beside scans", besideScans(size, n, seed), n / 4, drawn, all},
		{"loop, 1.1 × size", loop(size+size/10, n), n / 4, nil, all},
		{"hot set that shifts", shifting(size, n, seed), n / 4, nil, all},
		{"twice, then never", twice(size, n, seed), n / 4, nil, all},
	}
}

// sizedTraces makes the traces for stores in which bytes count.
func sizedTraces(size, n int, seed uint64) []trace {
	keys := skewed(size, n, seed)
	const mean = 28_924 // of sizes that are spread evenly over the orders from smallest to largest
	small := room{limit: int64(size) << 12, entries: size << 12 / mean}
	small.size = func(key uint64) int { return sizeAt(uniform(key ^ seed<<48)) }
	twentieth := small
	twentieth.limit, twentieth.entries = int64(size)*mean, size
	growing := small
	growing.size = func(key uint64) int { return sizeAt(math.Log(float64(key+1)) / math.Log(float64(20*size+1))) }
	scanned := twentieth
	return []trace{
		{"small store", keys, n / 4, nil, small},
		{"room for a twentieth", keys, n / 4, nil, twentieth},
		{"small store, popular is small", keys, n / 4, nil, growing},
		{"room for a twentieth, beside scans", besideScans(size, n, seed), n / 4, func(key uint64) bool { return key < single }, scanned},
	}
}

// Bodies have 0.2 to 200 KB.
const smallest, largest = 200, 200_000

// sizeAt returns the size at a place between the smallest, 0, and the largest, 1, on a logarithmic scale.
func sizeAt(place float64) int { return int(smallest * math.Pow(largest/smallest, place)) }

// uniform returns a number from 0 to 1 that depends on nothing but the key.
func uniform(key uint64) float64 { return rand.New(rand.NewPCG(key, 3)).Float64() }

// skewed draws from twenty times as many keys as fit, by Zipf's law.
func skewed(size, n int, seed uint64) []uint64 {
	zipf := rand.NewZipf(rand.New(rand.NewPCG(seed, 1)), 1.05, 1, uint64(20*size))
	keys := make([]uint64, n)
	for i := range keys {
		keys[i] = zipf.Uint64()
	}
	return keys
}

// besideScans is skewed, but now and then someone goes through three times as many other keys as fit, once.
func besideScans(size, n int, seed uint64) []uint64 {
	drawn, random := skewed(size, n, seed), rand.New(rand.NewPCG(seed, 2))
	keys := make([]uint64, 0, n+3*size)
	for next := uint64(single); len(keys) < n; {
		quiet := min(3*size/2+random.IntN(3*size), len(drawn))
		keys, drawn = append(keys, drawn[:quiet]...), drawn[quiet:]
		for range 3 * size {
			keys = append(keys, next)
			next++
		}
	}
	return keys[:n]
}

// loop goes through so many keys in one order, again and again.
func loop(keys, n int) []uint64 {
	looped := make([]uint64, n)
	for i := range looped {
		looped[i] = uint64(i % keys)
	}
	return looped
}

// shifting is skewed, but every 50 requests a key that was never asked for becomes the hottest one, and the others move back by one place.
func shifting(size, n int, seed uint64) []uint64 {
	keys := skewed(size, n, seed)
	for i := range keys {
		keys[i] += 1<<30 - uint64(i/50)
	}
	return keys
}

// twice is skewed in one third of its requests. The others are for keys that are asked for twice, with as many requests between as
// bring in three quarters of what fits, and never again: what a segmented store is worst at.
func twice(size, n int, seed uint64) []uint64 {
	drawn := skewed(size, n, seed)
	keys := make([]uint64, 0, n+3)
	for i := 0; len(keys) < n; i++ {
		keys = append(keys, drawn[i], single+uint64(i))
		if i > size/4 {
			keys = append(keys, single+uint64(i-size/4))
		}
	}
	return keys[:n]
}
