package file

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/plyhttp/ply/store"
)

const (
	// One shard a minute, so each about once an hour: what is over is absent to callers at once, and only its room comes back late.
	sweepEvery = time.Minute
	partsStay  = 24 * time.Hour // without the record that owns them, which is written last: longer than a download takes
)

// sweepInBackground gives back the room of records that are over and of parts whose owner is gone: of everything when no other process had the directory open,
// which it counts first, and of one shard after the other from then on.
// Open starts it once, on a goroutine of its own. It is the only sweeper of this Store; those of other processes may sweep the same shard, one after the other under its lock.
func (s *Store) sweepInBackground(ctx context.Context, since time.Time) {
	defer close(s.ended)
	// No other process has the directory open: a part that is older than since and has no owner will never get one, so it need not stay for partsStay.
	if !since.IsZero() {
		s.countAll(ctx)
	}
	close(s.counted)
	if !since.IsZero() {
		s.sweepAll(ctx, time.Now(), since)
	}
	close(s.swept)
	// The goroutine belongs to the Store: Close ends ctx and waits for ended.
	// A tick that comes while a shard is swept waits, and further ones are dropped: a slow disk gets fewer rounds, not a queue of them.
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for shard := 0; ; shard = (shard + 1) % shards {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			s.sweepNext(ctx, shard, now)
		}
	}
}

// countAll makes each slot that of the shard's files, and removes what writers left that were killed.
// What fails is counted by the sweep of that shard. It holds the lock of one shard at a time.
func (s *Store) countAll(ctx context.Context) {
	p, err := s.place()
	if err != nil {
		return
	}
	for shard := range shards {
		if ctx.Err() != nil {
			return
		}
		_ = s.locked(ctx, p, shard, (*lockedShard).count)
	}
}

// sweepNext sweeps one shard. What fails is tried again an hour later.
// Only the sweeper calls it. It holds no lock, and takes that of the shard for each removal.
func (s *Store) sweepNext(ctx context.Context, shard int, now time.Time) {
	p := s.here.Load()
	if p == nil { // closed: Close waits for this goroutine, which is about to see ctx done
		return
	}
	if !isStill(p.fs, stateName, p.state) { // others use another state: the directory was deleted and made again
		s.reenter(ctx, p) // what fails here, the next tick tries again
		return
	}
	s.sweep(ctx, p, shard, now, now.Add(-partsStay))
}

// sweepAll sweeps each shard by itself. It stops at the first error and says how many expired records it had removed until then.
// The sweeper and DeleteExpired may run it at the same time, also in one shard: each removal looks again under the lock.
// It goes by the place that it began with. If the directory is deleted and made again meanwhile, its calls fail, and the new one is left alone.
func (s *Store) sweepAll(ctx context.Context, now, partsBefore time.Time) (int, error) {
	p, err := s.place()
	if err != nil {
		return 0, err
	}
	n := 0
	for shard := range shards {
		expired, err := s.sweep(ctx, p, shard, now, partsBefore)
		n += expired
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// sweep removes from a shard the records that are over at now, which it counts, the parts that were used last before partsBefore and have no owner,
// and what is no record. It reads without the lock, and looks again with it before it removes something.
// The lock is taken anew for each file, so that callers of the shard wait for one removal and not for all of them.
func (s *Store) sweep(ctx context.Context, p *place, shard int, now, partsBefore time.Time) (expired int, err error) {
	dir, err := openShard(p, shard)
	if err != nil {
		return 0, err
	}
	if dir != nil {
		defer dir.Close()
	}
	files, err := s.peek(ctx, p, shard, dir)
	if err != nil {
		return 0, err
	}
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return expired, err
		}
		// Most files stay, so most are looked at without the lock, and writers of the shard do not notice the sweep.
		if why := whyRemovable(p, dir, f, now, partsBefore); why == "" {
			continue
		}
		// Between the look without the lock and this one, another process may have written the record anew:
		//	we: list, the record is over      they: put it again      we: lock, look again, leave it
		err := s.locked(ctx, p, shard, func(h *lockedShard) error {
			why := whyRemovable(p, dir, f, now, partsBefore)
			if why == "" {
				return nil
			}
			if why == isOver { // by the second look: the first one may have been at another record
				expired++
			}
			return h.drop(f.name)
		})
		if err != nil {
			return expired, err
		}
	}
	return expired, nil
}

// peek returns the files of a shard as they are at the moment. dir is the shard's directory, or nil if it has none. It takes no lock, and makes nothing that is not there.
// It is for those who only read, and for the sweep, which looks again under the lock before it removes anything.
// A file may go between its listing and its use, so each reader must expect fs.ErrNotExist.
func peek(dir filesystem, shard int) ([]stored, error) {
	if dir == nil {
		return nil, nil
	}
	return list(dir, shard, func(string) error { return nil })
}

// peek has the shard counted if its slot does not say what is there: after a crash, or when files were deleted by hand.
// What it returns may be outdated at once. A caller that changes something looks again under the lock.
func (s *Store) peek(ctx context.Context, p *place, shard int, dir filesystem) ([]stored, error) {
	all, err := readState(p.state)
	if err != nil {
		return nil, err
	}
	// The list is read without the lock, so it may have a file that is gone by now, or lack one that has just come.
	files, err := peek(dir, shard)
	if err != nil {
		return nil, err
	}
	// A writer between begin and end has its slot dirty, and one that is done may have changed the slot after all was read.
	// Either looks like a wrong slot here. The lock waits for the first, and to count once more than needed harms neither.
	there, said := tally(files), all.slots[shard]
	if there.bytes == said.bytes && there.records == said.records && !said.dirty {
		return files, nil
	}
	err = s.locked(ctx, p, shard, (*lockedShard).count)
	return files, err // the list from before: a caller that removes something of it looks again
}

const (
	isOver    = "over"
	isNothing = "not a record"
	isOrphan  = "a part without an owner"
)

// whyRemovable says why a file is not needed any more, or returns "". dir is the directory of its shard.
// It reads the files each time, with the shard's lock or without it. Only with the lock does its answer last.
// An owner may be in another shard, whose lock is not held: partsBefore leaves the parts of an owner that is being written alone.
func whyRemovable(p *place, dir filesystem, f stored, now, partsBefore time.Time) string {
	h, err := readHead(dir, f.inShard())
	switch {
	case errors.Is(err, errCorrupt):
		return isNothing
	case err != nil: // gone meanwhile, or not readable now: the next round sees
		return ""
	case h.expired(now):
		return isOver
	case h.owner == "" || f.used >= partsBefore.UnixNano(): // the parts are written before their owner, which may be still to come
		return ""
	}
	// A file gets its name when it is whole, so an owner that is being written is absent, never half there.
	// One that cannot be read counts as there: a part that stays costs room, one that goes costs the response.
	// The owner's shard is not locked, for a caller holds one shard at a time. So this answer may be wrong by the time it is used:
	//	we: no owner there      they: touch the part, put the owner      we: remove the part, whose used we read before
	// partsBefore leaves a day in between, which no writer takes from a part to its owner.
	_, owner := nameOf(h.owner)
	of, err := readHead(p.fs, owner)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errCorrupt) || err == nil && of.expired(now) {
		return isOrphan
	}
	return ""
}

// DeleteExpired removes the records whose time is over at now, and counts those that it has removed itself: of two sweeps that find one, the second finds it gone.
// It takes each lock for moments, and blocks while other processes hold it, until ctx is done.
func (s *Store) DeleteExpired(ctx context.Context, now time.Time) (int, error) {
	n, err := s.sweepAll(ctx, now, time.Now().Add(-partsStay))
	return n, wrap("delete expired", err)
}

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
	entries, err := dir.ReadDir(".")
	// Files that were deleted by hand leave a slot that counts them still, so that is made right even if no file is left.
	if err != nil || len(entries) <= 1 && h.slot == (slot{}) {
		return err
	}
	if err := h.begin(0); err != nil {
		return err
	}
	// The slot is dirty from begin to end, so a crash in between has the shard counted again.
	for _, e := range entries {
		if e.Name() == lockName || e.IsDir() {
			continue
		}
		if err := dir.Remove(e.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			h.abandon() // counts what is left
			return err
		}
	}
	h.end(slot{})
	return nil
}

// Range calls f with what is in one shard after the other. No lock is held while f runs.
// f may call the store, or be slow: no other caller waits for it.
func (s *Store) Range(ctx context.Context, kind store.Kind, f func(key string, r store.Record) bool) error {
	p, err := s.place()
	if err != nil {
		return err
	}
	// A record may be replaced between its listing and its reading: what is given to f is what its file held when it was opened.
	for shard := range shards {
		more, err := p.rangeShard(ctx, shard, kind, f)
		if err != nil {
			return wrap("range", err)
		}
		if !more {
			return nil
		}
	}
	return nil
}

// rangeShard calls f with the records of a shard, until f returns false: then more is false.
func (p *place) rangeShard(ctx context.Context, shard int, kind store.Kind, f func(key string, r store.Record) bool) (more bool, err error) {
	dir, err := openShard(p, shard)
	if err != nil || dir == nil {
		return true, err
	}
	defer dir.Close()
	// Not list: neither the size nor the last use of a file is asked for, and each would cost a call of the system.
	entries, err := dir.ReadDir(".")
	if err != nil {
		return false, err
	}
	prefix := shardName(shard) + "/"
	wanted := func(first []byte) bool { return isKind(first, kind) }
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		if !isRecord(e.Name()) || !e.Type().IsRegular() {
			continue
		}
		// What went meanwhile, or is damaged, is left out. The time is read anew for each, because f may be slow.
		hd, r, _, err := readIf(dir, e.Name(), wanted)
		if err != nil || hd.expired(time.Now()) {
			continue
		}
		// A file that was copied to another name by hand would come twice.
		if _, name := nameOf(hd.key); name == prefix+e.Name() && !f(hd.key, r) {
			return false, nil
		}
	}
	return true, nil
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
