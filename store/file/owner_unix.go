//go:build unix

package file

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// private says why a directory is not one to keep responses in: another user could put records there.
func private(info fs.FileInfo) error {
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("others may write to it (mode %04o): chmod go-w it, or use another", info.Mode().Perm())
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("it belongs to user %d, not to user %d: use another", stat.Uid, os.Geteuid())
	}
	return nil
}
