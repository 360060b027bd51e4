package ply

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"os"
	"path/filepath"
	"sync"
)

// fromFile returns the content of the file or pipe at path. A file must be readable now. Errors of later reads call it name.
func fromFile(path, name string) (*content, error) {
	info, err := os.Stat(path) // before opening: to open a named pipe would wait for its writer
	if err == nil && info.Mode()&fs.ModeType == fs.ModeNamedPipe {
		open := func() (io.ReadCloser, error) { return &lazyFile{path: path}, nil }
		return &content{open: open, size: -1, once: true, contentType: typeByName(path)}, nil
	}
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: errors.New("not a regular file: open it and give it to BodyReader")}
	}
	if err != nil {
		return nil, err
	}
	size := info.Size()
	open := func() (io.ReadCloser, error) { return openFile(path, name, size) }
	rc, err := open()
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	if f, ok := rc.(*sizedBody); ok && size == 0 && !endsAt(f.Closer.(*os.File), 0) {
		open, size = func() (io.ReadCloser, error) { return os.Open(path) }, -1
	}
	return &content{open: open, size: size, contentType: typeByName(path)}, nil
}

// lazyFile opens its file at the first read. Close may run concurrently with Read, as over HTTP/2.
type lazyFile struct {
	path string

	mu     sync.Mutex // guards the fields below; not held while the file is opened, which may wait for a pipe's writer
	file   *os.File
	closed bool
}

func (l *lazyFile) Read(p []byte) (int, error) {
	f, err := l.opened()
	if err != nil {
		return 0, err
	}
	return f.Read(p)
}

func (l *lazyFile) opened() (*os.File, error) {
	l.mu.Lock()
	f, closed := l.file, l.closed
	l.mu.Unlock()
	if closed {
		return nil, os.ErrClosed
	}
	if f != nil {
		return f, nil
	}
	f, err := os.Open(l.path)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		f.Close()
		return nil, os.ErrClosed
	}
	l.file = f
	return f, nil
}

func (l *lazyFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

func typeByName(path string) string {
	if t := mime.TypeByExtension(filepath.Ext(path)); t != "" {
		return t
	}
	return "application/octet-stream"
}

func openFile(path, name string, size int64) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Size() != size {
		err = fmt.Errorf("%s changed from %d to %d bytes since the request was made", path, size, info.Size())
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &sizedBody{exactReader(io.NewSectionReader(f, 0, size), size, name), f}, nil
}
