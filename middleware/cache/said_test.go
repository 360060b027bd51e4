package cache

import (
	"strings"
	"sync"
	"testing"
)

// What is said of one response is never said of another, whatever share a place, and what is longer is not kept.
func TestSaidIsWhatWouldBeWritten(t *testing.T) {
	var table said
	var all []saying
	for _, fwd := range []Forward{ForwardURIMiss, ForwardBypass, ForwardMethod} {
		for status := 200; status < 600; status += 7 {
			for _, detail := range []string{"", "method", "other!", strings.Repeat("x", maxSaid)} {
				for _, reason := range []string{"", "no-store", "too old!", strings.Repeat("y", maxSaid)} {
					all = append(all, saying{of: Status{Fwd: fwd, FwdStatus: status, Detail: detail}, reason: reason})
				}
			}
		}
	}
	all = append(all, saying{of: Status{Fwd: ForwardStale, FwdStatus: 200, HasTTL: true}}, saying{of: Status{Fwd: ForwardStale, FwdStatus: 200, HasTTL: true, TTL: 1e9}})
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for _, s := range all {
				detail := s.of.Detail
				if s.reason != "" {
					if detail != "" {
						detail += "; "
					}
					detail += "not stored: " + s.reason
				}
				want := s.of
				want.Detail = detail
				for range 3 {
					if got, member := table.of(s.of, s.reason); got != want || member != want.String() {
						t.Errorf("%+v is written as %s", got, member)
					}
				}
			}
		})
	}
	callers.Wait()
	for i := range table {
		if kept := table[i].kept.Load(); kept != nil && len(kept.status.Detail) > maxSaid+len("; not stored: ") {
			t.Errorf("%d bytes are kept", len(kept.status.Detail))
		}
	}
	if got := testing.AllocsPerRun(100, func() { table.of(Status{Fwd: ForwardMethod, FwdStatus: 200, Detail: "method"}, "no-store") }); got > 0 {
		t.Errorf("%v allocations for what has just been said", got)
	}
}
