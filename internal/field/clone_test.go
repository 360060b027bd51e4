package field

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCloneIsACopyWithOrWithoutRoom(t *testing.T) {
	for _, h := range []http.Header{nil, {}, {"A": {"1", "2"}, "B": nil, "C": {}, "D": {"3"}}} {
		for _, room := range []int{0, 2, 3, 10} {
			got := Clone(h, make([]string, 0, room))
			if diff := cmp.Diff(h.Clone(), got); diff != "" || (h == nil) != (got == nil) {
				t.Fatalf("room for %d: %s", room, diff)
			}
			for _, lines := range got {
				_ = append(lines, "more") // must not reach what is behind it
			}
			if diff := cmp.Diff(h.Clone(), got); diff != "" {
				t.Errorf("room for %d: an appended line has reached another field: %s", room, diff)
			}
			before := h.Clone()
			for _, lines := range got {
				for i := range lines {
					lines[i] = "changed"
				}
			}
			if diff := cmp.Diff(before, h); diff != "" {
				t.Errorf("room for %d: the header has changed with its copy: %s", room, diff)
			}
		}
	}
	room := make([]string, 0, 3)
	h := http.Header{"A": {"1", "2"}, "D": {"3"}}
	if n := testing.AllocsPerRun(10, func() { Clone(h, room) }); n > 2 {
		t.Errorf("%v allocations, want those of a map", n)
	}
}
