package keying_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/keying"
)

func resource(t *testing.T, s keying.Strategy, r *http.Request) string {
	t.Helper()
	b, err := s.(keying.ResourceStrategy).AppendResource(nil, r)
	require.NoError(t, err)
	return string(b)
}

// A write invalidates what is stored for its target: by the parts for the URL, and whatever the others say.
func TestResourceIsWhatThePartsForTheURLSay(t *testing.T) {
	all, some := keying.URL(keying.URLOptions{}), keying.URL(keying.URLOptions{Ignore: []string{"t"}, Sort: true, Paths: []string{"/docs/*"}, Hosts: map[string]string{"mirror": "h"}})
	opaque := request(t, "GET http://h/")
	opaque.URL.Opaque = "//h/docs/1?y=1&x=2"
	for _, test := range []struct {
		name string
		s    keying.Strategy
		a, b *http.Request
		want bool
	}{
		{"no part: credentials do not count", keying.New(keying.Prefix("v1")), request(t, "GET http://h/"), request(t, "DELETE http://h/", "Cookie: a"), true},
		{"no part: the path counts", keying.New(keying.Prefix("v1")), request(t, "GET http://h/a"), request(t, "GET http://h/b"), false},
		{"the query counts", keying.New(all), request(t, "GET http://h/?a"), request(t, "GET http://h/?b"), false},
		{"the order of its parameters counts", keying.New(all), request(t, "GET http://h/?a&b"), request(t, "GET http://h/?b&a"), false},
		{"the path counts", keying.New(all), request(t, "GET http://h/a"), request(t, "GET http://h/b"), false},
		{"the host counts", keying.New(all), request(t, "GET http://h/"), request(t, "GET http://i/"), false},
		{"credentials do not", keying.New(all), request(t, "GET http://h/"), request(t, "GET http://h/", "Cookie: a"), true},
		{"a mirror is its host", keying.New(some), request(t, "GET http://h/a"), request(t, "GET http://mirror/a"), true},
		{"what a template stands for does not count", keying.New(some), request(t, "GET http://h/docs/1"), request(t, "GET http://h/docs/2"), true},
		{"nor does the order of parameters, or one that is ignored", keying.New(some), request(t, "GET http://h/?a=1&b=2&t=1"), request(t, "GET http://h/?t=2&b=2&a=1"), true},
		{"another parameter counts", keying.New(some), request(t, "GET http://h/?a=1"), request(t, "GET http://h/?a=2"), false},
		{"an opaque URL is what it sends", keying.New(some), opaque, request(t, "GET http://h/docs/2?x=2&y=1"), true},
	} {
		if got := resource(t, test.s, test.a) == resource(t, test.s, test.b); got != test.want {
			t.Errorf("%s: same resource = %v, want %v", test.name, got, test.want)
		}
		if resource(t, test.s, test.a) == "" {
			t.Errorf("%s: no resource", test.name)
		}
	}
	if r := request(t, "GET http://h/a?b=c"); resource(t, keying.New(all), r) != resource(t, keying.Default(), r) || resource(t, keying.New(), r) != resource(t, keying.Default(), r) {
		t.Error("with the whole URL the resource is that of Default")
	}
	if key(t, keying.New(some), opaque) != key(t, keying.New(some), request(t, "GET http://h/docs/2?x=2&y=1")) {
		t.Error("an opaque URL has the key of what it sends")
	}
}

func TestWholeURICountsWithoutURLOptions(t *testing.T) {
	for name, test := range map[string]struct {
		s    keying.Strategy
		want bool
	}{
		"no part":      {keying.New(keying.Prefix("v1")), true},
		"zero options": {keying.New(keying.URL(keying.URLOptions{})), true},
		"Sort":         {keying.New(keying.URL(keying.URLOptions{Sort: true})), false},
		"Ignore":       {keying.New(keying.URL(keying.URLOptions{Ignore: []string{"a"}})), false},
		"Only":         {keying.New(keying.URL(keying.URLOptions{Only: []string{"a"}})), false},
		"Paths":        {keying.New(keying.URL(keying.URLOptions{Paths: []string{"/*"}})), false},
		"Hosts":        {keying.New(keying.URL(keying.URLOptions{Hosts: map[string]string{"a": "b"}})), false},
	} {
		if got := test.s.(interface{ WholeURI() bool }).WholeURI(); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// A write at one host invalidates what was stored under the others that stand for it.
func TestMirrorsAreTheHostsWithOneContent(t *testing.T) {
	s := keying.New(keying.URL(keying.URLOptions{Hosts: map[string]string{"a.example": "main.example", "b.example": "main.example", "c.example": "other.example"}}))
	for url, want := range map[string][]string{
		"http://main.example/x?y": {"http://a.example/x?y", "http://b.example/x?y", "http://main.example/x?y"},
		"http://a.example/x":      {"http://a.example/x", "http://b.example/x", "http://main.example/x"},
		"http://c.example/":       {"http://c.example/", "http://other.example/"},
		"http://none.example/":    nil,
	} {
		var got []string
		for _, r := range s.(interface {
			Mirrors(*http.Request) []*http.Request
		}).Mirrors(request(t, "DELETE "+url)) {
			got = append(got, r.URL.String())
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", url, diff)
		}
	}
}

// A response is looked for under the URL of one request and for the user of another.
func TestSearchKeyHasTheURLOfOneRequestAndTheUserOfTheOther(t *testing.T) {
	bare, r := request(t, "GET http://h/a"), request(t, "GET http://h/a?b=c", "Cookie: a=b", "X: 1")
	want := request(t, "GET http://h/a", "Cookie: a=b", "X: 1")
	for name, s := range map[string]keying.Strategy{
		"Default":    keying.Default(),
		"SingleUser": keying.SingleUser(),
		"New":        keying.New(keying.Header("X")),
		"URL":        keying.New(keying.URL(keying.URLOptions{Sort: true}), keying.Header("X")),
	} {
		got, err := s.(interface {
			AppendSearchKey(dst []byte, bare, r *http.Request) ([]byte, error)
		}).AppendSearchKey(nil, bare, r)
		require.NoError(t, err)
		if string(got) != key(t, s, want) {
			t.Errorf("%s: %q, want %q", name, got, key(t, s, want))
		}
	}
}
