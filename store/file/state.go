package file

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"math"
	"time"
)

// The state of a directory is in one file: a slot of 64 bytes for each shard, written by the process that holds the shard's lock, and read by all.
// That is how the processes that share a directory know how full it is, without a list of what is in it.
//
// A slot is marked dirty before the shard is changed, and clean afterwards. A slot that is dirty while the lock is free
// was left by a process that was killed in between: the next one that takes the lock counts the shard again.
const (
	shards    = 64
	slotSize  = 64
	stateSize = shards * slotSize
	epochAt   = 48 // in a slot
)

// slot is what is known of a shard.
type slot struct {
	bytes   int64
	records int64
	oldest  int64 // not later than the last use of any record, in nanoseconds since 1970; 0 if there is none
	dirty   bool

	// due is not later than when a sweep may find something to remove, in milliseconds since 1970: never if there is nothing, and 0 if it is not known.
	// As it is in the slot before the files are there that it is about, a process that is killed leaves it too early, or the slot dirty.
	due int64
	// epoch is another number whenever the shard's directory may be another one. Those who keep it open compare.
	epoch uint64
	// stamp is the number of the sweep that has been reading the shard since something was added to it the last time, or 0.
	stamp uint64
}

// never is due where nothing will be.
const never = math.MaxInt64

// dueOf is due for one record: when it is over, or when it goes if it is a part without an owner.
func dueOf(expires int64, part bool, used time.Time) int64 {
	due := int64(never)
	if expires != 0 {
		due = expires
	}
	if part {
		due = min(due, used.Add(partsStay).UnixMilli())
	}
	return due
}

// with is due if a record comes to a shard for which it is s.due.
func (s slot) with(due int64) int64 {
	if s.due == 0 { // not known
		return 0
	}
	return min(s.due, due)
}

// mayBeDue reports whether a sweep of what is over at now may find something.
func (s slot) mayBeDue(now time.Time) bool {
	return s.dirty || s.due == 0 || s.due <= max(now.UnixMilli(), time.Now().UnixMilli())
}

func (s slot) encode(shard int) []byte {
	b := make([]byte, slotSize)
	le := binary.LittleEndian
	b[0], b[1] = formatVersion, byte(shard)
	if s.dirty {
		b[2] = 1
	}
	le.PutUint64(b[8:], uint64(s.bytes))
	le.PutUint64(b[16:], uint64(s.records))
	le.PutUint64(b[24:], uint64(s.oldest))
	le.PutUint64(b[32:], uint64(s.due))
	le.PutUint64(b[40:], s.stamp)
	le.PutUint64(b[epochAt:], s.epoch)
	le.PutUint32(b[slotSize-4:], crc32.Checksum(b[:slotSize-4], castagnoli))
	return b
}

// decodeSlot is false for what encode did not write, such as the zeros of a new file.
func decodeSlot(b []byte, shard int) (slot, bool) {
	le := binary.LittleEndian
	if b[0] != formatVersion || b[1] != byte(shard) || le.Uint32(b[slotSize-4:]) != crc32.Checksum(b[:slotSize-4], castagnoli) {
		return slot{}, false
	}
	return slot{
		bytes:   int64(le.Uint64(b[8:])),
		records: int64(le.Uint64(b[16:])),
		oldest:  int64(le.Uint64(b[24:])),
		dirty:   b[2] != 0,
		due:     int64(le.Uint64(b[32:])),
		stamp:   le.Uint64(b[40:]),
		epoch:   le.Uint64(b[epochAt:]),
	}, true
}

// state is all slots as they were at one moment, more or less: others may be at work.
type state struct {
	slots [shards]slot
	known [shards]bool
}

func readState(f handle) (*state, error) {
	b := make([]byte, stateSize)
	if _, err := f.ReadAt(b, 0); err != nil && err != io.EOF {
		return nil, err
	}
	var s state
	for i := range s.slots {
		s.slots[i], s.known[i] = decodeSlot(b[i*slotSize:(i+1)*slotSize], i)
	}
	return &s, nil
}

func (s *state) bytes() int64 {
	var n int64
	for _, slot := range s.slots {
		n += slot.bytes
	}
	return n
}

func (s *state) records() int64 {
	var n int64
	for _, slot := range s.slots {
		n += slot.records
	}
	return n
}

// oldest returns the shard whose records were used longest ago, and since when those of all others have been. It is -1 if there are none.
func (s *state) oldest() (shard int, next int64) {
	shard = -1
	var first int64
	for i, slot := range s.slots {
		switch {
		case slot.records == 0:
		case shard < 0 || slot.oldest < first:
			next, shard, first = first, i, slot.oldest // what was first until now is not later than any next
		case next == 0 || slot.oldest < next:
			next = slot.oldest
		}
	}
	return shard, next
}
