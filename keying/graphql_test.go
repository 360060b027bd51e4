package keying_test

import (
	"net/http"
	"testing"

	"github.com/plyhttp/ply/keying"
)

func TestGraphQLDocumentsCompareByTokens(t *testing.T) {
	s := keying.New(keying.Body(keying.BodyOptions{Format: keying.FormatGraphQL}))
	js := "Content-Type: application/json"
	check(t, s, []same{
		{"white space, commas, comments",
			request(t, "POST http://h/", js, "", `{"query":"query Q { a(x: 1, y: 2) # c\n b }"}`),
			request(t, "POST http://h/", js, "", `{"query":"query Q {  a(x: 1 y: 2)\n b }"}`), true},
		{"white space beside braces",
			request(t, "POST http://h/", js, "", `{"query":" query Q ( $x : Int = 1 ) { a ( x : $x ) @skip ( if : true ) { b } } "}`),
			request(t, "POST http://h/", js, "", `{"query":"query Q($x:Int=1){a(x:$x)@skip(if:true){b}}"}`), true},
		{"names are kept apart",
			request(t, "POST http://h/", js, "", `{"query":"{ a b }"}`),
			request(t, "POST http://h/", js, "", `{"query":"{ ab }"}`), false},
		{"strings are kept apart",
			request(t, "POST http://h/", js, "", `{"query":"{ a(x: [\"\" \"\" \"\"]) }"}`),
			request(t, "POST http://h/", js, "", `{"query":"{ a(x: [\"\"\"\"\"\"]) }"}`), false},
		{"strings are kept",
			request(t, "POST http://h/", js, "", `{"query":"{ a(x: \"1,  2\") }"}`),
			request(t, "POST http://h/", js, "", `{"query":"{ a(x: \"1 2\") }"}`), false},
		{"white space in a block string counts",
			request(t, "POST http://h/", js, "", `{"query":"{ a(x: \"\"\"1,  2\"\"\") }"}`),
			request(t, "POST http://h/", js, "", `{"query":"{ a(x: \"\"\"1, 2\"\"\") }"}`), false},
		{"white space behind a block string does not",
			request(t, "POST http://h/", js, "", `{"query":"{ a(x: \"\"\"1\"\"\"  ) b }"}`),
			request(t, "POST http://h/", js, "", `{"query":"{ a(x: \"\"\"1\"\"\") b }"}`), true},
		{"an escaped end does not end a block string",
			request(t, "POST http://h/", js, "", `{"query":"{ a(x: \"\"\"1 \\\"\"\" #  2\"\"\") }"}`),
			request(t, "POST http://h/", js, "", `{"query":"{ a(x: \"\"\"1 \\\"\"\" # 2\"\"\") }"}`), false},
		{"a line break is part of a block string",
			request(t, "POST http://h/", js, "", `{"query":"{ a(x: \"\"\"1\n  2\"\"\") }"}`),
			request(t, "POST http://h/", js, "", `{"query":"{ a(x: \"\"\"1\n 2\"\"\") }"}`), false},
		{"an empty string before a name",
			request(t, "POST http://h/", js, "", `{"query":"{ a(x: \"\", y:  1) }"}`),
			request(t, "POST http://h/", js, "", `{"query":"{ a(x: \"\", y: 1) }"}`), true},
		{"an escaped quotation mark does not end a string",
			request(t, "POST http://h/", js, "", `{"query":"{ a(x: \"1\\\"  2\") }"}`),
			request(t, "POST http://h/", js, "", `{"query":"{ a(x: \"1\\\" 2\") }"}`), false},
		{"a comment between names",
			request(t, "POST http://h/", js, "", `{"query":"{a#c\nb}"}`),
			request(t, "POST http://h/", js, "", `{"query":"{a b}"}`), true},
		{"a comment at the end",
			request(t, "POST http://h/", js, "", `{"query":"{a}#c"}`),
			request(t, "POST http://h/", js, "", `{"query":"{a}"}`), true},
		{"a comment at the beginning",
			request(t, "POST http://h/", js, "", `{"query":"#c\n{a}"}`),
			request(t, "POST http://h/", js, "", `{"query":"{a}"}`), true},
		{"each kind of white space between names",
			request(t, "POST http://h/", js, "", `{"query":"{a\tb\rc\nd,e}"}`),
			request(t, "POST http://h/", js, "", `{"query":"{a b c d e}"}`), true},
		{"white space behind an exclamation mark",
			request(t, "POST http://h/", js, "", `{"query":"query Q($x: Int! $y: Int) {a}"}`),
			request(t, "POST http://h/", js, "", `{"query":"query Q($x:Int!$y:Int){a}"}`), true},
		{"large numbers in variables",
			request(t, "POST http://h/", js, "", `{"query":"{a}","variables":{"x":9007199254740993}}`),
			request(t, "POST http://h/", js, "", `{"query":"{a}","variables":{"x":9007199254740992}}`), false},
		{"a HEAD without content", request(t, "HEAD http://h/?query={a}"), request(t, "GET http://h/?query={a}"), true},
		{"a GET without content", request(t, "GET http://h/?query={a}"), request(t, "GET http://h/?query={a}"), true},
		{"another query of one", request(t, "GET http://h/?query={a}"), request(t, "GET http://h/?query={b}"), false},
		{"variables count",
			request(t, "POST http://h/", js, "", `{"query":"{a}","variables":{"x":1}}`),
			request(t, "POST http://h/", js, "", `{"query":"{a}","variables":{"x":2}}`), false},
	})
	for _, document := range []string{`mutation { a }`, `{a} mutation M { b }`, `subscription { a }`, ``, "\ufeffmutation { a }", `fragment f on T { a } @mutation mutation { a }`,
		`{a} @x mutation { b }`, `query Q { a } subscription S { b }`, `{ a(x: \"\"\"}\"\"\") } mutation { b }`, `{ a(x: \"\"\"never ends) }`, `{ a(x: \"\"\"1\\\"\"\") }`, `type T { a: Int }`, `{a}} mutation { b`, `(a) mutation { b }`, `query Q { a`,
		`query_ {a}`, `queryz {a}`, `queryA {a}`, `queryZ {a}`, `query0 {a}`, `query9 {a}`, `[a] {b}`, `query Q ) {a}`, `{ a(x: \"never ends) }`} {
		if _, err := s.AppendKey(nil, request(t, "POST http://h/", js, "", `{"query":"`+document+`"}`)); err == nil {
			t.Errorf("%q must have no key", document)
		}
	}
	for _, document := range []string{`query mutationHistory { a }`, `{ a(x: \"\"\"} mutation { b }\"\"\") }`, `{ a(x: \"\"\"1\\\"\"\" } mutation { b }\"\"\") }`, `query mutation { a }`, `{ a { b } mutation }`, `query Q($x: Int) @include(if: true) { a }`, `query subscriptionStatus { a }`, `query Q @mutation { mutation { subscription } }`,
		`fragment mutationFields on T { a } query Q { ...mutationFields }`, `{ ...subscription } fragment subscription on T { a }`, "\ufeff{ a }",
		`\"a mutation\" query Q($x: [In!] = [{mutation: 1}]) { a(x: $x) }`} {
		if _, err := s.AppendKey(nil, request(t, "POST http://h/", js, "", `{"query":"`+document+`"}`)); err != nil {
			t.Errorf("%q is a query: %v", document, err)
		}
	}
}

// Only a GET or HEAD without content is identified by its URL. All other requests need a query in their content.
func TestGraphQLRequestsWithoutAQueryHaveNoKey(t *testing.T) {
	s := keying.New(keying.Body(keying.BodyOptions{Format: keying.FormatGraphQL}))
	empty := request(t, "GET http://h/?query={a}")
	empty.Method = ""
	for _, test := range []struct {
		name string
		r    *http.Request
		want bool
	}{
		{"a GET", request(t, "GET http://h/?query={a}"), true},
		{"no method, which is GET", empty, true},
		{"a HEAD", request(t, "HEAD http://h/?query={a}"), true},
		{"a POST", request(t, "POST http://h/?query={a}"), false},
		{"a GET with a mutation as content", request(t, "GET http://h/", "", `{"query":"mutation {a}"}`), false},
		{"a GET with a query as content", request(t, "GET http://h/", "", `{"query":"{a}"}`), true},
		{"no JSON", request(t, "POST http://h/", "", `{a}`), false},
		{"JSON that is no object", request(t, "POST http://h/", "", `[1]`), false},
	} {
		if _, err := s.AppendKey(nil, test.r); (err == nil) != test.want {
			t.Errorf("%s has a key: %v (%v), want %v", test.name, err == nil, err, test.want)
		}
	}
}

// A cache asks which requests of an endpoint are writes: all but those that certainly read.
func TestGraphQLRequestsThatMutate(t *testing.T) {
	s := keying.New(keying.Body(keying.BodyOptions{Format: keying.FormatGraphQL}))
	stream := request(t, "POST http://h/", "", `{"query":"{a}"}`)
	stream.GetBody = nil
	of := func(content string) *http.Request { return request(t, "POST http://h/", "", content) }
	for _, test := range []struct {
		name string
		s    keying.Strategy
		r    *http.Request
		want bool
	}{
		{"a query", s, of(`{"query":"{a}"}`), false},
		{"a subscription", s, of(`{"query":"subscription {a}"}`), false},
		{"a mutation", s, of(`{"query":"mutation {a}"}`), true},
		{"what is no GraphQL", s, of(`{"query":"type T {a}"}`), true},
		{"a document without an operation", s, of(`{"query":"@"}`), true},
		{"no document", s, of(`{}`), true},
		{"a batch of queries", s, of(`[{"query":"{a}"},{"query":"{b}"}]`), false},
		{"a batch with a mutation", s, of(`[{"query":"{a}"},{"query":"mutation {b}"}]`), true},
		{"a batch of nothing", s, of(`[]`), false},
		{"no JSON", s, of(`{a}`), true},
		{"a stream, which is not read", s, stream, true},
		{"no part that reads GraphQL", keying.New(keying.Body(keying.BodyOptions{})), of(`{"query":"mutation {a}"}`), false},
	} {
		if got := test.s.(interface{ Mutates(*http.Request) bool }).Mutates(test.r); got != test.want {
			t.Errorf("%s mutates: %v, want %v", test.name, got, test.want)
		}
	}
}
