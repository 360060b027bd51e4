package postgres

import (
	"slices"
	"sync"

	"github.com/plyhttp/ply/store"
)

// charge returns about how many bytes a record takes: a row with its entries in three indexes, and what is long in chunks of 2 kB with their own.
func charge(key string, r store.Record) int64 {
	data := int64(len(r.Data))
	if data > 2000 {
		data += data / 32
	}
	return data + 400 + int64(2*len(key)+2*len(r.Owner)+min(len(r.Label), maxLabel))
}

// room counts how full the store is. Exactly, as far as this process has filled it, and what others have done as of the last measurement:
// a common counter would be one row that every Put of every process waits for.
//
// Whether a measurement has seen a Put is known by the number of its transaction, however long the measurement takes:
//
//	keeper: begin   Put: INSERT   keeper: SELECT sum   Put: INSERT   keeper: end
//
// Only what was removed while the table was measured may count as there until the next measurement.
type room struct {
	most int64

	mu        sync.Mutex // guards the fields below
	held      int64
	underway  int64    // of Puts that may be made by now, or not yet
	added     int64    // since the last measurement began
	known     bool     // the table was measured
	ended     int64    // measurements
	saw       snapshot // of the measurement that held is from
	measuring int      // measurements under way
	puts      []made   // while there are any
}

// made is a Put that has ended.
type made struct{ tx, bytes int64 }

// snapshot says which transactions a statement has seen: those below next that were not running. Its zero value has seen none.
type snapshot struct {
	next    int64
	running []int64
}

func (s snapshot) has(tx int64) bool { return tx < s.next && !slices.Contains(s.running, tx) }

// reserve counts a Put that begins, and returns by how many bytes the store is too full then.
func (r *room) reserve(size int64) (over int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held += size
	r.underway += size
	r.added += size
	return r.held - r.most
}

// unwritten counts the end of a Put that was reserved and has failed.
func (r *room) unwritten(size int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.underway -= size
	r.held = max(r.held-size, 0)
}

// written counts the end of a Put that was reserved and has replaced a record of the size old in the transaction tx.
func (r *room) written(size, old, tx int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.underway -= size
	if r.measuring > 0 {
		r.puts = append(r.puts, made{tx, size - old})
	}
	if r.saw.has(tx) { // the measurement that ended meanwhile has counted the record, and not the old one
		old = size
	}
	r.held = max(r.held-old, 0)
}

// freed counts what was removed by a statement that began with since.
func (r *room) freed(size, since int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.free(size, since)
}

// free counts what is there no more, for those who hold mu. What a measurement may have left out already must not be subtracted from it:
//
//	keeper: begin   Put: DELETE   keeper: SELECT sum, end   Put: freed
func (r *room) free(size, since int64) {
	if r.ended == since {
		r.held = max(r.held-size, 0)
	}
}

// now returns how many measurements have ended.
func (r *room) now() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ended
}

// crowded reports whether the keeper has to look: the store may be nearly full, or it is not known how full it is.
func (r *room) crowded() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.unsure() || r.held > r.most-r.most/16
}

// due reports whether it is time to measure.
func (r *room) due() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.unsure()
}

// unsure is due for those who hold mu.
func (r *room) unsure() bool { return !r.known || r.added > r.most/16 }

// begin begins a measurement, whose end has to come, and returns from where on in puts it may have missed some.
// The keeper and Puts that find nothing to remove may measure at the same time, each from its own beginning.
func (r *room) begin() (from int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.added = 0
	r.measuring++
	return len(r.puts)
}

// end ends a measurement that began with from and has found so many bytes, or failed, and returns how many are held.
func (r *room) end(bytes int64, saw snapshot, from int, err error) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended++
	r.known = err == nil
	if err == nil {
		r.held, r.saw = bytes+r.underway, saw
		for _, p := range r.puts[from:] {
			if !saw.has(p.tx) {
				r.held += p.bytes
			}
		}
	}
	if r.measuring--; r.measuring == 0 {
		r.puts = nil
	}
	return r.held
}

// forget has the table measured again: it may be another one.
func (r *room) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known = false
}

// over returns by how many bytes the store is too full.
func (r *room) over() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held - r.most
}
