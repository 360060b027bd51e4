package file

import (
	"io/fs"
	"os"
	"time"
)

// filesystem is what a store does to its directory. Tests put one in its place that fails.
type filesystem interface {
	Open(name string, flag int) (handle, error)
	Mkdir(name string) error
	Lstat(name string) (fs.FileInfo, error)
	// Names returns what is in a directory, in no order.
	Names(dir string) ([]string, error)
	Rename(from, to string) error
	Remove(name string) error
	Touch(name string, now time.Time) error
	// Sub opens a directory in it. A name in what it returns is looked up in one step; "3f/name" takes three, of which two open and close 3f.
	Sub(name string) (filesystem, error)
	// Scan opens a directory in it, for a look at all of its files.
	Scan(name string) (scanner, error)
	Close() error
}

// handle is an open file.
type handle interface {
	Read([]byte) (int, error)
	Write([]byte) (int, error)
	ReadAt([]byte, int64) (int, error)
	WriteAt([]byte, int64) (int, error)
	Stat() (fs.FileInfo, error)
	Sync() error
	Close() error

	// Lock reports whether it took the lock; it does not wait for another holder. Close gives it back.
	Lock(exclusive bool) (bool, error)
}

// rooted is a directory that no name and no symlink leads out of.
type rooted struct{ root *os.Root }

type opened struct{ *os.File }

// Open creates files for their owner alone, whatever the umask.
func (r rooted) Open(name string, flag int) (handle, error) {
	f, err := r.root.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err
	}
	if flag&os.O_CREATE != 0 {
		if err := f.Chmod(0o600); err != nil {
			f.Close()
			return nil, err
		}
	}
	return opened{f}, nil
}

func (r rooted) Mkdir(name string) error {
	if err := r.root.Mkdir(name, 0o700); err != nil {
		return err
	}
	return r.root.Chmod(name, 0o700)
}

// Names does not ask what the names lead to, as ReadDir does: that is a call of the system for each.
func (r rooted) Names(dir string) ([]string, error) {
	f, err := r.root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

func (r rooted) Sub(name string) (filesystem, error) {
	sub, err := r.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return rooted{sub}, nil
}

func (r rooted) Lstat(name string) (fs.FileInfo, error) { return r.root.Lstat(name) }
func (r rooted) Rename(from, to string) error           { return r.root.Rename(from, to) }
func (r rooted) Remove(name string) error               { return r.root.Remove(name) }
func (r rooted) Touch(name string, now time.Time) error { return r.root.Chtimes(name, now, now) }
func (r rooted) Close() error                           { return r.root.Close() }
func (f opened) Lock(exclusive bool) (bool, error)      { return lock(f.File, exclusive) }
