package file

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// direct reads records with five calls of the system each: open, compare, look, read, close. What os.Root and os.File do takes three times as many, because they
// open the shard's directory for each file, and ask whether the file can be polled.
//
// It keeps the directories of shards open that have been read from: at most one descriptor for each of the 64. Nothing leads out of such a directory:
// a record is opened by a name without a slash, and not through a symlink. The zero direct has none open.
//
// Clear moves directories away. So what was found in an open one counts only if the shard's epoch is still the one that it had before it was opened:
//
//	we: read the epoch, open the directory      they: move it, write another epoch, return      we: find a file, compare, look where the name leads now
type direct struct {
	shards [shards]atomic.Pointer[openDir]
}

// openDir is an open directory of a shard. It is immutable; closing the file while it is used is safe, as os.File counts its users.
type openDir struct {
	file  *os.File
	raw   syscall.RawConn
	info  fs.FileInfo
	epoch [8]byte // of the shard, before it was opened
}

// load returns the file under a name, and when it was used. It returns fs.ErrNotExist if there is none, errCorrupt for what is no file or one of another length
// than it says, and errIndirect if it cannot say.
func (d *direct) load(p *place, shard int, name string) (b []byte, used time.Time, err error) {
	root, ok := p.fs.(rooted)
	if !ok {
		return nil, used, errIndirect
	}
	in, err := d.dir(p, root, shard)
	if err != nil {
		return nil, used, errIndirect
	}
	o := &opening{name: name[len("00/"):]}
	f, err := in.open(o)
	if err == syscall.ENOENT && d.isStill(root, shard, in) {
		return nil, used, fs.ErrNotExist
	}
	if err != nil {
		return nil, used, errIndirect
	}
	defer f.close()
	err = o.readEpoch(p.state, shard)
	if err == nil && o.epoch == [8]byte{} && !d.isStill(root, shard, in) {
		return nil, used, errIndirect
	}
	if err != nil || o.epoch != in.epoch {
		d.forget(shard, in)
		return nil, used, errIndirect
	}
	var info syscall.Stat_t
	if retried(func() error { return syscall.Fstat(int(f), &info) }) != nil {
		return nil, used, errIndirect
	}
	if info.Mode&syscall.S_IFMT != syscall.S_IFREG {
		return nil, used, errCorrupt
	}
	b, err = readAll(f, info.Size)
	if err != nil && !errors.Is(err, errCorrupt) {
		err = errIndirect
	}
	return b, time.Unix(info.Mtim.Unix()), err
}

// dir returns the open directory of a shard. Of two callers that open it at once, the slower closes its own.
func (d *direct) dir(p *place, root rooted, shard int) (*openDir, error) {
	slot := &d.shards[shard]
	if in := slot.Load(); in != nil {
		return in, nil
	}
	o := &opening{}
	if err := o.readEpoch(p.state, shard); err != nil {
		return nil, err
	}
	in, err := openShardDir(root, shard)
	if err != nil {
		return nil, err
	}
	in.epoch = o.epoch
	if !slot.CompareAndSwap(nil, in) {
		in.file.Close()
		if in = slot.Load(); in == nil {
			return nil, errIndirect // it was closed meanwhile
		}
	}
	return in, nil
}

func openShardDir(root rooted, shard int) (*openDir, error) {
	f, err := root.root.Open(shardName(shard))
	if err != nil {
		return nil, err
	}
	in := &openDir{file: f}
	if in.info, err = f.Stat(); err == nil {
		in.raw, err = f.SyscallConn()
	}
	if err == nil && !in.info.IsDir() {
		err = syscall.ENOTDIR
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return in, nil
}

// isStill reports whether the name of the shard leads to the open directory. If not, it was deleted by hand, and is closed: there may be another one.
func (d *direct) isStill(root rooted, shard int, in *openDir) bool {
	now, err := root.Lstat(shardName(shard))
	if err == nil && os.SameFile(now, in.info) {
		return true
	}
	d.forget(shard, in)
	return false
}

// forget closes the directory of a shard, if that is still the open one.
func (d *direct) forget(shard int, in *openDir) {
	if d.shards[shard].CompareAndSwap(in, nil) {
		in.file.Close()
	}
}

// close closes the directories. Calls that still use them get errIndirect, and then an error of the place.
func (d *direct) close() error {
	var failed error
	for i := range d.shards {
		if in := d.shards[i].Swap(nil); in != nil {
			failed = errors.Join(failed, in.file.Close())
		}
	}
	return failed
}

// open opens a file in the directory for reading. What is no regular file does not hold it up.
func (in *openDir) open(o *opening) (descriptor, error) {
	if err := in.raw.Control(o.open); err != nil {
		return 0, err
	}
	return o.file, o.err
}

type opening struct {
	name  string
	file  descriptor
	err   error
	epoch [8]byte
}

// readEpoch reads the epoch of a shard as it is in the state now. It is zero if the state does not have one: then a directory is compared with its name.
func (o *opening) readEpoch(state handle, shard int) error {
	_, err := state.ReadAt(o.epoch[:], int64(shard*slotSize+epochAt))
	if err == io.EOF {
		return nil
	}
	return err
}

func (o *opening) open(dir uintptr) {
	o.err = retried(func() error {
		fd, err := syscall.Openat(int(dir), o.name, syscall.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
		o.file = descriptor(fd)
		return err
	})
}

// retried calls f again as long as a signal interrupts it.
func retried(f func() error) error {
	for {
		if err := f(); err != syscall.EINTR {
			return err
		}
	}
}

// descriptor is an open file.
type descriptor int

func (f descriptor) Read(p []byte) (n int, err error) {
	err = retried(func() error {
		n, err = syscall.Read(int(f), p)
		return err
	})
	switch {
	case err != nil:
		return 0, err
	case n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return n, nil
}

func (f descriptor) close() { _ = syscall.Close(int(f)) }
