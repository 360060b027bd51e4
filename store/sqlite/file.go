package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// applicationID marks the file as ours, at offset 68: "plyS". No file without it is ever written to or removed, unless it is empty.
const (
	applicationID       = 0x706c7953
	applicationIDOffset = 68
)

// inProcess counts how often this process has each file open.
//
// POSIX drops all locks of a process on a file as soon as the process closes any descriptor of that file.
// So a file that a connection of this process has open is only looked at by its name (Lstat). It is opened to be read only when no connection has it open.
var inProcess = struct {
	sync.Mutex
	files map[string]int
}{files: make(map[string]int)}

// locate returns the absolute path of a database file, in a directory that exists and whose name has no links in it.
func locate(path string) (string, error) {
	if path == "" {
		return "", errors.New("the path is empty")
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", err
	}
	return filepath.Join(dir, filepath.Base(path)), nil
}

// siblings are the files beside a database that SQLite takes for a part of it: a user who can put one there decides what is in the database.
// A database with a write-ahead log has no journal, but SQLite rolls back one that it finds all the same.
var siblings = [...]string{"-journal", "-wal", "-shm"}

// errCommons refuses another user's directory to which all may write.
var errCommons = errors.New("the directory is another user's, and others may write to it")

// provide makes an empty file at path, and its directory, if there is none, and returns what is there. That is a regular file of this user, which no other user can read,
// in a directory to which no other user can write.
func provide(path string) (fs.FileInfo, error) {
	inProcess.Lock()
	defer inProcess.Unlock()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if err := inTrustedDir(path); err != nil {
		return nil, err
	}
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := create(path); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		info, err = os.Lstat(path)
	}
	if err != nil {
		return nil, err
	}
	return info, unshared(path)
}

func inTrustedDir(path string) error {
	dir, err := os.Lstat(filepath.Dir(path))
	if err != nil {
		return err
	}
	return trusted(dir)
}

// unshared refuses a database that is not this user's alone, with all that SQLite takes for a part of it. It is asked before each connection:
// the first thing that one does is to roll back a journal.
func unshared(path string) error {
	if err := inTrustedDir(path); err != nil {
		return err
	}
	if err := private(path); err != nil {
		return err
	}
	for _, suffix := range siblings {
		if err := private(path + suffix); err != nil {
			return err
		}
	}
	return nil
}

// create makes an empty file for this user alone, whatever the umask. SQLite gives -wal and -shm the same mode.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(0o600), f.Close())
}

// private refuses a path that is not a regular file of this user.
func private(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link: name the file itself", path)
	case info.IsDir():
		return fmt.Errorf("%s is a directory: name a file in it", path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", path)
	case !ours(info):
		return fmt.Errorf("%s belongs to another user", path)
	}
	return nil
}

// withdraw removes the permissions of other users on a file that is known to be ours.
func withdraw(path string) error {
	for _, suffix := range append(siblings[:len(siblings):len(siblings)], "") {
		p := path + suffix
		info, err := os.Lstat(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
			if err := os.Chmod(p, 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

// makeWritable gives the files beside a database of ours back the write permission that the database itself has. SQLite makes them with the permissions
// that the database has at that moment, and it may have been read-only then. What lies beside a database of another program it leaves alone.
func makeWritable(path string) error {
	inProcess.Lock()
	// One that is open here is not looked at: to close a file drops the locks that this process has on it.
	known := inProcess.files[path] > 0 || marked(path)
	inProcess.Unlock()
	if !known {
		return nil
	}
	for _, suffix := range siblings {
		info, err := os.Lstat(path + suffix)
		if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o200 == 0 {
			err = os.Chmod(path+suffix, 0o600)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// opened counts one more connection of this process to path, and closed one less.
func opened(path string) {
	inProcess.Lock()
	defer inProcess.Unlock()
	inProcess.files[path]++
}

func closed(path string) {
	inProcess.Lock()
	defer inProcess.Unlock()
	if inProcess.files[path]--; inProcess.files[path] <= 0 {
		delete(inProcess.files, path)
	}
}

// discard removes a database of ours that cannot be opened any more. It reports whether it did. It leaves a file without our mark alone,
// and one that another store of this process has open: that store will find the damage itself.
func discard(path string) (bool, error) {
	inProcess.Lock()
	defer inProcess.Unlock()
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if inProcess.files[path] > 0 || !marked(path) {
		return false, nil
	}
	return true, remove(path)
}

// remove removes a database that is known to be ours. Stores that have it open notice that its name leads to no file, or to another.
// The log is removed first, so that it is never taken for the log of the next database.
func remove(path string) error {
	for _, suffix := range append(siblings[:len(siblings):len(siblings)], "") {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// marked reports whether the file at path has our application ID in its header.
func marked(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	var id [4]byte
	_, err = io.ReadFull(io.NewSectionReader(f, applicationIDOffset, 4), id[:])
	return err == nil && binary.BigEndian.Uint32(id[:]) == applicationID
}
