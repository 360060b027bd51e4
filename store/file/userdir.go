package file

import (
	"fmt"
	"os"
	"path/filepath"
)

// UserCacheDir returns the directory with this name below the user's cache directory, as [os.UserCacheDir] has it, and makes what is missing of it,
// for its owner alone. Open refuses a directory that holds other things, so give a name of its own: "mytool/http" rather than "mytool".
//
// The name is a relative path with slashes. One that leads out of the cache directory is an error, as is an environment that does not say where that is.
func UserCacheDir(name string) (string, error) {
	local, err := filepath.Localize(name)
	if err != nil || local == "." {
		return "", fmt.Errorf("file: %q is no name for a directory below the cache directory: give one such as \"mytool/http\"", name)
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("file: the user has no cache directory, so name one to Open: %w", err)
	}
	dir := filepath.Join(base, local)
	if err := makeDir(dir); err != nil {
		return "", fmt.Errorf("file: the cache directory cannot be made: %w", err)
	}
	return dir, nil
}

// OpenTemp opens a new, empty directory among the temporary files of the system, for its owner alone. Close removes it with all that it holds.
// A process that ends without Close leaves it to the system, which removes temporary files in its time. Other processes cannot share it:
// nothing tells them its name.
func OpenTemp(o Options) (*Store, error) {
	dir, err := os.MkdirTemp("", "ply-cache-")
	if err != nil {
		return nil, fmt.Errorf("file: %w", err)
	}
	s, err := Open(dir, o)
	if err != nil {
		os.Remove(dir)
		return nil, err
	}
	s.temporary = true
	return s, nil
}
