package memory

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

func setFor(name string) func(*stored.Variants) *stored.Variants {
	return func(*stored.Variants) *stored.Variants {
		return &stored.Variants{Entries: []*stored.Entry{entryFor(name)}}
	}
}

// filled is a store with entries under so many keys.
func filled(t testing.TB, n int) *Store {
	t.Helper()
	m := New(1<<30, 0, nil)
	for i := range n {
		if err := m.Update(context.Background(), fmt.Sprint("stays ", i), setFor("tag")); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// seen counts how often a walk sees each key.
func seen(t testing.TB, m *Store) map[string]int {
	t.Helper()
	keys := map[string]int{}
	err := m.Each(context.Background(), nil, func(key string, _ *stored.Variants, _ stored.Updater) bool {
		keys[key]++
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestEachSeesEachKeyOnce(t *testing.T) {
	for _, n := range []int{0, 1, 63, 64, 65, 5000} {
		m := filled(t, n)
		if err := m.Update(context.Background(), "gone", setFor("tag")); err != nil {
			t.Fatal(err)
		}
		if err := m.Update(context.Background(), "gone", func(*stored.Variants) *stored.Variants { return nil }); err != nil {
			t.Fatal(err)
		}
		want := map[string]int{}
		for i := range n {
			want[fmt.Sprint("stays ", i)] = 1
		}
		if diff := cmp.Diff(want, seen(t, m)); diff != "" {
			t.Errorf("with %d keys (-want +got):\n%s", n, diff)
		}
	}
}

// What stays is seen once, whatever comes and goes meanwhile, and however often the tables are rebuilt.
func TestEachSeesWhatStaysWhileOthersComeAndGo(t *testing.T) {
	const n = 3000
	m := filled(t, n)
	ctx, stop := context.WithCancel(context.Background())
	var others sync.WaitGroup
	defer others.Wait()
	defer stop()
	for w := range 2 {
		others.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				m.Update(ctx, fmt.Sprint("comes ", w, i), setFor("other"))
				m.Update(ctx, fmt.Sprint("comes ", w, i-50), func(*stored.Variants) *stored.Variants { return nil })
				m.Update(ctx, fmt.Sprint("stays ", i%n), setFor("tag"))
			}
		})
	}
	for range 5 {
		keys := seen(t, m)
		for i := range n {
			if key := fmt.Sprint("stays ", i); keys[key] != 1 {
				t.Fatalf("%q was seen %d times", key, keys[key])
			}
		}
	}
}

// A purge announces itself and looks at everything then. An update that has decided before the announcement is complete when the purge looks.
func TestEachDuringUpdateSeesTheResult(t *testing.T) {
	m := New(0, 0, nil)
	ctx := context.Background()
	done := make(chan bool)
	m.Update(ctx, "key", func(*stored.Variants) *stored.Variants {
		go func() {
			found := false
			m.Each(ctx, nil, func(string, *stored.Variants, stored.Updater) bool { found = true; return true })
			done <- found
		}()
		for range 10_000 {
			runtime.Gosched()
		}
		return &stored.Variants{Entries: []*stored.Entry{entryFor("tag")}}
	})
	if !<-done {
		t.Error("what the update has stored was not seen")
	}
}

func TestEachEndsWithItsContext(t *testing.T) {
	m := filled(t, 1000)
	ctx, cancel := context.WithCancel(context.Background())
	calls := 0
	err := m.Each(ctx, nil, func(string, *stored.Variants, stored.Updater) bool { calls++; cancel(); return true })
	if !errors.Is(err, context.Canceled) || calls != 1 {
		t.Errorf("%d calls and the error %v after the first had ended the context", calls, err)
	}
	err = m.Each(ctx, func(*stored.Variants) bool { t.Error("it was asked what is wanted"); return false }, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v of an ended context", err)
	}
}

// A pass over everything takes no memory for what it passes over.
func TestEachMakesNoListOfWhatThereIs(t *testing.T) {
	m := filled(t, 20_000)
	now, wanted := time.Now(), 0
	allocations := testing.AllocsPerRun(5, func() {
		m.Each(context.Background(), func(set *stored.Variants) bool {
			if set.Entries[0].Received.After(now) {
				wanted++
			}
			return false
		}, nil)
	})
	if allocations > 4 || wanted > 0 {
		t.Errorf("%v allocations, and %d wanted", allocations, wanted)
	}
}
