package main

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// proxy is a module proxy of files (https://go.dev/ref/mod#goproxy-protocol), in dir.
type proxy struct {
	dir     string
	licence string // the file that modules without a licence of their own get, as they do from the go command
}

// environment is that of a go command which takes the modules below a path from the proxy, and all others from where it always does.
// What it downloads of the proxy stays in work: the module cache of the user must not keep a version that is not the released one.
func (p *proxy) environment(work, prefix string) ([]string, error) {
	cache, err := output(".", "go", "env", "GOMODCACHE")
	if err != nil {
		return nil, err
	}
	others, err := output(".", "go", "env", "GOPROXY")
	if err != nil {
		return nil, err
	}
	cache, others = strings.TrimSpace(cache), strings.TrimSpace(others)
	own := filepath.Join(work, "cache")
	first, _, _ := strings.Cut(strings.TrimPrefix(prefix, "github.com/"), "/")
	for _, dir := range []string{".", "github.com", "cache", "cache/download", "cache/download/github.com"} {
		if err := linkAllBut(filepath.Join(cache, dir), filepath.Join(own, dir), "github.com", "cache", "download", "vcs", "lock", first); err != nil {
			return nil, err
		}
	}
	return []string{"GOMODCACHE=" + own, "GOPROXY=file://" + p.dir + "," + others, "GONOSUMDB=" + prefix + "," + prefix + "/*", "GOFLAGS=-modcacherw"}, nil
}

// linkAllBut makes a directory with a link to each entry of another one, but for those of some names.
func linkAllBut(from, to string, names ...string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if slices.Contains(names, e.Name()) {
			continue
		}
		if err := os.Symlink(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// add adds a version of a module. Its path has no capital letters, which the protocol would escape.
func (p *proxy) add(modulePath, version, dir string) error {
	at := filepath.Join(p.dir, modulePath, "@v")
	if err := os.MkdirAll(at, 0o755); err != nil {
		return err
	}
	goMod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return err
	}
	for name, content := range map[string]string{"list": version + "\n", version + ".mod": string(goMod), version + ".info": fmt.Sprintf(`{"Version":%q}`, version)} {
		if err := os.WriteFile(filepath.Join(at, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	f, err := os.Create(filepath.Join(at, version+".zip"))
	if err != nil {
		return err
	}
	return errors.Join(p.archive(f, modulePath+"@"+version, dir), f.Close())
}

// archive writes the files of a module, without those of the modules in it.
func (p *proxy) archive(w io.Writer, prefix, dir string) error {
	z := zip.NewWriter(w)
	add := func(name, file string) error {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		entry, err := z.Create(prefix + "/" + name)
		if err == nil {
			_, err = entry.Write(content)
		}
		return err
	}
	err := filepath.WalkDir(dir, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			if _, err := os.Stat(filepath.Join(file, "go.mod")); err == nil && file != dir {
				return filepath.SkipDir
			}
			return nil
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		return add(filepath.ToSlash(name), file)
	})
	if _, statErr := os.Stat(filepath.Join(dir, "LICENSE")); err == nil && statErr != nil {
		err = add("LICENSE", p.licence)
	}
	return errors.Join(err, z.Close())
}
