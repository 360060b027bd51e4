package stored

import (
	"net/http"
	"testing"
)

// A request is recognised by its lines as they are; all else is left to the rules of normalisation.
func TestSelectorRecognisesTheSameLine(t *testing.T) {
	for _, test := range []struct {
		name     string
		selector Selector
		request  http.Header
		want     bool
	}{
		{"the same line", Selector{"A", true, "x", "x"}, http.Header{"A": {"x"}}, true},
		{"another line", Selector{"A", true, "x", "x"}, http.Header{"A": {"y"}}, false},
		{"two lines", Selector{"A", true, "x", "x"}, http.Header{"A": {"x", "x"}}, false},
		{"no line", Selector{"A", true, "x", "x"}, http.Header{"A": {}}, false},
		{"no field", Selector{"A", true, "x", "x"}, http.Header{}, false},
		{"a line that is not kept", Selector{"A", true, "x", ""}, http.Header{"A": {"x"}}, false},
		{"an empty line, for one that is not kept", Selector{"A", true, "", ""}, http.Header{"A": {""}}, false},
		{"absent in both", Selector{"A", false, "", ""}, http.Header{"B": {"x"}}, true},
		{"absent when it was stored", Selector{"A", false, "", ""}, http.Header{"A": {""}}, false},
		{"absent when it was stored, and now without lines", Selector{"A", false, "", ""}, http.Header{"A": nil}, false},
		{"a second spelling of its name", Selector{"Accept", true, "x", "x"}, http.Header{"Accept": {"x"}, "accept": {"y"}}, false},
		{"another spelling of an absent name", Selector{"Accept", false, "", ""}, http.Header{"aCCEPT": {"y"}}, false},
		{"another name of the same length", Selector{"Accept", true, "x", "x"}, http.Header{"Accept": {"x"}, "Bccept": {"y"}}, true},
	} {
		if got := test.selector.Recognises(test.request); got != test.want {
			t.Errorf("%s: %t, want %t", test.name, got, test.want)
		}
		for at, both := range [][]Selector{{test.selector, {Name: "Other"}}, {{Name: "Other"}, test.selector}, {test.selector}} {
			if got := (&Entry{Selectors: both}).Recognises(test.request, false); got != test.want {
				t.Errorf("%s, in an entry, %d: %t, want %t", test.name, at, got, test.want)
			}
		}
	}
	if !(&Entry{}).Recognises(http.Header{"A": {"x"}}, false) {
		t.Error("an entry that varies on nothing recognises each request")
	}
}

// A key that has the cookie says which line the stored response's request had, if it had the field at all. It says nothing of other fields.
func TestSelectorRecognisesACookieByItsKey(t *testing.T) {
	cookie, accept := Selector{"Cookie", true, "hash", ""}, Selector{"Accept", true, "x", "x"}
	one := http.Header{"Cookie": {"a=1"}, "Accept": {"x"}}
	for name, test := range map[string]struct {
		selectors []Selector
		request   http.Header
		want      bool
	}{
		"the cookie":                    {[]Selector{cookie}, one, true},
		"beside another field":          {[]Selector{accept, cookie}, one, true},
		"another field of another line": {[]Selector{{"Accept", true, "y", "y"}, cookie}, one, false},
		"another secret field":          {[]Selector{{"Authorization", true, "hash", ""}}, one, false},
		"stored without a cookie":       {[]Selector{{"Cookie", false, "", ""}}, one, false},
		"two spellings":                 {[]Selector{cookie}, http.Header{"Cookie": {"a=1"}, "cookie": {"b=2"}}, false},
	} {
		e := &Entry{Selectors: test.selectors}
		if got := e.Recognises(test.request, true); got != test.want {
			t.Errorf("%s: %t, want %t", name, got, test.want)
		}
		if test.want && e.Recognises(test.request, false) {
			t.Errorf("%s: recognised by a key that does not have the cookie", name)
		}
	}
}

// RFC 9111 §4.1: which stored responses are one variant, so that one replaces the other.
func TestSameVariant(t *testing.T) {
	query := func(line, query string) *SearchVariance {
		return NewSearchVariance(http.Header{"No-Vary-Search": {line}}, query)
	}
	of := func(v *SearchVariance, selectors ...Selector) *Entry { return &Entry{Selectors: selectors, Search: v} }
	a := Selector{"A", true, "x", "x"}
	for _, test := range []struct {
		name         string
		e, other     *Entry
		same, fields bool
	}{
		{"neither varies", of(nil), of(nil), true, true},
		{"one field, one value", of(nil, a), of(nil, a), true, true},
		{"another line of the same value", of(nil, a), of(nil, Selector{"A", true, "x", ""}), true, true},
		{"another value", of(nil, a), of(nil, Selector{"A", true, "y", "x"}), false, true},
		{"another field", of(nil, a), of(nil, Selector{"B", true, "x", "x"}), false, false},
		{"absent is not empty", of(nil, Selector{"A", true, "", ""}), of(nil, Selector{"A", false, "", ""}), false, true},
		{"one field more", of(nil, a), of(nil, a, Selector{Name: "B"}), false, false},
		{"queries that differ in what does not count", of(query(`params=("p")`, "p=1&q=2")), of(query(`params=("p")`, "q=2&p=3")), true, true},
		{"queries that differ in what counts", of(query(`params=("p")`, "q=1")), of(query(`params=("p")`, "q=2")), false, true},
		{"the newer response's word is not asked", of(query(`params`, "q=1")), of(query(`params=("p")`, "q=2")), false, true},
		{"the older response's word counts", of(query(`params=("p")`, "q=1")), of(query(`params`, "q=2")), true, true},
		{"one without No-Vary-Search", of(query(`params=("p")`, "q=1")), of(nil), true, true},
		{"the other without No-Vary-Search", of(nil), of(query(`params=("p")`, "q=1")), true, true},
	} {
		if got := test.e.SameVariant(test.other); got != test.same {
			t.Errorf("%s: %t, want %t", test.name, got, test.same)
		}
		if got := test.e.SameFields(test.other); got != test.fields {
			t.Errorf("%s: the same fields: %t, want %t", test.name, got, test.fields)
		}
	}
}

// Fields that set cookies are told by name, and taken out.
func TestSetCookieFields(t *testing.T) {
	for name, want := range map[string]bool{"Set-Cookie": true, "Set-Cookie2": true, "Cookie": false, "": false} {
		h := http.Header{"A": {"1"}}
		h[name] = []string{"a=b"}
		if SetsCookies(name) != want || RemoveCookies(h) != want || (h[name] == nil) != want || h["A"] == nil {
			t.Errorf("%q: sets cookies: %t, %v is left", name, SetsCookies(name), h)
		}
	}
	if h := (http.Header{"Set-Cookie": {"a"}, "Set-Cookie2": {"b"}}); !RemoveCookies(h) || len(h) != 0 {
		t.Errorf("%v is left", h)
	}
}
