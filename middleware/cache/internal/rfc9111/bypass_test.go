package rfc9111

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/internal/cachestatus"
)

// Why a request bypasses the cache, whether its response may be stored all the same, and what only-if-cached makes of it (RFC 9111 §3, §5.2.1.5, §5.2.1.7).
func TestBypass(t *testing.T) {
	query := &Policy{Methods: []string{"GET", "PUT"}}
	for _, test := range []struct {
		name           string
		p              *Policy
		mode           Mode
		method, fields string
		body           io.Reader
		why, fwd       string
		mayStore       bool
		refused        bool // with only-if-cached
	}{
		{name: "GET", method: "GET", mayStore: true},
		{name: "no method", mayStore: true},
		{name: "HEAD", method: "HEAD", mayStore: true},
		{name: "QUERY", method: "QUERY", body: strings.NewReader("x"), mayStore: true},
		{name: "POST", method: "POST", why: "method", fwd: cachestatus.FwdMethod, mayStore: true},
		{name: "POST with no-store", method: "POST", fields: "Cache-Control: no-store", why: "method", fwd: cachestatus.FwdMethod},
		{name: "a method of the user's", p: query, method: "PUT", mayStore: true},
		{name: "a method that the user leaves out", p: query, method: "HEAD", why: "method", fwd: cachestatus.FwdMethod, mayStore: true},
		{name: "no method is GET in the user's list, too", p: query, mayStore: true},
		{name: "method override", method: "GET", fields: "X-Http-Method-Override: DELETE", why: "method override", fwd: cachestatus.FwdMethod},
		{name: "tunneled method", method: "GET", fields: "X-Tunnel-Method: DELETE", why: "method override", fwd: cachestatus.FwdMethod},
		{name: "disabled", mode: ModeDisabled, method: "GET", why: "disabled", fwd: cachestatus.FwdBypass},
		{name: "disabled POST", mode: ModeDisabled, method: "POST", why: "method", fwd: cachestatus.FwdMethod},
		{name: "mode no-store", mode: modeNoStore, method: "GET", why: "mode no-store", fwd: cachestatus.FwdBypass},
		{name: "mode no-store, POST", mode: modeNoStore, method: "POST", why: "method", fwd: cachestatus.FwdMethod},
		{name: "mode read-only", mode: ModeReadOnly, method: "GET"},
		{name: "request no-store", method: "GET", fields: "Cache-Control: no-store", why: "request no-store", fwd: cachestatus.FwdBypass, refused: true},
		{name: "GET with content", method: "GET", body: strings.NewReader("x"), why: "request has content", fwd: cachestatus.FwdBypass, refused: true},
		{name: "HEAD with content", method: "HEAD", body: strings.NewReader("x"), why: "request has content", fwd: cachestatus.FwdBypass, refused: true},
		{name: "no method, with content", body: strings.NewReader("x"), why: "request has content", fwd: cachestatus.FwdBypass, refused: true},
		{name: "GET with NoBody", method: "GET", body: http.NoBody, mayStore: true},
		{name: "If-Match", method: "GET", fields: `If-Match: "a"`, why: "precondition for the origin", fwd: cachestatus.FwdBypass, refused: true},
		{name: "If-Unmodified-Since", method: "GET", fields: "If-Unmodified-Since: " + date(0), why: "precondition for the origin", fwd: cachestatus.FwdBypass, refused: true},
		{name: "several ranges", method: "GET", fields: "Range: bytes=0-1,2-3", why: "a range that the origin has to answer", fwd: cachestatus.FwdBypass, refused: true},
		{name: "several ranges with HEAD", method: "HEAD", fields: "Range: bytes=0-1,2-3", mayStore: true},
		{name: "one range", method: "GET", fields: "Range: bytes=0-1", mayStore: true},
		{name: "upgrade", method: "GET", fields: "Upgrade: websocket", why: "upgrade", fwd: cachestatus.FwdBypass, refused: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := test.p
			if p == nil {
				p = private
			}
			r := newRequest(test.method, test.fields)
			if test.body != nil {
				r.Body = io.NopCloser(test.body)
			}
			if test.body == http.NoBody {
				r.Body = http.NoBody
			}
			a := ReadRequest(test.mode, r, p)
			if got := a.MayStore(); a.Bypass != test.why || a.bypassFwd != test.fwd || got != test.mayStore {
				t.Errorf("%q, fwd %q, may store %v; want %q, %q, %v", a.Bypass, a.bypassFwd, got, test.why, test.fwd, test.mayStore)
			}
			if test.why == "" {
				return
			}
			if diff := cmp.Diff(Decision{Action: Fetch, Fwd: test.fwd, Detail: test.why}, a.Bypassed()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			a.Directives.OnlyIfCached = true
			want := Decision{Action: Fetch, Fwd: test.fwd, Detail: test.why}
			if test.refused {
				want = Decision{Action: Refuse, Detail: "only-if-cached, " + test.why}
			}
			if diff := cmp.Diff(want, Decide(&a, &Lookup{}, t0)); diff != "" {
				t.Errorf("only-if-cached (-want +got)\n%s", diff)
			}
		})
	}
}

// A request that bypasses the cache for a reason found later is not refused where no cache is meant to answer it.
func TestBypassThatIsSetLater(t *testing.T) {
	for why, refused := range map[string]bool{SwitchedOff: false, UnsafeBypass: false, "no key": true} {
		a := asks("Cache-Control: only-if-cached")
		a.SetBypass(why, cachestatus.FwdBypass)
		if got := a.Bypassed(); (got.Action == Refuse) != refused {
			t.Errorf("%s: %+v, refused should be %v", why, got, refused)
		}
		if a.MayStore() {
			t.Errorf("%s: the response may be stored", why)
		}
	}
}

func TestMethodOverrideBySafeMethods(t *testing.T) {
	for fields, want := range map[string]bool{
		"":                               true,
		"X-Http-Method-Override: GET":    true,
		"X-Http-Method-Override:  get ":  true,
		"X-Http-Method-Override: DELETE": false,
		"X-Method-Override: PATCH":       false,
		"X-Http-Method: PUT":             false,
		"X-Http-Method-Override: GET | X-Http-Method-Override: POST": false,
		"Accept: DELETE": true,
	} {
		if got := OverridesSafely(header(fields)); got != want {
			t.Errorf("%q: %v, want %v", fields, got, want)
		}
	}
}
