package keying_test

import (
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
		{"a GET without content", request(t, "GET http://h/?query={a}"), request(t, "GET http://h/?query={a}"), true},
		{"another query of one", request(t, "GET http://h/?query={a}"), request(t, "GET http://h/?query={b}"), false},
		{"variables count",
			request(t, "POST http://h/", js, "", `{"query":"{a}","variables":{"x":1}}`),
			request(t, "POST http://h/", js, "", `{"query":"{a}","variables":{"x":2}}`), false},
	})
	for _, document := range []string{`mutation { a }`, `{a} mutation M { b }`, `subscription { a }`, ``, "\ufeffmutation { a }", `fragment f on T { a } @mutation mutation { a }`,
		`{a} @x mutation { b }`, `query Q { a } subscription S { b }`, `{ a(x: \"\"\"}\"\"\") } mutation { b }`, `{ a(x: \"\"\"never ends) }`, `{ a(x: \"\"\"1\\\"\"\") }`, `type T { a: Int }`, `{a}} mutation { b`, `(a) mutation { b }`, `query Q { a`} {
		if _, err := s.AppendKey(nil, request(t, "POST http://h/", js, "", `{"query":"`+document+`"}`)); err == nil {
			t.Errorf("%q must have no key", document)
		}
	}
	for _, document := range []string{`query mutationHistory { a }`, `{ a(x: \"\"\"} mutation { b }\"\"\") }`, `{ a(x: \"\"\"1\\\"\"\" } mutation { b }\"\"\") }`, `query mutation { a }`, `query subscriptionStatus { a }`, `query Q @mutation { mutation { subscription } }`,
		`fragment mutationFields on T { a } query Q { ...mutationFields }`, `{ ...subscription } fragment subscription on T { a }`, "\ufeff{ a }",
		`\"a mutation\" query Q($x: [In!] = [{mutation: 1}]) { a(x: $x) }`} {
		if _, err := s.AppendKey(nil, request(t, "POST http://h/", js, "", `{"query":"`+document+`"}`)); err != nil {
			t.Errorf("%q is a query: %v", document, err)
		}
	}
}
