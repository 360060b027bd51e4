//go:build unix

package sqlite

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// ours reports whether a file belongs to the user that this process runs as.
func ours(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return !ok || int(s.Uid) == os.Geteuid()
}

// trusted says why a directory is not one to keep a database in: another user could replace it, or put files beside it. The rule is that of store/file.
func trusted(dir fs.FileInfo) error {
	s, ok := dir.Sys().(*syscall.Stat_t)
	switch foreign, open := ok && int(s.Uid) != os.Geteuid(), dir.Mode().Perm()&0o022 != 0; {
	case foreign && open:
		return fmt.Errorf("%w (user %d, mode %04o): use another", errCommons, s.Uid, dir.Mode().Perm())
	case open:
		return fmt.Errorf("others may write to its directory (mode %04o): chmod go-w it, or use another", dir.Mode().Perm())
	case foreign:
		return fmt.Errorf("its directory belongs to user %d, not to user %d: use another", s.Uid, os.Geteuid())
	}
	return nil
}
