package field

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// RFC 9651: structured fields.
func TestStructuredFields(t *testing.T) {
	list, ok := ParseList([]string{`"a", b;c=1`, `("d" 2.5);e, ?0, :aGk=:, @5, %"f%c3%bc", -7`})
	want := []Item{
		{Value: "a"}, {Value: Token("b"), Params: []Item{{Key: "c", Value: int64(1)}}},
		{Value: []Item{{Value: "d"}, {Value: 2.5}}, Params: []Item{{Key: "e", Value: true}}},
		{Value: false}, {Value: []byte("hi")}, {Value: int64(5)}, {Value: "fü"}, {Value: int64(-7)},
	}
	if diff := cmp.Diff(want, list); diff != "" || !ok {
		t.Errorf("list, %v (-want +got)\n%s", ok, diff)
	}
	dictionary, ok := ParseDictionary([]string{"a=1, b;x, a=2"})
	wantDictionary := []Item{{Key: "a", Value: int64(2)}, {Key: "b", Value: true, Params: []Item{{Key: "x", Value: true}}}}
	if diff := cmp.Diff(wantDictionary, dictionary); diff != "" || !ok {
		t.Errorf("dictionary, %v (-want +got)\n%s", ok, diff)
	}
	for _, s := range []string{"a,", ",a", "a b", `"a`, `"\a"`, "(a", "1.", "1.2345", "1234567890123456", "-", "?2", ":a", "&", "A=1;B", "(a(b))", `%"%FF"`, `%"%ff"`, "@1.5",
		"a;, b", "a;", "a; ;b", `a;B`, `a=%xb"`, `%xb"`, "%", `%"a`, `%"%4"`, `%"%zz"`, `%"%C3%BC"`, "%\"\x7f\"", "\"\x7f\"", `"a\`, "@", "@a", "-a", ":a*:", "1.2.3", "1234567890123.1", "()x", "(a", "(a,b)", `("a""b")`, "(a;)", "-.5", "\"\x1f\"", "%\"\x1f\"", `%"%g1"`, `%"%1g"`, `%"%4`, "a;{=1", "a\t b"} {
		if list, ok := ParseList([]string{s}); ok {
			t.Errorf("%q is read as %v", s, list)
		}
	}
	for _, s := range []string{"A=1", "=1", "a=", "a=1,", "1=2", "a;, b", `a=%xb"`, `a=%"b`, "a=(b", "a b", "a=1;", "a,,b", ",", "{=1", "a{=1", "a=1 b=2"} {
		if dictionary, ok := ParseDictionary([]string{s}); ok {
			t.Errorf("%q is read as %v", s, dictionary)
		}
	}
}

// RFC 9651 §4.2: values at the edges of their grammar.
func TestStructuredFieldValues(t *testing.T) {
	for text, want := range map[string]any{
		"  a  ":                Token("a"),
		"*a/b:c!":              Token("*a/b:c!"),
		"Z":                    Token("Z"),
		"10":                   int64(10),
		"-999999999999999":     int64(-999999999999999),
		"123456789012.125":     123456789012.125,
		"-0.5":                 -0.5,
		`"a\"b\\c"`:            `a"b\c`,
		`" ~"`:                 " ~",
		`%" ~%c3%aa%c3%af%2a"`: " ~\u00ea\u00ef*",
		":YQ:":                 []byte("a"),
		"?1":                   true,
		"@-10":                 int64(-10),
		"()":                   []Item{},
		"( a  b )":             []Item{{Value: Token("a")}, {Value: Token("b")}},
		`("a";b "c")`:          []Item{{Value: "a", Params: []Item{{Key: "b", Value: true}}}, {Value: "c"}},
	} {
		list, ok := ParseList([]string{text})
		if diff := cmp.Diff([]Item{{Value: want}}, list); diff != "" || !ok {
			t.Errorf("%s, %v (-want +got)\n%s", text, ok, diff)
		}
	}
	list, ok := ParseList([]string{"a ,\tb;  c=1;*d_e-f.g*9z=2"})
	want := []Item{{Value: Token("a")}, {Value: Token("b"), Params: []Item{{Key: "c", Value: int64(1)}, {Key: "*d_e-f.g*9z", Value: int64(2)}}}}
	if diff := cmp.Diff(want, list); diff != "" || !ok {
		t.Errorf("two members, %v (-want +got)\n%s", ok, diff)
	}
	dictionary, ok := ParseDictionary([]string{"*a=1, z=2"})
	if item, found := Member(dictionary, "z"); !ok || !found || item.Value != int64(2) {
		t.Errorf("z is %v, %v, %v", item, found, ok)
	}
	if item, found := Member(dictionary, "y"); found {
		t.Errorf("y is %v", item)
	}
}

// FuzzStructuredFields: what is read, written again in the form of RFC 9651 §4.1, is read as the same, and a list beside itself has its members twice.
func FuzzStructuredFields(f *testing.F) {
	f.Add(`"a";b=1, (c d);e=?0`)
	f.Add(`params=("a"), key-order`)
	f.Add("a=%\"f%c3%bc\", b=:aGk=:;c, d=@-5, e=-1.250, f=(\"\\\"\" x/y);q=0.5")
	f.Fuzz(func(t *testing.T, s string) {
		list, ok := ParseList([]string{s})
		if twice, ok2 := ParseList([]string{s, s}); ok && len(list) > 0 && (!ok2 || len(twice) != 2*len(list)) {
			t.Fatalf("%q has %d members, twice %d", s, len(list), len(twice))
		}
		if ok {
			written := serialized(list, false)
			if again, ok := ParseList([]string{written}); !ok || cmp.Diff(list, again) != "" {
				t.Fatalf("%q is written %q and read as %v, %v (-first +again)\n%s", s, written, again, ok, cmp.Diff(list, again))
			}
		}
		dictionary, ok := ParseDictionary([]string{s})
		if ok {
			written := serialized(dictionary, true)
			if again, ok := ParseDictionary([]string{written}); !ok || cmp.Diff(dictionary, again) != "" {
				t.Fatalf("%q is written %q and read as %v, %v (-first +again)\n%s", s, written, again, ok, cmp.Diff(dictionary, again))
			}
		}
	})
}

// serialized writes a list or a dictionary (RFC 9651 §4.1.1, §4.1.2). A date becomes the integer that it is read as.
func serialized(items []Item, keyed bool) string {
	var all []string
	for _, item := range items {
		text := serializedValue(item.Value) + serializedParams(item.Params)
		if keyed {
			text = item.Key + "=" + text
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

func serializedParams(params []Item) (text string) {
	for _, p := range params {
		text += ";" + p.Key + "=" + serializedValue(p.Value)
	}
	return text
}

func serializedValue(value any) string {
	switch v := value.(type) {
	case bool:
		if v {
			return "?1"
		}
		return "?0"
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'f', 3, 64)
	case Token:
		return string(v)
	case []byte:
		return ":" + base64.StdEncoding.EncodeToString(v) + ":"
	case []Item:
		var inner []string
		for _, item := range v {
			inner = append(inner, serializedValue(item.Value)+serializedParams(item.Params))
		}
		return "(" + strings.Join(inner, " ") + ")"
	}
	text := value.(string)
	if strings.IndexFunc(text, func(r rune) bool { return r < 0x20 || r > 0x7e }) < 0 {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
	}
	var b strings.Builder // a display string
	for _, c := range []byte(text) {
		if c < 0x20 || c > 0x7e || c == '%' || c == '"' {
			fmt.Fprintf(&b, "%%%02x", c)
		} else {
			b.WriteByte(c)
		}
	}
	return `%"` + b.String() + `"`
}

// A dictionary and parameters of any length have one member for each key, where the key came first, with the value that came last (RFC 9651 §4.2.2, §4.2.3.2).
func TestDictionaryWithManyKeys(t *testing.T) {
	for _, n := range []int{1, 15, 16, 17, 18, 100} {
		var text []string
		want := []Item{}
		for i := range n {
			text = append(text, fmt.Sprintf("k%d=1", i))
			want = append(want, Item{Key: fmt.Sprintf("k%d", i), Value: int64(2)})
		}
		for i := n - 1; i >= 0; i-- {
			text = append(text, fmt.Sprintf("k%d=2", i))
		}
		got, ok := ParseDictionary([]string{strings.Join(text, ", ")})
		if diff := cmp.Diff(want, got); diff != "" || !ok {
			t.Errorf("a dictionary of %d, %v (-want +got)\n%s", n, ok, diff)
		}
		list, ok := ParseList([]string{"a;" + strings.Join(text, ";")})
		if !ok || len(list) != 1 {
			t.Fatalf("a list of %d, %v", len(list), ok)
		}
		if diff := cmp.Diff(want, list[0].Params); diff != "" {
			t.Errorf("%d parameters (-want +got)\n%s", n, diff)
		}
	}
}
