package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/plyhttp/ply/store"
)

// Get returns the record under key. A file that is not a whole record of this key counts as absent, and is removed.
func (s *Store) Get(ctx context.Context, key string) (store.Record, error) {
	if err := ctx.Err(); err != nil {
		return store.Record{}, err
	}
	p, err := s.place()
	if err != nil {
		return store.Record{}, err
	}
	shard, name := nameOf(key)
	now := time.Now()
	// No lock: a file is whole under its name, and a writer that replaces it leaves this one open to us until we have read it.
	h, r, used, err := p.read(shard, name, key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return store.Record{}, nil
	case errors.Is(err, errCorrupt):
		s.discard(ctx, p, shard, name)
		return store.Record{}, nil
	case err != nil:
		return store.Record{}, wrap("get", err)
	case h.key != key || h.expired(now):
		return store.Record{}, nil
	}
	s.touch(p, name, used, now)
	return r, nil
}

// errIndirect sends a reader the long way, which says what is wrong with a file.
var errIndirect = errors.New("file: it cannot be read directly")

// read returns the record in the file with a name, which is expected to be that of key.
func (p *place) read(shard int, name, key string) (h head, r store.Record, used time.Time, err error) {
	b, used, err := p.direct.load(p, shard, name)
	if errors.Is(err, errIndirect) {
		return read(p.fs, name)
	}
	if err == nil {
		h, r, err = decodeOf(b, key)
	}
	return h, r, used, err
}

// read returns the record in a file. A file is never written to once it has its name.
func read(dir filesystem, name string) (h head, r store.Record, used time.Time, err error) {
	f, err := dir.Open(name, os.O_RDONLY)
	if err != nil {
		return head{}, store.Record{}, time.Time{}, odd(dir, name, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return head{}, store.Record{}, time.Time{}, err
	}
	if !info.Mode().IsRegular() {
		return head{}, store.Record{}, time.Time{}, errCorrupt
	}
	b, err := readAll(f, info.Size())
	if err != nil {
		return head{}, store.Record{}, time.Time{}, err
	}
	h, r, err = decode(b)
	return h, r, info.ModTime(), err
}

// readAll reads a file of this size. It checks the lengths in the head first, so that a wrong one allocates nothing.
func readAll(f io.Reader, size int64) ([]byte, error) {
	first := make([]byte, min(size, block))
	if _, err := io.ReadFull(f, first); err != nil {
		return nil, short(err)
	}
	if size <= block {
		return first, nil
	}
	if _, ok := lengths(first, size); !ok {
		return nil, errCorrupt
	}
	b := make([]byte, size)
	copy(b, first)
	if _, err := io.ReadFull(f, b[block:]); err != nil {
		return nil, short(err)
	}
	return b, nil
}

func short(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errCorrupt
	}
	return err
}

// odd explains why a name cannot be opened. It returns errCorrupt if the name is no regular file, such as a symlink that leads out of the directory.
func odd(dir filesystem, name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		info, statErr := dir.Lstat(name)
		if statErr == nil && !info.Mode().IsRegular() {
			return errCorrupt
		}
		return err
	}
	info, statErr := dir.Lstat(name)
	switch {
	case errors.Is(statErr, fs.ErrNotExist):
		return statErr // it was removed in between
	case statErr == nil && !info.Mode().IsRegular():
		return errCorrupt
	}
	return err
}

// readHead reads the part of a file before the data.
func readHead(dir filesystem, name string) (head, error) {
	f, err := dir.Open(name, os.O_RDONLY)
	if err != nil {
		return head{}, odd(dir, name, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return head{}, err
	}
	if !info.Mode().IsRegular() {
		return head{}, errCorrupt
	}
	b := make([]byte, min(info.Size(), block))
	for {
		if _, err := f.ReadAt(b, 0); err != nil {
			return head{}, short(err)
		}
		names, ok := lengths(b, info.Size())
		if !ok {
			return head{}, errCorrupt
		}
		if headSize+names <= len(b) {
			return decodeHead(b, info.Size())
		}
		b = make([]byte, headSize+names)
	}
}

// discard removes a file that holds no record, if it still does not: the caller has read it without the shard's lock,
// and another writer may have replaced it since. If that fails, the next Put looks again.
func (s *Store) discard(ctx context.Context, p *place, shard int, name string) {
	_ = s.locked(ctx, p, shard, func(h *lockedShard) error {
		if _, _, _, err := p.read(shard, name, ""); !errors.Is(err, errCorrupt) {
			return nil
		}
		return h.drop(name)
	})
}

// drop removes whatever is under a name.
func (h *lockedShard) drop(name string) error {
	info, err := h.place.fs.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().IsRegular():
		return h.remove(name, info.Size())
	}
	return h.place.fs.Remove(name) // it was never in the count
}

// there is the record that a change finds.
type there struct {
	version string // "" if there is no record that counts
	size    int64  // of the file, 0 if there is none
}

// look returns the record under a name. A record that is expired, of another key or damaged has a size but no version.
// look checks the data only if version is "": then the caller found the record damaged, or never read it.
func (h *lockedShard) look(key, name, version string, now time.Time) (there, error) {
	info, err := h.place.fs.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return there{}, nil
	case err != nil:
		return there{}, err
	case !info.Mode().IsRegular():
		return there{}, h.place.fs.Remove(name)
	}
	found := there{size: info.Size()}
	hd, err := readHead(h.place.fs, name)
	if err == nil && version == "" {
		hd, _, _, err = read(h.place.fs, name)
	}
	switch {
	case errors.Is(err, errCorrupt) || errors.Is(err, fs.ErrNotExist):
		return found, nil
	case err != nil:
		return there{}, err
	case hd.key != key || hd.expired(now):
		return found, nil
	}
	found.version = hd.version
	return found, nil
}

// Put stores r in the place of the version that it names.
func (s *Store) Put(ctx context.Context, key string, r store.Record) error {
	data, err := encode(key, r)
	if err != nil {
		return err
	}
	if charge(int64(len(data))) > s.maxBytes {
		return fmt.Errorf("%w: file: %d bytes with MaxBytes %d", store.ErrTooLarge, len(data), s.maxBytes)
	}
	over := !r.Expires.IsZero() && !r.Expires.After(time.Now())
	return s.change(ctx, key, func(h *lockedShard, name string) error {
		found, err := h.look(key, name, r.Version, time.Now())
		switch {
		case err != nil:
			return err
		case found.version != r.Version:
			return store.ErrConflict
		case over:
			return h.drop(name)
		}
		return h.replace(name, data, found)
	})
}

// Delete removes the record under key if it has this version, or any if that is "".
func (s *Store) Delete(ctx context.Context, key, version string) error {
	return s.change(ctx, key, func(h *lockedShard, name string) error {
		found, err := h.look(key, name, "-", time.Now())
		switch {
		case err != nil:
			return err
		case version != "" && found.version != "" && found.version != version:
			return store.ErrConflict
		}
		return h.drop(name)
	})
}

// errRoom asks for room: how much is in it.
type errRoom int64

func (e errRoom) Error() string { return fmt.Sprintf("no room for %d bytes", int64(e)) }

// rounds bounds how often a change makes room that others take, or opens the directory that others delete.
const rounds = 20

// change calls f with the lock of key's shard.
func (s *Store) change(ctx context.Context, key string, f func(h *lockedShard, name string) error) error {
	shard, name := nameOf(key)
	var err error
	for range rounds {
		if err := ctx.Err(); err != nil {
			return err
		}
		var p *place
		if p, err = s.place(); err != nil {
			return err
		}
		err = s.locked(ctx, p, shard, func(h *lockedShard) error { return f(h, name) })
		// The shard's lock is given back before room is made: that takes the locks of other shards, and a caller holds one at a time.
		// What was found under it may have changed then, so f begins anew.
		var need errRoom
		switch {
		case errors.As(err, &need):
			if err := s.makeRoom(ctx, p, int64(need), name); err != nil {
				return wrap("make room", err)
			}
		case errors.Is(err, fs.ErrNotExist):
			if err := s.reenter(ctx, p); err != nil {
				return err
			}
		case errors.Is(err, store.ErrConflict):
			return store.ErrConflict
		case isFull(err) && p.removeCleared(): // now there may be room
		default:
			return wrap("write", err)
		}
	}
	return wrap("write", err)
}

func (s *Store) locked(ctx context.Context, p *place, shard int, f func(h *lockedShard) error) error {
	h, err := s.lockShard(ctx, p, shard)
	if err != nil {
		return err
	}
	defer h.unlock()
	return f(h)
}

// reenter opens the directory again after it was deleted.
func (s *Store) reenter(ctx context.Context, gone *place) error {
	s.opening.Lock()
	defer s.opening.Unlock()
	if s.here.Load() != gone {
		return nil // another call has done it, or Close was first
	}
	// here is replaced before the old one is closed, so no call begins with a place that is closed.
	if _, err := s.enter(ctx); err != nil {
		return err
	}
	gone.close() // calls that still use it get errors, as they would have anyway
	return nil
}

// replace writes a file in the place of what was found. It asks for room first.
//
// The slot announces the bytes before anything is written, and only then the other slots are read:
// of two processes that fill the store at once, at least one sees the other.
func (h *lockedShard) replace(name string, data []byte, found there) error {
	now := h.slot
	need := charge(int64(len(data))) - charge(found.size)
	now.bytes += need
	now.due, now.stamp = h.slot.with(dueOfFile(data)), 0
	if found.size == 0 {
		now.records++
	}
	if now.oldest == 0 {
		now.oldest = time.Now().UnixNano()
	}
	if err := h.begin(need); err != nil {
		return err
	}
	if err := h.fits(max(need, 0)); err != nil {
		h.end(h.slot)
		if found.size > 0 { // what is to be replaced must not go now: that would be a conflict
			h.place.fs.Touch(name, time.Now())
		}
		return err
	}
	// The old file stays under the name until Rename, and readers that have it open keep it. A crash in between leaves a temporary file and a dirty slot.
	dir, base := name[:3], name[3:]
	if err := writeFile(h.place.fs, dir, base, data, h.store.sync); err != nil {
		h.abandon()
		return err
	}
	h.end(now)
	if !h.store.sync {
		return nil
	}
	if err := h.syncDir(); err != nil {
		h.drop(name) // a record whose Put failed must not be found
		return err
	}
	return nil
}

// abandon ends a change that failed: there may be a temporary file that could not be removed, so the shard is counted,
// and if that fails as well, it stays dirty.
func (h *lockedShard) abandon() { _ = h.count() }

// fits reports whether the directory holds what has been announced in all slots. need is this shard's part of it.
func (h *lockedShard) fits(need int64) error {
	// Our own slot is in the file by now (begin). Others write theirs without our lock, so this is what each had announced at some moment:
	//	we: begin, read all      they: begin, read all      at least one of us reads both announcements
	all, err := readState(h.place.state)
	if err != nil {
		return err
	}
	if shard, _ := all.oldest(); shard >= 0 {
		h.store.oldest.Store(all.slots[shard].oldest)
	}
	for _, known := range all.known {
		if !known {
			return errRoom(need) // who makes room counts first
		}
	}
	if all.bytes() > h.store.maxBytes {
		return errRoom(need)
	}
	return nil
}

// syncDir has the disk know the names in the shard.
func (h *lockedShard) syncDir() error {
	f, err := h.place.fs.Open(shardName(h.shard), os.O_RDONLY)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func isNotDir(err error) bool { return errors.Is(err, syscall.ENOTDIR) }

// isFull reports whether the disk has no room, or this user's share of it has none.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
