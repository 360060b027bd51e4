package rfc9111

import (
	"net/http"
	"strings"
	"testing"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// RFC 9111 §4.1: selecting among variants.
func TestSelectionByVary(t *testing.T) {
	for _, test := range []struct {
		name             string
		vary             string
		stored, presents string
		want             bool
	}{
		{"same value", "A", "A: 1", "A: 1", true},
		{"other value", "A", "A: 1", "A: 2", false},
		{"absent both times", "A", "", "", true},
		{"absent is not empty", "A", "", "A:", false},
		{"absent then present", "A", "", "A: 1", false},
		{"present then absent", "A", "A: 1", "", false},
		{"two names, on two lines", "A | Vary: B", "A: 1 | B: 2", "A: 1 | B: 3", false},
		{"names in any case", "a", "A: 1", "A: 1", true},
		{"lines are one list", "A", "A: 1, 2", "A: 1 | A: 2", true},
		{"white space", "A", "A: 1,2", "A:  1 , 2 ", true},
		{"order counts in unknown fields", "A", "A: 1, 2", "A: 2, 1", false},
		{"case of languages", "Accept-Language", "Accept-Language: en, de", "Accept-Language: EN,DE", true},
		{"order of languages", "Accept-Language", "Accept-Language: en, de", "Accept-Language: de, en", false},
		{"order of languages that have a weight", "Accept-Language", "Accept-Language: en, de;q=0.5", "Accept-Language: de; q=0.50 ,en;q=1.0", true},
		{"order of languages with one weight", "Accept-Language", "Accept-Language: fr, en;q=0.5, de;q=0.5", "Accept-Language: fr, de;q=0.5, en;q=0.5", false},
		{"a language twice", "Accept-Language", "Accept-Language: en, de", "Accept-Language: en, de, en", true},
		{"weights that are none", "Accept-Language", "Accept-Language: en;q=2, de", "Accept-Language: de, en;q=2", false},
		{"weights that are none, once more", "Accept-Language", "Accept-Language: en;q=2, de", "Accept-Language: en;q=2,de", true},
		{"case of types", "Accept", "Accept: text/HTML;Level=1", "Accept: Text/html ; level=1", true},
		{"case of the value of a parameter", "Accept", "Accept: a/b;profile=Alpha", "Accept: a/b;profile=alpha", false},
		{"case of a quoted value", "Accept", `Accept: a/b;profile="A; b"`, `Accept: a/b;profile="a; b"`, false},
		{"white space in a quoted value", "Accept", `Accept: a/b;profile="A,  b"`, `Accept: a/b;profile="A, b"`, false},
		{"case beside a quoted value", "Accept", `Accept: A/b;profile="A", c/d`, `Accept: a/b; PROFILE="A",C/D`, true},
		{"case in another member", "Accept", "Accept: text/html, a/b;profile=Alpha;q=0.9", "Accept: text/html, a/b;profile=alpha;q=0.9", false},
		{"order of parameters", "Accept", "Accept: a/b;x=1;y=2", "Accept: a/b;y=2;x=1", false},
		{"what stands behind the weight", "Accept", "Accept: a/b;q=0.5;x=A", "Accept: a/b;q=0.5;x=a", false},
		{"the weight before or behind", "Accept", "Accept: a/b;q=0.5;x=1", "Accept: a/b;x=1;q=0.5", false},
		{"weights written otherwise", "Accept", "Accept: a/b;q=1, c/d;q=0.8", "Accept: a/b;Q=1.000,c/d;q=0.800", true},
		{"a weight of nothing", "Accept-Encoding", "Accept-Encoding: gzip, br;q=0", "Accept-Encoding: gzip", false},
		{"case of codings", "Accept-Encoding", "Accept-Encoding: GZIP", "Accept-Encoding: gzip", true},
		{"case of a parameter in another field", "Prefer", "Prefer: return=Minimal", "Prefer: return=minimal", false},
		{"other languages", "Accept-Language", "Accept-Language: en, de", "Accept-Language: en, fr", false},
		{"order of codings", "Accept-Encoding", "Accept-Encoding: gzip, br", "Accept-Encoding: br, gzip", false},
		{"qualities count", "Accept", "Accept: a/b;q=0.5", "Accept: a/b;q=0.6", false},
		{"other field", "A", "A: 1 | B: 1", "A: 1 | B: 2", true},
		{"credentials", "Cookie", "Cookie: a", "Cookie: a", true},
		{"two spellings of a name", "A", "A: 1", "A: 1 | a: 2", false},
		{"other credentials", "Cookie", "Cookie: a", "Cookie: b", false},
		{"a comma in a cookie", "Cookie", "Cookie: a=1,2", "Cookie: a=1, 2", false},
		{"two of them", "Cookie", "Cookie: a=1,2", "Cookie: a=1,,2", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			e, _ := entryOf(200, "Cache-Control: max-age=60 | Vary: "+test.vary, test.stored, private)
			presents := header(test.presents)
			if test.name == "two spellings of a name" {
				presents = http.Header{"A": {"1"}, "a": {"2"}}
			}
			if got := Selects(e, &http.Request{Header: presents}, &stored.HashKey{}); got != test.want {
				t.Errorf("selects = %v, want %v", got, test.want)
			}
		})
	}
}

// RFC 9111 §4: of several suitable responses the most recent one is used.
func TestSelectionPrefersTheMostRecentResponse(t *testing.T) {
	old, _ := entryOf(200, "Cache-Control: max-age=600 | Vary: A | Date: "+date(-100), "A: 1", private)
	recent, _ := entryOf(200, "Cache-Control: max-age=600 | Vary: B | Date: "+date(-50), "B: 1", private)
	r := newRequest("GET", "A: 1 | B: 1")
	a := asks("")
	for _, entries := range [][]*stored.Entry{{old, recent}, {recent, old}} {
		if got := Select(&stored.Variants{Entries: entries}, a, r, &stored.HashKey{}); got != recent {
			t.Error("an older response is chosen")
		}
	}
}

// FuzzVary: a request selects the response that it got itself; one with another value does only if the two have one normal form.
func FuzzVary(f *testing.F) {
	f.Add("Accept", "a, b", "b,a")
	f.Add("X", "1", "")
	f.Fuzz(func(t *testing.T, name, one, two string) {
		if !validName(name) {
			return
		}
		key := &stored.HashKey{1}
		request := http.Header{http.CanonicalHeaderKey(name): {one}}
		e := &stored.Entry{Selectors: NewSelectors([]string{name}, &http.Request{Header: request}, key)}
		if !Selects(e, &http.Request{Header: request}, key) {
			t.Fatalf("%s: %q does not select its own response", name, one)
		}
		if Selects(e, &http.Request{}, key) {
			t.Fatalf("%s: an absent field selects the response to %q", name, one)
		}
		canonical := http.CanonicalHeaderKey(name)
		other := http.Header{canonical: {two}}
		if Selects(e, &http.Request{Header: other}, key) != (normalise(canonical, []string{one}) == normalise(canonical, []string{two})) {
			t.Fatalf("%s: %q and %q", name, one, two)
		}
		if lines := strings.Split(one, ","); !strings.Contains(one, `"`) && !Selects(e, &http.Request{Header: http.Header{canonical: lines}}, key) && strings.Contains(one, ",") {
			t.Fatalf("%s: %q in lines does not select", name, one)
		}
	})
}
