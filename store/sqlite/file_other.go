//go:build !unix

package sqlite

import "io/fs"

// ours reports whether a file belongs to the user that this process runs as, which only Unix says in numbers.
func ours(fs.FileInfo) bool { return true }

// trusted takes any directory: there, rights are not told by a mode.
func trusted(fs.FileInfo) error { return nil }
