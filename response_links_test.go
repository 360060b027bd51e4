package ply_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply"
)

// TestLinks has the fields of RFC 8288 §3.
func TestLinks(t *testing.T) {
	tests := []struct {
		name   string
		fields []string
		want   map[string]string
	}{
		{"none", nil, nil},
		{"pages", []string{`<https://a.com/?page=3>; rel="next", <https://a.com/?page=9>; rel=last`}, map[string]string{"next": "https://a.com/?page=3", "last": "https://a.com/?page=9"}},
		{"several fields", []string{`</2>; rel=next`, `</9>; rel=last`}, map[string]string{"next": "https://a.com/2", "last": "https://a.com/9"}},
		{"relative", []string{`<?page=2>; rel=next`}, map[string]string{"next": "https://a.com/books/?page=2"}},
		{"several relations", []string{`</2>; rel="next  LAST"`}, map[string]string{"next": "https://a.com/2", "last": "https://a.com/2"}},
		{"comma and semicolon in the target", []string{`</a,b;c>; rel=next`}, map[string]string{"next": "https://a.com/a,b;c"}},
		{"other parameters", []string{`</2>;title="a, \"<b>\"; rel=c" ; crossorigin ; REL = next ;x`}, map[string]string{"next": "https://a.com/2"}},
		{"first link counts", []string{`</2>; rel=next, </3>; rel=next`}, map[string]string{"next": "https://a.com/2"}},
		{"first rel counts", []string{`</2>; rel=next; rel=last`}, map[string]string{"next": "https://a.com/2"}},
		{"empty rel counts", []string{`</2>; rel=""; rel=last`}, nil},
		{"no rel", []string{`</2>`}, nil},
		{"anchor", []string{`</2>; rel=next; anchor="/other", </3>; rel=last`}, map[string]string{"last": "https://a.com/3"}},
		{"empty members", []string{`, ,</2>; rel=next,,</3>; rel=last,`}, map[string]string{"next": "https://a.com/2", "last": "https://a.com/3"}},
		{"target that is no URL", []string{`<%zz>; rel=next, </3>; rel=last`}, map[string]string{"last": "https://a.com/3"}},
		{"no target", []string{`rel=next`}, nil},
		{"open target", []string{`</2; rel=next`}, nil},
		{"open quote", []string{`</2>; rel="next`, `</3>; rel="last\`}, nil},
		{"garbage behind", []string{`</2>; rel=next, </3> rel=last`}, map[string]string{"next": "https://a.com/2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp := &http.Response{Header: http.Header{"Link": tt.fields}, Request: &http.Request{URL: &url.URL{Scheme: "https", Host: "a.com", Path: "/books/"}}}
			got := map[string]string{}
			for rel, target := range ply.Links(resp) {
				got[rel] = target.String()
			}
			if tt.want == nil {
				tt.want = map[string]string{}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("links (-want +got):\n%s", diff)
			}
		})
	}
}

// The number of relations of one response is bounded.
func TestLinksOfManyRelations(t *testing.T) {
	resp := &http.Response{Header: http.Header{"Link": {members(2000, "</%d>; rel=r%[1]d, ")}}}
	links := ply.Links(resp)
	if len(links) != 1000 || links["r999"] == nil || links["r999"].Path != "/999" {
		t.Errorf("%d relations, %v", len(links), links["r999"])
	}
}

func ExampleLinks() {
	resp := &http.Response{Header: http.Header{"Link": {`<https://api.example.com/books?page=2>; rel="next"`}}}
	fmt.Println(ply.Links(resp)["next"])
	// Output: https://api.example.com/books?page=2
}

func FuzzLinks(f *testing.F) {
	f.Add(`</a,b>; rel="next last"; title="x\"", <b>;rel=c`)
	f.Add(`<>;;;=;rel`)
	f.Fuzz(func(t *testing.T, field string) {
		resp := &http.Response{Header: http.Header{"Link": {field}}}
		for rel, target := range ply.Links(resp) {
			if rel == "" || target == nil {
				t.Errorf("relation %q to %v", rel, target)
			}
		}
		// A link in front does not change what is made of the rest.
		resp.Header.Set("Link", `</first>; rel="first-of-all", `+field)
		if got := ply.Links(resp)["first-of-all"]; got == nil || got.String() != "/first" {
			t.Errorf("the link in front is %v", got)
		}
	})
}
