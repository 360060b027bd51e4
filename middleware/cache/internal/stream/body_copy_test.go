package stream

import (
	"io"
	"testing"
)

func TestDeclaredLengthIsAllocatedOnceItsFirstMiBHasCome(t *testing.T) {
	const MiB = 1 << 20
	for _, test := range []struct {
		name      string
		length    int64
		come      int64 // how much of the body comes
		budget    int64
		sink      bool
		most      int64   // room at that moment
		allocated float64 // in all, in multiples of what has come; 0 if that is not the point
	}{
		{name: "8 MiB", length: 8 * MiB, come: 8 * MiB, budget: 64 * MiB, most: 8 * MiB, allocated: 1.15},
		{name: "64 MiB", length: 64 * MiB, come: 64 * MiB, budget: 64 * MiB, most: 64 * MiB, allocated: 1.15},
		{name: "a length that a small body does not bear out", length: 1 << 40, come: MiB / 2, budget: 1 << 41, most: MiB},
		{name: "a length out of proportion to what has come", length: 1 << 40, come: MiB + 1, budget: 1 << 41, most: maxTrust * (MiB + 1)},
		{name: "a budget that has no room for the length yet", length: 16 * MiB, come: 3 * MiB, budget: 4 * MiB, most: 4 * MiB},
		{name: "a copy that goes into a store", length: 64 * MiB, come: MiB + 1, budget: 64 * MiB, sink: true, most: 2 * MiB},
	} {
		t.Run(test.name, func(t *testing.T) {
			budget := &Budget{Limit: test.budget}
			d := BodyCopy{Length: test.length, Limit: 1 << 41, Claim: &Claim{Budget: budget}}
			if test.sink {
				d.OpenSink = func() Sink { return nil }
			}
			p := make([]byte, 32<<10)
			var o Outcome
			var allocated, room int64
			for left := test.come; left > 0; left -= min(left, int64(len(p))) {
				n := min(left, int64(len(p)))
				var err error
				if n == left && test.come == test.length {
					err = io.EOF
				}
				o = d.add(p[:n], err)
				if o.Reason != "" {
					t.Fatal(o.Reason)
				}
				if now := int64(cap(d.body)); now != room {
					allocated, room = allocated+now, now
				}
			}
			if room > test.most {
				t.Errorf("%d bytes of room after %d of %d, want %d at most", room, test.come, test.length, test.most)
			}
			if test.allocated > 0 && float64(allocated) > test.allocated*float64(test.come) {
				t.Errorf("%d bytes allocated for %d", allocated, test.come)
			}
			if want := test.come == test.length; o.Complete != want {
				t.Errorf("complete: %v, want %v", o.Complete, want)
			}
			if d.settled && budget.Taken.Load() != 0 {
				t.Errorf("%d bytes of the budget remain taken", budget.Taken.Load())
			}
		})
	}
}
