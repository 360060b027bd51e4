package cachestatus_test

import (
	"net/http"
	"testing"

	"github.com/plyhttp/ply/internal/cachestatus"
)

func TestOf(t *testing.T) {
	for member, want := range map[string][2]string{
		"":                          {},
		"ply; hit; ttl=59":          {"hit", ""},
		"ply; hit; ttl=-1":          {"stale", ""},
		"ply; fwd=uri-miss; stored": {"miss", "uri-miss"},
		`ply; fwd=uri-miss; detail="not stored; \"no-store\""`: {"miss", `not stored; "no-store"`},
		"ply; fwd=uri-miss; collapsed; ttl=59":                 {"miss", "uri-miss, collapsed"},
		"ply; fwd=stale; fwd-status=304":                       {"revalidated", "stale"},
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
