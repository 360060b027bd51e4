package file_test

import (
	"bytes"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/file"
)

// A cache on an encrypted directory serves what it stored after a restart, and the files do not show what it is.
func TestEncryptedCache(t *testing.T) {
	const secret = "an account number"
	body := strings.Repeat("the answer is "+secret+", ", 50_000)
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Header().Set("X-Account", secret)
		io.WriteString(w, body)
	}))
	defer server.Close()
	dir := filepath.Join(t.TempDir(), "http")
	old, err := store.ParseEncryptionKey(strings.Repeat("17", 32))
	require.NoError(t, err)
	next, err := store.ParseEncryptionKey(strings.Repeat("42", 32))
	require.NoError(t, err)
	visit := func(keys ...store.EncryptionKey) (hit bool) {
		files := open(t, dir, file.Options{})
		private, err := store.Encrypted(files, keys...)
		require.NoError(t, err)
		small, err := store.Compressed(private)
		require.NoError(t, err)
		c, err := cache.New(cache.Options{Store: small, StoreTimeout: 20 * time.Second})
		require.NoError(t, err)
		resp, err := (&http.Client{Transport: c.Middleware(nil)}).Get(server.URL + "/" + strings.ReplaceAll(secret, " ", "-"))
		require.NoError(t, err)
		defer resp.Body.Close()
		if got, err := io.ReadAll(resp.Body); err != nil || string(got) != body || resp.Header.Get("X-Account") != secret {
			t.Errorf("got %d bytes, %v, want %d", len(got), err, len(body))
		}
		status, _ := cache.StatusOf(resp)
		require.NoError(t, c.Close())
		require.NoError(t, files.Close())
		return status.Hit
	}
	for i, tt := range []struct {
		keys []store.EncryptionKey
		hit  bool
	}{
		{[]store.EncryptionKey{old}, false},
		{[]store.EncryptionKey{old}, true},
		{[]store.EncryptionKey{next, old}, true},
		{[]store.EncryptionKey{next}, false}, // the key that it was written under is gone
		{[]store.EncryptionKey{next}, true},
	} {
		if hit := visit(tt.keys...); hit != tt.hit {
			t.Errorf("visit %d: a hit: %t, want %t", i, hit, tt.hit)
		}
	}
	if asked != 2 {
		t.Errorf("the server was asked %d times, want 2", asked)
	}
	files := 0
	filepath.WalkDir(dir, func(path string, e fs.DirEntry, _ error) error {
		if e.IsDir() {
			return nil
		}
		files++
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, word := range []string{secret, "account", "X-Account", "the answer"} {
			if bytes.Contains(b, []byte(word)) {
				t.Errorf("%s says %q", path, word)
			}
		}
		return nil
	})
	if files < 66 {
		t.Errorf("looked at %d files only", files)
	}
}
