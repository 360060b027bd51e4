package main

import (
	"math"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// list is keys in an order, each with the number of its uses.
type list = *simplelru.LRU[uint64, *int]

func newList() list {
	l, _ := simplelru.NewLRU[uint64, *int](math.MaxInt32, nil)
	return l
}

// lru gives up what was used longest ago.
type lru struct {
	size int
	keys list
}

func newLRU(size int) store { return &lru{size, newList()} }

func (l *lru) ask(key uint64) bool {
	if _, had := l.keys.Get(key); had {
		return true
	}
	if l.keys.Len() == l.size {
		l.keys.RemoveOldest()
	}
	l.keys.Add(key, nil)
	return false
}

// segmented gives up what was used once before it gives up what was used twice.
type segmented struct {
	size, protected int
	once, more      list
}

func newSegmented(size int) store { return newSegments(size) }

func newSegments(size int) *segmented {
	return &segmented{size, size - size/5, newList(), newList()}
}

func (s *segmented) has(key uint64) bool { return s.once.Contains(key) || s.more.Contains(key) }

func (s *segmented) full() bool { return s.once.Len()+s.more.Len() >= s.size }

func (s *segmented) ask(key uint64) bool {
	if !s.has(key) {
		s.put(key)
		return false
	}
	if _, protected := s.more.Get(key); protected {
		return true
	}
	s.once.Remove(key)
	s.more.Add(key, nil)
	if s.more.Len() > s.protected {
		demoted, _, _ := s.more.RemoveOldest()
		s.once.Add(demoted, nil)
	}
	return true
}

func (s *segmented) put(key uint64) {
	if s.full() {
		if _, _, removed := s.once.RemoveOldest(); !removed {
			s.more.RemoveOldest()
		}
	}
	s.once.Add(key, nil)
}

// sketch counts how often keys were asked for, roughly and not for ever.
type sketch struct {
	counts [4][]uint8
	added  int
	limit  int
}

func newSketch(size int) *sketch {
	n := 1
	for n < size {
		n *= 2
	}
	s := &sketch{limit: 10 * size}
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

// tinyLFU is an lru that takes in only what was asked for more often than what would have to go.
type tinyLFU struct {
	*lru
	*sketch
}

func newTinyLFU(size int) store { return &tinyLFU{&lru{size, newList()}, newSketch(size)} }

func (t *tinyLFU) ask(key uint64) bool {
	t.count(key)
	if t.keys.Len() == t.size && !t.keys.Contains(key) {
		if oldest, _, _ := t.keys.GetOldest(); t.counted(key) <= t.counted(oldest) {
			return false
		}
	}
	return t.lru.ask(key)
}

// windowed has a small lru in front of a segmented store with such a condition.
type windowed struct {
	size   int
	window list
	main   *segmented
	*sketch
}

func newWindowed(size int) store {
	window := max(size/100, 1)
	return &windowed{window, newList(), newSegments(size - window), newSketch(size)}
}

func (w *windowed) ask(key uint64) bool {
	w.count(key)
	if _, had := w.window.Get(key); had {
		return true
	}
	if w.main.has(key) {
		return w.main.ask(key)
	}
	w.window.Add(key, nil)
	if w.window.Len() > w.size {
		key, _, _ := w.window.RemoveOldest()
		oldest, _, some := w.main.once.GetOldest()
		if !w.main.full() || !some || w.counted(key) > w.counted(oldest) {
			w.main.put(key)
		}
	}
	return false
}

// s3fifo has two queues in which nothing is moved when it is used, and remembers what it gave up.
type s3fifo struct {
	size              int
	small, main, gone list
}

func newS3FIFO(size int) store { return &s3fifo{size, newList(), newList(), newList()} }

func (s *s3fifo) ask(key uint64) bool {
	for _, queue := range [...]list{s.small, s.main} {
		if uses, had := queue.Peek(key); had {
			*uses = min(*uses+1, 3)
			return true
		}
	}
	for s.small.Len()+s.main.Len() >= s.size {
		s.evict()
	}
	if s.gone.Remove(key) {
		s.main.Add(key, new(int))
	} else {
		s.small.Add(key, new(int))
	}
	return false
}

func (s *s3fifo) evict() {
	if s.small.Len() < s.size/10 && s.main.Len() > 0 {
		if key, uses, _ := s.main.RemoveOldest(); *uses > 0 {
			*uses--
			s.main.Add(key, uses)
		}
		return
	}
	key, uses, _ := s.small.RemoveOldest()
	if *uses > 0 {
		*uses = 0
		s.main.Add(key, uses)
		return
	}
	if s.gone.Len() >= s.size {
		s.gone.RemoveOldest()
	}
	s.gone.Add(key, nil)
}
