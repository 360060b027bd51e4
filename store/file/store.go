package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Options say how a directory is used. The zero value is good for most.
type Options struct {
	// MaxBytes bounds the files together, each counted in the blocks of 4 KiB that it takes. Zero means 1 GiB.
	// All processes that use one directory should say the same; the one that writes goes by its own.
	MaxBytes int64

	// Sync has every Put wait until the disk has the record. Zero means no: what a crash of the machine costs is fetched again.
	Sync bool
}

// Store is a [store.Store] in a directory. Open makes one. It is safe for concurrent use, also with other processes.
type Store struct {
	dir       string
	temporary bool // Close removes it; see OpenTemp
	maxBytes  int64
	sync      bool
	open      func(dir string) (filesystem, error)

	here     atomic.Pointer[place]
	opening  sync.Mutex // held while a deleted directory is made again; guards nothing else
	shards   [shards]chan struct{}
	eviction chan struct{} // of one at a time
	oldest   atomic.Int64  // since when the record that was used longest ago has been, about

	end     context.CancelFunc
	cleared chan struct{} // wakes the sweeper when Clear has moved something away
	counted chan struct{} // closed when the sweeper has counted what Open found
	swept   chan struct{} // closed when the sweeper has been everywhere
	ended   chan struct{} // closed when the sweeper has ended
}

// place is a directory that is open. When it was deleted and made again, there is a new one.
type place struct {
	fs    filesystem
	state handle
	alive handle // locked as long as the place is in use

	direct direct
	kept   sync.Map // names of directories that were moved away, and stay because what is left in them is not the store's own
}

func (p *place) close() error {
	return errors.Join(p.state.Close(), p.alive.Close(), p.fs.Close(), p.direct.close()) // fs before direct: a shard is opened in it
}

const (
	defaultMaxBytes = 1 << 30
	block           = 4 << 10
	minBytes        = 16 * block
)

var errClosed = errors.New("file: the store is closed")

// Open opens the directory dir, and makes it if it is not there, for its owner alone.
//
// It refuses a directory that others may write to or that belongs to another user, a symlink, one that holds other things,
// and one that a newer version of this package has written. Close ends what Open has begun.
//
// Where the system has no file locks (neither flock nor LockFileEx), only one process may use a directory at a time.
//
// For [store.OpenURL] a directory is file:///var/cache/app?max_bytes=512MiB&sync=true, or file:app for one below the working directory.
func Open(dir string, o Options) (*Store, error) { return open(dir, o, openRoot) }

func open(dir string, o Options, fs func(string) (filesystem, error)) (*Store, error) {
	switch {
	case dir == "":
		return nil, errors.New("file: no directory is named: UserCacheDir makes one for the user, and OpenTemp opens one that goes with Close")
	case o.MaxBytes == 0:
		o.MaxBytes = defaultMaxBytes
	case o.MaxBytes < minBytes:
		return nil, fmt.Errorf("file: MaxBytes is %d: use %d at least, or 0 for 1 GiB", o.MaxBytes, minBytes)
	}
	s := &Store{dir: dir, maxBytes: o.MaxBytes, sync: o.Sync, open: fs, eviction: make(chan struct{}, 1), cleared: make(chan struct{}, 1), counted: make(chan struct{}), swept: make(chan struct{}), ended: make(chan struct{})}
	for i := range s.shards {
		s.shards[i] = make(chan struct{}, 1)
	}
	ctx, end := context.WithCancel(context.Background())
	s.end = end
	since, err := s.enter(ctx)
	if err != nil {
		end()
		return nil, err
	}
	go s.sweepInBackground(ctx, since)
	return s, nil
}

// Close ends the use of the directory, and waits until what Clear has taken away is removed. Calls that are under way end soon, some of them with an error. It is safe to call it twice.
func (s *Store) Close() error {
	s.end()
	<-s.ended
	s.opening.Lock()
	defer s.opening.Unlock()
	p := s.here.Swap(nil)
	if p == nil {
		return nil
	}
	err := p.close()
	if s.temporary {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	if err != nil {
		return fmt.Errorf("file: close: %w", err)
	}
	return nil
}

// place returns the open directory.
func (s *Store) place() (*place, error) {
	p := s.here.Load()
	if p == nil {
		return nil, errClosed
	}
	return p, nil
}

// charge is what a file of this size takes.
func charge(size int64) int64 { return (size + block - 1) / block * block }

// A record that is used is touched at most once a minute, unless it is in the older half of the store.
const touchAfter = time.Minute

func (s *Store) touch(p *place, name string, used, now time.Time) {
	middle := s.oldest.Load()/2 + now.UnixNano()/2
	if now.Sub(used) > touchAfter || used.UnixNano() <= middle {
		p.fs.Touch(name, now) // if that fails, the record looks older than it is
	}
}
