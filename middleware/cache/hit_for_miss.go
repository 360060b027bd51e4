package cache

import (
	"hash/maphash"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/lease"
)

// hitForMissKeys bounds the keys that are known to have answers which cannot be shared. A key that finds its place taken takes it.
const hitForMissKeys = 1024

// hitForMiss says until when requests for a key do not wait for one another, because an answer to one of them was not for the others.
type hitForMiss struct {
	hash      uint64
	until     time.Time
	suspended time.Time // until when that would hold if the origin had not been in trouble since
	answered  time.Time // when an origin in trouble last answered a request that asked by itself
}

// hitForMiss returns what is known of a key, or the zero value. The lock is held.
func (t *inflightFetches) hitForMiss(key string) hitForMiss {
	hash := maphash.String(t.seed, key)
	// The whole hash is compared, not the key: two keys with one hash of 64 bits share what is known, which is as harmless as to forget it.
	if miss := t.misses[hash%hitForMissKeys]; miss.hash == hash {
		return miss
	}
	return hitForMiss{}
}

// changeHitForMiss replaces what is known of a key. change runs under the lock, so that what it reads is what it replaces; it only computes. A change that leaves the zero value leaves what is known of another key with the same place.
func (t *inflightFetches) changeHitForMiss(key string, change func(hitForMiss) hitForMiss) {
	t.mu.Lock()
	defer t.mu.Unlock()
	// The table has no list of keys and never grows. Two keys with one place forget each other: that costs requests that wait in vain once more.
	hash := maphash.String(t.seed, key)
	place := &t.misses[hash%hitForMissKeys]
	// The place may be another key's: hitForMiss says zero then, and only a change that says something takes the place.
	next := change(t.hitForMiss(key))
	switch {
	case next != (hitForMiss{}):
		next.hash = hash
		*place = next
	case place.hash == hash:
		*place = next
	}
}

// setHitForMiss remembers that answers for a key cannot be shared, or that they can.
func (t *inflightFetches) setHitForMiss(key string, missed bool) {
	t.changeHitForMiss(key, func(miss hitForMiss) hitForMiss {
		if !missed {
			return hitForMiss{}
		}
		// suspended goes: what the origin has said now is the latest word. answered stays, for it is about the origin and not about sharing.
		return hitForMiss{until: time.Now().Add(lease.HitForMissTime), answered: miss.answered}
	})
}

// noteTrouble notes that the origin was in trouble: what is known of the answers for a key may not hold for what it says now.
func (t *inflightFetches) noteTrouble(key string) {
	t.changeHitForMiss(key, func(miss hitForMiss) hitForMiss {
		// Not forgotten but suspended: an error says nothing about whether the next answer can be shared. Requests wait for fetches that begin until then, but not for long (doubted).
		if !miss.until.IsZero() {
			miss.until, miss.suspended = time.Time{}, miss.until
		}
		return miss
	})
}

// noteAnswer notes that the origin answers, though it has failed for others.
func (t *inflightFetches) noteAnswer(key string) {
	t.changeHitForMiss(key, func(miss hitForMiss) hitForMiss {
		miss.answered = time.Now()
		return miss
	})
}

// answeredSince reports whether the origin has answered a request for a key since then, though it has failed for others.
// shareTrouble calls it, without the lock: then those who still wait need not take an error for the origin's last word.
func (t *inflightFetches) answeredSince(key string, then time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.hitForMiss(key).answered.After(then)
}
