package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
)

// lockedShard is a shard whose locks are held: no other caller changes it, in this process or another. Its slot is true and clean.
//
// There are two locks, always taken in this order: a channel of one token for the goroutines of this Store, and a lock on a file for the processes.
// Without the first, goroutines would poll for the second. A caller holds one shard at a time.
// A change is begin, the change of files, end. A process that dies in between leaves the slot dirty, and the next holder counts the files.
// lockShard makes it, unlock ends it, and nothing keeps it longer. One goroutine uses it.
type lockedShard struct {
	store *Store
	place *place
	shard int
	// What the file says as long as no change is under way: begin leaves it as it was, end replaces it.
	slot slot
	// The open lock file, or nil until acquire has it. Closing it gives the lock back, and so does the end of the process.
	lock handle
}

// lockShard takes a shard's locks, or gives up when ctx is done.
// It blocks while other goroutines or processes hold the shard. The caller holds no other shard, so there is no order to get wrong.
func (s *Store) lockShard(ctx context.Context, p *place, shard int) (*lockedShard, error) {
	// The token first: of the goroutines of this Store, one at a time polls for the file lock.
	select {
	case s.shards[shard] <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	h := &lockedShard{store: s, place: p, shard: shard}
	// acquire may fail with the file lock (in learn) or without it. unlock gives back what there is.
	if err := h.acquire(ctx); err != nil {
		h.unlock()
		return nil, err
	}
	return h, nil
}

// unlock gives the locks back in the other order. Who has called lockShard calls it once; lockShard itself does if it fails half way.
// In the other order the next goroutine would start to poll for a file lock that this one still has.
func (h *lockedShard) unlock() {
	if h.lock != nil {
		h.lock.Close()
	}
	<-h.store.shards[h.shard]
}

// acquire takes the lock that other processes respect. Waiting for it is by asking again: a process that was stopped must not hold up a caller
// whose context is done.
// It is called once, with the token in hand. On an error the caller still owns the token, and unlock gives it back.
func (h *lockedShard) acquire(ctx context.Context) error {
	name := shardName(h.shard) + "/" + lockName
	var made bool
	err := poll(ctx, func() (bool, error) {
		f, isNew, err := h.openLock(name)
		if err != nil {
			return false, err
		}
		// Not a wait in the kernel, which no context could end.
		got, err := f.Lock(true)
		// The file may have been deleted between its opening and the lock. Then others have made another one, and do not see this lock.
		if got && err == nil && isStill(h.place.fs, name, f) {
			h.lock, made = f, isNew
			return true, nil
		}
		f.Close() // gives back a lock that was taken on a file without a name
		return false, err
	})
	if err != nil {
		return err
	}
	// Only now does no other process change the slot.
	return h.learn(made)
}

// openLock opens the lock file of the shard, and makes it and the shard's directory where they are missing.
// It holds no file lock: two processes may make the directory or the file at the same time, and both go on with what is there.
func (h *lockedShard) openLock(name string) (handle, bool, error) {
	f, made, err := openOrMake(h.place.fs, name)
	if !errors.Is(err, fs.ErrNotExist) && !isNotDir(err) {
		return f, made, err
	}
	if err := removeOddDir(h.place.fs, shardName(h.shard)); err != nil {
		return nil, false, err
	}
	f, made, err = h.makeLock(name)
	if isFull(err) && h.place.removeCleared() { // a directory takes room, too, which Clear may have moved away and not yet given back
		f, made, err = h.makeLock(name)
	}
	return f, made, err
}

// makeLock opens or makes the lock file in a directory that it makes if it is not there.
func (h *lockedShard) makeLock(name string) (handle, bool, error) {
	if err := h.place.fs.Mkdir(shardName(h.shard)); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, false, err
	}
	return openOrMake(h.place.fs, name)
}

// removeOddDir removes what is in the place of a directory and is none.
func removeOddDir(dir filesystem, name string) error {
	info, err := dir.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.IsDir() {
		return nil
	}
	if err != nil {
		return err
	}
	return dir.Remove(name)
}

// learn reads the slot, or counts the shard where the slot does not say how things are.
// A lock file that was made just now means that the directory may have been deleted: then the slot proves nothing.
func (h *lockedShard) learn(made bool) error {
	// A slot that cannot be read, is torn or dirty is no error: the files themselves say how things are.
	b := make([]byte, slotSize)
	if _, err := h.place.state.ReadAt(b, int64(h.shard*slotSize)); err == nil {
		if slot, ok := decodeSlot(b, h.shard); ok && !slot.dirty && !made {
			h.slot = slot
			return nil
		}
	}
	return h.count()
}

// write replaces the slot in the file. Readers without the lock may see half of it: its checksum tells them.
// Only a holder of the locks writes, so two writes never meet.
func (h *lockedShard) write(s slot) error {
	_, err := h.place.state.WriteAt(s.encode(h.shard), int64(h.shard*slotSize))
	return err
}

// begin announces a change: from here on a crash has the shard counted again. bytes is what the change needs.
//
//	we: begin, change a file, are killed      the system: gives our lock back      they: lock, find the slot dirty, count
//
// If it fails, no file has been changed yet.
func (h *lockedShard) begin(bytes int64) error {
	// The bytes count before they are there, so that other processes, which read the slots without locks, never see less than there is.
	s := h.slot
	s.bytes += max(bytes, 0)
	s.dirty = true
	return h.write(s)
}

// end says what the shard is like now. If that cannot be written, the slot stays dirty, and the next one counts.
func (h *lockedShard) end(now slot) {
	// h.slot follows the file, so a holder that makes a second change starts from what others can read.
	if h.write(now) == nil {
		h.slot = now
	}
}

// mark puts the number of a sweep into the slot.
func (h *lockedShard) mark(stamp uint64) {
	now := h.slot
	now.stamp = stamp
	h.end(now)
}

// stored is a record's file, as a directory lists it.
type stored struct {
	name string // with the shard
	size int64
	used int64
}

// list returns the files of the shard, the ones first that were used longest ago. What has a name of the store's and is no record it removes:
// as the lock is held, a temporary file was left by a process that was killed.
func (h *lockedShard) list() ([]stored, error) {
	dir, err := h.place.fs.Sub(shardName(h.shard)) // it is there: it holds the lock file
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return list(dir, h.shard, dir.Remove)
}

// list returns the records in a shard's directory, and gives to odd what has a name of the store's and is none. What is not the store's own it passes over.
func list(dir filesystem, shard int, odd func(name string) error) ([]stored, error) {
	names, err := dir.Names(".")
	if err != nil {
		return nil, err
	}
	prefix := shardName(shard) + "/"
	found := make([]stored, 0, len(names))
	for _, name := range names {
		if name == lockName || isForeign(name) {
			continue
		}
		// Even with the lock, a Get may touch the file at this moment, so used is only about right.
		info, err := dir.Lstat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		case isRecord(name) && info.Mode().IsRegular():
			found = append(found, stored{prefix + name, info.Size(), info.ModTime().UnixNano()})
		case !info.IsDir() || strings.HasPrefix(name, tempPrefix):
			if err := odd(name); err != nil && !errors.Is(err, fs.ErrNotExist) && !info.IsDir() {
				return nil, err
			}
		}
	}
	slices.SortFunc(found, func(a, b stored) int { return int(max(-1, min(1, a.used-b.used))) })
	return found, nil
}

// count makes the slot of what is there.
// It also makes a dirty slot clean.
func (h *lockedShard) count() error {
	// list removes temporary files on the way: with the lock held, none belongs to a writer that lives.
	files, err := h.list()
	if err != nil {
		return err
	}
	now := tally(files)
	now.epoch = rand.Uint64()            // the directory may have been made again, or moved away by a Clear that was killed then
	if err := h.write(now); err != nil { // the slot in the file stays dirty or unknown, so the next holder counts, too
		return err
	}
	h.slot = now
	return nil
}

// tally does not say when something will be due, for it has not read the files.
func tally(files []stored) (s slot) {
	if len(files) == 0 {
		s.due = never
	}
	for _, f := range files {
		s.bytes += charge(f.size)
		s.records++
	}
	if len(files) > 0 {
		s.oldest = files[0].used
	}
	return s
}

// remove deletes one file, whose size is known.
// The locks are held. A file that is gone already is no error.
func (h *lockedShard) remove(name string, size int64) error {
	// A removal needs no room, but a crash between it and end must have the shard counted.
	if err := h.begin(0); err != nil {
		return err
	}
	err := h.place.fs.Remove(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		h.end(h.slot) // nothing has changed: the old slot holds, and is clean again
		return err
	}
	// The slot is computed, not counted: to list a large shard for each removal would be slow.
	now := h.slot.without(size)
	if err != nil || now.bytes < 0 || now.records < 0 { // files were deleted by hand: the slot does not know
		return h.count()
	}
	h.end(now)
	return nil
}

func (s slot) without(size int64) slot {
	s.bytes -= charge(size)
	s.records--
	if s.records <= 0 {
		s.oldest = 0
	}
	return s
}

func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("file: %s: %w", op, err)
}
