package store_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/file"
	"github.com/plyhttp/ply/store/storetest"
)

// shelf is a store that counts how often it is closed.
type shelf struct {
	*storetest.Map
	closed int
}

func (s *shelf) Close() error {
	s.closed++
	return nil
}

var schemes atomic.Int64

// scheme returns a scheme that no test has registered, not even in an earlier run.
func scheme(name string) string { return fmt.Sprintf("%s.%d", name, schemes.Add(1)) }

func TestOpenURLOpensWithWhatIsRegisteredForTheScheme(t *testing.T) {
	var asked *url.URL
	want, shelves := &shelf{Map: storetest.NewMap(0)}, scheme("shelf")
	store.Register(func(_ context.Context, u *url.URL) (store.Closer, error) {
		asked = u
		return want, nil
	}, shelves, shelves+"+tls")
	for _, rawURL := range []string{shelves + "://user:secret@host/7?size=big", strings.ToUpper(shelves) + "+TLS://host"} {
		got, err := store.OpenURL(t.Context(), rawURL)
		if err != nil || got != want {
			t.Fatalf("%s: got %v, %v", rawURL, got, err)
		}
		if text := asked.String(); text != strings.ToLower(rawURL) {
			t.Errorf("the opener got %s, want %s", text, rawURL)
		}
	}
	if all := store.Schemes(); !slices.Contains(all, shelves) || !slices.Contains(all, "file") || !slices.IsSorted(all) {
		t.Errorf("schemes %v", all)
	}
	if want.closed != 0 {
		t.Errorf("OpenURL closed the store")
	}
}

func TestOpenURLReturnsTheOpenersError(t *testing.T) {
	broken, name := errors.New("broken"), scheme("broken")
	store.Register(func(context.Context, *url.URL) (store.Closer, error) { return nil, broken }, name)
	if s, err := store.OpenURL(t.Context(), name+"://x"); s != nil || !errors.Is(err, broken) {
		t.Errorf("got %v, %v", s, err)
	}
}

func TestOpenURLSaysWhichImportIsMissing(t *testing.T) {
	for rawURL, want := range map[string]string{
		"postgres://u:hunter2@db/app":      `store: nothing is registered for postgres URLs: import _ "github.com/plyhttp/ply/store/postgres"`,
		"redis://:hunter2@cache:6379":      `store: nothing is registered for redis URLs: import _ "github.com/plyhttp/ply/store/redis"`,
		"mongodb+srv://u:hunter2@db":       `store: nothing is registered for mongodb+srv URLs: import _ "github.com/plyhttp/ply/store/mongodb"`,
		"/var/cache/hunter2":               "store: the URL has no scheme: begin it with one of ",
		"":                                 "store: the URL has no scheme: begin it with one of ",
		"redsi://:hunter2@cache":           "store: nothing is registered for redsi URLs: known are ",
		"redis://user:hun/ter2@cache:6379": "store: the URL cannot be parsed: invalid port REDACTED after host",
	} {
		s, err := store.OpenURL(t.Context(), rawURL)
		if s != nil || err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, %v, want %s", rawURL, s, err, want)
		}
	}
}

func TestRegisterRefusesWhatWouldHideAStore(t *testing.T) {
	open := func(context.Context, *url.URL) (store.Closer, error) { return nil, nil }
	taken := scheme("taken")
	store.Register(open, taken)
	for name, register := range map[string]func(){
		"no opener":    func() { store.Register(nil, "none") },
		"no scheme":    func() { store.Register(open) },
		"empty scheme": func() { store.Register(open, "") },
		"upper case":   func() { store.Register(open, "Upper") },
		"twice":        func() { store.Register(open, taken) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: accepted", name)
				}
			}()
			register()
		}()
	}
}

func TestOpenURLWhileOthersRegister(t *testing.T) {
	open := func(context.Context, *url.URL) (store.Closer, error) { return &shelf{Map: storetest.NewMap(0)}, nil }
	var wg sync.WaitGroup
	for range 3 {
		name := scheme("race")
		wg.Go(func() { store.Register(open, name) })
		wg.Go(func() {
			_, _ = store.OpenURL(t.Context(), name+"://x")
			store.Schemes()
		})
	}
	wg.Wait()
}

func TestOpenURLOfFilesAndMemory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b")
	rawURL := (&url.URL{Scheme: "file", Path: filepath.ToSlash(dir), RawQuery: "max_bytes=8MiB&sync=true"}).String()
	files, err := store.OpenURL(t.Context(), rawURL)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	if _, ok := files.(*file.Store); !ok {
		t.Errorf("%T", files)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
	memory, err := store.OpenURL(t.Context(), "memory:?max_bytes=1MiB&max_entries=2")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := memory.(*cache.Memory); !ok {
		t.Errorf("%T", memory)
	}
	if err := memory.Close(); err != nil {
		t.Error(err)
	}
	for rawURL, want := range map[string]string{
		"file:///tmp/x?max_byte=1":  `file: the URL has options that are not known: "max_byte"; known are max_bytes, sync`,
		"file://tmp/x":              "file: a file URL names no machine: write file:///absolute/path or file:relative/path",
		"file:///tmp/x?max_bytes=1": "file: MaxBytes is 1: use 65536 at least, or 0 for 1 GiB",
		"memory://host":             "cache: a memory URL has options only: memory:?max_bytes=256MiB",
		"memory:?max_bytes=none":    "cache: max_bytes in the URL must be a size such as 512MiB",
	} {
		if s, err := store.OpenURL(t.Context(), rawURL); s != nil || err == nil || err.Error() != want {
			t.Errorf("%s: got %v, %v, want %s", rawURL, s, err, want)
		}
	}
}
