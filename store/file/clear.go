package file

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"slices"
)

// Clear removes everything. When it returns, no process finds any of it; the files go behind its back, and Close waits until they have.
// It locks one shard at a time: what is put meanwhile into a shard that is done stays.
func (s *Store) Clear(ctx context.Context) error {
	p, err := s.place()
	if err != nil {
		return err
	}
	defer func() { // also after an error: some shards may have been moved away
		select {
		case s.cleared <- struct{}{}:
		default: // the sweeper has not begun with the last ones: it takes these along
		}
	}()
	for shard := range shards {
		moved := false
		err := s.locked(ctx, p, shard, func(h *lockedShard) (err error) {
			moved, err = h.clear()
			return err
		})
		if moved && err == nil {
			// The lock has gone with the directory. Who takes it next makes another directory, counts it, and has the slot clean again:
			// this call, or another that comes in between.
			err = s.locked(ctx, p, shard, func(*lockedShard) error { return nil })
		}
		if err != nil {
			return wrap("clear", err)
		}
	}
	return nil
}

// clear moves the directory of the shard away, for the sweeper to remove, or removes the files where that cannot be done: on Windows no directory moves
// that has an open file in it, such as our lock. Nor may a directory move that holds what is not the store's own, which stays where it is.
//
// The slot is dirty from here on until the shard is counted, so it does not matter where this process is killed. Others wait for the lock that is moved away,
// and see that it has lost its name when they get it:
//
//	they: open the lock, wait      we: move, unlock      they: lock, see that it is another one, open that
func (h *lockedShard) clear() (moved bool, err error) {
	names, err := h.place.fs.Names(shardName(h.shard))
	// Files that were deleted by hand leave a slot that counts them still, so that is made right even if no file is left.
	if err != nil || len(names) <= 1 && h.slot.records == 0 && h.slot.bytes == 0 {
		return false, err
	}
	if err := h.begin(0); err != nil {
		return false, err
	}
	if !slices.ContainsFunc(names, isForeign) && h.place.fs.Rename(shardName(h.shard), tempPrefix+rand.Text()) == nil {
		return true, nil
	}
	return false, h.removeAll(names)
}

// removeAll removes the files with these names one by one.
func (h *lockedShard) removeAll(names []string) error {
	dir, err := h.place.fs.Sub(shardName(h.shard))
	if err != nil {
		h.abandon()
		return err
	}
	defer dir.Close()
	for _, name := range names {
		if name == lockName || isForeign(name) {
			continue
		}
		if err := dir.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			if info, e := dir.Lstat(name); e == nil && info.IsDir() {
				continue // it is not ours
			}
			h.abandon() // counts what is left
			return err
		}
	}
	now := tally(nil)
	now.epoch = h.slot.epoch
	h.end(now)
	return nil
}

// removeCleared removes the directories that Clear has moved away, of this process and of those that were killed meanwhile. Several processes may do it at once.
// What cannot be removed stays until the next time; where that is not the store's own, it stays for as long as the place is open. It reports whether there was one that has gone.
func (p *place) removeCleared() (gone bool) {
	names, err := p.fs.Names(".")
	if err != nil {
		return false
	}
	for _, name := range names {
		if _, kept := p.kept.Load(name); kept || !isTemp(name) {
			continue
		}
		if info, err := p.fs.Lstat(name); err != nil || !info.IsDir() {
			continue
		}
		foreign, err := p.removeOwn(name)
		if err != nil {
			continue
		}
		if err := p.fs.Remove(name); err == nil || errors.Is(err, fs.ErrNotExist) {
			gone = true
		} else if foreign {
			p.kept.Store(name, true)
		}
	}
	return gone
}

// removeOwn removes from a directory that was moved away what is the store's own. It reports whether there is something else in it, as there is
// if that came between the listing and the moving of the shard. A directory is something else whatever its name, unless it is empty.
func (p *place) removeOwn(name string) (foreign bool, err error) {
	dir, err := p.fs.Sub(name)
	if err != nil {
		return false, err
	}
	defer dir.Close()
	files, err := dir.Names(".")
	if err != nil {
		return false, err
	}
	for _, file := range files {
		if isForeign(file) {
			foreign = true
			continue
		}
		if dir.Remove(file) != nil {
			info, err := dir.Lstat(file)
			foreign = foreign || err == nil && info.IsDir()
		}
	}
	return foreign, nil
}
