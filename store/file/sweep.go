package file

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"time"
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
	s.removeCleared() // what processes have left that were killed
	close(s.swept)
	// The goroutine belongs to the Store: Close ends ctx and waits for ended.
	// A tick that comes while a shard is swept waits, and further ones are dropped: a slow disk gets fewer rounds, not a queue of them.
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for shard := 0; ; shard = (shard + 1) % shards {
		select {
		case <-ctx.Done():
			select { // what was cleared before Close goes before Close returns
			case <-s.cleared:
				s.removeCleared()
			default:
			}
			return
		case <-s.cleared:
			s.removeCleared()
			shard--
		case now := <-tick.C:
			s.sweepNext(ctx, shard, now)
			s.removeCleared()
		}
	}
}

func (s *Store) removeCleared() {
	if p := s.here.Load(); p != nil {
		p.removeCleared()
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
//
// While it reads, its stamp is in the slot. A Put takes that away, so a sweep that finds it again has seen everything that is there,
// and says in the slot when there will be something to remove: until then DeleteExpired passes the shard over.
//
//	we: stamp, list      they: put, which takes the stamp away      we: find none, and leave the slot as it is
func (s *Store) sweep(ctx context.Context, p *place, shard int, now, partsBefore time.Time) (expired int, err error) {
	g := &sweeping{place: p, shard: shard, now: now, partsBefore: partsBefore, due: never, stamp: rand.Uint64() | 1}
	if !g.isThere() { // nothing is made that is not there
		return 0, nil
	}
	err = s.locked(ctx, p, shard, func(h *lockedShard) error { h.mark(g.stamp); return nil })
	if err == nil {
		err = g.look(ctx)
	}
	if err == nil {
		err = s.locked(ctx, p, shard, g.correct)
	}
	for _, path := range g.removable {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = s.locked(ctx, p, shard, func(h *lockedShard) error { return g.remove(h, path) })
		}
	}
	if err == nil && !g.unsure {
		err = s.locked(ctx, p, shard, g.foretell)
	}
	return g.expired, err
}

// sweeping is a sweep of one shard.
type sweeping struct {
	place            *place
	shard            int
	now, partsBefore time.Time
	stamp            uint64

	there     slot     // bytes and records of what was listed
	odd       bool     // there is something else than records
	removable []string // paths
	due       int64    // of what stays
	unsure    bool     // a file could not be read
	expired   int      // have been removed
}

func (g *sweeping) isThere() bool {
	info, err := g.place.fs.Lstat(shardName(g.shard))
	return err == nil && info.IsDir()
}

// look goes through the files. The lock is not held: a file may go between its listing and its reading.
func (g *sweeping) look(ctx context.Context) error {
	scan, err := g.place.scan(g.shard, make([]byte, block))
	if err != nil || scan == nil {
		return err
	}
	defer scan.close()
	for _, name := range scan.names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !isRecord(name) {
			g.odd = g.odd || name != lockName && !isForeign(name)
			continue
		}
		path := scan.path(name)
		h, err := scan.head(name)
		if err == nil {
			g.there.bytes += charge(h.size)
			g.there.records++
		}
		used, why := g.why(h, err, path)
		if why == "" {
			g.stays(h, err, used)
			continue
		}
		g.odd = g.odd || why == isNothing // its size is not known
		g.removable = append(g.removable, path)
	}
	return nil
}

// correct has the shard counted if its slot does not say what is there: when files were deleted by hand, or the power has failed.
// It does not look at what comes and goes while the sweep reads: the next sweep does.
func (g *sweeping) correct(h *lockedShard) error {
	if h.slot.stamp != g.stamp || !g.odd && h.slot.bytes == g.there.bytes && h.slot.records == g.there.records {
		return nil
	}
	if err := h.count(); err != nil { // this removes what writers left that were killed
		return err
	}
	h.mark(g.stamp)
	return nil
}

// remove removes a file that is still not needed.
// Between the look without the lock and this one, another process may have written the record anew:
//
//	we: list, the record is over      they: put it again      we: lock, look again, leave it
func (g *sweeping) remove(h *lockedShard, path string) error {
	hd, err := readHead(g.place.fs, path)
	used, why := g.why(hd, err, path)
	if why == "" {
		g.stays(hd, err, used)
		return nil
	}
	if why == isOver { // by the second look: the first one may have been at another record
		g.expired++
	}
	if err = h.drop(path); err != nil && why == isNothing {
		if info, e := g.place.fs.Lstat(path); e == nil && info.IsDir() {
			return nil // it has something in it, and is not ours
		}
	}
	return err
}

// stays notes when there will be something to do about a file that stays. h and err are what readHead has returned for it.
func (g *sweeping) stays(h head, err error, used time.Time) {
	switch {
	case err == nil:
		g.due = min(g.due, dueOf(h.expires, h.owner != "", used))
	case !errors.Is(err, fs.ErrNotExist):
		g.unsure = true
	}
}

// foretell says in the slot when there will be something to remove.
func (g *sweeping) foretell(h *lockedShard) error {
	if h.slot.stamp == g.stamp {
		now := h.slot
		now.due, now.stamp = g.due, 0
		h.end(now)
	}
	return nil
}

const (
	isOver    = "over"
	isNothing = "not a record"
	isOrphan  = "a part without an owner"
)

// why says why a file is not needed any more, or returns "", and when a part was used last. h and err are what readHead has returned for it.
// Only with the shard's lock does its answer last.
// An owner may be in another shard, whose lock is not held: partsBefore leaves the parts of an owner that is being written alone.
func (g *sweeping) why(h head, err error, path string) (used time.Time, why string) {
	switch {
	case errors.Is(err, errCorrupt):
		return used, isNothing
	case err != nil: // gone meanwhile, or not readable now: the next round sees
		return used, ""
	case h.expired(g.now):
		return used, isOver
	case h.owner == "":
		return used, ""
	}
	info, err := g.place.fs.Lstat(path)
	if err != nil { // the same
		return used, ""
	}
	if used = info.ModTime(); !used.Before(g.partsBefore) { // the parts are written before their owner, which may be still to come
		return used, ""
	}
	// A file gets its name when it is whole, so an owner that is being written is absent, never half there.
	// One that cannot be read counts as there: a part that stays costs room, one that goes costs the response.
	// The owner's shard is not locked, for a caller holds one shard at a time. So this answer may be wrong by the time it is used:
	//	we: no owner there      they: touch the part, put the owner      we: remove the part, whose used we read before
	// partsBefore leaves a day in between, which no writer takes from a part to its owner.
	_, owner := nameOf(h.owner)
	of, err := readHead(g.place.fs, owner)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errCorrupt) || err == nil && of.expired(g.now) {
		return used, isOrphan
	}
	return used, ""
}

// DeleteExpired removes the records whose time is over at now, and counts those that it has removed itself: of two sweeps that find one, the second finds it gone.
// It takes each lock for moments, and blocks while other processes hold it, until ctx is done.
//
// It does not read what is in a shard, a sixty-fourth of the store, as long as nothing in that can be over. After Open it waits until that is known, or ctx is done.
func (s *Store) DeleteExpired(ctx context.Context, now time.Time) (int, error) {
	select {
	case <-s.swept:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	p, err := s.place()
	if err != nil {
		return 0, err
	}
	all, err := readState(p.state)
	if err != nil {
		return 0, wrap("delete expired", err)
	}
	n := 0
	for shard := range shards {
		if all.known[shard] && p.isAsFound(shard, all.slots[shard]) && !all.slots[shard].mayBeDue(now) {
			continue
		}
		expired, err := s.sweep(ctx, p, shard, now, time.Now().Add(-partsStay))
		n += expired
		if err != nil {
			return n, wrap("delete expired", err)
		}
	}
	return n, nil
}

// isAsFound reports whether a shard has as many records as its slot says: files may have been deleted by hand.
func (p *place) isAsFound(shard int, said slot) bool {
	names, err := p.fs.Names(shardName(shard))
	if errors.Is(err, fs.ErrNotExist) {
		return said.records == 0
	}
	n := int64(0)
	for _, name := range names {
		if isRecord(name) {
			n++
		}
	}
	return err == nil && n == said.records
}
