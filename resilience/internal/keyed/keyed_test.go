package keyed_test

import (
	"testing"

	"github.com/plyhttp/ply/resilience/internal/keyed"
)

func TestMapForgetsTheIdleValueUnusedTheLongest(t *testing.T) {
	made := 0
	m := keyed.New(2, func(string) int { made++; return made })
	busy := m.Acquire("busy")
	if again := m.Acquire("busy"); again != busy {
		t.Error("one key has two entries")
	}
	m.Release(busy)
	for _, key := range []string{"a", "b", "a", "c"} {
		m.Release(m.Acquire(key))
	}
	for key, want := range map[string]bool{"busy": true, "a": true, "b": false, "c": true} {
		if _, kept := m.Peek(key); kept != want {
			t.Errorf("%s is kept: %v, want %v", key, kept, want)
		}
	}
	m.Release(busy)
	if _, kept := m.Peek("a"); kept || len(m.All()) != 2 {
		t.Errorf("%d values are kept, a among them: %v", len(m.All()), kept)
	}
}
