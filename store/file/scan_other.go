//go:build !linux

package file

import (
	"io"
	"os"
)

// openDirectory is a scanner of what the standard library has.
type openDirectory struct{ root *os.Root }

func (r rooted) Scan(name string) (scanner, error) {
	root, err := r.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return openDirectory{root}, nil
}

func (d openDirectory) Names() ([]string, error) { return rooted{d.root}.Names(".") }

func (d openDirectory) Start(name string, b []byte) (int, error) {
	info, err := d.root.Lstat(name)
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, errCorrupt
	}
	f, err := d.root.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	n, err := io.ReadFull(f, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	return n, err
}

func (d openDirectory) Close() error { return d.root.Close() }
