package keying_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/keying"
)

// request makes a request from a line "METHOD URL", fields "Name: value", and after an empty string its content.
func request(t testing.TB, line string, fields ...string) *http.Request {
	t.Helper()
	method, rawURL, _ := strings.Cut(line, " ")
	var content *bytes.Reader
	for i, field := range fields {
		if field == "" {
			content = bytes.NewReader([]byte(fields[i+1]))
			fields = fields[:i]
			break
		}
	}
	var r *http.Request
	var err error
	if content != nil {
		r, err = http.NewRequest(method, rawURL, content)
	} else {
		r, err = http.NewRequest(method, rawURL, nil)
	}
	require.NoError(t, err)
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		r.Header[name] = append(r.Header[name], value)
	}
	return r
}

func key(t testing.TB, s keying.Strategy, r *http.Request) string {
	t.Helper()
	k, err := s.AppendKey(nil, r)
	require.NoError(t, err)
	return string(k)
}

func TestDefaultKeepsPrincipalsApart(t *testing.T) {
	requests := map[string]*http.Request{
		"nobody":                    request(t, "GET http://h/a"),
		"authorization":             request(t, "GET http://h/a", "Authorization: Bearer x"),
		"other authorization":       request(t, "GET http://h/a", "Authorization: Bearer y"),
		"empty authorization":       request(t, "GET http://h/a", "Authorization: "),
		"cookie":                    request(t, "GET http://h/a", "Cookie: x"),
		"cookie like authorization": request(t, "GET http://h/a", "Cookie: Bearer x"),
		"both":                      request(t, "GET http://h/a", "Authorization: Bearer x", "Cookie: x"),
		"two cookies":               request(t, "GET http://h/a", "Cookie: x", "Cookie: y"),
		"hand-written name":         request(t, "GET http://h/a", "authorization: Bearer z"),
		"other path":                request(t, "GET http://h/ab"),
	}
	seen := map[string]string{}
	for name, r := range requests {
		k := key(t, keying.Default(), r)
		if other, ok := seen[k]; ok {
			t.Errorf("%q and %q have one key", name, other)
		}
		seen[k] = name
		if strings.Contains(k, "Bearer") {
			t.Errorf("%q: the secret stands in the key: %q", name, k)
		}
	}
	if key(t, keying.SingleUser(), requests["both"]) != key(t, keying.SingleUser(), requests["nobody"]) {
		t.Error("SingleUser must not look at credentials")
	}
}

func TestStrategiesFromPartsKeepPrincipalsApart(t *testing.T) {
	alice, bob := request(t, "GET http://h/a", "Authorization: a"), request(t, "GET http://h/a", "Authorization: b")
	if s := keying.New(keying.Prefix("v1")); key(t, s, alice) == key(t, s, bob) {
		t.Error("Of without a principal must add the credentials")
	}
	if s := keying.New(keying.URL(keying.URLOptions{}), keying.IgnoreCredentials()); key(t, s, alice) != key(t, s, bob) {
		t.Error("IgnoreCredentials must share")
	}
	tenant := keying.New(keying.Principal(func(r *http.Request) (string, error) { return r.Header.Get("X-Tenant"), nil }))
	if key(t, tenant, alice) != key(t, tenant, bob) {
		t.Error("one tenant must share")
	}
}

// same compares the keys of two requests.
type same struct {
	name string
	a, b *http.Request
	want bool
}

func check(t *testing.T, s keying.Strategy, tests []same) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := key(t, s, test.a) == key(t, s, test.b); got != test.want {
				t.Errorf("same key = %v, want %v", got, test.want)
			}
		})
	}
}

func TestURLIgnoresParameters(t *testing.T) {
	check(t, keying.New(keying.URL(keying.URLOptions{Ignore: []string{"utm_source", "a b"}})), []same{
		{"ignored", request(t, "GET http://h/?x=1&utm_source=y"), request(t, "GET http://h/?x=1"), true},
		{"ignored, encoded", request(t, "GET http://h/?a+b=1&x=1"), request(t, "GET http://h/?a%20b=2&x=1"), true},
		{"counts", request(t, "GET http://h/?x=1"), request(t, "GET http://h/?x=2"), false},
		{"order counts", request(t, "GET http://h/?x=1&y=2"), request(t, "GET http://h/?y=2&x=1"), false},
	})
}

func TestURLCountsOnlyNamedParameters(t *testing.T) {
	check(t, keying.New(keying.URL(keying.URLOptions{Only: []string{"id"}})), []same{
		{"others", request(t, "GET http://h/?id=1&t=5"), request(t, "GET http://h/?id=1&t=6"), true},
		{"named", request(t, "GET http://h/?id=1"), request(t, "GET http://h/?id=2"), false},
	})
}

func TestURLSortsParameters(t *testing.T) {
	check(t, keying.New(keying.URL(keying.URLOptions{Sort: true})), []same{
		{"order of names", request(t, "GET http://h/?x=1&y=2"), request(t, "GET http://h/?y=2&x=1"), true},
		{"order of values", request(t, "GET http://h/?x=1&x=2"), request(t, "GET http://h/?x=2&x=1"), false},
		{"joined values", request(t, "GET http://h/?x=1%26y"), request(t, "GET http://h/?x=1&y"), false},
	})
}

func TestURLPathTemplates(t *testing.T) {
	check(t, keying.New(keying.URL(keying.URLOptions{Paths: []string{"/static/*/app.js", "/docs/**"}})), []same{
		{"one segment", request(t, "GET http://h/static/1/app.js"), request(t, "GET http://h/static/2/app.js"), true},
		{"another file", request(t, "GET http://h/static/1/app.js"), request(t, "GET http://h/static/1/b.js"), false},
		{"two segments", request(t, "GET http://h/static/1/app.js"), request(t, "GET http://h/static/1/2/app.js"), false},
		{"the rest", request(t, "GET http://h/docs/a/b"), request(t, "GET http://h/docs/c"), true},
		{"a path that looks like a template", request(t, "GET http://h/static/1/app.js"), request(t, "GET http://h/static/*/app.js?"), false},
	})
}

func TestURLHostAliases(t *testing.T) {
	check(t, keying.New(keying.URL(keying.URLOptions{Hosts: map[string]string{"Mirror.example:8080": "example.com", "two.example:80": "example.com"}})), []same{
		{"with the scheme's own port", request(t, "GET http://two.example:80/a"), request(t, "GET http://example.com/a"), true},
		{"that goes without saying", request(t, "GET http://two.example/a"), request(t, "GET http://example.com/a"), true},
		{"another scheme's", request(t, "GET https://two.example/a"), request(t, "GET https://example.com/a"), false},
		{"alias", request(t, "GET http://mirror.example:8080/a"), request(t, "GET http://example.com/a"), true},
		{"no alias", request(t, "GET http://other.example/a"), request(t, "GET http://example.com/a"), false},
	})
}

func TestHeaderPart(t *testing.T) {
	s := keying.New(keying.Header("X-Api-Version"))
	check(t, s, []same{
		{"other value", request(t, "GET http://h/", "X-Api-Version: 1"), request(t, "GET http://h/", "X-Api-Version: 2"), false},
		{"absent is not empty", request(t, "GET http://h/"), request(t, "GET http://h/", "X-Api-Version: "), false},
		{"other field", request(t, "GET http://h/", "X: 1"), request(t, "GET http://h/", "X: 2"), true},
	})
}

func TestAllHeadersPart(t *testing.T) {
	check(t, keying.New(keying.AllHeaders("x-trace")), []same{
		{"other value", request(t, "GET http://h/", "A: 1"), request(t, "GET http://h/", "A: 2"), false},
		{"other field", request(t, "GET http://h/", "A: 1"), request(t, "GET http://h/", "B: 1"), false},
		{"spelling", request(t, "GET http://h/", "A: 1"), request(t, "GET http://h/", "a: 1"), true},
		{"two values", request(t, "GET http://h/", "A: 1", "A: 2"), request(t, "GET http://h/", "A: 12"), false},
		{"left out", request(t, "GET http://h/", "X-Trace: 1"), request(t, "GET http://h/", "X-Trace: 2"), true},
	})
}

func TestBodyByMeaning(t *testing.T) {
	js, form := "Content-Type: application/json", "Content-Type: application/x-www-form-urlencoded"
	check(t, keying.New(keying.Body(keying.BodyOptions{Ignore: []string{"id"}})), []same{
		{"white space and order", request(t, "QUERY http://h/", js, "", `{"a":1,"b":[1,2]}`), request(t, "QUERY http://h/", js, "", `{ "b": [1, 2], "a": 1 }`), true},
		{"ignored member", request(t, "QUERY http://h/", js, "", `{"a":1,"id":1}`), request(t, "QUERY http://h/", js, "", `{"a":1}`), true},
		{"the same name, nested", request(t, "QUERY http://h/", js, "", `{"a":{"id":1}}`), request(t, "QUERY http://h/", js, "", `{"a":{}}`), false},
		{"list order", request(t, "QUERY http://h/", js, "", `[1,2]`), request(t, "QUERY http://h/", js, "", `[2,1]`), false},
		{"large numbers", request(t, "QUERY http://h/", js, "", `9007199254740993`), request(t, "QUERY http://h/", js, "", `9007199254740992`), false},
		{"member named twice", request(t, "QUERY http://h/", js, "", `{"a":1,"a":2}`), request(t, "QUERY http://h/", js, "", `{"a":2}`), false},
		{"ignored member named twice", request(t, "QUERY http://h/", js, "", `{"id":1,"id":2}`), request(t, "QUERY http://h/", js, "", `{}`), false},
		{"bytes that are no text", request(t, "QUERY http://h/", js, "", "{\"a\":\"\xff\"}"), request(t, "QUERY http://h/", js, "", "{\"a\":\"\xfe\"}"), false},
		{"half a surrogate pair", request(t, "QUERY http://h/", js, "", `{"a":"\ud800"}`), request(t, "QUERY http://h/", js, "", `{"a":"\ud801"}`), false},
		{"half a surrogate pair as a name", request(t, "QUERY http://h/", js, "", `{"\ud800":1}`), request(t, "QUERY http://h/", js, "", `{"\ud801":1}`), false},
		{"UTF-8 goes without saying", request(t, "QUERY http://h/", js+"; charset=UTF-8", "", `{}`), request(t, "QUERY http://h/", js, "", `{}`), true},
		{"another charset does not", request(t, "QUERY http://h/", form+"; charset=iso-8859-1", "", `a=%e4`), request(t, "QUERY http://h/", form, "", `a=%e4`), false},
		{"a profile counts", request(t, "QUERY http://h/", js+"; profile=a", "", `{}`), request(t, "QUERY http://h/", js+"; profile=b", "", `{}`), false},
		{"trailing text", request(t, "QUERY http://h/", js, "", `{} x`), request(t, "QUERY http://h/", js, "", `{}`), false},
		{"form order", request(t, "QUERY http://h/", form, "", `a=1&b=2`), request(t, "QUERY http://h/", form, "", `b=2&a=1`), true},
		{"form ignored", request(t, "QUERY http://h/", form, "", `a=1&id=2`), request(t, "QUERY http://h/", form, "", `a=1`), true},
		{"text is raw", request(t, "QUERY http://h/", "Content-Type: text/plain", "", `{"a":1}`), request(t, "QUERY http://h/", "Content-Type: text/plain", "", `{ "a":1}`), false},
		{"type counts", request(t, "QUERY http://h/", "Content-Type: text/plain", "", `a`), request(t, "QUERY http://h/", "Content-Type: text/html", "", `a`), false},
		{"no content is not empty JSON", request(t, "QUERY http://h/"), request(t, "QUERY http://h/", js, "", `{}`), false},
	})
}

func TestBodyGraphQL(t *testing.T) {
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
		{"a GET without content", request(t, "GET http://h/?query={a}"), request(t, "GET http://h/?query={a}"), true},
		{"another query of one", request(t, "GET http://h/?query={a}"), request(t, "GET http://h/?query={b}"), false},
		{"variables count",
			request(t, "POST http://h/", js, "", `{"query":"{a}","variables":{"x":1}}`),
			request(t, "POST http://h/", js, "", `{"query":"{a}","variables":{"x":2}}`), false},
	})
	for _, document := range []string{`mutation { a }`, `{a} mutation M { b }`, `subscription { a }`, ``, "\ufeffmutation { a }", `fragment f on T { a } @mutation mutation { a }`,
		`{a} @x mutation { b }`, `query Q { a } subscription S { b }`, `type T { a: Int }`, `{a}} mutation { b`, `(a) mutation { b }`, `query Q { a`} {
		if _, err := s.AppendKey(nil, request(t, "POST http://h/", js, "", `{"query":"`+document+`"}`)); err == nil {
			t.Errorf("%q must have no key", document)
		}
	}
	for _, document := range []string{`query mutationHistory { a }`, `query mutation { a }`, `query subscriptionStatus { a }`, `query Q @mutation { mutation { subscription } }`,
		`fragment mutationFields on T { a } query Q { ...mutationFields }`, `{ ...subscription } fragment subscription on T { a }`, "\ufeff{ a }",
		`\"a mutation\" query Q($x: [In!] = [{mutation: 1}]) { a(x: $x) }`} {
		if _, err := s.AppendKey(nil, request(t, "POST http://h/", js, "", `{"query":"`+document+`"}`)); err != nil {
			t.Errorf("%q is a query: %v", document, err)
		}
	}
}

// Ignored members are named by their path.
func TestBodyIgnoresPaths(t *testing.T) {
	for _, test := range []struct {
		ignore, content, without string
		want                     bool
	}{
		{"requestId", `{"requestId":1,"variables":{}}`, `{"variables":{}}`, true},
		{"requestId", `{"variables":{"requestId":1}}`, `{"variables":{}}`, false},
		{"variables.requestId", `{"variables":{"requestId":1}}`, `{"variables":{}}`, true},
		{"variables.requestId", `{"requestId":1,"variables":{}}`, `{"variables":{}}`, false},
		{"variables.requestId", `{"variables":{"a":{"requestId":1}}}`, `{"variables":{"a":{}}}`, false},
		{"variables", `{"variables":{"a":1}}`, `{}`, true},
		{"*.id", `{"a":{"id":1},"b":{"id":2}}`, `{"a":{},"b":{}}`, true},
		{"*.id", `{"id":1}`, `{}`, false},
		{"**.id", `{"id":1,"a":{"id":2,"b":[{"id":3}]}}`, `{"a":{"b":[{}]}}`, true},
		{"**.a.id", `{"a":{"id":2},"id":1}`, `{"a":{},"id":1}`, true},
		{"**.a.id", `{"id":1}`, `{}`, false},
		{"items.id", `{"items":[{"id":1},{"id":2,"x":[[{"y":1}]]}]}`, `{"items":[{},{"x":[[{"y":1}]]}]}`, true},
		{"id", `[{"id":1},{"id":2}]`, `[{},{}]`, true},
		{`a\.b`, `{"a.b":1,"a":{"b":2}}`, `{"a":{"b":2}}`, true},
		{"a.b", `{"a.b":1}`, `{}`, false},
	} {
		s := keying.New(keying.Body(keying.BodyOptions{Format: keying.FormatJSON, Ignore: []string{"other", test.ignore}}))
		one, two := request(t, "QUERY http://h/", "", test.content), request(t, "QUERY http://h/", "", test.without)
		if got := key(t, s, one) == key(t, s, two); got != test.want {
			t.Errorf("without %s, %s is %s: %v, want %v", test.ignore, test.content, test.without, got, test.want)
		}
	}
	s := keying.New(keying.Body(keying.BodyOptions{Format: keying.FormatGraphQL, Ignore: []string{"variables.requestId"}}))
	one, two := request(t, "POST http://h/", "", `{"query":"{a}","variables":{"requestId":1}}`), request(t, "POST http://h/", "", `{"query":"{a}","variables":{"requestId":2}}`)
	if key(t, s, one) != key(t, s, two) {
		t.Error("a path into the variables of GraphQL")
	}
}

func TestStreamsAreNeverConsumed(t *testing.T) {
	r := request(t, "QUERY http://h/", "", "content")
	r.GetBody = nil
	if _, err := keying.New(keying.Body(keying.BodyOptions{})).AppendKey(nil, r); err == nil {
		t.Error("a stream must have no key")
	}
	rest := new(bytes.Buffer)
	rest.ReadFrom(r.Body)
	if rest.String() != "content" {
		t.Errorf("the stream has %q left", rest)
	}
	long := request(t, "QUERY http://h/", "", "content")
	if _, err := keying.New(keying.Body(keying.BodyOptions{MaxBytes: 6})).AppendKey(nil, long); err == nil {
		t.Error("content over the bound must have no key")
	}
}

func TestErrorsOfPartsAreErrorsOfTheStrategy(t *testing.T) {
	oops := errors.New("oops")
	s := keying.New(keying.Principal(func(*http.Request) (string, error) { return "", oops }))
	if _, err := s.AppendKey(nil, request(t, "GET http://h/")); !errors.Is(err, oops) {
		t.Errorf("error = %v, want oops", err)
	}
}

func TestPartsAreKeptApart(t *testing.T) {
	a := keying.New(keying.Prefix("ab"), keying.Prefix("c"))
	b := keying.New(keying.Prefix("a"), keying.Prefix("bc"))
	r := request(t, "GET http://h/")
	if key(t, a, r) == key(t, b, r) {
		t.Error("two sequences of parts have one key")
	}
}

func TestDefaultAllocatesNothing(t *testing.T) {
	s := keying.Default()
	r := request(t, "GET https://example.com/a/b?c=d", "Accept: */*", "Authorization: Bearer x")
	buf := make([]byte, 0, 1024)
	n := testing.AllocsPerRun(100, func() { buf, _ = s.AppendKey(buf[:0], r) })
	if n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// Two requests that are sent in two ways have two keys, whatever part of them counts.
func TestURLCountsWhatIsSent(t *testing.T) {
	s := keying.New(keying.URL(keying.URLOptions{Ignore: []string{"t"}, Sort: true, Paths: []string{"/docs/*", "/all/**"}, Hosts: map[string]string{"Bücher.example": "books.example"}}))
	check(t, s, []same{
		{"dot segments", request(t, "GET http://h/a/../b"), request(t, "GET http://h/b"), false},
		{"a dot segment is nothing that a template stands for", request(t, "GET http://h/docs/.."), request(t, "GET http://h/docs/a"), false},
		{"nor is an encoded one", request(t, "GET http://h/all/%2e%2E/b"), request(t, "GET http://h/all/a"), false},
		{"percent-encoding of a path", request(t, "GET http://h/%61"), request(t, "GET http://h/a"), false},
		{"percent-encoding of a parameter", request(t, "GET http://h/?a=%62"), request(t, "GET http://h/?a=b"), false},
		{"two forms of a host", request(t, "GET http://bücher.example/"), request(t, "GET http://xn--bcher-kva.example:80/"), true},
		{"a mapped host", request(t, "GET http://xn--bcher-kva.example/"), request(t, "GET http://books.example/"), true},
	})
}

// With two Content-Type lines it is unknown which one the server reads.
func TestContentUnderTwoTypesHasAKeyOfItsOwn(t *testing.T) {
	typed := func(h http.Header, content string) *http.Request {
		r := request(t, "QUERY http://h/", "", content)
		r.Header = h
		return r
	}
	one := http.Header{"Content-Type": {"application/json"}}
	for name, h := range map[string]http.Header{
		"two lines":                 {"Content-Type": {"application/json", "text/plain"}},
		"one line twice":            {"Content-Type": {"application/json", "application/json"}},
		"another spelling":          {"Content-Type": {"application/json"}, "content-type": {"text/plain"}},
		"two spellings, none usual": {"content-type": {"application/json"}, "CONTENT-TYPE": {"text/plain"}},
		"a list":                    {"Content-Type": {"application/json, text/plain"}},
	} {
		for _, format := range []keying.Format{keying.FormatByType, keying.FormatRaw, keying.FormatJSON, keying.FormatForm} {
			s := keying.New(keying.Body(keying.BodyOptions{Format: format}))
			if key(t, s, typed(one, `{"a":1}`)) == key(t, s, typed(h, `{"a":1}`)) {
				t.Errorf("%s, format %d: the key of one line", name, format)
			}
			if format != keying.FormatRaw && name != "a list" && key(t, s, typed(h, `{"a":1}`)) == key(t, s, typed(h, `{"a": 1}`)) {
				t.Errorf("%s, format %d: compared by a meaning that the server may not find", name, format)
			}
		}
	}
	s := keying.New(keying.Body(keying.BodyOptions{}))
	if key(t, s, typed(one, `{"a":1}`)) != key(t, s, typed(http.Header{"content-type": {"application/json"}}, `{"a": 1}`)) {
		t.Error("one line counts under any spelling")
	}
	if _, err := keying.New(keying.Body(keying.BodyOptions{Format: keying.FormatGraphQL})).AppendKey(nil, typed(http.Header{"Content-Type": {"a/b", "c/d"}}, `{"query":"{a}"}`)); err == nil {
		t.Error("a GraphQL request under two types has a key")
	}
}

// FuzzDefault checks that a key is stable, and different for different queries and hosts.
func FuzzDefault(f *testing.F) {
	f.Add("/a", "b=c", "/ab", "=c")
	f.Add("/a/../b", "", "/b", "%7e")
	f.Fuzz(func(t *testing.T, path1, query1, path2, query2 string) {
		one := &http.Request{URL: &url.URL{Scheme: "http", Host: "h", Path: "/" + path1, RawQuery: query1}}
		two := &http.Request{URL: &url.URL{Scheme: "http", Host: "h", Path: "/" + path2, RawQuery: query2}}
		k1, k2 := key(t, keying.Default(), one), key(t, keying.Default(), two)
		if k1 != key(t, keying.Default(), one) {
			t.Fatal("a key must be stable")
		}
		plain := func(s string) bool { return !strings.ContainsAny(s, "%./") }
		if plain(path1) && plain(path2) && plain(query1) && plain(query2) {
			if same := path1 == path2 && query1 == query2; same != (k1 == k2) {
				t.Fatalf("%q?%q and %q?%q: same key = %v", path1, query1, path2, query2, k1 == k2)
			}
		}
		params := strings.Split(query1, "&")
		slices.SortStableFunc(params, func(a, b string) int {
			return strings.Compare(strings.SplitN(b, "=", 2)[0], strings.SplitN(a, "=", 2)[0])
		})
		other := &http.Request{URL: &url.URL{Scheme: "http", Host: "h", Path: "/" + path1, RawQuery: strings.Join(params, "&")}}
		sorted := keying.New(keying.URL(keying.URLOptions{Sort: true}))
		if !strings.ContainsAny(query1, "%+") && key(t, sorted, one) != key(t, sorted, other) {
			t.Fatalf("the order of %q makes a difference", query1)
		}
	})
}
