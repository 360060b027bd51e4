package rfc9111

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Which header fields the cache reads, in any spelling, and what it takes from them.
func TestRequestFields(t *testing.T) {
	for name, want := range map[string]int{
		"Range": rangeField, "rAnGe": rangeField, "Ranga": nothing,
		"Cookie": credentials, "COOKIE": credentials, "Pragma": pragmaField, "pragma": pragmaField, "Praxis": nothing, "Expect": nothing,
		"Upgrade": upgrade, "upgradf": nothing,
		"If-Range": ifRange, "if-range": ifRange, "If-Match": precondition, "IF-MATCH": precondition, "If-Ranga": nothing,
		"Cache-Control": cacheControl, "cache-control": cacheControl, "If-None-Match": ifNoneMatch, "IF-none-match": ifNoneMatch,
		"Authorization": credentials, "authorization": credentials, "X-HTTP-Method": methodOverride, "x-http-method": methodOverride, "X-HTTP-Methods": nothing,
		"X-Tunnel-Method": methodOverride, "x-tunnel-method": methodOverride, "Accept-Language": nothing,
		"If-Modified-Since": ifModifiedSince, "if-modified-since": ifModifiedSince, "X-Method-Override": methodOverride, "x-method-override": methodOverride,
		"If-Unmodified-Since": precondition, "if-unmodified-since": precondition,
		"X-HTTP-Method-Override": methodOverride, "x-http-method-override": methodOverride,
		"X-Api-Key": credentials, "": nothing, "Accept": nothing,
	} {
		if got := classifyField(name); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
}

func TestRequestIsReadFromItsHeader(t *testing.T) {
	lower := strings.ToLower("If-None-Match")
	r := newRequest("GET", "")
	r.Header = http.Header{
		"If-None-Match": {`"a"`}, lower: {`"b"`}, "If-Modified-Since": {"x"}, "Range": {"bytes=0-1"}, "If-Range": {`"a"`}, "Pragma": {"no-cache"},
	}
	a := ReadRequest(modeDefault, r, private)
	if len(a.noneMatch) != 2 || !a.Conditional() || a.plain || !a.Pragma || !a.ranged {
		t.Errorf("%+v", a)
	}
	if diff := cmp.Diff([][]string{{"x"}, {"bytes=0-1"}, {`"a"`}}, [][]string{a.modifiedSince, a.Ranges, a.ifRange}); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if len(r.Header["If-None-Match"]) != 1 || len(r.Header[lower]) != 1 {
		t.Error("the header of the request was changed")
	}
	for fields, want := range map[string]bool{"": false, "If-None-Match: *": true, "If-Modified-Since: x": true, "Range: bytes=0-1": false} {
		if got := asks(fields).Conditional(); got != want {
			t.Errorf("%q is conditional: %v, want %v", fields, got, want)
		}
	}
	for fields, want := range map[string]bool{"": true, "Accept: a": true, "Cookie: a": true, "Pragma: x": false, "Cache-Control: x": false} {
		if got := asks(fields).plain; got != want {
			t.Errorf("%q is plain: %v, want %v", fields, got, want)
		}
	}
	if a := ReadRequest(modeForceCache, newRequest("GET", ""), private); a.plain {
		t.Error("a mode asks nothing of the cache")
	}
	for name, r := range map[string]*http.Request{
		"userinfo":      {URL: &url.URL{User: url.User("u")}},
		"Authorization": newRequest("GET", "Authorization: x"),
	} {
		if a := ReadRequest(modeDefault, r, private); !a.Credentials {
			t.Errorf("%s is no credential", name)
		}
	}
	for name, r := range map[string]*http.Request{"nothing": newRequest("GET", "Accept: a"), "no URL": {}} {
		if a := ReadRequest(modeDefault, r, private); a.Credentials {
			t.Errorf("%s is a credential", name)
		}
	}
	only := ReadRequest(modeOnlyIfCached, newRequest("GET", ""), private)
	if !only.onlyStored() || !asks("Cache-Control: only-if-cached").onlyStored() || asks("").onlyStored() {
		t.Error("only-if-cached, by directive or by mode, allows the store alone")
	}
}

func TestCredentialsOfARequest(t *testing.T) {
	for _, test := range []struct {
		name string
		r    *http.Request
		want Carried
	}{
		{"none", newRequest("GET", "Accept: a"), 0},
		{"no URL", &http.Request{Header: header("Cookie: a")}, cookieCarried},
		{"userinfo", &http.Request{URL: &url.URL{User: url.User("u")}}, authorizationCarried},
		{"Authorization", newRequest("GET", "Authorization: a"), authorizationCarried},
		{"Cookie", newRequest("GET", "Cookie: a"), cookieCarried},
		{"another one", newRequest("GET", "X-Api-Key: a"), OtherCarried},
		{"all", newRequest("GET", "Authorization: a | Cookie: a | X-Api-Key: a"), authorizationCarried | cookieCarried | OtherCarried},
		{"in lower case", &http.Request{URL: &url.URL{}, Header: http.Header{"authorization": {"a"}, "cookie": {"b"}}}, authorizationCarried | cookieCarried},
	} {
		if got := CarriedBy(test.r); got != test.want {
			t.Errorf("%s: %b, want %b", test.name, got, test.want)
		}
	}
}

func TestModeNames(t *testing.T) {
	var names []string
	for m := modeDefault; m <= ModeDisabled+1; m++ {
		names = append(names, m.String())
	}
	want := []string{"default", "no-store", "reload", "no-cache", "force-cache", "only-if-cached", "read-only", "disabled", "unknown"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestPolicyAllowsStatus(t *testing.T) {
	listed := &Policy{Statuses: []int{200, 404}}
	for status, want := range map[int]bool{200: true, 404: true, 301: false} {
		if got := listed.AllowsStatus(status); got != want || !private.AllowsStatus(status) {
			t.Errorf("%d: %v, want %v, and true without a list", status, got, want)
		}
	}
}
