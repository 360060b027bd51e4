package ply_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
)

func TestBodyFileFailsIfItsSizeChanges(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(path string) error
		want   string
	}{
		{"removed", os.Remove, "no such file"},
		{"longer", func(path string) error { return os.WriteFile(path, []byte("0123456789+"), 0o600) }, "from 10 to 11 bytes"},
		{"shorter", func(path string) error { return os.Truncate(path, 4) }, "from 10 to 4 bytes"},
	} {
		for _, as := range []string{"BodyFile", "PartFile"} {
			t.Run(tt.name+" between attempts, "+as, func(t *testing.T) {
				path := file(t, "x.txt", "0123456789")
				option := ply.BodyFile(path)
				if as == "PartFile" {
					option = ply.BodyMultipart(ply.PartFile("f", path))
				}
				server := receive(t)
				server.hook = func() { require.NoError(t, tt.change(path)) }
				_, err := newClient(t, ply.Options{BaseURL: server.URL}).Post(t.Context(), "/again", option)
				if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v", err)
				}
				server.Close()
				for _, got := range server.all()[1:] {
					if got.err == nil {
						t.Errorf("the server takes %q for complete", got.Body)
					}
				}
			})
		}
	}
}

func TestBodyFileChangesDuringAnAttempt(t *testing.T) {
	for _, tt := range []struct {
		name string
		to   string
		want string
		err  error
	}{
		{"appended to: not sent", "0123456789+", "0123456789", nil},
		{"shortened: not complete", "0123", "0123", io.ErrUnexpectedEOF},
	} {
		for _, as := range []string{"BodyFile", "BodyReader"} {
			t.Run(tt.name+", "+as, func(t *testing.T) {
				path := file(t, "x.txt", "0123456789")
				option := ply.BodyFile(path)
				if as == "BodyReader" {
					option = ply.BodyReader(open(t, path, 0))
				}
				req, err := newClient(t, ply.Options{}).NewRequest(t.Context(), "POST", "http://example.com/", option, ply.Chunked())
				require.NoError(t, err)
				defer req.Body.Close()
				require.NoError(t, os.WriteFile(path, []byte(tt.to), 0o600))
				got, err := io.ReadAll(req.Body)
				if string(got) != tt.want || !errors.Is(err, tt.err) {
					t.Errorf("read %q, %v", got, err)
				}
			})
		}
	}
}

func TestBodyFilesAreClosed(t *testing.T) {
	path := file(t, "x.txt", "0123456789")
	f := open(t, path, 0)
	server := receive(t)
	for _, opt := range []ply.RequestOption{
		ply.BodyFile(path), ply.BodyReader(f),
		ply.BodyMultipart(ply.PartFile("a", path), ply.PartFile("b", path)),
	} {
		server.post(t, "/again", 200, opt)
	}
	if !isClosed(f) {
		t.Error("the file given to BodyReader is open")
	}
	if n := descriptors(path); n != 0 {
		t.Errorf("%d descriptors are open", n)
	}
}

// descriptors counts the descriptors that this process has open for the file. It returns 0 on systems without /proc.
func descriptors(path string) (n int) {
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && to == path {
			n++
		}
	}
	return n
}
