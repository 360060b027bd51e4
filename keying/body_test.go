package keying_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/plyhttp/ply/keying"
)

func TestBodyComparesByMeaning(t *testing.T) {
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
		{"text that looks like a form is raw", request(t, "QUERY http://h/", "Content-Type: text/plain", "", `a=1&b=2`), request(t, "QUERY http://h/", "Content-Type: text/plain", "", `b=2&a=1`), false},
		{"a type that only ends in +json is raw", request(t, "QUERY http://h/", "Content-Type: text/x+json", "", `{"a":1}`), request(t, "QUERY http://h/", "Content-Type: text/x+json", "", `{ "a":1}`), false},
		{"another application type is raw", request(t, "QUERY http://h/", "Content-Type: application/jsonx", "", `{"a":1}`), request(t, "QUERY http://h/", "Content-Type: application/jsonx", "", `{ "a":1}`), false},
		{"the JSON of AWS is JSON", request(t, "POST http://h/", "Content-Type: application/x-amz-json-1.0", "", `{"a":1,"b":2}`), request(t, "POST http://h/", "Content-Type: application/x-amz-json-1.0", "", `{"b":2,"a":1}`), true},
		{"application/…+json is JSON", request(t, "QUERY http://h/", "Content-Type: application/problem+json", "", `{"a":1}`), request(t, "QUERY http://h/", "Content-Type: application/problem+json", "", `{ "a":1}`), true},
		{"without a type it is raw", request(t, "QUERY http://h/", "", `{"a":1}`), request(t, "QUERY http://h/", "", `{ "a":1}`), false},
		{"malformed types differ", request(t, "QUERY http://h/", "Content-Type: a/b; x", "", `{}`), request(t, "QUERY http://h/", "Content-Type: a/b; y", "", `{}`), false},
		{"JSON under a malformed type is raw", request(t, "QUERY http://h/", "Content-Type: application/json; x", "", `{"a":1}`), request(t, "QUERY http://h/", "Content-Type: application/json; x", "", `{ "a":1}`), false},
		{"100 nested arrays", request(t, "QUERY http://h/", js, "", nested(100, "")), request(t, "QUERY http://h/", js, "", nested(100, " ")), true},
		{"200 nested arrays are raw", request(t, "QUERY http://h/", js, "", nested(200, "")), request(t, "QUERY http://h/", js, "", nested(200, " ")), false},
		{"200 nested objects are raw", request(t, "QUERY http://h/", js, "", members(200, "1")), request(t, "QUERY http://h/", js, "", members(200, "1 ")), false},
		{"100 arrays around a number", request(t, "QUERY http://h/", js, "", nested(100, "1")), request(t, "QUERY http://h/", js, "", nested(100, "1 ")), true},
		{"100 objects around a number", request(t, "QUERY http://h/", js, "", members(100, "1")), request(t, "QUERY http://h/", js, "", members(100, "1 ")), true},
		{"101 arrays around a number are raw", request(t, "QUERY http://h/", js, "", nested(101, "1")), request(t, "QUERY http://h/", js, "", nested(101, "1 ")), false},
		{"what 101 arrays hold counts", request(t, "QUERY http://h/", js, "", nested(101, "1")), request(t, "QUERY http://h/", js, "", nested(101, "2")), false},
		{"an array that never ends is raw", request(t, "QUERY http://h/", js, "", `[1`), request(t, "QUERY http://h/", js, "", `[1]`), false},
		{"an object that never ends is raw", request(t, "QUERY http://h/", js, "", `{"a":1`), request(t, "QUERY http://h/", js, "", `{"a":1}`), false},
		{"half a surrogate pair in an array that never ends", request(t, "QUERY http://h/", js, "", `["\ud800"`), request(t, "QUERY http://h/", js, "", `["\ud801"`), false},
		{"half a surrogate pair in an object that never ends", request(t, "QUERY http://h/", js, "", `{"a":"\ud800"`), request(t, "QUERY http://h/", js, "", `{"a":"\ud801"`), false},
		{"half a surrogate pair as a name in an object that never ends", request(t, "QUERY http://h/", js, "", `{"\ud800":1`), request(t, "QUERY http://h/", js, "", `{"\ud801":1`), false},
		{"an array of what is no JSON", request(t, "QUERY http://h/", js, "", `[x]`), request(t, "QUERY http://h/", js, "", `[y]`), false},
		{"Content-Encoding counts", request(t, "QUERY http://h/", js, "Content-Encoding: gzip", "", `{}`), request(t, "QUERY http://h/", js, "", `{}`), false},
		{"type counts", request(t, "QUERY http://h/", "Content-Type: text/plain", "", `a`), request(t, "QUERY http://h/", "Content-Type: text/html", "", `a`), false},
		{"no content is not empty JSON", request(t, "QUERY http://h/"), request(t, "QUERY http://h/", js, "", `{}`), false},
	})
}

// Ignored members are named by their path.
func TestBodyIgnoresMembersByPath(t *testing.T) {
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
		{`a\.`, `{"a.":1}`, `{}`, true},
		{`a\`, `{"a\\":1}`, `{}`, true},
		{`a\b`, `{"a\\b":1}`, `{}`, true},
		{"**", `{"a":1}`, `{}`, false},
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

func TestStreamHasNoKeyAndIsNotRead(t *testing.T) {
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

// Content up to the bound has a key, whether its length is known or not; longer content, and content that cannot be read, has none.
func TestBodyIsBounded(t *testing.T) {
	oops := errors.New("oops")
	for _, test := range []struct {
		name    string
		max     int64
		length  int // of the content
		unknown bool
		want    bool
	}{
		{"as long as the bound", 7, 7, false, true},
		{"as long as the bound, of unknown length", 7, 7, true, true},
		{"longer", 7, 8, false, false},
		{"longer, of unknown length", 7, 8, true, false},
		{"the bound of zero options", 0, 1 << 20, false, true},
		{"over the bound of zero options", 0, 1<<20 + 1, false, false},
	} {
		r := request(t, "QUERY http://h/", "", strings.Repeat("x", test.length))
		if test.unknown {
			r.ContentLength = -1
		}
		if _, err := keying.New(keying.Body(keying.BodyOptions{MaxBytes: test.max})).AppendKey(nil, r); (err == nil) != test.want {
			t.Errorf("content %s has a key: %v (%v), want %v", test.name, err == nil, err, test.want)
		}
	}
	for name, body := range map[string]func() (io.ReadCloser, error){
		"that cannot be opened again": func() (io.ReadCloser, error) { return nil, oops },
		"that cannot be read":         func() (io.ReadCloser, error) { return io.NopCloser(iotest.ErrReader(oops)), nil },
	} {
		r := request(t, "QUERY http://h/", "", "content")
		r.GetBody = body
		if _, err := keying.New(keying.Body(keying.BodyOptions{})).AppendKey(nil, r); !errors.Is(err, oops) {
			t.Errorf("content %s: error %v, want its own", name, err)
		}
	}
	r := request(t, "QUERY http://h/")
	r.Body = http.NoBody
	if _, err := keying.New(keying.Body(keying.BodyOptions{})).AppendKey(nil, r); err != nil {
		t.Errorf("http.NoBody needs no second copy: %v", err)
	}
}

// The list belongs to the part: a caller who goes on changing it changes nothing.
func TestBodyCopiesItsOptions(t *testing.T) {
	ignore := []string{"id"}
	s := keying.New(keying.Body(keying.BodyOptions{Format: keying.FormatForm, Ignore: ignore}))
	ignore[0] = "a"
	check(t, s, []same{
		{"still ignored", request(t, "QUERY http://h/", "", `a=1&id=1`), request(t, "QUERY http://h/", "", `a=1&id=2`), true},
		{"still counts", request(t, "QUERY http://h/", "", `a=1`), request(t, "QUERY http://h/", "", `a=2`), false},
		{"two ways to write a type, without content", request(t, "GET http://h/", "Content-Type: text/plain"), request(t, "GET http://h/", "Content-Type: text/plain; charset=utf-8"), true},
	})
}

// Nearly every text can be read as a form: what is no form, or a compressed one, must not become one with other fields than those that count.
func TestContentThatIsNoFormCountsWhole(t *testing.T) {
	form, gzip := "Content-Type: application/x-www-form-urlencoded", "Content-Encoding: gzip"
	for _, format := range []keying.Format{keying.FormatByType, keying.FormatForm} {
		check(t, keying.New(keying.Body(keying.BodyOptions{Format: format, Only: []string{"q"}})), []same{
			{"compressed", request(t, "POST http://h/", form, gzip, "", "\x1f\x8b1"), request(t, "POST http://h/", form, gzip, "", "\x1f\x8b2"), false},
			{"compressed, in another spelling", request(t, "POST http://h/", form, "content-encoding: br", "", "\x1f\x8b1"), request(t, "POST http://h/", form, "content-encoding: br", "", "\x1f\x8b2"), false},
			{"compressed, a plus and a space", request(t, "POST http://h/", form, gzip, "", "q=\x8b+"), request(t, "POST http://h/", form, gzip, "", "q=\x8b "), false},
			{"compressed, the same", request(t, "POST http://h/", form, gzip, "", "\x1f\x8b1"), request(t, "POST http://h/", form, gzip, "", "\x1f\x8b1"), true},
			{"not compressed", request(t, "POST http://h/", form, "Content-Encoding: identity", "", "q=1&n=1"), request(t, "POST http://h/", form, "Content-Encoding: identity", "", "n=2&q=1"), true},
			{"JSON", request(t, "POST http://h/", "Content-Type: application/json", "", `{"q":1}`), request(t, "POST http://h/", "Content-Type: application/json", "", `{"q":2}`), false},
			{"text", request(t, "POST http://h/", "Content-Type: text/plain", "", `a`), request(t, "POST http://h/", "Content-Type: text/plain", "", `b`), false},
		})
	}
}

// With two Content-Type lines it is unknown which one the server reads.
func TestBodyWithTwoContentTypesIsComparedRaw(t *testing.T) {
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
	first, second := http.Header{"Content-Type": {"a/b", "c/d"}}, http.Header{"Content-Type": {"a/b", "c/e"}}
	if s := keying.New(keying.Body(keying.BodyOptions{})); key(t, s, typed(first, `{}`)) == key(t, s, typed(second, `{}`)) {
		t.Error("two pairs of types share a key")
	}
	s := keying.New(keying.Body(keying.BodyOptions{}))
	if key(t, s, typed(one, `{"a":1}`)) != key(t, s, typed(http.Header{"content-type": {"application/json"}}, `{"a": 1}`)) {
		t.Error("one line counts under any spelling")
	}
	if _, err := keying.New(keying.Body(keying.BodyOptions{Format: keying.FormatGraphQL})).AppendKey(nil, typed(http.Header{"Content-Type": {"a/b", "c/d"}}, `{"query":"{a}"}`)); err == nil {
		t.Error("a GraphQL request under two types has a key")
	}
}

// members returns n objects, one in the other, with value in the innermost.
func members(n int, value string) string {
	return strings.Repeat(`{"a":`, n) + value + strings.Repeat("}", n)
}

// nested returns n arrays, one in the other, with space in the innermost.
func nested(n int, space string) string {
	return strings.Repeat("[", n) + space + strings.Repeat("]", n)
}

// A type that cannot be read is compared as it stands, whatever format is asked for.
func TestMalformedContentTypesDiffer(t *testing.T) {
	for _, format := range []keying.Format{keying.FormatByType, keying.FormatRaw, keying.FormatJSON, keying.FormatForm, keying.FormatGraphQL} {
		check(t, keying.New(keying.Body(keying.BodyOptions{Format: format})), []same{
			{"malformed", request(t, "QUERY http://h/", "Content-Type: a/b; x", "", `{"query":"{a}"}`), request(t, "QUERY http://h/", "Content-Type: a/b; y", "", `{"query":"{a}"}`), false},
			{"with a parameter that cannot be written", request(t, "QUERY http://h/", "Content-Type: a b", "", `{"query":"{a}"}`), request(t, "QUERY http://h/", "Content-Type: a c", "", `{"query":"{a}"}`), false},
		})
	}
}
