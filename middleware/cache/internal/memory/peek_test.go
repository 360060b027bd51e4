package memory

import (
	"testing"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// A look at what is stored is no use of it, as a lookup is: it keeps nothing from being evicted.
func TestPeekIsNoUse(t *testing.T) {
	m := New(0, 0, nil)
	set := &stored.Variants{Entries: []*stored.Entry{{Status: 200}}}
	if err := m.Update(t.Context(), "k", func(*stored.Variants) *stored.Variants { return set }); err != nil {
		t.Fatal(err)
	}
	before := m.peek("k").uses.Load()
	for range 3 {
		if m.Peek("k") != set || m.Peek("other") != nil {
			t.Fatal("Peek does not return what is stored")
		}
	}
	if uses := m.peek("k").uses.Load(); uses != before {
		t.Errorf("%d uses after three looks, want %d", uses, before)
	}
	if m.Lookup([]byte("k")); m.peek("k").uses.Load() != before+1 {
		t.Error("a lookup is no use")
	}
}
