package file

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/plyhttp/ply/store"
)

// scanner is a directory that is open for a look at all of its files. One goroutine uses it.
type scanner interface {
	// Names returns the names in it, in no order. It is called once.
	Names() ([]string, error)
	// Start reads the beginning of a file in it into b. A name that is no record's must not be given. A symlink is an error.
	// Less than b takes is mostly the whole file, but a file system may return less than it has.
	Start(name string, b []byte) (int, error)
	Close() error
}

// scan is a pass over the files of a shard, which stays what it is when the directory is moved or made again meanwhile.
type scan struct {
	place *place
	shard int
	dir   scanner
	names []string
	first []byte // of the file that was looked at last
}

// scan opens a shard for a pass. It is nil if the shard has no directory. The caller closes it. buffer has a block, and is the scan's until then.
func (p *place) scan(shard int, buffer []byte) (*scan, error) {
	dir, err := p.fs.Scan(shardName(shard))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	names, err := dir.Names()
	if err != nil {
		dir.Close()
		if errors.Is(err, fs.ErrNotExist) { // it was moved away and removed since it was opened
			return nil, nil
		}
		return nil, err
	}
	return &scan{place: p, shard: shard, dir: dir, names: names, first: buffer}, nil
}

func (s *scan) close() { s.dir.Close() }

// path is the name of a file from the place.
func (s *scan) path(name string) string { return shardName(s.shard) + "/" + name }

// head is readHead of a file, from its first block where that will do.
func (s *scan) head(name string) (head, error) {
	n, err := s.dir.Start(name, s.first)
	if errors.Is(err, fs.ErrNotExist) {
		return head{}, err
	}
	if err == nil && n < len(s.first) {
		if h, err := decodeHead(s.first[:n], int64(n)); err == nil {
			return h, nil
		}
	}
	return readHead(s.place.fs, s.path(name))
}

var errUnwanted = errors.New("file: a record of another kind")

// record returns the record of a kind in a file, from its first block where that will do, and errUnwanted for others.
func (s *scan) record(name string, kind store.Kind) (head, store.Record, error) {
	n, err := s.dir.Start(name, s.first)
	switch {
	case err != nil:
		return head{}, store.Record{}, err
	case !isKind(s.first[:n], kind):
		return head{}, store.Record{}, errUnwanted
	case n < len(s.first):
		if h, r, err := decode(bytes.Clone(s.first[:n])); err == nil {
			return h, r, nil
		}
	}
	h, r, _, err := read(s.place.fs, s.path(name))
	return h, r, err
}

// Range calls f with what is in one shard after the other. No lock is held while f runs.
// f may call the store, or be slow: no other caller waits for it.
func (s *Store) Range(ctx context.Context, kind store.Kind, f func(key string, r store.Record) bool) error {
	p, err := s.place()
	if err != nil {
		return err
	}
	// A record may be replaced between its listing and its reading: what is given to f is what its file held when it was opened.
	buffer := make([]byte, block)
	for shard := range shards {
		more, err := p.rangeShard(ctx, shard, buffer, kind, f)
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
func (p *place) rangeShard(ctx context.Context, shard int, buffer []byte, kind store.Kind, f func(key string, r store.Record) bool) (more bool, err error) {
	scan, err := p.scan(shard, buffer)
	if err != nil || scan == nil {
		return true, err
	}
	defer scan.close()
	for _, name := range scan.names {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		if !isRecord(name) {
			continue
		}
		// What went meanwhile, or is damaged, is left out. The time is read anew for each, because f may be slow.
		hd, r, err := scan.record(name, kind)
		if err != nil || hd.expired(time.Now()) {
			continue
		}
		// A file that was copied to another name by hand would come twice.
		if _, its := nameOf(hd.key); its == scan.path(name) && !f(hd.key, r) {
			return false, nil
		}
	}
	return true, nil
}
