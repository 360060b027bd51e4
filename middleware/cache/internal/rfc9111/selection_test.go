package rfc9111

import (
	"github.com/google/go-cmp/cmp"
	"net/http"
	"strings"
	"testing"

	"github.com/plyhttp/ply/internal/credential"
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
		{"absent is not empty, in content negotiation", "Accept", "", "Accept:", false},
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
	f.Add("SAS", ",", "0")
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
		if credential.Named(canonical) {
			return // a comma in credentials separates nothing
		}
		if lines := strings.Split(one, ","); !strings.Contains(one, `"`) && !Selects(e, &http.Request{Header: http.Header{canonical: lines}}, key) && strings.Contains(one, ",") {
			t.Fatalf("%s: %q in lines does not select", name, one)
		}
	})
}

// What is kept of the request fields that Vary names: each once, in a fixed order, secrets as hashes.
func TestSelectors(t *testing.T) {
	key := &stored.HashKey{1}
	r := newRequest("GET", "Accept: a | B: 2 | C: 3 | C: 4 | Cookie: x | User-Agent: u")
	got := NewSelectors([]string{"user-agent, accept, B", "c, Accept, Missing, cookie, Origin"}, r, key)
	want := []stored.Selector{
		{Name: "Accept", Present: true, Value: "a", Raw: "a"},
		{Name: "B", Present: true, Value: hash(key, "2")},
		{Name: "C", Present: true, Value: hash(key, "3, 4")},
		{Name: "Cookie", Present: true, Value: hash(key, "x")},
		{Name: "Missing"},
		{Name: "Origin"},
		{Name: "User-Agent", Present: true, Value: "u", Raw: "u"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if n := len(NewSelectors([]string{numbered("f%d", 65)}, r, key)); n != 64 {
		t.Errorf("%d selectors", n)
	}
	if got := NewSelectors([]string{"User-Agent"}, newRequest("GET", "User-Agent: a | User-Agent: b"), key); got[0].Raw != "" || got[0].Value != "a, b" {
		t.Errorf("two lines: %+v", got)
	}
	if got := NewSelectors([]string{"A"}, &http.Request{Header: http.Header{"A": nil}}, key); got[0].Present {
		t.Error("a field without lines is present")
	}
	if got := NewSelectors([]string{"Cookie"}, &http.Request{Header: http.Header{"cookie": {"x"}}}, key); got[0].Value != hash(key, "x") {
		t.Error("a field is not found under another spelling")
	}
	signed := func(signature string) *http.Request {
		return newRequest("GET", "Authorization: AWS4-HMAC-SHA256 Credential=AKID/20260102/eu/s3/aws4_request, SignedHeaders=host, Signature="+signature)
	}
	one, other := NewSelectors([]string{"Authorization"}, signed("00"), key), NewSelectors([]string{"Authorization"}, signed("01"), key)
	if diff := cmp.Diff(one, other); diff != "" {
		t.Errorf("two signatures with one key\n%s", diff)
	}
}

// RFC 9110 §12.5.4: a response in the language that is preferred is used, whatever Accept-Language it was stored under, and whatever else varies is compared.
func TestSelectionOfThePreferredLanguage(t *testing.T) {
	e, _ := entryOf(200, "Cache-Control: max-age=60 | Vary: Accept-Language | Content-Language: de", "Accept-Language: de, en", private)
	both, _ := entryOf(200, "Cache-Control: max-age=60 | Vary: Accept-Language, User-Agent | Content-Language: de", "Accept-Language: de, en | User-Agent: a", private)
	for _, test := range []struct {
		e       *stored.Entry
		request string
		want    bool
	}{
		{e, "Accept-Language: de", true},
		{e, "Accept-Language: de, en", true},
		{e, "Accept-Language: en", false},
		{e, "Accept-Language: en, de;q=0.9", false},
		{e, "", false},
		{both, "Accept-Language: de | User-Agent: a", true},
		{both, "Accept-Language: de | User-Agent: b", false},
	} {
		if got := Selects(test.e, newRequest("GET", test.request), &stored.HashKey{}); got != test.want {
			t.Errorf("%q: %v, want %v", test.request, got, test.want)
		}
	}
	en, _ := entryOf(200, "Cache-Control: max-age=60 | Vary: Accept-Language | Content-Language: en", "Accept-Language: en", private)
	if Selects(en, newRequest("GET", "Accept-Language: en, de"), &stored.HashKey{}) {
		t.Error(`a response to "en" is the answer to "en, de"`)
	}
}

// RFC 9111 §4: of the responses that fit, one with the bytes that are asked for is used, and of these the latest.
func TestSelectionAmongParts(t *testing.T) {
	whole := func(seconds int) *stored.Entry {
		e, _ := entryOf(200, "Cache-Control: max-age=60 | Date: "+date(seconds), "", private)
		return e
	}
	dated := func(part *stored.Entry, seconds int) *stored.Entry {
		part.Header = stored.NewHeader(http.Header{"Date": {date(seconds)}})
		part.Derive()
		return part
	}
	old, head, tail := whole(-50), dated(partOf(0, 4, 10), -10), dated(partOf(5, 9, 10), -20)
	for _, test := range []struct {
		name, request string
		entries       []*stored.Entry
		want          *stored.Entry
	}{
		{"the whole, though a part is later", "", []*stored.Entry{old, head}, old},
		{"the whole, in the other order", "", []*stored.Entry{head, old}, old},
		{"the part that has the range", "Range: bytes=6-7", []*stored.Entry{head, tail}, tail},
		{"the part that has the range, in the other order", "Range: bytes=6-7", []*stored.Entry{tail, head}, tail},
		{"the latest of two parts, neither of which has the range", "Range: bytes=4-5", []*stored.Entry{tail, head}, head},
		{"the latest of two parts, in the other order", "Range: bytes=4-5", []*stored.Entry{head, tail}, head},
		{"the latest of what has the range", "Range: bytes=0-1", []*stored.Entry{old, head}, head},
		{"nothing", "", nil, nil},
	} {
		// With a selector that is not recognised by its raw value, the general way is taken.
		for _, e := range test.entries {
			e.Selectors = []stored.Selector{{Name: "X", Present: true, Value: hash(&stored.HashKey{}, "1")}}
		}
		if got := Select(&stored.Variants{Entries: test.entries}, asks(test.request), newRequest("GET", "X: 1"), &stored.HashKey{}); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// No-Vary-Search: a response answers other queries than its own, and its own is not preferred.
func TestSelectionByQuery(t *testing.T) {
	of := func(query string) *stored.Entry {
		e, _ := entryOf(200, `Cache-Control: max-age=60 | No-Vary-Search: params=("x")`, "", private)
		e.Search = stored.NewSearchVariance(e.Header.Map(), query)
		return e
	}
	a, b := of("a=1"), of("a=2&x=1")
	for query, want := range map[string]*stored.Entry{"a=1": a, "x=9&a=1": a, "a=2": b, "a=3": nil, "": nil} {
		r := newRequest("GET", "")
		r.URL.RawQuery = query
		if got := Select(&stored.Variants{Entries: []*stored.Entry{a, b}}, asks(""), r, &stored.HashKey{}); got != want {
			t.Errorf("%q selects %v, want %v", query, got, want)
		}
	}
}

// No-Vary-Search and Vary both have to fit.
func TestSelectionByQueryAndVary(t *testing.T) {
	e, _ := entryOf(200, `Cache-Control: max-age=60 | Vary: A | No-Vary-Search: params`, "A: 1", private)
	e.Search = stored.NewSearchVariance(e.Header.Map(), "")
	for request, want := range map[string]*stored.Entry{"A: 1": e, "A: 2": nil} {
		if got := Select(&stored.Variants{Entries: []*stored.Entry{e}}, asks(""), newRequest("GET", request), &stored.HashKey{}); got != want {
			t.Errorf("%s selects %v", request, got)
		}
	}
}

// The fast path takes a response by its raw fields only if all responses vary on the same fields: otherwise another one could fit as well.
func TestSelectionByRawFields(t *testing.T) {
	of := func(vary, request string) *stored.Entry {
		e, _ := entryOf(200, "Cache-Control: max-age=60 | Vary: "+vary, request, private)
		return e
	}
	ua, ua2, accept := of("User-Agent", "User-Agent: a"), of("User-Agent", "User-Agent: b"), of("Accept", "Accept: a")
	r := newRequest("GET", "User-Agent: a | Accept: a")
	for _, test := range []struct {
		name    string
		entries []*stored.Entry
		want    *stored.Entry
	}{
		{"one", []*stored.Entry{ua}, ua}, {"two on the same field", []*stored.Entry{ua2, ua}, ua}, {"none fits", []*stored.Entry{ua2}, nil}, {"two on different fields", []*stored.Entry{ua, accept}, nil},
	} {
		if got := recognised(&stored.Variants{Entries: test.entries}, asks(""), r); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
	if recognised(&stored.Variants{Entries: []*stored.Entry{partOf(0, 4, 10)}}, asks(""), r) != nil {
		t.Error("a part is recognised for the whole")
	}
	searched := of("User-Agent", "User-Agent: a")
	searched.Search = &stored.SearchVariance{}
	if recognised(&stored.Variants{Entries: []*stored.Entry{searched}}, asks(""), r) != nil {
		t.Error("a response is recognised without a look at the query")
	}
}
