package rfc9111

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
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

// RFC 5861 §4: what else keeps a stored response from standing in, and the reason that is given. The staleness is 4 when now is 5.
func TestStaleIfErrorReasons(t *testing.T) {
	offline := &Policy{Disconnected: 4 * time.Second}
	part := partOf(0, 4, 10)
	part.Rules.StaleIfError = time.Hour
	of := func(directives string, p *Policy) *stored.Entry {
		e, _ := entryOf(200, "Cache-Control: "+directives+` | ETag: "a"`, "", p)
		return e
	}
	for _, test := range []struct {
		name    string
		p       *Policy
		e       *stored.Entry
		mode    Mode
		request string
		now     int
		want    string
	}{
		{"nothing stored", private, nil, modeDefault, "", 5, ""},
		{"a part", private, part, modeDefault, "", 5, ""},
		{"fresh", private, of("max-age=60", private), modeDefault, "", 5, "fresh"},
		{"at the end of its lifetime", private, of("max-age=5", private), modeDefault, "", 5, ""},
		{"one second later", private, of("max-age=5", private), modeDefault, "", 6, ""},
		{"fresh, but older than request max-age", private, of("max-age=60", private), modeDefault, "Cache-Control: max-age=1", 5, ""},
		{"fresh, older than request max-age, and stale-if-error", private, of("max-age=60, stale-if-error=1", private), modeDefault, "Cache-Control: max-age=1", 5, "stale-if-error"},
		{"min-fresh, enough", private, of("max-age=60", private), modeDefault, "Cache-Control: min-fresh=55", 5, "fresh"},
		{"min-fresh, too little", private, of("max-age=60, stale-if-error=9", private), modeDefault, "Cache-Control: min-fresh=56", 5, ""},
		{"Pragma", private, of("max-age=1, stale-if-error=9", private), modeDefault, "Pragma: no-cache", 5, ""},
		{"reload", private, of("max-age=1, stale-if-error=9", private), ModeReload, "", 5, ""},
		{"mode no-cache", private, of("max-age=1, stale-if-error=9", private), ModeNoCache, "", 5, ""},
		{"force-cache", private, of("max-age=1, stale-if-error=9", private), modeForceCache, "", 5, "stale-if-error"},
		{"the request's window", private, of("max-age=1", private), modeDefault, "Cache-Control: stale-if-error=4", 5, "request stale-if-error"},
		{"without an origin", offline, of("max-age=1", offline), modeDefault, "", 5, "origin unreachable"},
		{"without an origin, beyond", offline, of("max-age=1", offline), modeDefault, "", 6, ""},
	} {
		a := ReadRequest(test.mode, newRequest("GET", test.request), test.p)
		if why, ok := OnError(&a, test.e, true, test.p, at(test.now)); why != test.want || ok != (test.want != "") {
			t.Errorf("%s: %q, %v, want %q", test.name, why, ok, test.want)
		}
	}
}

// unavailable is an error that says whether the origin was unavailable.
type unavailable bool

func (u unavailable) Error() string           { return "x" }
func (u unavailable) OriginUnavailable() bool { return bool(u) }

// RFC 5861 §4: which errors and statuses stale-if-error is for.
func TestStaleIfErrorIsForUnavailableOrigins(t *testing.T) {
	for err, want := range map[error]bool{
		errors.New("x"): true, unavailable(true): true, unavailable(false): false, fmt.Errorf("call: %w", unavailable(false)): false,
	} {
		if got := Unreachable(err); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
	for status, want := range map[int]bool{499: false, 500: true, 501: false, 502: true, 503: true, 504: true, 505: false, 200: false} {
		if got := IsServerError(status); got != want {
			t.Errorf("%d: %v, want %v", status, got, want)
		}
	}
}
