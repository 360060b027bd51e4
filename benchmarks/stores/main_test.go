package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What is measured is what it is called: the bodies are right to their last byte, hits are hits, and the origin is asked as often as it must be.
func TestEachStoreIsUsedAsItIsCalled(t *testing.T) {
	k := start(t)
	for _, kind := range k.all {
		for _, n := range []size{KiB, 100 * KiB, 1300 * KiB} {
			t.Run(kind.name+" "+n.String(), func(t *testing.T) {
				u, err := newUser(kind, n)
				if err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := u.close(); err != nil {
						t.Error(err)
					}
				}()
				for _, test := range []struct {
					path, outcome       string
					requests, confirmed int64
				}{
					{"/fresh/a", "miss", 1, 0},
					{"/fresh/a", "hit", 1, 0},
					{"/fresh/b", "miss", 2, 0},
					{"/fresh/a", "hit", 2, 0},
					{"/stale/a", "miss", 3, 0},
					{"/stale/a", "revalidated", 4, 1},
					{"/stale/a", "revalidated", 5, 2},
					{"/fresh/b", "hit", 5, 2},
				} {
					u.check(t, test.path, test.outcome)
					if r, c := u.origin.requests.Load(), u.origin.confirmed.Load(); r != test.requests || c != test.confirmed {
						t.Fatalf("%s: the origin had %d requests and confirmed %d, want %d and %d", test.path, r, c, test.requests, test.confirmed)
					}
				}
			})
		}
	}
}

// start readies all stores. It needs a redis-server where tests must be complete.
func start(t testing.TB) *kinds {
	t.Helper()
	dir, err := os.MkdirTemp("", "ply-stores-") // not t.TempDir: a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	k, err := newKinds(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.stop)
	if reason, ok := k.absent["redis"]; ok && os.Getenv("CI") != "" {
		t.Fatal(reason)
	} else if ok {
		t.Log(reason)
	}
	return k
}

// check reads a body and compares all of it.
func (u *user) check(t *testing.T, path, outcome string) {
	t.Helper()
	got := bytes.NewBuffer(make([]byte, 0, u.origin.size+1))
	o, err := u.get(t.Context(), path, got)
	if err != nil || o != outcome {
		t.Fatalf("%s: a %s, %v, want a %s", path, o, err, outcome)
	}
	rest, ok := bytes.CutPrefix(got.Bytes(), []byte(name(path)))
	if !ok || !bytes.Equal(rest, filler[nameBytes:u.origin.size]) {
		t.Fatalf("%s: a wrong body of %d bytes", path, got.Len())
	}
	if outcome != "hit" {
		if err := u.settled(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMeasuring(t *testing.T) {
	k := start(t)
	for _, kind := range k.all {
		m, err := measure(t.Context(), kind, 80*KiB, 0)
		if err != nil {
			t.Fatalf("%s: %v", kind.name, err)
		}
		for o := range operations {
			if m[o] <= 0 {
				t.Errorf("%s: the %s takes %v", kind.name, titles[o], m[o])
			}
		}
	}
}

// A measurement of something else than it says is an error.
func TestAWrongAnswerIsAnError(t *testing.T) {
	u, err := newUser(kind{"memory", openMemory}, KiB)
	if err != nil {
		t.Fatal(err)
	}
	defer u.close()
	for _, test := range []struct {
		change  func()
		outcome string
		want    string
	}{
		{func() {}, "hit", "is a miss, not a hit"},
		{func() { u.origin.size = 2 * KiB }, "hit", "wrong body of 1024 bytes"},
	} {
		test.change()
		if err := u.wants(t.Context(), "/fresh/a", test.outcome); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want one with %q", err, test.want)
		}
	}
	var s sink
	io.Copy(&s, body("/another", KiB))
	if s.is("/fresh/a", KiB) || !s.is("/another", KiB) {
		t.Error("the body of another path is taken for the right one")
	}
}

func TestTheTable(t *testing.T) {
	made := newTable([]string{"memory", "file"}, map[string]string{"redis": "no redis-server is installed"})
	for _, d := range []time.Duration{3 * time.Millisecond, 12345 * time.Microsecond, time.Microsecond} {
		for _, n := range sizes {
			made.add("memory", n, measurement{d, 2 * d, 1500 * d})
			made.add("file", n, measurement{100 * d, d / 10, d})
		}
	}
	var out strings.Builder
	if err := made.print(&out); err != nil {
		t.Fatal(err)
	}
	want := `
| hit    | 1 KiB                        | 64 KiB | 1 MiB  | 16 MiB |
| ---    | ---                          | ---    | ---    | ---    |
| memory | 3.0 ms                       | 3.0 ms | 3.0 ms | 3.0 ms |
| file   | 300 ms                       | 300 ms | 300 ms | 300 ms |
| redis  | no redis-server is installed |        |        |        |
`
	got, _, _ := strings.Cut(out.String(), "\n\n")
	if diff := cmp.Diff(want, got+"\n"); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAServerThatIsNotThere(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	k, err := newKinds(context.Background(), t.TempDir())
	if err != nil || len(k.all) != 5 || k.absent["redis"] == "" {
		t.Errorf("%d kinds, absent %v, %v", len(k.all), k.absent, err)
	}
	k.stop()
}
