package field

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// RFC 9213 §2: the first targeted field that is valid and not empty counts, and Cache-Control only without one.
func TestControlling(t *testing.T) {
	for _, test := range []struct {
		name     string
		h        http.Header
		want     Response
		targeted bool
	}{
		{"none", http.Header{"Cache-Control": {"max-age=1"}}, Response{MaxAge: seconds(1)}, false},
		{"targeted", http.Header{"Cache-Control": {"no-store"}, "Cdn-Cache-Control": {"max-age=5"}}, Response{MaxAge: seconds(5)}, true},
		{"first of two", http.Header{"Ply-Cache-Control": {"max-age=6"}, "Cdn-Cache-Control": {"max-age=5"}}, Response{MaxAge: seconds(6)}, true},
		{"malformed", http.Header{"Cache-Control": {"max-age=1"}, "Cdn-Cache-Control": {"max-age=5, &"}}, Response{MaxAge: seconds(1)}, false},
		{"empty", http.Header{"Cache-Control": {"max-age=1"}, "Cdn-Cache-Control": {""}}, Response{MaxAge: seconds(1)}, false},
		{"member of another type", http.Header{"Cdn-Cache-Control": {`max-age="5", no-store`}}, Response{NoStore: true}, true},
		{"false member", http.Header{"Cdn-Cache-Control": {`no-store=?0, max-age=5`}}, Response{MaxAge: seconds(5)}, true},
		{"private with a token", http.Header{"Cdn-Cache-Control": {`private=yes, max-age=5`}}, Response{Private: true, MaxAge: seconds(5)}, true},
		{"private with a number", http.Header{"Cdn-Cache-Control": {`private=1, max-age=5`}}, Response{Private: true, MaxAge: seconds(5)}, true},
		{"private with a list", http.Header{"Cdn-Cache-Control": {`private=("a"), max-age=5`}}, Response{Private: true, MaxAge: seconds(5)}, true},
		{"private with names", http.Header{"Cdn-Cache-Control": {`private="a", max-age=5`}}, Response{PrivateFields: []string{"a"}, MaxAge: seconds(5)}, true},
		{"no-cache and no-store with numbers", http.Header{"Cdn-Cache-Control": {`no-cache=1, no-store=1.5, must-revalidate=:YQ==:`}}, Response{NoCache: true, NoStore: true, MustRevalidate: true}, true},
		{"quoted values grant nothing", http.Header{"Cdn-Cache-Control": {`public="yes", must-understand="yes", max-age=5`}}, Response{MaxAge: seconds(5)}, true},
		{"tokens grant nothing", http.Header{"Cdn-Cache-Control": {`public=yes, must-understand=yes, max-age=5`}}, Response{MaxAge: seconds(5)}, true},
		{"quoted names of fields", http.Header{"Cdn-Cache-Control": {`no-cache="X-A, x-b", private=""`}}, Response{NoCacheFields: []string{"x-a", "x-b"}, Private: true}, true},
		{"quoted seconds count as absent", http.Header{"Cdn-Cache-Control": {`s-maxage="5", stale-if-error="6", stale-while-revalidate=t`}}, Response{}, true},
		{"a number where none belongs", http.Header{"Cdn-Cache-Control": {`public=1, immutable=1, no-transform=1`}}, Response{}, true},
		{"two lines are one dictionary", http.Header{"Cdn-Cache-Control": {"max-age=5", "no-store"}}, Response{MaxAge: seconds(5), NoStore: true}, true},
		{"two digits", http.Header{"Cdn-Cache-Control": {`max-age=10`}}, Response{MaxAge: seconds(10)}, true},
		{"negative", http.Header{"Cdn-Cache-Control": {`max-age=-5`}}, Response{MaxAge: seconds(0)}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.want.Present = true
			got, targeted := Controlling(test.h, []string{"Ply-Cache-Control", "CDN-Cache-Control"})
			if diff := cmp.Diff(test.want, got); diff != "" || targeted != test.targeted {
				t.Errorf("targeted %v (-want +got)\n%s", targeted, diff)
			}
		})
	}
}
