package keying

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// scanned is what a scanner makes of a content.
type scanned struct {
	JSON, Ambiguous bool
	Form            string
	Holds           operations
}

func scan(content string, graphQL bool) scanned {
	s := scanners.Get().(*scanner)
	defer s.free()
	s.content, s.graphQL = append(s.content, content...), graphQL
	ok := s.json()
	return scanned{ok, s.ambiguous, string(s.out), s.holds}
}

// A string is one by the grammar of JSON, and stands for the same characters as for encoding/json (RFC 8259 §7).
func TestStringByTheGrammar(t *testing.T) {
	check := func(content string) {
		t.Helper()
		got := scan(content, false)
		var want any
		err := json.Unmarshal([]byte(content), &want)
		if got.JSON != (err == nil) {
			t.Errorf("%q is JSON: %v, want %v", content, got.JSON, err)
			return
		}
		text, isText := want.(string)
		if !isText || strings.ContainsRune(text, utf8.RuneError) { // ambiguous, if it is a string
			return
		}
		if form := `"` + text + "\xff"; got.Form != form || got.Ambiguous {
			t.Errorf("%q is %q, %v, want %q", content, got.Form, got.Ambiguous, form)
		}
	}
	texts([]string{`"`, `\`, "u", "0041", "n", "é", " ", "\x1f"}, 4, func(s string) { check(`"` + s + `"`); check(`"` + s) })
	for c := range 256 {
		check(`"\` + string([]byte{byte(c)}) + `"`)
		check(`"\u004` + string([]byte{byte(c)}) + `"`)
		check(`"\u` + string([]byte{byte(c)}) + `041"`)
	}
	check(`"\ud83d\ude00"`)
	check(`"\u00e9`)
	check(`"\u00e`)
}

// What readers differ in is ambiguous.
func TestAmbiguousJSON(t *testing.T) {
	for content, want := range map[string]bool{
		`"a"`: false, `"é"`: false, `"\u00e9"`: false, `"😀"`: false, `"\ud83d\ude00"`: false, "\"\x7f\"": false,
		"\"\xff\"": true, "\"\x80\"": true, "\"a\xc3\"": true, "\"\ufffd\"": true, `"\ud83d"`: true, `"\ude00"`: true, `"\ude00\ud83d"`: true, `"\ud83dx"`: true, `"\ud83d\u0041"`: true, `"\ud83dxude00"`: true,
		`{"a":1,"b":1}`: false, `{"b":1,"a":1}`: false, `{"a":1,"a":1}`: true, `{"b":1,"a":1,"b":1}`: true, `{"a":{"a":1}}`: false, `[{"a":1},{"a":1}]`: false, `{"a":1,"\u0061":2}`: true,
	} {
		if got := scan(content, false); !got.JSON || got.Ambiguous != want {
			t.Errorf("%q: JSON %v, ambiguous %v, want %v", content, got.JSON, got.Ambiguous, want)
		}
	}
}

// The members of an object are in the order of their names. An object whose form is longer than 64 bytes is digested, and what follows it stays.
func TestFormOfAnObject(t *testing.T) {
	object := func(n int) string { return `{"a":"` + strings.Repeat("x", n) + `"}` }
	for content, want := range map[string]string{
		`{"b":1,"a":[true,null,"x"]}`: "{a\xff[tn\"x\xff]b\xff1,}",
		`{"a":1,"b":2,"c":3}`:         "{a\xff1,b\xff2,c\xff3,}",
		`{}`:                          "{}",
		object(58):                    "{a\xff\"" + strings.Repeat("x", 58) + "\xff}",
	} {
		if got := scan(content, false); got.Form != want {
			t.Errorf("%s is %q, want %q", content, got.Form, want)
		}
	}
	one, other := scan(object(59), false).Form, scan(`{"a":"`+strings.Repeat("x", 58)+`y"}`, false).Form
	if len(one) != 33 || one[0] != digested || len(other) != 33 || one == other {
		t.Errorf("digests %q and %q", one, other)
	}
	if got := scan("["+object(59)+",1]", false).Form; got != "["+one+"1,]" {
		t.Errorf("in an array: %q", got)
	}
}

// What a GraphQL request holds: "others" is what may be a mutation.
func TestOperationsOfARequest(t *testing.T) {
	for content, want := range map[string]operations{
		`{"query":"{a}"}`:             queries,
		`{"query":"query a{b}"}`:      queries,
		`{"query":"subscription{a}"}`: subscriptions,
		`{"query":"mutation{a}"}`:     others,
		`{"query":""}`:                others,
		`{"query":"{a"}`:              others,
		`{"query":"a}"}`:              others,
		`{"query":"{a} \"x"}`:         others,
		`{"query":"!{a}"}`:            others,
		`{"query":"{a} @b {c}"}`:      others,
		`{"query":1}`:                 others,
		`{"query":["{a}"]}`:           others,
		`{"query":{"query":"{a}"}}`:   others,
		`{"Query":"{a}"}`:             others,
		`{"a":1}`:                     others,
		`{}`:                          others,
		`[]`:                          0,
		`"{a}"`:                       others,
		`1`:                           others,
		`[1]`:                         others,
		`["{a}"]`:                     others,
		`[[]]`:                        others,
		`[[{"query":"{a}"}]]`:         others,
		`[{}]`:                        others,
		`[{"query":"{a}"}]`:           queries,
		`[{"query":"{a}"},{"query":"mutation{a}"}]`:                others,
		`[{"query":"{a}"},{"a":1}]`:                                others,
		`{"query":"{a}","extensions":{"query":"mutation{a}"}}`:     queries,
		`{"query":"{a}","variables":{"a":[{"query":"x"}],"b":{}}}`: queries,
		`{"query":"{a}","query":"mutation{a}"}`:                    others,
	} {
		if got := scan(content, true); !got.JSON || got.Holds != want {
			t.Errorf("%s: JSON %v, holds %d, want %d", content, got.JSON, got.Holds, want)
		}
	}
	if got := scan(`{"a":1}`, false); got.Holds != 0 {
		t.Errorf("JSON that is no GraphQL holds %d", got.Holds)
	}
}

// The tokens of a document, one space between those that are no punctuation (GraphQL §2.1).
func TestTokensOfADocument(t *testing.T) {
	for document, want := range map[string]string{
		"{ a , b }":              "{a b}",
		"# a {\n{ b }":           "{b}",
		"{ b } # a {":            "{b}",
		"#":                      "",
		"\ufeff{ b }":            "{b}",
		"{ a(x: 1.5e3, y: -2) }": "{a(x:1.5e3 y:-2)}",
		"{ a(x:1y) }":            "{a(x:1y)}",
		"{ a(x:1 y) }":           "{a(x:1 y)}",
		"{ a(x:1.5.2) }":         "{a(x:1.5.2)}",
		"{ a(x:9_) b(x:09) }":    "{a(x:9_)b(x:09)}",
		"{ a(x:0) b(x:9) }":      "{a(x:0)b(x:9)}",
		"{ ...a ... b }":         "{... a ... b}",
		"{ ..a }":                "{..a}",
		"{ a/b }":                "{a/b}",
		"{ x a/b }":              "{x a/b}",
		`{ a(x:"b c") }`:         `{a(x:"b c")}`,
		`{ a(x:"""b " c""" y) }`: `{a(x:"""b " c""" y)}`,
		"{ azAZ09_ }":            "{azAZ09_}",
	} {
		if diff := cmp.Diff(want, tokensOf(document)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", document, diff)
		}
	}
}

func tokensOf(text string) string {
	d := document{begins: true}
	d.read([]byte(text))
	return string(d.dst)
}

func TestNameOfGraphQL(t *testing.T) {
	name := regexp.MustCompile(`^[_0-9A-Za-z]$`)
	for c := range 128 {
		if got, want := isNameByte(byte(c)), name.MatchString(string(rune(c))); got != want {
			t.Errorf("%q: %v", rune(c), got)
		}
	}
}

// The length of a string, or 0 for one that never ends (GraphQL §2.9.4).
func TestStringOfGraphQL(t *testing.T) {
	for text, want := range map[string]int{
		`"" x`: 2, `"a" x`: 3, `"a\"b" x`: 6, `"a\\" x`: 5, `"a`: 0, `"a\`: 0, `"a\"`: 0, `"`: 0,
		"\"a\nb\"": 0, "\"a\rb\"": 0, "\"a\\\nb\"": 0, "\"a\\\rb\"": 0,
		`"""a"""x`: 7, `""""""x`: 6, `"""a"b""c"""x`: 12, `"""a\"""b"""x`: 12, `"""a\"b"""x`: 10, `"""a`: 0, `"""a""`: 0, `"""a\"""`: 0, `"""\\"""x`: 0,
		`"""a\""""""x`: 11, "\"\"\"a\nb\"\"\"x": 9,
	} {
		if got := stringLen([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
	if n := ignoredLen([]byte("#\n")); n != 1 {
		t.Error(fmt.Sprint("an empty comment has ", n, " bytes"))
	}
}

// A query is one GraphQL request in JSON, and one that all readers take for the same.
func TestRequestThatIsAQuery(t *testing.T) {
	for content, want := range map[string]bool{
		`{"query":"{a}"}`: true, ` {"query":"query{a}","variables":{"b":1}}`: true,
		`[{"query":"{a}"}]`: false, `"query"`: false, `{"query":"{a}"} x`: false, `{"query":"{a}"`: false, "": false,
		`{"query":"{a}","b":1,"b":2}`: false, "{\"query\":\"{a}\",\"b\":\"\xff\"}": false,
		`{"query":"mutation{a}"}`: false, `{"query":"subscription{a}"}`: false, `{"a":1}`: false,
	} {
		s := scanners.Get().(*scanner)
		s.content = append(s.content, content...)
		if err := s.query(); (err == nil) != want {
			t.Errorf("%q: %v", content, err)
		}
		s.free()
	}
}
