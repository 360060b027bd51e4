package memory

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// A key index agrees with a map whatever is put and removed, also where many hashes are alike.
func TestKeyIndexAgreesWithAMap(t *testing.T) {
	for name, hashOf := range map[string]func(key int) uint64{
		"good hashes":      func(key int) uint64 { return uint64(key) * 0x9e3779b97f4a7c15 },
		"one first cell":   func(key int) uint64 { return uint64(key) << 40 },
		"one mark":         func(key int) uint64 { return uint64(key) << 8 },
		"one hash for all": func(int) uint64 { return 7 },
	} {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			var index keyIndex
			want := map[int]*slot{}
			keys := 400
			if name == "one hash for all" {
				keys = 60 // each probe is a walk over all of them
			}
			for range 20_000 {
				key := random.IntN(keys)
				switch random.IntN(3) {
				case 0, 1:
					x := &slot{key: strconv.Itoa(key), hash: hashOf(key)}
					index.put(x)
					want[key] = x
				case 2:
					if gone := want[key]; gone != nil {
						index.remove(gone)
						delete(want, key)
					} else {
						index.remove(&slot{key: strconv.Itoa(key), hash: hashOf(key)})
					}
				}
				key = random.IntN(keys)
				if got := index.find(hashOf(key), strconv.Itoa(key)); got != want[key] {
					t.Fatalf("key %d: got %p, want %p", key, got, want[key])
				}
			}
			table := index.table.Load()
			if table.live != len(want) {
				t.Errorf("%d live cells, want %d", table.live, len(want))
			}
			if most := max(minCells, 8*keys); len(table.cells) > most {
				t.Errorf("%d cells for %d keys at most", len(table.cells), keys)
			}
			index.clear()
			for key := range want {
				if index.find(hashOf(key), strconv.Itoa(key)) != nil {
					t.Fatal("a key is found after clear")
				}
			}
		})
	}
}

// A slot that has gone is not found, though another of its key has come since.
func TestKeyIndexRemovesOnlyTheSlotItself(t *testing.T) {
	var index keyIndex
	old, next := &slot{key: "a", hash: 1}, &slot{key: "a", hash: 1}
	index.put(old)
	index.put(next)
	index.remove(old)
	if got := index.find(1, "a"); got != next {
		t.Errorf("got %p, want %p", got, next)
	}
}

// Readers always find what stays, while a writer adds, removes and rebuilds around it.
func TestKeyIndexReadersFindWhatStaysWhileTheTableIsRebuilt(t *testing.T) {
	var index keyIndex
	hashOf := func(key int) uint64 { return uint64(key) * 0x9e3779b97f4a7c15 }
	const stay = 50
	slots := make([]*slot, stay)
	for i := range slots {
		slots[i] = &slot{key: strconv.Itoa(i), hash: hashOf(i)}
		index.put(slots[i])
	}
	var done atomic.Bool
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for i := 0; !done.Load(); i = (i + 1) % stay {
				if got := index.find(hashOf(i), strconv.Itoa(i)); got != slots[i] {
					t.Errorf("key %d: got %v", i, got)
					return
				}
				for other := stay; other < stay+3; other++ {
					if got := index.find(hashOf(other), strconv.Itoa(other)); got != nil && got.key != strconv.Itoa(other) {
						t.Errorf("the key %d has the slot of %s", other, got.key)
						return
					}
				}
			}
		})
	}
	for round := range 2000 {
		x := &slot{key: strconv.Itoa(stay + round%40), hash: hashOf(stay + round%40)}
		index.put(x)
		if round%3 == 0 {
			index.remove(x)
		}
	}
	done.Store(true)
	wg.Wait()
}

// Many keys that come and go once each leave no table that grows.
func TestKeyIndexIsRebuiltInPlaceUnderChurn(t *testing.T) {
	var index keyIndex
	for i := range 100_000 {
		x := &slot{key: strconv.Itoa(i), hash: uint64(i) * 0x9e3779b97f4a7c15}
		index.put(x)
		index.remove(x)
	}
	if cells := len(index.table.Load().cells); cells != minCells {
		t.Errorf("%d cells for no key", cells)
	}
}
