package file

import (
	"context"
	"errors"
	"io/fs"
)

// Clear removes everything.
// It locks one shard at a time: what is put meanwhile into a shard that is done stays.
func (s *Store) Clear(ctx context.Context) error {
	p, err := s.place()
	if err != nil {
		return err
	}
	// Shard by shard, so that a caller waits for the removal of a sixty-fourth of the files at most.
	for shard := range shards {
		if err := s.locked(ctx, p, shard, (*lockedShard).clear); err != nil {
			return wrap("clear", err)
		}
	}
	return nil
}

// The lock is held, so no record comes or goes meanwhile.
func (h *lockedShard) clear() error {
	dir, err := h.place.fs.Sub(shardName(h.shard)) // it is there: it holds the lock file
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := dir.Names(".")
	// Files that were deleted by hand leave a slot that counts them still, so that is made right even if no file is left.
	if err != nil || len(names) <= 1 && h.slot.records == 0 && h.slot.bytes == 0 {
		return err
	}
	if err := h.begin(0); err != nil {
		return err
	}
	// The slot is dirty from begin to end, so a crash in between has the shard counted again.
	for _, name := range names {
		if name == lockName {
			continue
		}
		if err := dir.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			h.abandon() // counts what is left
			return err
		}
	}
	h.end(tally(nil))
	return nil
}
