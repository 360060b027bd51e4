package rfc9111

import (
	"testing"
	"time"
)

// RFC 9111 §4.3.3: which responses, though they are not stored themselves, end what is stored. The stored one is fresh until 60.
func TestReplacing(t *testing.T) {
	old, _ := entryOf(200, "Cache-Control: max-age=60", "", private)
	for status, want := range map[int]struct{ replaces, endsFresh, endsStale bool }{
		199: {}, 200: {true, true, true}, 204: {true, true, true}, 206: {}, 301: {true, true, true}, 304: {}, 399: {true, true, true},
		400: {}, 403: {}, 404: {true, false, true}, 410: {true, false, true}, 500: {},
	} {
		got := [3]bool{Replaces(status), Ends(old, status, at(59)), Ends(old, status, at(60))}
		if got != [3]bool{want.replaces, want.endsFresh, want.endsStale} {
			t.Errorf("%d: %v, want %+v", status, got, want)
		}
	}
}

// RFC 5861 §4: an error does not displace a stored response that can still be served.
func TestDisplacingServableResponses(t *testing.T) {
	offline := &Policy{Disconnected: 30 * time.Second}
	for _, test := range []struct {
		name     string
		p        *Policy
		old      string
		status   int
		response string
		now      int
		want     bool
	}{
		{"an error, and a fresh one", private, "max-age=60", 500, "max-age=60", 59, true},
		{"an error, and a stale one", private, "max-age=60", 500, "max-age=60", 61, false},
		{"no error", private, "max-age=60", 200, "max-age=60", 1, false},
		{"no error, without a lifetime", private, "max-age=60", 200, "max-age=0", 1, false},
		{"399 is no error", private, "max-age=60", 399, "max-age=60", 1, false},
		{"400 is one", private, "max-age=60", 400, "max-age=60", 1, true},
		{"gone, with a lifetime", private, "max-age=60", 404, "max-age=60", 1, false},
		{"gone, at its end", private, "max-age=60", 404, "max-age=1", 1, true},
		{"gone, without a lifetime", private, "max-age=60", 410, "max-age=0", 1, true},
		{"no-cache is not served without a validation", private, "max-age=60, no-cache", 500, "max-age=60", 1, false},
		{"within stale-if-error", private, "max-age=1, stale-if-error=10", 500, "max-age=60", 11, true},
		{"beyond stale-if-error", private, "max-age=1, stale-if-error=10", 500, "max-age=60", 12, false},
		{"within stale-while-revalidate", private, "max-age=1, stale-while-revalidate=10", 500, "max-age=60", 11, true},
		{"within the time without an origin", offline, "max-age=1", 500, "max-age=60", 31, true},
		{"beyond the time without an origin", offline, "max-age=1", 500, "max-age=60", 32, false},
		{"must-revalidate, at the end of its lifetime", private, "max-age=60, must-revalidate", 500, "max-age=60", 60, false},
		{"must-revalidate", private, "max-age=1, stale-if-error=10, must-revalidate", 500, "max-age=60", 5, false},
	} {
		old, _ := entryOf(200, "Cache-Control: "+test.old, "", test.p)
		e, _ := entryOf(test.status, "Cache-Control: "+test.response, "", test.p)
		if got := DisplacesServable(old, e, test.p, at(test.now)); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
		if DisplacesServable(nil, e, test.p, at(test.now)) {
			t.Errorf("%s: nothing is stored", test.name)
		}
	}
}
