//go:build !unix

package file

import "io/fs"

// private leaves it to the system's lists of who may do what, which modes do not show.
func private(fs.FileInfo) error { return nil }
