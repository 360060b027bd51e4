package keying_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/plyhttp/ply/keying"
)

func TestDefaultSeparatesPrincipals(t *testing.T) {
	requests := map[string]*http.Request{
		"anonymous":                 request(t, "GET http://h/a"),
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
	if key(t, keying.SingleUser(), requests["both"]) != key(t, keying.SingleUser(), requests["anonymous"]) {
		t.Error("SingleUser must not look at credentials")
	}
}

func TestHeaderSeparatesByValue(t *testing.T) {
	s := keying.New(keying.Header("X-Api-Version"))
	check(t, s, []same{
		{"other value", request(t, "GET http://h/", "X-Api-Version: 1"), request(t, "GET http://h/", "X-Api-Version: 2"), false},
		{"absent is not empty", request(t, "GET http://h/"), request(t, "GET http://h/", "X-Api-Version: "), false},
		{"other field", request(t, "GET http://h/", "X: 1"), request(t, "GET http://h/", "X: 2"), true},
		{"other field with a name as long", request(t, "GET http://h/"), request(t, "GET http://h/", "X-Abc-Version: 2"), true},
		{"beside another field with a name as long", request(t, "GET http://h/", "X-Api-Version: 1", "X-Abc-Version: 1"), request(t, "GET http://h/", "X-Api-Version: 1", "X-Abc-Version: 2"), true},
	})
}

func TestAllHeadersSeparatesByEachField(t *testing.T) {
	check(t, keying.New(keying.AllHeaders("x-trace")), []same{
		{"other value", request(t, "GET http://h/", "A: 1"), request(t, "GET http://h/", "A: 2"), false},
		{"other field", request(t, "GET http://h/", "A: 1"), request(t, "GET http://h/", "B: 1"), false},
		{"spelling", request(t, "GET http://h/", "A: 1"), request(t, "GET http://h/", "a: 1"), true},
		{"two values", request(t, "GET http://h/", "A: 1", "A: 2"), request(t, "GET http://h/", "A: 12"), false},
		{"left out", request(t, "GET http://h/", "X-Trace: 1"), request(t, "GET http://h/", "X-Trace: 2"), true},
	})
}

// A map filled by hand is sent as it is: its fields are credentials under any spelling, and never those of an anonymous request.
func TestCredentialUnderAnySpellingIsNotAnonymous(t *testing.T) {
	anonymous := request(t, "GET http://h/")
	for name, s := range map[string]keying.Strategy{
		"Default":    keying.Default(),
		"New":        keying.New(),
		"Principal":  keying.New(keying.Principal(nil)),
		"Header":     keying.New(keying.IgnoreCredentials(), keying.Header("Cookie", "Authorization", "X-Api-Key")),
		"AllHeaders": keying.New(keying.IgnoreCredentials(), keying.AllHeaders()),
	} {
		for _, field := range []string{"cookie: a=b", "COOKIE: a=b", "authorization: Bearer x", "x-api-key: x", "X-API-Key: x", "cookie: "} {
			if key(t, s, request(t, "GET http://h/", field)) == key(t, s, anonymous) {
				t.Errorf("%s: %q shares the key of an anonymous request", name, field)
			}
		}
		if key(t, s, request(t, "GET http://h/", "cookie: a")) == key(t, s, request(t, "GET http://h/", "cookie: b")) {
			t.Errorf("%s: two cookies share a key", name)
		}
	}
}

// Strategies that say so tell cookies apart, and no others say so.
func TestKeysCookies(t *testing.T) {
	named := keying.Principal(func(*http.Request) (string, error) { return "all", nil })
	for name, test := range map[string]struct {
		s    keying.Strategy
		want bool
	}{
		"Default":                      {keying.Default(), true},
		"New":                          {keying.New(), true},
		"New of a URL":                 {keying.New(keying.URL(keying.URLOptions{Sort: true})), true},
		"the credentials":              {keying.New(keying.Principal(nil)), true},
		"a name":                       {keying.New(named), false},
		"a name and the credentials":   {keying.New(named, keying.Principal(nil)), true},
		"none":                         {keying.New(keying.IgnoreCredentials()), false},
		"none but the field":           {keying.New(keying.IgnoreCredentials(), keying.Header("Cookie")), false},
		"SingleUser":                   {keying.SingleUser(), false},
		"a function that does by rest": {keying.Func(keying.Default().AppendKey), false},
	} {
		says, ok := test.s.(interface{ KeysCookies() bool })
		if got := ok && says.KeysCookies(); got != test.want {
			t.Errorf("%s: %t, want %t", name, got, test.want)
		}
		if !test.want {
			continue
		}
		seen := map[string]int{}
		for i, lines := range [][]string{nil, {}, {""}, {"a"}, {"b"}, {"a", "b"}, {"b", "a"}, {"a, b"}, {"ab"}, {"a", ""}} {
			r := request(t, "GET http://h/a")
			if lines != nil {
				r.Header["Cookie"] = lines
			}
			k := key(t, test.s, r)
			if j, ok := seen[k]; ok {
				t.Errorf("%s: cookies %d and %d have one key", name, i, j)
			}
			seen[k] = i
		}
	}
}
