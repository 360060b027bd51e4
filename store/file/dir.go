package file

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The names in a directory: the format, the state, the lock of those who use it, and the shards, which hold a lock and the records.
const (
	formatName = "format"
	stateName  = "state"
	aliveName  = "alive"
	lockName   = "lock"
	tempPrefix = "tmp-"

	formatText   = "ply store/file "
	formatOfThis = formatText + "1\n"
)

// nameOf returns where the record under key is.
func nameOf(key string) (shard int, name string) {
	var room [128]byte // a key has no more
	sum := sha256.Sum256(append(room[:0], key...))
	shard = int(sum[0]) % shards
	var path [3 + 2*sha256.Size]byte
	dst := append(hex.AppendEncode(path[:0], []byte{byte(shard)}), '/')
	return shard, string(hex.AppendEncode(dst, sum[:]))
}

func shardName(shard int) string { return hex.EncodeToString([]byte{byte(shard)}) }

// isRecord reports whether a name in a shard is one that nameOf makes.
func isRecord(name string) bool {
	_, err := hex.DecodeString(name)
	return err == nil && len(name) == 2*sha256.Size
}

// isForeign reports whether a name in a shard is none that the store makes: what has it is not touched.
func isForeign(name string) bool {
	return name != lockName && !isRecord(name) && !isTemp(name)
}

// isTemp reports whether a name is one of those that the store makes for what is on its way, or on its way out: tempPrefix and 26 characters of base32 ([rand.Text]).
func isTemp(name string) bool {
	text, ok := strings.CutPrefix(name, tempPrefix)
	return ok && len(text) == 26 && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

// openRoot opens dir itself, and not what it is a symlink to.
func openRoot(dir string) (filesystem, error) {
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	before, err := os.Lstat(dir)
	if err != nil {
		return nil, err
	}
	if !before.IsDir() {
		return nil, fmt.Errorf("%s is not a directory, or a symlink to one", dir)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	after, err := root.Stat(".")
	if err == nil && !os.SameFile(before, after) {
		err = fmt.Errorf("%s was replaced while it was opened", dir)
	}
	if err == nil {
		if why := private(after); why != nil {
			err = fmt.Errorf("%s: %w", dir, why)
		}
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	return rooted{root}, nil
}

// makeDir makes dir and what it is in, for its owner alone, whatever the umask. What is there stays as it is.
func makeDir(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		if parent := filepath.Dir(dir); parent != dir {
			if err := makeDir(parent); err != nil {
				return err
			}
			err = os.Mkdir(dir, 0o700)
		}
	}
	switch {
	case err == nil:
		return os.Chmod(dir, 0o700)
	case errors.Is(err, fs.ErrExist):
		return nil
	}
	return err
}

// enter opens the directory and makes it the store's place. If no other process has it open, what is older than since
// was written by processes that have ended. Otherwise since is zero.
func (s *Store) enter(ctx context.Context) (since time.Time, err error) {
	dir, err := s.open(s.dir)
	if err != nil {
		return since, fmt.Errorf("file: open: %w", err)
	}
	p := &place{fs: dir}
	if since, err = s.prepare(ctx, p); err != nil {
		for _, f := range []handle{p.state, p.alive} {
			if f != nil {
				f.Close()
			}
		}
		dir.Close()
		return since, fmt.Errorf("file: open %s: %w", s.dir, err)
	}
	s.here.Store(p)
	return since, nil
}

func (s *Store) prepare(ctx context.Context, p *place) (since time.Time, err error) {
	if err := checkFormat(p.fs); err != nil {
		return since, err
	}
	if p.alive, err = openOwn(p.fs, aliveName); err != nil {
		return since, err
	}
	if p.state, err = openOwn(p.fs, stateName); err != nil {
		return since, err
	}
	alone, err := p.alive.Lock(true)
	if err != nil {
		return since, err
	}
	if alone {
		if since, err = s.settleAlone(ctx, p); err != nil {
			return since, err
		}
	}
	// From here on other processes see that the directory is in use. Those who count hold the lock for themselves meanwhile.
	ctx, cancel := context.WithTimeout(ctx, countingTakes)
	defer cancel()
	err = poll(ctx, func() (bool, error) { return p.alive.Lock(false) })
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New("another process has been opening it for long")
	}
	return since, err
}

// settleAlone counts the shards whose slots do not say what is there: they are new, or a process was killed in them. Those that do are believed,
// so that a large directory is open at once; sweepInBackground counts all of them, since a loss of power or a deletion by hand leaves slots that are wrong.
// It returns the time when it was done, by the clock that stamps files: it is behind the one that time.Now reads.
func (s *Store) settleAlone(ctx context.Context, p *place) (time.Time, error) {
	if _, err := s.settled(ctx, p); err != nil {
		return time.Time{}, err
	}
	// To write a slot as it is stamps the file.
	err := s.locked(ctx, p, 0, func(h *lockedShard) error { return h.write(h.slot) })
	if err != nil {
		return time.Time{}, err
	}
	info, err := p.state.Stat()
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

const countingTakes = 30 * time.Second // at most

// checkFormat refuses directories that are not this package's, and writes its name into new ones, and into those that a power failure has left a part of it in.
func checkFormat(dir filesystem) error {
	text, err := readFile(dir, formatName)
	switch {
	case err == nil && text == formatOfThis:
		return nil
	case err == nil && isTorn(text):
	case err == nil && strings.HasPrefix(text, formatText):
		return errors.New("a newer version of this package has written it: use another directory")
	case err == nil:
		return errors.New("it has a file named format that is not this package's: use an empty directory")
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	names, err := dir.Names(".")
	if err != nil {
		return err
	}
	for _, name := range names {
		if !isTemp(name) && !isOurs(name) {
			return fmt.Errorf("it holds other things, such as %q: use an empty directory", name)
		}
	}
	if err := writeFile(dir, "", formatName, []byte(formatOfThis), true); err != nil {
		return err
	}
	syncDir(dir)
	return nil
}

// isTorn reports whether a text is what a power failure may leave of this version's format: its beginning, perhaps with zeros up to its length.
func isTorn(text string) bool {
	return len(text) <= len(formatOfThis) && strings.HasPrefix(formatOfThis, strings.TrimRight(text, "\x00"))
}

// syncDir has the disk know the names in the directory. Where that cannot be done, the format may be lost with the power, and is written anew.
func syncDir(dir filesystem) {
	if f, err := dir.Open(".", os.O_RDONLY); err == nil {
		_ = f.Sync()
		_ = f.Close()
	}
}

// isOurs reports whether a name may be in a directory whose format file was lost.
func isOurs(name string) bool {
	b, err := hex.DecodeString(name)
	return name == stateName || name == aliveName || name == formatName || err == nil && len(b) == 1 && b[0] < shards
}

// readFile reads a small file.
func readFile(dir filesystem, name string) (string, error) {
	f, err := dir.Open(name, os.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b := make([]byte, 256)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return "", err
	}
	return string(b[:n]), nil
}

// writeFile puts a whole file in the place of name, or leaves things as they are. The temporary file is in the directory of name, which ends with "/" or is "".
func writeFile(dir filesystem, in, name string, data []byte, sync bool) error {
	temp := in + tempPrefix + rand.Text()
	f, err := dir.Open(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && sync {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = dir.Rename(temp, in+name)
	}
	if err != nil {
		dir.Remove(temp) // if that fails, too, the next one who takes the shard's lock does it
	}
	return err
}

// openOwn opens a file of the store's own for reading and writing. What is not a regular file is replaced: a symlink would be followed.
func openOwn(dir filesystem, name string) (handle, error) {
	f, _, err := openOrMake(dir, name)
	return f, err
}

func openOrMake(dir filesystem, name string) (f handle, made bool, err error) {
	for range 10 {
		f, err = dir.Open(name, os.O_RDWR)
		if errors.Is(err, fs.ErrNotExist) {
			if f, err = dir.Open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL); err == nil {
				return f, true, nil
			}
			if errors.Is(err, fs.ErrExist) {
				if err = removeOdd(dir, name); err == nil {
					continue
				}
			}
			return nil, false, err
		}
		if err == nil && isStill(dir, name, f) {
			return f, false, nil
		}
		if err == nil {
			f.Close()
		}
		if err := removeOdd(dir, name); err != nil {
			return nil, false, err
		}
	}
	return nil, false, errors.Join(fmt.Errorf("%s changes all the time", name), err)
}

// isStill reports whether name is f and not a symlink to it, nor deleted meanwhile.
func isStill(dir filesystem, name string, f handle) bool {
	open, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := dir.Lstat(name)
	return err == nil && there.Mode().IsRegular() && os.SameFile(open, there)
}

// removeOdd removes what is in the place of a file and is none, such as a symlink, and not what it leads to.
func removeOdd(dir filesystem, name string) error {
	info, err := dir.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().IsRegular():
		return nil
	}
	return dir.Remove(name)
}

// poll calls try until it succeeds, fails, or ctx is done.
func poll(ctx context.Context, try func() (bool, error)) error {
	for wait := 50 * time.Microsecond; ; wait = min(2*wait, 5*time.Millisecond) {
		if done, err := try(); done || err != nil {
			return err
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-t.C:
		}
	}
}
