package rfc9111

import (
	"testing"
	"time"
)

// RFC 5861 §4 and RFC 9111 §4.2.4: which stored responses may stand in for a failed exchange. The staleness is 4 when now is 5.
func TestStaleIfError(t *testing.T) {
	offline := &Policy{Disconnected: time.Minute}
	for _, test := range []struct {
		name              string
		p                 *Policy
		response, request string
		unreachable       bool
		want              bool
	}{
		{"nothing allows it", private, "max-age=1", "", true, false},
		{"response", private, "max-age=1, stale-if-error=4", "", false, true},
		{"response, over", private, "max-age=1, stale-if-error=3", "", false, false},
		{"request", private, "max-age=1", "Cache-Control: stale-if-error=4", false, true},
		{"request, over", private, "max-age=1", "Cache-Control: stale-if-error=3", false, false},
		{"must-revalidate", private, "max-age=1, stale-if-error=9, must-revalidate", "", false, false},
		{"no-cache", private, "max-age=1, stale-if-error=9, no-cache", "", false, false},
		{"proxy-revalidate, private", private, "max-age=1, stale-if-error=9, proxy-revalidate", "", false, true},
		{"proxy-revalidate, shared", shared, "max-age=1, stale-if-error=9, proxy-revalidate", "", false, false},
		{"s-maxage, shared", shared, "s-maxage=1, stale-if-error=9", "", false, false},
		{"request no-cache", private, "max-age=1, stale-if-error=9", "Cache-Control: no-cache", false, false},
		{"disconnected", offline, "max-age=1", "", true, true},
		{"disconnected, but it answered", offline, "max-age=1", "", false, false},
		{"disconnected, must-revalidate", offline, "max-age=1, must-revalidate", "", true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			e, _ := entryOf(200, "Cache-Control: "+test.response+` | ETag: "a"`, "", test.p)
			if why, got := OnError(asks(test.request), e, test.unreachable, test.p, at(5)); got != test.want {
				t.Errorf("%v (%s), want %v", got, why, test.want)
			}
		})
	}
}
