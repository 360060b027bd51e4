package postgres

import (
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
// The count errs to the full side: what was put while the table was measured may be counted twice, and what was removed meanwhile counts as there.
type room struct {
	most int64

	mu       sync.Mutex // guards the fields below
	held     int64
	underway int64 // of Puts that may be made by now, or not yet
	added    int64 // since the last measurement began
	put      int64 // by all Puts so far, whether they were made or not
	known    bool  // the table was measured
	ended    int64 // measurements
}

// reserve counts a Put that begins, and returns by how many bytes the store is too full then.
func (r *room) reserve(size int64) (over int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held += size
	r.underway += size
	r.added += size
	r.put += size
	return r.held - r.most
}

// unwritten counts the end of a Put that was reserved and has failed.
func (r *room) unwritten(size int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.underway -= size
	r.held = max(r.held-size, 0)
}

// written counts the end of a Put that was reserved and has replaced a record of the size old. It began with since.
func (r *room) written(size, old, since int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.underway -= size
	r.free(old, since)
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
	return r.due() || r.held > r.most-r.most/16
}

// due reports whether it is time to measure. The caller holds mu.
func (r *room) due() bool { return !r.known || r.added > r.most/16 }

// begin begins a measurement, unless it is not due. What has been put after from may be in it or not: the Puts that are under way, and those that begin before it ends.
// The keeper and Puts that find nothing to remove may measure at the same time, each from its own beginning.
func (r *room) begin(always bool) (from int64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !always && !r.due() {
		return 0, false
	}
	r.added = 0
	return r.put - r.underway, true
}

// end ends a measurement that began with from and has found so many bytes, or failed, and returns how many are held.
func (r *room) end(bytes, from int64, err error) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended++
	r.known = err == nil
	if err == nil {
		r.held = bytes + r.put - from
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
