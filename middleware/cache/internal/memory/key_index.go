package memory

import (
	"sync/atomic"
)

// keyIndex finds the slot of a key. Readers take no lock and wait for nothing; the lock of the shard makes writers take turns.
//
// It is a table with linear probing. A cell is free, taken, or vacated: vacated cells keep the probes of others together until the table is rebuilt.
// A reader may be in a table that a writer has just replaced: what it finds there was true after its call had begun.
type keyIndex struct {
	table atomic.Pointer[keyTable]
}

type keyTable struct {
	cells []atomic.Pointer[slot] // a power of two; nil is free, &vacated was taken
	marks []atomic.Uint32        // a part of the hash of what was put into the cell last, so that probes look at few slots that are others'
	taken int                    // cells that are not nil; guarded by the shard's lock
	live  int                    // cells with slots; guarded by the shard's lock
}

// vacated stands in cells whose slot is gone. No key has its hash and its empty key.
var vacated slot

// minCells is the size of the smallest table.
const minCells = 16

// mark is what of a hash neither chooses the shard nor the first cell of a table of usual size.
func mark(hash uint64) uint32 { return uint32(hash >> 32) }

// first is the cell to look at first. The lowest bits of all hashes of a shard are the same, so it does not use them.
func (t *keyTable) first(hash uint64) int { return int(hash>>8) & (len(t.cells) - 1) }

// find returns the slot of a key, or nil. It is the only method that needs no lock.
func (x *keyIndex) find(hash uint64, key string) *slot {
	t := x.table.Load()
	if t == nil {
		return nil
	}
	for i := t.first(hash); ; i = (i + 1) & (len(t.cells) - 1) {
		found := t.cells[i].Load()
		if found == nil { // there always is a free cell
			return nil
		}
		// A writer stores the mark before the slot. So a reader that sees the slot sees its mark, or that of a later one, after this slot was gone.
		if t.marks[i].Load() == mark(hash) && found.hash == hash && found.key == key {
			return found
		}
	}
}

// put puts a slot in the place of the one with its key, or into a free cell.
func (x *keyIndex) put(next *slot) {
	t := x.table.Load()
	if t == nil || 4*(t.taken+1) > 3*len(t.cells) {
		t = x.rebuild(t)
	}
	room := -1
	for i := t.first(next.hash); ; i = (i + 1) & (len(t.cells) - 1) {
		switch found := t.cells[i].Load(); {
		case found == nil:
			if room < 0 {
				room = i
				t.taken++
			}
			t.live++
			t.marks[room].Store(mark(next.hash))
			t.cells[room].Store(next)
			return
		case found == &vacated:
			if room < 0 {
				room = i
			}
		case found.hash == next.hash && found.key == next.key:
			t.cells[i].Store(next)
			return
		}
	}
}

// remove vacates the cell of a slot, if it is there.
func (x *keyIndex) remove(gone *slot) {
	t := x.table.Load()
	if t == nil {
		return
	}
	for i := t.first(gone.hash); ; i = (i + 1) & (len(t.cells) - 1) {
		switch t.cells[i].Load() {
		case nil:
			return
		case gone:
			t.cells[i].Store(&vacated)
			t.live--
			return
		}
	}
}

// rebuild publishes a table without vacated cells that has room for twice the slots of t, and returns it.
func (x *keyIndex) rebuild(t *keyTable) *keyTable {
	size := minCells
	if t != nil {
		for size < 2*(t.live+1) {
			size *= 2
		}
	}
	next := &keyTable{cells: make([]atomic.Pointer[slot], size), marks: make([]atomic.Uint32, size)}
	if t != nil {
		for i := range t.cells {
			moved := t.cells[i].Load()
			if moved == nil || moved == &vacated {
				continue
			}
			at := next.first(moved.hash)
			for next.cells[at].Load() != nil {
				at = (at + 1) & (size - 1)
			}
			next.marks[at].Store(mark(moved.hash))
			next.cells[at].Store(moved)
			next.taken++
			next.live++
		}
	}
	x.table.Store(next)
	return next
}

// clear removes all slots.
func (x *keyIndex) clear() { x.table.Store(nil) }
