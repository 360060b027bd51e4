package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/plyhttp/ply/store"
)

const writers = 16

// each runs f on as many goroutines as there are writers, spread over the instances, and waits for them.
func (c *check) each(f func(i int, s store.Store)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range writers {
		wg.Go(func() {
			<-start
			f(i, c.all[i%len(c.all)])
		})
	}
	close(start)
	wg.Wait()
}

func oneCreationSucceeds(c *check) {
	for round := range 20 {
		key := fmt.Sprintf("race-%d", round)
		var won, lost atomic.Int32
		var winner atomic.Int32
		c.each(func(i int, s store.Store) {
			switch err := s.Put(c.ctx, key, store.Record{Data: proof(key, uint64(i), 200)}); {
			case err == nil:
				won.Add(1)
				winner.Store(int32(i))
			case errors.Is(err, store.ErrConflict):
				lost.Add(1)
			default:
				c.Errorf("Put: %v, want no error or ErrConflict", err)
			}
		})
		if won.Load() != 1 || lost.Load() != writers-1 {
			c.Fatalf("of %d Puts under an absent key %d succeeded, want 1", writers, won.Load())
		}
		c.eventually(key, func(s store.Store) error {
			r, err := s.Get(c.ctx, key)
			if err != nil {
				return err
			}
			if seq, err := proven(key, r.Data); err != nil || seq != uint64(winner.Load()) {
				return fmt.Errorf("record of writer %d (%v), want that of the one that succeeded, %d", seq, err, winner.Load())
			}
			return nil
		})
	}
}

// eventually checks every instance: a single one at once, several of them until they agree or patience ends.
func (c *check) eventually(what string, f func(store.Store) error) {
	c.Helper()
	for _, s := range c.all {
		var err error
		if len(c.all) == 1 {
			err = f(s)
		} else {
			c.poll(func() bool { err = f(s); return err == nil })
		}
		if err != nil {
			c.Fatalf("%s: %v", what, err)
		}
	}
}

// Each writer counts up, by a Put in the place of what it read. If one change were lost, two writers would have made the same number of it.
func noLostUpdate(c *check) {
	const each, keys = 8, 2
	for k := range keys {
		c.put(fmt.Sprintf("counter-%d", k), store.Record{Data: proof(fmt.Sprintf("counter-%d", k), 0, 300)})
	}
	var mu sync.Mutex // guards made
	made := make([]map[uint64]int, keys)
	for k := range made {
		made[k] = make(map[uint64]int)
	}
	c.each(func(i int, s store.Store) {
		k := i % keys
		key := fmt.Sprintf("counter-%d", k)
		for n := 0; n < each && c.ctx.Err() == nil; {
			seq, err := countUp(c, s, key)
			if errors.Is(err, store.ErrConflict) {
				continue
			}
			if err != nil {
				c.Errorf("%v", err)
				return
			}
			n++
			mu.Lock()
			made[k][seq]++
			mu.Unlock()
		}
	})
	for k, numbers := range made {
		key := fmt.Sprintf("counter-%d", k)
		total := uint64(each * writers / keys)
		for seq := uint64(1); seq <= total; seq++ {
			if numbers[seq] != 1 {
				c.Fatalf("change %d of %q was made %d times, want once: updates were lost", seq, key, numbers[seq])
			}
		}
		c.eventually(key, func(s store.Store) error {
			r, err := s.Get(c.ctx, key)
			if err != nil {
				return err
			}
			if seq, err := proven(key, r.Data); err != nil || seq != total {
				return fmt.Errorf("the last change is %d (%v), want %d", seq, err, total)
			}
			return nil
		})
	}
}

// countUp replaces the record under key by the next one, and returns its number.
func countUp(c *check, s store.Store, key string) (uint64, error) {
	r, err := s.Get(c.ctx, key)
	if err != nil {
		return 0, fmt.Errorf("Get(%q): %w", key, err)
	}
	seq, err := proven(key, r.Data)
	if err != nil {
		return 0, fmt.Errorf("Get(%q): wrong record: %w", key, err)
	}
	size := 300 + int(seq*37%5000)
	if err := s.Put(c.ctx, key, store.Record{Data: proof(key, seq+1, size), Version: r.Version}); err != nil {
		return 0, fmt.Errorf("Put(%q): %w", key, err)
	}
	return seq + 1, nil
}

// Of a Put and a Delete of one version, one succeeds: the Put, and the Delete is a conflict, or the Delete, and the Put is one.
func putOrDelete(c *check) {
	for round := range 40 {
		key := fmt.Sprintf("either-%d", round)
		c.put(key, store.Record{Data: []byte("old")})
		old := c.get(key).Version
		var put, del error
		var wg sync.WaitGroup
		other := c.all[len(c.all)-1]
		wg.Go(func() { put = c.Put(c.ctx, key, store.Record{Data: []byte("new"), Version: old}) })
		wg.Go(func() { del = other.Delete(c.ctx, key, old) })
		wg.Wait()
		now := c.get(key)
		switch {
		case put == nil && errors.Is(del, store.ErrConflict):
			c.same(key, now, []byte("new"))
		case del == nil && errors.Is(put, store.ErrConflict):
			c.eventually(key, func(s store.Store) error {
				if r, err := s.Get(c.ctx, key); err != nil || r.Version != "" {
					return fmt.Errorf("after the Delete: version %q, %v", r.Version, err)
				}
				return nil
			})
		default:
			c.Fatalf("Put and Delete of one version at once: %v and %v, want one of them to succeed and the other to be a conflict", put, del)
		}
	}
}

// While writers replace and delete, readers must get whole records, of this key, and one version must always be the same bytes.
func readsAreWhole(c *check) {
	keys := []string{"whole-a", "whole-A", "whole-b"}
	var seq atomic.Uint64
	var mu sync.Mutex // guards bytesOf
	bytesOf := make(map[string]uint64)
	c.each(func(i int, s store.Store) {
		for n := range 32 {
			key := keys[(i+n)%len(keys)]
			r, err := s.Get(c.ctx, key)
			if err != nil {
				c.Errorf("Get(%q): %v", key, err)
				return
			}
			if r.Version != "" {
				got, err := proven(key, r.Data)
				if err != nil {
					c.Errorf("Get(%q): wrong record: %v", key, err)
					return
				}
				mu.Lock()
				before, known := bytesOf[key+" "+r.Version]
				bytesOf[key+" "+r.Version] = got
				mu.Unlock()
				if known && before != got {
					c.Errorf("version %q of %q was change %d, and is change %d now", r.Version, key, before, got)
					return
				}
			}
			switch {
			case i%4 == 0 && n%6 == 5:
				err = s.Delete(c.ctx, key, r.Version)
			case i%2 == 0:
				next := seq.Add(1)
				err = s.Put(c.ctx, key, store.Record{Data: proof(key, next, 100+int(next*7919%40_000)), Version: r.Version})
			}
			if err != nil && !errors.Is(err, store.ErrConflict) {
				c.Errorf("change of %q: %v, want no error or ErrConflict", key, err)
				return
			}
		}
	})
}

func sharedVersions(c *check) {
	var seq atomic.Uint64
	var mu sync.Mutex // guards seen
	var seen []string
	c.each(func(_ int, s store.Store) {
		for range 10 {
			r, err := s.Get(c.ctx, "k")
			if err == nil && r.Version == "" {
				err = s.Put(c.ctx, "k", store.Record{Data: fmt.Appendf(nil, "%d", seq.Add(1))})
			} else if err == nil {
				err = s.Delete(c.ctx, "k", r.Version)
				mu.Lock()
				seen = append(seen, r.Version+" "+string(r.Data))
				mu.Unlock()
			}
			if err != nil && !errors.Is(err, store.ErrConflict) {
				c.Errorf("%v", err)
			}
		}
	})
	slices.Sort(seen)
	seen = slices.Compact(seen)
	for i := 1; i < len(seen); i++ {
		var a, b string
		fmt.Sscan(seen[i-1], &a)
		fmt.Sscan(seen[i], &b)
		if a == b {
			c.Errorf("one version is of two records: %q and %q", seen[i-1], seen[i])
		}
	}
}
