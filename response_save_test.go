package ply_test

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/plyhttp/ply"
)

func TestCopyToWritesTheBytesBeforeAnError(t *testing.T) {
	tests := []struct {
		name   string
		answer served
		limit  int64
		want   string
		err    error
	}{
		{"cut", served{body: literalSegment("abc", failing(io.ErrUnexpectedEOF))}, 0, "abc", io.ErrUnexpectedEOF},
		{"above the limit", served{body: literalSegment("abcde")}, 3, "abc", &ply.BodyLimitError{}},
		{"above the limit, byte by byte", served{body: literalSegment("abcde", iotest.OneByteReader)}, 3, "abc", &ply.BodyLimitError{}},
		{"above the limit, as announced", served{body: literalSegment("abcde"), length: 5}, 3, "", &ply.BodyLimitError{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, resp, err := tt.answer.get(ply.WithBodyLimit(t.Context(), tt.limit))
			var b strings.Builder
			n, err := ply.CopyTo(&b)(resp, err)
			if b.String() != tt.want || n != int64(len(tt.want)) {
				t.Errorf("got %q and %d, want %q", &b, n, tt.want)
			}
			checkError(t, err, tt.err, tt.limit)
		})
	}
	t.Run("full", func(t *testing.T) {
		full := errors.New("full")
		body, resp, err := served{body: literalSegment("abc")}.get(t.Context())
		_, err = ply.CopyTo(writerFunc(func([]byte) (int, error) { return 0, full }))(resp, err)
		checkError(t, err, full, 0)
		if body.closed != 1 {
			t.Errorf("body closed %d times", body.closed)
		}
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestSaveIsAtomic(t *testing.T) {
	tests := []struct {
		name   string
		answer served
		want   string
		ok     bool
	}{
		{"whole", served{body: literalSegment("new")}, "new", true},
		{"empty", served{}, "", true},
		{"another success", served{body: literalSegment("new"), status: 299}, "new", true},
		{"cut", served{body: literalSegment("ne", failing(io.ErrUnexpectedEOF))}, "old", false},
		{"a failure", served{body: literalSegment("new"), status: 404}, "old", false},
		{"not modified", served{status: 304}, "old", false},
		{"the page of a redirect", served{body: literalSegment("new"), status: 302}, "old", false},
		{"a redirect that was not followed", served{body: literalSegment("new"), status: 307}, "old", false},
		{"several choices", served{body: literalSegment("new"), status: 300}, "old", false},
		{"an upgrade", served{body: literalSegment("new"), status: 101}, "old", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "file")
			if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			body, resp, err := tt.answer.get(t.Context())
			n, err := ply.Save(path)(resp, err)
			if (err == nil) != tt.ok || tt.ok && n != int64(len(tt.want)) || !tt.ok && n != 0 || body.closed != 1 {
				t.Errorf("%d bytes, error %v, closed %d times", n, err, body.closed)
			}
			got, _ := os.ReadFile(path)
			files, _ := os.ReadDir(dir)
			if string(got) != tt.want || len(files) != 1 {
				t.Errorf("the file has %q, want %q; the directory has %v", got, tt.want, files)
			}
		})
	}
}

func TestSaveThatCannotWriteClosesTheBody(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "occupied"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "missing", "file"), filepath.Join(dir, "occupied")} {
		body, resp, err := served{body: literalSegment("new")}.get(t.Context())
		n, err := ply.Save(path)(resp, err)
		files, _ := os.ReadDir(dir)
		if err == nil || n != 0 || body.closed != 1 || len(files) != 1 {
			t.Errorf("%d bytes, error %v, closed %d times, left behind %v", n, err, body.closed, files)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "ply: saving GET ") {
			t.Errorf("error %q", err)
		}
	}
}

func TestSavedFileKeepsItsPermissions(t *testing.T) {
	for _, mode := range []os.FileMode{0o600, 0o400, 0o640, 0o644, 0o666, 0o755, 0o000} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, resp, err := served{body: literalSegment("new")}.get(t.Context())
		if _, err := ply.Save(path)(resp, err); err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(path)
		if err != nil || info.Mode() != mode || info.Size() != 3 {
			t.Errorf("%v became %v with %d bytes, %v", mode, info.Mode(), info.Size(), err)
		}
	}
}

func TestSaveAllowsLongNames(t *testing.T) {
	for _, length := range []int{1, 200, 255} {
		path := filepath.Join(t.TempDir(), strings.Repeat("n", length))
		_, resp, err := served{body: literalSegment("new")}.get(t.Context())
		if n, err := ply.Save(path)(resp, err); err != nil || n != 3 {
			t.Errorf("a name of %d bytes: %d, %v", length, n, err)
		}
	}
}

func TestSaveLeavesNothingBehindAPanic(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic("boom") }, "Goexit": runtime.Goexit} {
		dir := t.TempDir()
		body := &watchedBody{Reader: readerFunc(func([]byte) (int, error) { end(); return 0, nil })}
		done := make(chan any)
		go func() {
			defer func() { done <- recover() }()
			ply.Save(filepath.Join(dir, "file"))(&http.Response{StatusCode: 200, Body: body, ContentLength: -1}, nil)
		}()
		if v := <-done; (v != nil) != (name == "panic") || body.closed != 1 {
			t.Errorf("%s: recovered %v, body closed %d times", name, v, body.closed)
		}
		if files, _ := os.ReadDir(dir); len(files) > 0 {
			t.Errorf("%s left %v", name, files)
		}
	}
}
