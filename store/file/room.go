package file

import (
	"context"
	"errors"
	"io/fs"
)

// makeRoom removes what was used longest ago until need bytes fit, and some more, so that not every Put has to. The file named keep stays.
// No lock is held.
func (s *Store) makeRoom(ctx context.Context, p *place, need int64, keep string) error {
	select {
	case s.eviction <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.eviction }()
	spare := s.maxBytes / 32
	target := max(0, s.maxBytes-need-spare)
	for idle := 0; idle < shards; {
		if err := ctx.Err(); err != nil {
			return err
		}
		all, err := s.countUnknown(ctx, p)
		if err != nil {
			return err
		}
		shard, next := all.oldest()
		if shard < 0 || all.bytes() <= target {
			return nil
		}
		var freed int64
		err = s.locked(ctx, p, shard, func(h *lockedShard) error {
			freed, err = h.evict(all.bytes()-target, next, keep)
			return err
		})
		if err != nil {
			return err
		}
		if idle++; freed > 0 {
			idle = 0
		}
	}
	return nil
}

// countUnknown returns the state, in which every slot is known.
func (s *Store) countUnknown(ctx context.Context, p *place) (*state, error) {
	all, err := readState(p.state)
	if err != nil {
		return nil, err
	}
	for shard, known := range all.known {
		if known {
			continue
		}
		if err := s.locked(ctx, p, shard, func(h *lockedShard) error { all.slots[shard] = h.slot; return nil }); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// evict removes files from the shard, the ones first that were used longest ago, until it has freed so many bytes, or the next one was used later than next.
// A sixteenth of a shard may go at once, out of turn: to list a large shard for a single file would be slow.
func (h *lockedShard) evict(bytes, next int64, keep string) (freed int64, err error) {
	files, err := h.list()
	if err != nil {
		return 0, err
	}
	if err := h.begin(0); err != nil {
		return 0, err
	}
	now := tally(files)
	now.due, now.stamp, now.epoch = h.slot.due, h.slot.stamp, h.slot.epoch // due is too early by what goes
	quota := now.bytes / 16
	now.oldest = 0
	for i, f := range files {
		inTurn := next == 0 || f.used <= next
		if f.name == keep || err != nil || freed >= bytes || !inTurn && (freed == 0 || freed >= quota) {
			if now.oldest == 0 {
				now.oldest = files[i].used
			}
			continue
		}
		if err = h.place.fs.Remove(f.name); err == nil || errors.Is(err, fs.ErrNotExist) {
			err = nil
			now.bytes -= charge(f.size)
			now.records--
			freed += charge(f.size)
		}
	}
	if err != nil {
		return freed, errors.Join(err, h.count())
	}
	h.end(now)
	return freed, nil
}

// Size returns how many records there are, and the bytes of the blocks that they take.
// Records that are over and not yet removed count, too. After Open it waits until they have been counted, or ctx is done.
func (s *Store) Size(ctx context.Context) (records, bytes int64, err error) {
	p, err := s.place()
	if err != nil {
		return 0, 0, err
	}
	select {
	case <-s.counted:
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	}
	// A slot that is dirty belongs to a change that is under way, or to a process that was killed. To wait for its lock settles either.
	all, err := s.settled(ctx, p)
	if err != nil {
		return 0, 0, wrap("size", err)
	}
	return all.records(), all.bytes(), nil
}

// settled returns the state when every slot has been clean: one that is not is counted as soon as its lock is free.
// It holds one shard's lock at a time, so its numbers are not of one moment while others change the store.
func (s *Store) settled(ctx context.Context, p *place) (*state, error) {
	all, err := s.countUnknown(ctx, p)
	if err != nil {
		return nil, err
	}
	for shard := range all.slots {
		if !all.slots[shard].dirty {
			continue
		}
		// lockShard counts a slot that is still dirty then, so h.slot is clean.
		if err := s.locked(ctx, p, shard, func(h *lockedShard) error { all.slots[shard] = h.slot; return nil }); err != nil {
			return nil, err
		}
	}
	return all, nil
}
