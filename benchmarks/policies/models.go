package main

import (
	"math"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// queue is keys in an order, each with the number of its uses, and what they cost together.
type queue struct {
	keys *simplelru.LRU[uint64, *int]
	cost func(uint64) int64
	held int64
}

func newQueue(r room) *queue {
	keys, _ := simplelru.NewLRU[uint64, *int](math.MaxInt32, nil)
	return &queue{keys: keys, cost: r.cost}
}

func (q *queue) has(key uint64) bool { return q.keys.Contains(key) }

// use makes a key that is there the latest.
func (q *queue) use(key uint64) (had bool) {
	_, had = q.keys.Get(key)
	return had
}

// push adds a key that is not there.
func (q *queue) push(key uint64, uses *int) {
	q.keys.Add(key, uses)
	q.held += q.cost(key)
}

func (q *queue) drop(key uint64) bool {
	had := q.keys.Remove(key)
	if had {
		q.held -= q.cost(key)
	}
	return had
}

// pop removes the oldest key.
func (q *queue) pop() (key uint64, uses *int, some bool) {
	key, uses, some = q.keys.RemoveOldest()
	if some {
		q.held -= q.cost(key)
	}
	return key, uses, some
}

// lru gives up what was used longest ago.
type lru struct {
	room
	*queue
}

func newLRU(r room) store { return &lru{r, newQueue(r)} }

func (l *lru) ask(key uint64) bool {
	if l.use(key) {
		return true
	}
	for l.held+l.room.cost(key) > l.limit {
		l.pop()
	}
	l.push(key, nil)
	return false
}

// segmented gives up what was used once before it gives up what was used twice.
type segmented struct {
	room
	protected  int64
	once, more *queue
}

func newSegmented(r room) store { return newSegments(r) }

func newSegments(r room) *segmented {
	return &segmented{r, r.limit - r.limit/5, newQueue(r), newQueue(r)}
}

func (s *segmented) has(key uint64) bool { return s.once.has(key) || s.more.has(key) }

// full reports whether something has to go before key can come.
func (s *segmented) full(key uint64) bool { return s.once.held+s.more.held+s.cost(key) > s.limit }

func (s *segmented) ask(key uint64) bool {
	if !s.has(key) {
		s.put(key)
		return false
	}
	if s.more.use(key) {
		return true
	}
	s.once.drop(key)
	s.more.push(key, nil)
	for s.more.held > s.protected {
		demoted, _, _ := s.more.pop()
		s.once.push(demoted, nil)
	}
	return true
}

func (s *segmented) put(key uint64) {
	for s.full(key) {
		if _, _, removed := s.once.pop(); !removed {
			s.more.pop()
		}
	}
	s.once.push(key, nil)
}

// sketch counts how often keys were asked for, roughly and not for ever.
type sketch struct {
	counts [4][]uint8
	added  int
	limit  int
}

func newSketch(r room) *sketch {
	n := 1
	for n < r.entries {
		n *= 2
	}
	s := &sketch{limit: 10 * r.entries}
	for i := range s.counts {
		s.counts[i] = make([]uint8, n)
	}
	return s
}

func (s *sketch) place(key uint64, row int) *uint8 {
	hash := (key + uint64(row+1)) * 0x9e3779b97f4a7c15
	hash = (hash ^ hash>>29) * 0xbf58476d1ce4e5b9
	return &s.counts[row][(hash^hash>>32)&uint64(len(s.counts[row])-1)]
}

func (s *sketch) count(key uint64) {
	for row := range s.counts {
		if n := s.place(key, row); *n < 15 {
			*n++
		}
	}
	if s.added++; s.added < s.limit {
		return
	}
	s.added = 0
	for _, row := range s.counts {
		for i := range row {
			row[i] /= 2
		}
	}
}

func (s *sketch) counted(key uint64) uint8 {
	least := *s.place(key, 0)
	for row := range s.counts {
		least = min(least, *s.place(key, row))
	}
	return least
}

// tinyLFU is an lru that takes in only what was asked for more often than each key that would have to go.
type tinyLFU struct {
	*lru
	*sketch
}

func newTinyLFU(r room) store { return &tinyLFU{&lru{r, newQueue(r)}, newSketch(r)} }

func (t *tinyLFU) ask(key uint64) bool {
	t.count(key)
	for !t.has(key) && t.held+t.room.cost(key) > t.room.limit {
		if oldest, _, _ := t.keys.GetOldest(); t.counted(key) <= t.counted(oldest) {
			return false
		}
		t.pop()
	}
	return t.lru.ask(key)
}

// windowed has a small lru in front of a segmented store with such a condition.
type windowed struct {
	limit  int64
	window *queue
	main   *segmented
	*sketch
}

func newWindowed(r room) store {
	window := max(r.limit/100, 1)
	rest := r
	rest.limit -= window
	return &windowed{window, newQueue(r), newSegments(rest), newSketch(r)}
}

func (w *windowed) ask(key uint64) bool {
	w.count(key)
	if w.window.use(key) {
		return true
	}
	if w.main.has(key) {
		return w.main.ask(key)
	}
	w.window.push(key, nil)
	for w.window.held > w.limit {
		candidate, _, _ := w.window.pop()
		w.admit(candidate)
	}
	return false
}

// admit puts a key into the segments if it was asked for more often than each key that has to go.
func (w *windowed) admit(key uint64) {
	for w.main.full(key) {
		oldest, _, some := w.main.once.keys.GetOldest()
		if !some {
			break
		}
		if w.counted(key) <= w.counted(oldest) {
			return
		}
		w.main.once.pop()
	}
	w.main.put(key)
}

// s3fifo has two queues in which nothing is moved when it is used, and remembers as much of what it gave up as fits into the store.
type s3fifo struct {
	room
	small, main, gone *queue
}

func newS3FIFO(r room) store { return &s3fifo{r, newQueue(r), newQueue(r), newQueue(r)} }

func (s *s3fifo) ask(key uint64) bool {
	for _, queue := range [...]*queue{s.small, s.main} {
		if uses, had := queue.keys.Peek(key); had {
			*uses = min(*uses+1, 3)
			return true
		}
	}
	for s.small.held+s.main.held+s.cost(key) > s.limit {
		s.evict()
	}
	if s.gone.drop(key) {
		s.main.push(key, new(int))
	} else {
		s.small.push(key, new(int))
	}
	return false
}

func (s *s3fifo) evict() {
	if s.small.held < s.limit/10 && s.main.held > 0 {
		if key, uses, _ := s.main.pop(); *uses > 0 {
			*uses--
			s.main.push(key, uses)
		}
		return
	}
	key, uses, _ := s.small.pop()
	if *uses > 0 {
		*uses = 0
		s.main.push(key, uses)
		return
	}
	s.gone.push(key, nil)
	for s.gone.held > s.limit {
		s.gone.pop()
	}
}
