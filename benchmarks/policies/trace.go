package main

import "math/rand/v2"

// trace is a sequence of keys.
type trace struct {
	name   string
	keys   []uint64
	warm   int               // how many requests are not counted: the store is empty at first
	counts func(uint64) bool // which keys are counted; nil for all
}

// single begins the keys that belong to no skewed draw: those of scans, and those that are asked for twice.
const single = 1 << 40

// traces makes the traces for stores of a size.
func traces(size, n int, seed uint64) []trace {
	drawn := func(key uint64) bool { return key < single }
	return []trace{
		{"skewed", skewed(size, n, seed), n / 4, nil},
		{"skewed, beside scans", besideScans(size, n, seed), n / 4, drawn},
		{"loop, 1.1 × size", loop(size+size/10, n), n / 4, nil},
		{"hot set that shifts", shifting(size, n, seed), n / 4, nil},
		{"twice, then never", twice(size, n, seed), n / 4, nil},
	}
}

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
