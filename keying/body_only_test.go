package keying_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/plyhttp/ply/keying"
)

func TestBodyCountsOnlyNamedMembers(t *testing.T) {
	of := func(content string) *http.Request {
		return request(t, "QUERY http://h/", "Content-Type: application/json", "", content)
	}
	long := strings.Repeat("x", 100) // of objects that are hashed in their place
	for only, cases := range map[string][]same{
		"a": {
			{"another member", of(`{"a":1,"b":1}`), of(`{"a":1,"b":2}`), true},
			{"a member that is not there", of(`{"a":1,"b":1}`), of(`{"a":1}`), true},
			{"an object beside it", of(`{"a":1,"b":{"a":1}}`), of(`{"a":1}`), true},
			{"an array beside it", of(`{"a":1,"b":[{"a":1}]}`), of(`{"a":1}`), true},
			{"the member", of(`{"a":1,"b":1}`), of(`{"a":2,"b":1}`), false},
			{"the member or none", of(`{"a":1,"b":1}`), of(`{"b":1}`), false},
			{"what the member holds", of(`{"a":{"x":[1,{"y":1}]}}`), of(`{"a":{"x":[1,{"y":2}]}}`), false},
			{"an element of the top level", of(`[1,{"a":1,"b":1}]`), of(`[2,{"a":1,"b":1}]`), false},
			{"members of elements", of(`[{"a":1,"b":1}]`), of(`[{"a":1,"b":2}]`), true},
			{"no object", of(`1`), of(`2`), false},
			{"a name that is there twice", of(`{"a":1,"b":1,"b":2}`), of(`{"a":1,"b":1,"b":3}`), false},
			{"no JSON", of(`{"a":1,"b":x}`), of(`{"a":1,"b":y}`), false},
		},
		"a.b": {
			{"beside it", of(`{"a":{"b":1,"c":1}}`), of(`{"a":{"c":2,"b":1}}`), true},
			{"beside the way", of(`{"a":{"b":1},"c":{"b":1}}`), of(`{"a":{"b":1},"c":{"b":2}}`), true},
			{"the member", of(`{"a":{"b":1}}`), of(`{"a":{"b":2}}`), false},
			{"a number in place of the way", of(`{"a":1}`), of(`{"a":2}`), true},
			{"in an array on the way", of(`{"a":[{"b":1,"c":1}]}`), of(`{"a":[{"b":1,"c":2}]}`), true},
			{"the member in an array on the way", of(`{"a":[{"b":1}]}`), of(`{"a":[{"b":2}]}`), false},
			{"how many elements are on the way", of(`{"a":[{"c":1}]}`), of(`{"a":[{"c":1},{"c":1}]}`), false},
			{"a large object on the way", of(`{"a":{"b":"` + long + `","c":1}}`), of(`{"a":{"c":2,"b":"` + long + `"}}`), true},
			{"of a large object on the way, the member", of(`{"a":{"b":"` + long + `"}}`), of(`{"a":{"b":"` + long + `x"}}`), false},
		},
		"*.b": {
			{"at any name", of(`{"a":{"b":1,"c":1},"d":1}`), of(`{"a":{"b":1,"c":2},"d":2}`), true},
			{"the member", of(`{"a":{"b":1}}`), of(`{"a":{"b":2}}`), false},
			{"deeper", of(`{"a":{"c":{"b":1}}}`), of(`{"a":{"c":{"b":2}}}`), true},
		},
		"**.b": {
			{"beside it", of(`{"b":1,"c":1,"d":{"b":2,"e":3}}`), of(`{"c":2,"d":{"e":4,"b":2},"b":1}`), true},
			{"at the top", of(`{"b":1}`), of(`{"b":2}`), false},
			{"far below", of(`{"a":{"c":[{"b":1}]}}`), of(`{"a":{"c":[{"b":2}]}}`), false},
			{"what it holds", of(`{"a":{"b":{"c":1}}}`), of(`{"a":{"b":{"c":2}}}`), false},
		},
	} {
		t.Run(only, func(t *testing.T) {
			check(t, keying.New(keying.Body(keying.BodyOptions{Only: []string{only}})), cases)
		})
	}
}

// A secret says who asks, wherever it stands: an answer for one must not reach another.
func TestBodySecretsCountThoughOnlyOthersAreNamed(t *testing.T) {
	of := func(contentType, content string) *http.Request {
		return request(t, "QUERY http://h/", "Content-Type: "+contentType, "", content)
	}
	js, form := "application/json", "application/x-www-form-urlencoded"
	check(t, keying.New(keying.Body(keying.BodyOptions{Only: []string{"a"}})), []same{
		{"at the top", of(js, `{"a":1,"api_key":"x"}`), of(js, `{"a":1,"api_key":"y"}`), false},
		{"below what does not count", of(js, `{"a":1,"auth":{"user":[{"password":"x","t":1}]}}`), of(js, `{"a":1,"auth":{"user":[{"password":"y","t":1}]}}`), false},
		{"beside it", of(js, `{"a":1,"auth":{"password":"x","t":1}}`), of(js, `{"a":1,"auth":{"password":"x","t":2}}`), true},
		{"in a form", of(form, `a=1&api_key=x`), of(form, `a=1&api_key=y`), false},
	})
}

func TestBodyCountsOnlyNamedFormFields(t *testing.T) {
	of := func(content string) *http.Request {
		return request(t, "QUERY http://h/", "Content-Type: application/x-www-form-urlencoded", "", content)
	}
	check(t, keying.New(keying.Body(keying.BodyOptions{Only: []string{"a", "c"}, Ignore: []string{"c"}})), []same{
		{"another field", of("a=1&b=1"), of("b=2&a=1"), true},
		{"a named field", of("a=1"), of("a=2"), false},
		{"one that is ignored as well", of("a=1&c=1"), of("a=1&c=2"), true},
	})
	check(t, keying.New(keying.Body(keying.BodyOptions{Only: []string{}})), []same{{"an empty list is none", of("a=1"), of("a=2"), false}})
}

func TestBodyIgnoresWithinWhatCounts(t *testing.T) {
	of := func(content string) *http.Request {
		return request(t, "QUERY http://h/", "Content-Type: application/json", "", content)
	}
	check(t, keying.New(keying.Body(keying.BodyOptions{Only: []string{"a"}, Ignore: []string{"a.id"}})), []same{
		{"the ignored member", of(`{"a":{"id":1,"x":1}}`), of(`{"a":{"id":2,"x":1}}`), true},
		{"what counts beside it", of(`{"a":{"id":1,"x":1}}`), of(`{"a":{"id":1,"x":2}}`), false},
	})
}

// A request of GraphQL without its document is none: it has no key, rather than that of all others.
func TestGraphQLWithoutItsDocumentAmongWhatCountsHasNoKey(t *testing.T) {
	for only, want := range map[string]bool{"variables": false, "query": true} {
		s := keying.New(keying.Body(keying.BodyOptions{Format: keying.FormatGraphQL, Only: []string{only}}))
		r := request(t, "POST http://h/", "Content-Type: application/json", "", `{"query":"{a}","variables":{"x":1}}`)
		if _, err := s.AppendKey(nil, r); (err == nil) != want {
			t.Errorf("%s: %v", only, err)
		}
	}
}

func ExampleBodyOptions_only() {
	s := keying.New(keying.Body(keying.BodyOptions{Only: []string{"filter"}}))
	key := func(content string) string {
		r, err := http.NewRequest("QUERY", "http://example.com/search", strings.NewReader(content))
		if err != nil {
			return err.Error()
		}
		r.Header.Set("Content-Type", "application/json")
		key, err := s.AppendKey(nil, r)
		if err != nil {
			return err.Error()
		}
		return string(key)
	}
	one := key(`{"filter": {"color": "red"}, "sent": "10:00"}`)
	fmt.Println(one == key(`{"filter": {"color": "red"}, "sent": "10:01"}`))
	fmt.Println(one == key(`{"filter": {"color": "blue"}, "sent": "10:00"}`))
	// Output:
	// true
	// false
}
