//go:build unix

package ply_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/internal/testutil"
)

func TestSaveRefusesAnythingButFiles(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	must := func(err error) {
		if err != nil {
			testutil.SkipUnlessCI(t, err)
		}
	}
	must(os.Mkdir(in("directory"), 0o700))
	must(syscall.Mkfifo(in("pipe"), 0o600))
	must(os.Symlink("pipe", in("link to a pipe")))
	must(os.Symlink("nowhere", in("link to nothing")))
	must(os.Symlink(os.DevNull, in("link to a device")))
	must(os.WriteFile(in("file"), []byte("old"), 0o640))
	must(os.Chmod(in("file"), 0o640))
	must(os.Symlink("file", in("link")))
	must(os.Symlink("link", in("link to a link")))
	before, _ := os.ReadDir(dir)
	for _, path := range []string{in("directory"), in("pipe"), in("link to a pipe"), in("link to nothing"), in("link to a device"), ""} {
		mode := func() (m os.FileMode) {
			if info, err := os.Lstat(path); err == nil {
				m = info.Mode()
			}
			return m
		}
		was := mode()
		body, resp, err := served{body: literalSegment("new")}.get(t.Context())
		if n, err := ply.Save(path)(resp, err); err == nil || n != 0 || body.closed != 1 || body.read != 0 || mode() != was {
			t.Errorf("%q: %d bytes, %v; %v became %v", path, n, err, was, mode())
		}
	}
	_, resp, err := served{body: literalSegment("new")}.get(t.Context())
	if _, err := ply.Save(in("link to a link"))(resp, err); err != nil {
		t.Error(err)
	}
	content, _ := os.ReadFile(in("file"))
	info, _ := os.Lstat(in("file"))
	if target, _ := os.Readlink(in("link to a link")); string(content) != "new" || target != "link" || info.Mode() != 0o640 {
		t.Errorf("the file at the end of the links has %q and mode %v, the first link leads to %q", content, info.Mode(), target)
	}
	if after, _ := os.ReadDir(dir); len(after) != len(before) {
		t.Errorf("the directory has %v", after)
	}
}
