package cachestatus

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// RFC 9211 §2: what is written can be read again, and nothing in a detail breaks out of it.
func TestCacheStatus(t *testing.T) {
	for _, s := range []Status{
		{Hit: true, TTL: 30 * time.Second, HasTTL: true},
		{Hit: true, TTL: -30 * time.Second, HasTTL: true, Detail: "max-stale"},
		{Fwd: FwdStale, FwdStatus: 304, Stored: true, Collapsed: true},
		{Fwd: FwdURIMiss, FwdStatus: 200, Detail: `not stored: "a"; hit, b\`},
	} {
		got, ok := Parse(s.String())
		if diff := cmp.Diff(s, got); diff != "" || !ok {
			t.Errorf("%s (-want +got)\n%s", s, diff)
		}
	}
	if got := (Status{Detail: "ü\r\nX: y"}).String(); got != `ply; detail="????X: y"` {
		t.Errorf("detail is written as %s", got)
	}
	if got := Foreign([]string{`ply; hit, cdn; hit`, `"ply"; hit`, `PLY; hit`}); len(got) != 1 || got[0] != "cdn; hit" {
		t.Errorf("foreign members: %q", got)
	}
}

func TestOutcomes(t *testing.T) {
	for want, s := range map[string]Status{
		"hit":         {Hit: true},
		"stale":       {Hit: true, TTL: -time.Second, HasTTL: true},
		"revalidated": {Fwd: FwdStale, FwdStatus: 304},
		"refreshed":   {Fwd: FwdRequest, FwdStatus: 200},
		"miss":        {Fwd: FwdVary, FwdStatus: 200},
		"bypassed":    {Fwd: FwdMethod, FwdStatus: 200},
		"refused":     {Detail: "only-if-cached"},
	} {
		if got := s.Word(); got != want {
			t.Errorf("%s: %s, want %s", s, got, want)
		}
	}
}

// FuzzCacheStatus: what was read is written so that it is read again, and a member of another cache is never taken for ours.
func FuzzCacheStatus(f *testing.F) {
	f.Add(`ply; hit; ttl=30; detail="a; b"`)
	f.Add(`cdn; hit, ply; fwd=stale`)
	f.Fuzz(func(t *testing.T, member string) {
		s, ok := Parse(member)
		if !ok {
			return
		}
		s.Fwd = "" // a token that was not ours to write
		again, ok := Parse(s.String())
		s.Detail, again.Detail = "", ""
		if !ok || again != s {
			t.Fatalf("%q: %+v, then %+v", member, s, again)
		}
	})
}

func TestWithMemberSharesNothingWithTheHeader(t *testing.T) {
	for _, test := range []struct {
		name    string
		h       http.Header
		inbound []string
		want    http.Header
	}{
		{"nil header", nil, nil, http.Header{"Cache-Status": {"ply; hit"}}},
		{"fields, a nil one among them", http.Header{"A": {"1", "2"}, "B": nil, "C": {}}, nil, http.Header{"A": {"1", "2"}, "B": nil, "C": {}, "Cache-Status": {"ply; hit"}}},
		{"other caches", http.Header{"Cache-Status": {"ply; forged, cdn; hit"}}, []string{"cdn; hit"}, http.Header{"Cache-Status": {"cdn; hit", "ply; hit"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := test.h.Clone()
			got := WithMember(test.h, test.inbound, "ply; hit")
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Fatal(diff)
			}
			for _, lines := range got {
				_ = append(lines, "more") // must not reach what is behind it
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("an appended line has reached another field: %s", diff)
			}
			for _, lines := range got {
				for i := range lines {
					lines[i] = "changed"
				}
			}
			if diff := cmp.Diff(before, test.h); diff != "" {
				t.Errorf("the origin's header has changed: %s", diff)
			}
		})
	}
}
