package cachestatus_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/plyhttp/ply/internal/cachestatus"
)

func TestOf(t *testing.T) {
	for member, want := range map[string][2]string{
		"":                          {},
		"ply; hit; ttl=59":          {"hit", ""},
		"ply; hit; ttl=0":           {"stale", ""},
		"ply; hit; ttl=-1":          {"stale", ""},
		"ply; fwd=uri-miss; stored": {"miss", "uri-miss"},
		`ply; fwd=uri-miss; detail="not stored; \"no-store\""`: {"miss", `not stored; "no-store"`},
		"ply; fwd=uri-miss; collapsed; ttl=59":                 {"miss", "uri-miss, collapsed"},
		"ply; fwd=stale; fwd-status=304":                       {"revalidated", "stale"},
		"ply; fwd=vary-miss; fwd-status=304":                   {"revalidated", "vary-miss"},
		"ply; fwd=request":                                     {"refreshed", "request"},
		"ply; fwd=bypass":                                      {"bypassed", "bypass"},
		`ply; detail="nothing stored"`:                         {"refused", "nothing stored"},
		"Nginx; hit, ply; hit; ttl=1":                          {"hit", ""},
		"ply; hit; ttl=1, Nginx; hit":                          {},
	} {
		h := http.Header{}
		if member != "" {
			h.Set("Cache-Status", member)
		}
		if status, reason := cachestatus.Of(h); status != want[0] || reason != want[1] {
			t.Errorf("%s: got %q, %q", member, status, reason)
		}
	}
}

// Every reason to ask the origin, with every kind of answer.
func TestWords(t *testing.T) {
	for fwd, want := range map[string][4]string{ // no answer, 200, 304, 503
		"":          {"refused", "refused", "refused", "refused"},
		"bypass":    {"bypassed", "bypassed", "bypassed", "bypassed"},
		"method":    {"bypassed", "bypassed", "bypassed", "bypassed"},
		"uri-miss":  {"miss", "miss", "miss", "miss"},
		"vary-miss": {"miss", "miss", "revalidated", "miss"},
		"miss":      {"miss", "miss", "revalidated", "miss"},
		"partial":   {"miss", "miss", "revalidated", "miss"},
		"stale":     {"refreshed", "refreshed", "revalidated", "refreshed"},
		"request":   {"refreshed", "refreshed", "revalidated", "refreshed"},
	} {
		for i, status := range []int{0, 200, 304, 503} {
			s := cachestatus.Status{Fwd: fwd, FwdStatus: status}
			if got := s.Word(); got != want[i] {
				t.Errorf("%s, %d: %s, want %s", fwd, status, got, want[i])
			}
			s.Collapsed, s.Stored = true, true
			if got := s.Word(); got != want[i] {
				t.Errorf("%s, %d, collapsed and stored: %s, want %s", fwd, status, got, want[i])
			}
			s.Detail = cachestatus.ServedInstead + "stale-if-error"
			for ttl, want := range map[time.Duration]string{-time.Second: "stale", 0: "stale", time.Second: "hit"} {
				s.TTL, s.HasTTL = ttl, true
				if got := s.Word(); got != want {
					t.Errorf("%s, %d, in place of it with ttl %v: %s, want %s", fwd, status, ttl, got, want)
				}
			}
		}
	}
}
