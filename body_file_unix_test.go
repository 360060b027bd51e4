//go:build unix

package ply_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/internal/testutil"
)

// Files in /proc report a size of zero.
func TestFileWithoutASizeIsSentToItsEnd(t *testing.T) {
	const path = "/proc/self/limits"
	if content, err := os.ReadFile(path); err != nil || len(content) == 0 {
		testutil.SkipUnlessCI(t, "no /proc")
	}
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for name, tt := range map[string]struct {
		body ply.RequestOption
		want string
	}{
		"BodyFile":   {ply.BodyFile(path), "Max open files"},
		"PartFile":   {ply.BodyMultipart(ply.PartFile("f", path)), "Max open files"},
		"BodyReader": {ply.BodyReader(file), "Max open files"},
		"empty":      {ply.BodyFile(empty), ""},
	} {
		transport := redirects(map[string]string{"http://a.test/old": "http://a.test/new"})
		c := newClient(t, ply.Options{Transport: transport})
		_, err := c.Put(t.Context(), "http://a.test/old", tt.body)
		require.NoError(t, err)
		for _, got := range transport.got {
			if !strings.Contains(got.Body, tt.want) || tt.want == "" && got.Body != "" {
				t.Errorf("%s: sent %q to %s", name, got.Body, got.URL)
			}
		}
		if hops := len(transport.got); hops != 2 && name != "BodyReader" {
			t.Errorf("%s: sent %d times", name, hops)
		}
	}
}

func TestPipeIsSentOnce(t *testing.T) {
	for name, body := range map[string]func(string) ply.RequestOption{
		"BodyFile": ply.BodyFile,
		"PartFile": func(path string) ply.RequestOption { return ply.BodyMultipart(ply.PartFile("f", path)) },
	} {
		path := filepath.Join(t.TempDir(), "pipe")
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			testutil.SkipUnlessCI(t, err)
		}
		c := newClient(t, ply.Options{Transport: redirects(map[string]string{"http://a.test/old": "http://a.test/new"})})
		req, err := c.NewRequest(t.Context(), http.MethodPut, "http://a.test/", body(path)) // no writer yet
		require.NoError(t, err)
		require.NoError(t, req.Body.Close())
		if _, err := req.Body.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s: a closed body can be read", name)
		}

		written := make(chan error, 1)
		go func() { written <- os.WriteFile(path, []byte("through a pipe"), 0) }()
		transport := &recorder{}
		require.NoError(t, ply.Discard(newClient(t, ply.Options{Transport: transport}).Put(t.Context(), "http://a.test/", body(path))))
		require.NoError(t, <-written)
		if got := transport.last().Body; !strings.Contains(got, "through a pipe") {
			t.Errorf("%s: sent %q", name, got)
		}

		go func() { written <- os.WriteFile(path, []byte("x"), 0) }()
		var re *ply.RedirectError
		if err := ply.Discard(c.Put(t.Context(), "http://a.test/old", body(path))); !errors.As(err, &re) {
			t.Errorf("%s: %v; a pipe cannot be sent twice", name, err)
		}
		require.NoError(t, <-written)
	}
}
