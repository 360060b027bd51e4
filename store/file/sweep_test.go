package file

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store"
)

// checkDue fails if a slot says that there is nothing to remove until some time, and a file is due before.
func checkDue(t *testing.T, dir string, s *Store, what string) {
	t.Helper()
	p, err := s.place()
	require.NoError(t, err)
	all, err := readState(p.state)
	require.NoError(t, err)
	for shard, slot := range all.slots {
		if !all.known[shard] || slot.dirty || slot.due == 0 {
			continue
		}
		files, err := os.ReadDir(filepath.Join(dir, shardName(shard)))
		if err != nil {
			continue
		}
		for _, f := range files {
			path := shardName(shard) + "/" + f.Name()
			h, err := readHead(p.fs, path)
			if err != nil {
				continue
			}
			info, err := f.Info()
			require.NoError(t, err)
			if due := dueOf(h.expires, h.owner != "", info.ModTime()); due < slot.due {
				t.Fatalf("%s: %s is due at %d, and its slot says %d", what, path, due, slot.due)
			}
		}
	}
}

// keysOfShard returns keys whose records are in one shard.
func keysOfShard(shard, n int) (keys []string) {
	for i := 0; len(keys) < n; i++ {
		key := fmt.Sprint("key-", i)
		if its, _ := nameOf(key); its == shard {
			keys = append(keys, key)
		}
	}
	return keys
}

func in(d time.Duration) store.Record {
	return store.Record{Data: []byte("x"), Kind: store.KindEntry, Expires: time.Now().Add(d)}
}

// read counts the records that faults have seen read.
func (f *faults) read() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, op := range f.ops {
		if strings.HasPrefix(op, "read") && op != "readdir" && op != "readat" {
			n++
		}
	}
	return n
}

// What cannot be over is not read: the slot of a shard says from when on something may be.
func TestDeleteExpiredReadsOnlyShardsInWhichSomethingMayBeOver(t *testing.T) {
	f := &faults{}
	s := openQuiet(t, t.TempDir(), Options{}, f)
	for shard := range 4 {
		for _, key := range keysOfShard(shard, 5) {
			mustPut(t, s, key, in(time.Hour))
		}
	}
	deleted := func(at time.Duration, want, reads int) {
		t.Helper()
		f.failNext(0)
		n, err := s.DeleteExpired(t.Context(), time.Now().Add(at))
		f.turn(false)
		require.NoError(t, err)
		if got := f.read(); n != want || got != reads {
			t.Errorf("%v later: %d were removed with %d files read, want %d with %d", at, n, got, want, reads)
		}
	}
	deleted(0, 0, 0)
	soon := keysOfShard(2, 6)[5]
	mustPut(t, s, soon, in(time.Minute))
	deleted(0, 0, 0)
	deleted(2*time.Minute, 1, 6)
	deleted(2*time.Minute, 0, 0) // the sweep has seen when the next one is over
	mustPut(t, s, soon, in(time.Minute))
	require.NoError(t, s.Delete(t.Context(), soon, ""))
	deleted(2*time.Minute, 0, 5) // what was deleted may have left the slot too early, once
	deleted(2*time.Minute, 0, 0)
	deleted(2*time.Hour, 20, 20)
	deleted(2*time.Hour, 0, 0)
}

// What is put while a sweep reads counts, whether the sweep has seen it or not.
func TestPutDuringSweepIsNotForgotten(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, Options{})
	<-s.swept
	p, err := s.place()
	require.NoError(t, err)
	const shard = 7
	keys := keysOfShard(shard, 3)
	mustPut(t, s, keys[0], in(time.Hour))
	changeSlot(t, s, shard, func(now *slot) { now.due = 0 })
	for _, between := range []struct {
		name string
		call func()
		due  bool // is known afterwards
	}{
		{"nothing", func() {}, true},
		{"a Put", func() { mustPut(t, s, keys[1], in(time.Minute)) }, false},
		{"another sweep", func() { _, err := s.sweep(t.Context(), p, shard, time.Now(), time.Time{}); require.NoError(t, err) }, true},
		{"another sweep and a Put", func() {
			_, err := s.sweep(t.Context(), p, shard, time.Now(), time.Time{})
			require.NoError(t, err)
			mustPut(t, s, keys[2], in(time.Second))
		}, true},
		{"a count", func() { require.NoError(t, s.locked(t.Context(), p, shard, (*lockedShard).count)) }, false},
		{"a Delete", func() { require.NoError(t, s.Delete(t.Context(), keys[1], "")) }, true},
	} {
		changeSlot(t, s, shard, func(now *slot) { now.due = 0 })
		g := &sweeping{place: p, shard: shard, now: time.Now(), due: never, stamp: rand.Uint64() | 1}
		require.NoError(t, s.locked(t.Context(), p, shard, func(h *lockedShard) error { h.mark(g.stamp); return nil }))
		require.NoError(t, g.look(t.Context()))
		between.call()
		require.NoError(t, s.locked(t.Context(), p, shard, g.foretell))
		checkDir(t, dir, s, between.name)
		all, err := readState(p.state)
		require.NoError(t, err)
		if known := all.slots[shard].due != 0; known != between.due {
			t.Errorf("%s: it is known when something is due: %t, want %t", between.name, known, between.due)
		}
	}
}

// Whatever is put, replaced, deleted, evicted, cleared, counted and swept, a slot never promises too much, and DeleteExpired finds what is over.
func TestDeleteExpiredFindsWhatIsOver(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, Options{MaxBytes: 40 * block})
	r := rand.New(rand.NewPCG(1, 2))
	for step := range 600 {
		key := fmt.Sprint("key-", r.IntN(60))
		record := in(time.Duration(1+r.IntN(100)) * time.Minute)
		if r.IntN(5) == 0 {
			record.Expires = time.Time{}
		}
		if r.IntN(5) == 0 {
			record.Owner = "owner"
		}
		switch what := r.IntN(20); {
		case what < 14:
			record.Version = mustGet(t, s, key).Version
			mustPut(t, s, key, record)
		case what < 16:
			require.NoError(t, s.Delete(t.Context(), key, ""))
		case what == 16 && r.IntN(4) == 0:
			require.NoError(t, s.Clear(t.Context()))
		case what == 17 && r.IntN(4) == 0:
			s.Close()
			s = openIn(t, dir, Options{MaxBytes: 40 * block})
			<-s.swept // it removes parts without an owner
		default:
			now := time.Now().Add(time.Duration(r.IntN(120)) * time.Minute)
			over := expiredIn(t, dir, s, now)
			n, err := s.DeleteExpired(t.Context(), now)
			require.NoError(t, err)
			if n != over || expiredIn(t, dir, s, now) > 0 {
				t.Fatalf("step %d: %d were removed of %d, and %d are left", step, n, over, expiredIn(t, dir, s, now))
			}
		}
		checkDir(t, dir, s, fmt.Sprint("step ", step))
	}
}

// expiredIn counts the files whose time is over.
func expiredIn(t *testing.T, dir string, s *Store, now time.Time) (n int) {
	t.Helper()
	p, err := s.place()
	require.NoError(t, err)
	paths, err := filepath.Glob(filepath.Join(dir, "??", strings.Repeat("?", 64)))
	require.NoError(t, err)
	for _, path := range paths {
		rel, err := filepath.Rel(dir, path)
		require.NoError(t, err)
		if h, err := readHead(p.fs, rel); err == nil && h.expired(now) {
			n++
		}
	}
	return n
}

// Until the sweep of Open has been everywhere, DeleteExpired waits, no longer than its context.
func TestDeleteExpiredWaitsForTheSweepOfOpen(t *testing.T) {
	s := openIn(t, t.TempDir(), Options{})
	<-s.swept
	s.swept = make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.DeleteExpired(ctx, time.Now()); err != context.Canceled {
		t.Errorf("%v, want that the context is canceled", err)
	}
	close(s.swept)
}

// A part whose owner comes while a sweep is about to remove it stays, and its own end counts: the owner may be in another shard, whose slot tells the sweep nothing.
func TestSweepKnowsTheEndOfWhatItLeaves(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, Options{})
	<-s.swept
	p, err := s.place()
	require.NoError(t, err)
	const shard = 7
	part, owner := keysOfShard(shard, 1)[0], keysOfShard(shard+1, 1)[0]
	body := in(time.Hour)
	body.Kind, body.Owner = store.KindBody, owner
	mustPut(t, s, part, body)
	now := time.Now().Add(time.Minute)
	g := &sweeping{place: p, shard: shard, now: now, partsBefore: now, due: never, stamp: rand.Uint64() | 1}
	require.NoError(t, s.locked(t.Context(), p, shard, func(h *lockedShard) error { h.mark(g.stamp); return nil }))
	require.NoError(t, g.look(t.Context()))
	require.Len(t, g.removable, 1)
	mustPut(t, s, owner, in(24*time.Hour))
	require.NoError(t, s.locked(t.Context(), p, shard, func(h *lockedShard) error { return g.remove(h, g.removable[0]) }))
	require.NoError(t, s.locked(t.Context(), p, shard, g.foretell))
	checkDir(t, dir, s, "afterwards")
	n, err := s.DeleteExpired(t.Context(), time.Now().Add(2*time.Hour))
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

// A directory in the place of a record, with something in it, is not the store's own. It stays, and what is over beside it goes.
func TestSweepPassesOverADirectoryInThePlaceOfARecord(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, Options{})
	<-s.swept
	const shard = 7
	mine := filepath.Join(dir, shardName(shard), strings.Repeat("ab", 32), "of-mine")
	for _, key := range keysOfShard(shard, 5) {
		mustPut(t, s, key, in(time.Hour))
	}
	require.NoError(t, os.MkdirAll(mine, 0o700))
	for _, want := range []int{5, 0} {
		n, err := s.DeleteExpired(t.Context(), time.Now().Add(2*time.Hour))
		require.NoError(t, err)
		require.Equal(t, want, n)
		require.DirExists(t, mine)
	}
}
