package rfc9111

import (
	"testing"

	"github.com/plyhttp/ply/internal/cachestatus"
)

// RFC 9111 §4, §4.2.4, §5.2.1, RFC 5861 §3, RFC 8246: what is done with a stored response. Its age is 5 when now is 5.
func TestDecisionByStoredResponse(t *testing.T) {
	const etag = ` | ETag: "a"`
	for _, test := range []struct {
		name              string
		response, request string
		now               int
		private, shared   action
	}{
		{"fresh", "Cache-Control: max-age=10" + etag, "", 5, Serve, Serve},
		{"lifetime reached", "Cache-Control: max-age=5" + etag, "", 5, Validate, Validate},
		{"stale, no validator", "Cache-Control: max-age=5", "", 6, Fetch, Fetch},
		{"s-maxage shorter", "Cache-Control: max-age=10, s-maxage=1" + etag, "", 5, Serve, Validate},
		{"s-maxage longer", "Cache-Control: max-age=1, s-maxage=10" + etag, "", 5, Validate, Serve},
		{"no-cache", "Cache-Control: max-age=10, no-cache" + etag, "", 5, Validate, Validate},
		{"no-cache with names", `Cache-Control: max-age=10, no-cache="a"` + etag, "", 5, Serve, Serve},
		{"Pragma in a response", "Expires: " + date(10) + " | Pragma: no-cache" + etag, "", 5, Validate, Validate},
		{"Pragma beside Cache-Control in a response", "Cache-Control: max-age=10 | Pragma: no-cache" + etag, "", 5, Serve, Serve},
		{"request no-cache", "Cache-Control: max-age=10" + etag, "Cache-Control: no-cache", 5, Validate, Validate},
		{"request Pragma", "Cache-Control: max-age=10" + etag, "Pragma: no-cache", 5, Validate, Validate},
		{"request Pragma beside Cache-Control", "Cache-Control: max-age=10" + etag, "Pragma: no-cache | Cache-Control: max-age=20", 5, Serve, Serve},
		{"request max-age, younger", "Cache-Control: max-age=10" + etag, "Cache-Control: max-age=5", 5, Serve, Serve},
		{"request max-age, older", "Cache-Control: max-age=10" + etag, "Cache-Control: max-age=4", 5, Validate, Validate},
		{"request max-age=0", "Cache-Control: max-age=10" + etag, "Cache-Control: max-age=0", 0, Validate, Validate},
		{"request max-age never extends", "Cache-Control: max-age=1" + etag, "Cache-Control: max-age=100", 5, Validate, Validate},
		{"request max-age and max-stale", "Cache-Control: max-age=10" + etag, "Cache-Control: max-age=4, max-stale=1", 5, Serve, Serve},
		{"immutable satisfies max-age=0", "Cache-Control: max-age=10, immutable" + etag, "Cache-Control: max-age=0", 5, Serve, Serve},
		{"immutable and stale", "Cache-Control: max-age=1, immutable" + etag, "", 5, Validate, Validate},
		{"immutable and request no-cache", "Cache-Control: max-age=10, immutable" + etag, "Cache-Control: no-cache", 5, Validate, Validate},
		{"min-fresh, enough", "Cache-Control: max-age=10" + etag, "Cache-Control: min-fresh=5", 5, Serve, Serve},
		{"min-fresh, too little", "Cache-Control: max-age=10" + etag, "Cache-Control: min-fresh=6", 5, Validate, Validate},
		{"max-stale", "Cache-Control: max-age=1" + etag, "Cache-Control: max-stale", 5, Serve, Serve},
		{"max-stale, within", "Cache-Control: max-age=1" + etag, "Cache-Control: max-stale=4", 5, Serve, Serve},
		{"max-stale, over", "Cache-Control: max-age=1" + etag, "Cache-Control: max-stale=3", 5, Validate, Validate},
		{"max-stale over must-revalidate", "Cache-Control: max-age=1, must-revalidate" + etag, "Cache-Control: max-stale", 5, Validate, Validate},
		{"max-stale over proxy-revalidate", "Cache-Control: max-age=1, proxy-revalidate" + etag, "Cache-Control: max-stale", 5, Serve, Validate},
		{"max-stale over s-maxage", "Cache-Control: max-age=1, s-maxage=1" + etag, "Cache-Control: max-stale", 5, Serve, Validate},
		{"max-stale over no-cache", "Cache-Control: no-cache" + etag, "Cache-Control: max-stale", 5, Validate, Validate},
		{"stale-while-revalidate", "Cache-Control: max-age=1, stale-while-revalidate=5" + etag, "", 5, ServeStale, ServeStale},
		{"stale-while-revalidate, over", "Cache-Control: max-age=1, stale-while-revalidate=3" + etag, "", 5, Validate, Validate},
		{"stale-while-revalidate over must-revalidate", "Cache-Control: max-age=1, stale-while-revalidate=5, must-revalidate" + etag, "", 5, Validate, Validate},
		{"stale-while-revalidate over proxy-revalidate", "Cache-Control: max-age=1, stale-while-revalidate=5, proxy-revalidate" + etag, "", 5, ServeStale, Validate},
		{"stale-while-revalidate over s-maxage", "Cache-Control: max-age=1, stale-while-revalidate=5, s-maxage=1" + etag, "", 5, ServeStale, Validate},
		{"stale-while-revalidate and no-cache", "Cache-Control: max-age=1, stale-while-revalidate=5, no-cache" + etag, "", 5, Validate, Validate},
		{"stale-while-revalidate and request max-age", "Cache-Control: max-age=1, stale-while-revalidate=5" + etag, "Cache-Control: max-age=10", 5, Validate, Validate},
		{"stale-while-revalidate and request max-stale, less", "Cache-Control: max-age=1, stale-while-revalidate=5" + etag, "Cache-Control: max-stale=3", 5, Validate, Validate},
		{"stale-while-revalidate and request max-stale, enough", "Cache-Control: max-age=1, stale-while-revalidate=5" + etag, "Cache-Control: max-stale=4", 5, Serve, Serve},
		{"only-if-cached, fresh", "Cache-Control: max-age=10" + etag, "Cache-Control: only-if-cached", 5, Serve, Serve},
		{"only-if-cached, stale", "Cache-Control: max-age=1" + etag, "Cache-Control: only-if-cached", 5, Refuse, Refuse},
		{"only-if-cached, max-stale", "Cache-Control: max-age=1" + etag, "Cache-Control: only-if-cached, max-stale", 5, Serve, Serve},
		{"request no-store", "Cache-Control: max-age=10" + etag, "Cache-Control: no-store", 5, Fetch, Fetch},
		{"precondition", "Cache-Control: max-age=10" + etag, `If-Match: "a"`, 5, Fetch, Fetch},
		{"several ranges", "Cache-Control: max-age=10" + etag, `Range: bytes=0-1,3-4`, 5, Fetch, Fetch},
	} {
		t.Run(test.name, func(t *testing.T) {
			for p, want := range map[*Policy]action{private: test.private, shared: test.shared} {
				e, reason := entryOf(200, test.response, "", p)
				if reason != "" {
					t.Fatalf("not stored: %s", reason)
				}
				if got := Decide(asks(test.request), &Lookup{Entry: e}, at(test.now)); got.Action != want {
					t.Errorf("shared=%v: action %d (%s), want %d", p.Shared, got.Action, got.Detail, want)
				}
			}
		})
	}
}

func TestDecisionWithoutStoredResponse(t *testing.T) {
	for _, test := range []struct {
		name, request string
		want          action
	}{
		{"plain", "", Fetch}, {"only-if-cached", "Cache-Control: only-if-cached", Refuse}, {"no-cache", "Cache-Control: no-cache", Fetch},
	} {
		if got := Decide(asks(test.request), &Lookup{Fwd: cachestatus.FwdURIMiss}, t0); got.Action != test.want {
			t.Errorf("%s: action %d, want %d", test.name, got.Action, test.want)
		}
	}
}
