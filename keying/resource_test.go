package keying_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/keying"
)

func resource(t testing.TB, s keying.Strategy, r *http.Request) string {
	t.Helper()
	resource, err := s.(keying.ResourceStrategy).AppendResource(nil, r)
	require.NoError(t, err)
	return string(resource)
}

// Requests for URLs that a strategy takes for one have one resource, whatever their principal and their other fields are.
func TestResourcesOfURLs(t *testing.T) {
	whole := keying.New(keying.Header("X-V"))
	ignore := keying.New(keying.URL(keying.URLOptions{Ignore: []string{"t"}}))
	paths := keying.New(keying.URL(keying.URLOptions{Paths: []string{"/s/*/app.js"}}))
	hosts := keying.New(keying.URL(keying.URLOptions{Hosts: map[string]string{"mirror": "h"}}))
	all := keying.New(keying.URL(keying.URLOptions{}))
	for _, test := range []struct {
		name string
		s    keying.Strategy
		a, b *http.Request
		want bool
	}{
		{"Default, two users", keying.Default(), request(t, "GET http://h/a", "Cookie: a"), request(t, "GET http://h/a", "Cookie: b"), true},
		{"Default, two URLs", keying.Default(), request(t, "GET http://h/a"), request(t, "GET http://h/b"), false},
		{"SingleUser, two URLs", keying.SingleUser(), request(t, "GET http://h/a"), request(t, "GET http://h/b"), false},
		{"New, a header", whole, request(t, "GET http://h/a", "X-V: 1"), request(t, "GET http://h/a", "X-V: 2"), true},
		{"New, two queries", whole, request(t, "GET http://h/a?x"), request(t, "GET http://h/a?y"), false},
		{"all of the URL, two queries", all, request(t, "GET http://h/a?x"), request(t, "GET http://h/a?y"), false},
		{"all of the URL, two paths", all, request(t, "GET http://h/a"), request(t, "GET http://h/b"), false},
		{"Ignore, ignored", ignore, request(t, "GET http://h/a?x=1&t=1"), request(t, "GET http://h/a?t=2&x=1"), true},
		{"Ignore, another", ignore, request(t, "GET http://h/a?x=1"), request(t, "GET http://h/a?x=2"), false},
		{"Ignore, two paths", ignore, request(t, "GET http://h/a?x=1"), request(t, "GET http://h/b?x=1"), false},
		{"Ignore, two hosts", ignore, request(t, "GET http://h/a?x=1"), request(t, "GET http://i/a?x=1"), false},
		{"Paths, matching", paths, request(t, "GET http://h/s/1/app.js"), request(t, "GET http://h/s/2/app.js"), true},
		{"Paths, another file", paths, request(t, "GET http://h/s/1/app.js"), request(t, "GET http://h/s/1/b.js"), false},
		{"Hosts, an alias", hosts, request(t, "GET http://h/a"), request(t, "GET http://mirror/a"), true},
		{"Hosts, another", hosts, request(t, "GET http://h/a"), request(t, "GET http://other/a"), false},
	} {
		if got := resource(t, test.s, test.a) == resource(t, test.s, test.b); got != test.want {
			t.Errorf("%s: one resource = %v, want %v", test.name, got, test.want)
		}
	}
}

// What caches ask a strategy of New by its methods.
func TestWhatCachesAskOfAStrategy(t *testing.T) {
	type methods interface {
		WholeURI() bool
		ReadsGraphQL() bool
		KeysContent() bool
		Mutates(*http.Request) bool
		Aliased(*http.Request) *http.Request
		Mirrors(*http.Request) []*http.Request
	}
	graphQL := keying.Body(keying.BodyOptions{Format: keying.FormatGraphQL})
	for _, test := range []struct {
		name                    string
		s                       keying.Strategy
		whole, graphQL, content bool
	}{
		{"nothing", keying.New(), true, false, false},
		{"all of the URL", keying.New(keying.URL(keying.URLOptions{})), true, false, false},
		{"Ignore", keying.New(keying.URL(keying.URLOptions{Ignore: []string{"t"}})), false, false, false},
		{"Only", keying.New(keying.URL(keying.URLOptions{Only: []string{}})), false, false, false},
		{"Sort", keying.New(keying.URL(keying.URLOptions{Sort: true})), false, false, false},
		{"Paths", keying.New(keying.URL(keying.URLOptions{Paths: []string{"/*"}})), false, false, false},
		{"Hosts", keying.New(keying.URL(keying.URLOptions{Hosts: map[string]string{"a": "b"}})), false, false, false},
		{"Body", keying.New(keying.Body(keying.BodyOptions{})), true, false, true},
		{"GraphQL", keying.New(graphQL), true, true, true},
	} {
		m := test.s.(methods)
		if m.WholeURI() != test.whole || m.ReadsGraphQL() != test.graphQL || m.KeysContent() != test.content {
			t.Errorf("%s: whole URI %v, GraphQL %v, content %v", test.name, m.WholeURI(), m.ReadsGraphQL(), m.KeysContent())
		}
	}

	m := keying.New(keying.URL(keying.URLOptions{Hosts: map[string]string{"mirror:8080": "h", "two": "h", "three": "other"}})).(methods)
	if got := m.Aliased(request(t, "GET http://mirror:8080/a")).URL.Host; got != "h" {
		t.Errorf("mirror is replaced by %s", got)
	}
	plain := request(t, "GET http://h/a")
	if m.Aliased(plain) != plain {
		t.Error("a request without an alias is replaced")
	}
	var hosts []string
	for _, mirror := range m.Mirrors(request(t, "GET http://two/a")) {
		hosts = append(hosts, mirror.URL.Host)
		if mirror.URL.Path != "/a" || mirror.Method != http.MethodGet {
			t.Errorf("a mirror is %s %s", mirror.Method, mirror.URL)
		}
	}
	slices.Sort(hosts)
	if got := slices.Compact(hosts); !slices.Equal(got, []string{"h", "mirror:8080", "two"}) {
		t.Errorf("mirrors of two are at %q", got)
	}
	if m := keying.New().(methods); m.Mutates(request(t, "POST http://h/", "", `{"query":"mutation {a}"}`)) || len(m.Mirrors(plain)) != 0 {
		t.Error("a strategy without such parts has mutations or mirrors")
	}

	m = keying.New(graphQL).(methods)
	stream := request(t, "POST http://h/", "", `{"query":"{a}"}`)
	stream.GetBody = nil
	for _, test := range []struct {
		name string
		r    *http.Request
		want bool
	}{
		{"a query", request(t, "POST http://h/", "", `{"query":"{a}"}`), false},
		{"a mutation", request(t, "POST http://h/", "", `{"query":"mutation {a}"}`), true},
		{"a subscription", request(t, "POST http://h/", "", `{"query":"subscription {a}"}`), false},
		{"an unknown definition", request(t, "POST http://h/", "", `{"query":"type T {a: Int}"}`), true},
		{"no document", request(t, "POST http://h/", "", `{"id":1}`), true},
		{"no JSON", request(t, "POST http://h/", "", `{`), true},
		{"a batch of queries", request(t, "POST http://h/", "", `[{"query":"{a}"},{"query":"{b}"}]`), false},
		{"a batch with a mutation", request(t, "POST http://h/", "", `[{"query":"{a}"},{"query":"mutation {b}"}]`), true},
		{"a batch of something else", request(t, "POST http://h/", "", `[1]`), true},
		{"a stream", stream, true},
	} {
		if got := m.Mutates(test.r); got != test.want {
			t.Errorf("%s mutates: %v, want %v", test.name, got, test.want)
		}
	}
}
