package sqlite_test

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/sqlite"
)

func TestOpenURLOpensAFileWithItsOptions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b.db")
	s, err := store.OpenURL(t.Context(), (&url.URL{Scheme: "sqlite", Path: filepath.ToSlash(path), RawQuery: "max_bytes=8MiB&sync=off&orphan_age=5m"}).String())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, ok := s.(*sqlite.Store); !ok {
		t.Errorf("%T", s)
	}
	if err := s.Put(t.Context(), "key", store.Record{Data: []byte("data")}); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	for rawURL, want := range map[string]string{
		"sqlite:///tmp/x.db?sync=never":  "sqlite: sync in the URL must be normal, off or full",
		"sqlite:///tmp/x.db?journal=wal": `sqlite: the URL has options that are not known: "journal"; known are max_bytes, orphan_age, sync`,
		"sqlite://cache.db":              "sqlite: a sqlite URL names no machine: write sqlite:///absolute/path or sqlite:relative/path",
	} {
		if s, err := store.OpenURL(t.Context(), rawURL); s != nil || err == nil || err.Error() != want {
			t.Errorf("%s: got %v, %v, want %s", rawURL, s, err, want)
		}
	}
	if s, err := store.OpenURL(t.Context(), "sqlite:///tmp/x.db?max_bytes=1"); s != nil || err == nil {
		t.Errorf("a bound that Open refuses: got %v, %v", s, err)
	}
}
