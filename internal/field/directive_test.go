package field

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func seconds(n int) Seconds { return Seconds{Set: true, Value: time.Duration(n) * time.Second} }

// RFC 9111 §5.2.2: response directives, the strictest reading of each.
func TestParseResponse(t *testing.T) {
	for _, test := range []struct {
		name  string
		lines []string
		want  Response
	}{
		{"nothing", nil, Response{}},
		{"max-age", []string{"max-age=60"}, Response{MaxAge: seconds(60)}},
		{"quoted form", []string{`max-age="60"`}, Response{MaxAge: seconds(60)}},
		{"any case", []string{"MaX-aGe=60, NO-STORE"}, Response{MaxAge: seconds(60), NoStore: true}},
		{"second line", []string{"max-age=60", "no-store"}, Response{MaxAge: seconds(60), NoStore: true}},
		{"duplicates: the smaller", []string{"max-age=600, max-age=0"}, Response{MaxAge: seconds(0)}},
		{"duplicates in the other order", []string{"max-age=0", "max-age=600"}, Response{MaxAge: seconds(0)}},
		{"duplicate that cannot be read", []string{"max-age=600, max-age=x"}, Response{MaxAge: seconds(0)}},
		{"negative", []string{"max-age=-1"}, Response{MaxAge: seconds(0)}},
		{"no argument", []string{"max-age"}, Response{MaxAge: seconds(0)}},
		{"single quotes", []string{"max-age='60'"}, Response{MaxAge: seconds(0)}},
		{"space before =", []string{"max-age =60"}, Response{MaxAge: seconds(0)}},
		{"space after =", []string{"max-age= 60"}, Response{MaxAge: seconds(0)}},
		{"hidden in a quoted string", []string{`x="y, max-age=600, z", s-maxage=1`}, Response{SMaxAge: seconds(1)}},
		{"restriction behind a quote that never ends", []string{`x="y, no-store`}, Response{NoStore: true}},
		{"permission behind a quote that never ends", []string{`x="y, public, immutable, must-understand, max-age=600`}, Response{MaxAge: seconds(0)}},
		{"permission before it", []string{`max-age=60, x="y`}, Response{MaxAge: seconds(60)}},
		{"permission on a line behind a quote that never ends", []string{`x="y`, "public, max-age=600"}, Response{MaxAge: seconds(0)}},
		{"restriction behind a semicolon", []string{`max-age=60; No-Store; x="private"`}, Response{MaxAge: seconds(0), NoStore: true}},
		{"restriction before a no-break space", []string{"no-cache\u00a0, private\v"}, Response{NoCache: true, Private: true}},
		{"restriction behind a semicolon and a quoted string", []string{`max-age="60"; no-store`}, Response{MaxAge: seconds(0), NoStore: true}},
		{"restriction inside the quoted string of a malformed member", []string{`max-age=60; x="no-store"; private`}, Response{MaxAge: seconds(0), Private: true}},
		{"restrictions between quoted strings", []string{`a="b"no-cache"c"private`}, Response{NoCache: true, Private: true}},
		{"restriction in quotation marks", []string{`max-age=60, "private"`}, Response{MaxAge: seconds(60), Private: true}},
		{"a whole field in quotation marks", []string{`"no-store, max-age=60"`}, Response{NoStore: true}},
		{"a word that ends in a restriction", []string{"max-age=60; xno-store"}, Response{MaxAge: seconds(0)}},
		{"restriction right behind a quote that never ends", []string{`x="no-store`}, Response{NoStore: true}},
		{"restriction behind a name that is no token", []string{"a b=no-store"}, Response{NoStore: true}},
		{"permission on a line behind a lone quote", []string{`"x`, "public, max-age=600"}, Response{MaxAge: seconds(0)}},
		{"permission on a line behind a quote right behind a quoted string", []string{`a="b""c`, "public, max-age=600"}, Response{MaxAge: seconds(0)}},
		{"private with and without names", []string{`private, private="a"`}, Response{Private: true, PrivateFields: []string{"a"}}},
		{"permission before one that is malformed", []string{`public, public=1, must-understand, must-understand=1, immutable, immutable ="x"`}, Response{Public: true, MustUnderstand: true, Immutable: true}},
		{"private with the name z", []string{`private="z"`}, Response{PrivateFields: []string{"z"}}},
		{"private with what is a token and no name", []string{`private="~a"`}, Response{Private: true}},
		{"restriction as an argument", []string{"x=no-store"}, Response{}},
		{"permission with an argument", []string{"public=0, must-understand=0, immutable=1"}, Response{Immutable: true}},
		{"unknown directives", []string{"foo, bar=baz, max-age=60"}, Response{MaxAge: seconds(60)}},
		{"a name that contains another", []string{"x-no-storey, no-store-x"}, Response{}},
		{"no-store with an argument", []string{"no-store=foo"}, Response{NoStore: true}},
		{"no-cache with names", []string{`no-cache="Set-Cookie, X-A"`}, Response{NoCacheFields: []string{"set-cookie", "x-a"}}},
		{"no-cache with a token", []string{`no-cache=Set-Cookie`}, Response{NoCache: true}},
		{"no-cache with a number", []string{`no-cache=1`}, Response{NoCache: true}},
		{"no-cache with a quoted number", []string{`no-cache="1"`}, Response{NoCache: true}},
		{"no-cache with a name and a number", []string{`no-cache="a, 1"`}, Response{NoCache: true}},
		{"private with a token", []string{`private=true`}, Response{Private: true}},
		{"private with a number", []string{`private=0`}, Response{Private: true}},
		{"private with nothing", []string{`private=`}, Response{Private: true}},
		{"no-store with an argument", []string{`no-store=0`}, Response{NoStore: true}},
		{"must-revalidate with an argument", []string{`must-revalidate=foo, proxy-revalidate="x"`}, Response{MustRevalidate: true, ProxyRevalidate: true}},
		{"what grants, with an argument", []string{`public=1, must-understand=1`}, Response{}},
		{"no-cache with and without", []string{`no-cache="a", no-cache`}, Response{NoCache: true, NoCacheFields: []string{"a"}}},
		{"private with no names", []string{`private=""`}, Response{Private: true}},
		{"private with a comma", []string{`private=","`}, Response{Private: true}},
		{"private with what is no name", []string{`private="a b"`}, Response{Private: true}},
		{"private with an open quote", []string{`private="a`}, Response{Private: true}},
		{"private with space around =", []string{`private ="a"`}, Response{Private: true}},
		{"RFC 5861", []string{"stale-while-revalidate=5, stale-if-error=6"}, Response{StaleWhileRevalidate: seconds(5), StaleIfError: seconds(6)}},
		{"the rest", []string{"public, immutable, must-revalidate, proxy-revalidate, must-understand, no-transform"},
			Response{Public: true, Immutable: true, MustRevalidate: true, ProxyRevalidate: true, MustUnderstand: true, NoTransform: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.want.Present = len(test.lines) > 0
			if diff := cmp.Diff(test.want, ParseResponse(test.lines)); diff != "" {
				t.Errorf("directives (-want +got)\n%s", diff)
			}
		})
	}
}

// RFC 9111 §5.2.1: request directives.
func TestParseRequest(t *testing.T) {
	for _, test := range []struct {
		name string
		line string
		want Request
	}{
		{"all", "no-cache, no-store, only-if-cached", Request{NoCache: true, NoStore: true, OnlyIfCached: true}},
		{"max-stale without a limit", "max-stale", Request{AnyStale: true}},
		{"max-stale both ways", "max-stale, max-stale=5", Request{MaxStale: seconds(5)}},
		{"max-stale that cannot be read allows nothing", "max-stale=x", Request{MaxStale: seconds(0)}},
		{"min-fresh twice: the larger", "min-fresh=5, min-fresh=6", Request{MinFresh: seconds(6)}},
		{"min-fresh that cannot be read asks for the most", "min-fresh=x", Request{MinFresh: seconds(MaxDelta)}},
		{"min-fresh with space before = asks for the most", "min-fresh =5", Request{MinFresh: seconds(MaxDelta)}},
		{"max-stale behind a quote that never ends allows nothing", `x="y, max-stale`, Request{MaxStale: seconds(0)}},
		{"max-age twice: the smaller", "max-age=5, max-age=6", Request{MaxAge: seconds(5)}},
		{"stale-if-error", "stale-if-error=5", Request{StaleIfError: seconds(5)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.want.Present = true
			if diff := cmp.Diff(test.want, ParseRequest([]string{test.line})); diff != "" {
				t.Errorf("directives (-want +got)\n%s", diff)
			}
		})
	}
}

// A directive is reported with its argument as it was meant, and with what is wrong in it.
func TestDirectives(t *testing.T) {
	for line, want := range map[string]Directive{
		"A":          {Name: "a"},
		"a=":         {Name: "a", Given: true, Malformed: true},
		"a=b":        {Name: "a", Given: true, Value: "b"},
		`a="b c"`:    {Name: "a", Given: true, Quoted: true, Value: "b c"},
		`a="b\"c"`:   {Name: "a", Given: true, Quoted: true, Value: `b"c`},
		`a="b`:       {Name: "a", Given: true, Quoted: true, Value: "b", Malformed: true},
		`a = "b"`:    {Name: "a", Given: true, Quoted: true, Value: "b", Malformed: true},
		"Warning(a)": {Name: "warning(a)", Malformed: true},
	} {
		var got []Directive
		Directives([]string{line}, func(d Directive) { got = append(got, d) })
		if diff := cmp.Diff([]Directive{want}, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", line, diff)
		}
	}
}

// FuzzCacheControl: splitting a field into lines, changing its case or the order of its members never changes what it says,
// and a restriction outside quotation marks always restricts.
func FuzzCacheControl(f *testing.F) {
	for _, s := range []string{"max-age=60, no-store", `no-cache="a, b", private`, `x="y, max-age=5`, "max-age=5, max-age=7", "MAX-AGE=\"1\"", `a="\", no-store"`} {
		f.Add(s, uint8(3))
	}
	f.Fuzz(func(t *testing.T, s string, n uint8) {
		whole := ParseResponse([]string{s})
		if whole.MaxAge.Value < 0 || whole.MaxAge.Value > MaxDelta*time.Second {
			t.Fatalf("max-age of %q is %v", s, whole.MaxAge.Value)
		}
		same := cmp.Comparer(func(a, b []string) bool {
			a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
			return slices.Equal(a, b)
		})
		check := func(what string, lines []string) {
			if diff := cmp.Diff(whole, ParseResponse(lines), same); diff != "" {
				t.Fatalf("%q %s %q (-whole +changed)\n%s", s, what, lines, diff)
			}
		}
		if isASCII(s) && !strings.Contains(s, `"`) {
			check("in capitals", []string{strings.ToUpper(s)})
		}
		members := slices.Collect(Members([]string{s}))
		if !unterminated(s) {
			check("in lines", members)
			slices.Reverse(members)
			check("reversed", []string{strings.Join(members, ", ")})
			if len(members) > 0 {
				k := int(n) % len(members)
				check("rotated", append(slices.Clone(members[k:]), members[:k]...))
			}
		}
		for _, restriction := range []string{"no-store", "no-cache", "private", "must-revalidate"} {
			for _, lines := range [][]string{{s, restriction}, {restriction, s}, {restriction + ", " + s}, {s + ", " + restriction}} {
				got := ParseResponse(lines)
				if !unterminated(s) || lines[0] == s && len(lines) == 2 {
					if !map[string]bool{"no-store": got.NoStore, "no-cache": got.NoCache, "private": got.Private, "must-revalidate": got.MustRevalidate}[restriction] {
						t.Fatalf("%q in %q does not restrict", restriction, lines)
					}
				}
			}
		}
	})
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func TestPragmaNoCache(t *testing.T) {
	for want, all := range map[bool][][]string{
		false: {nil, {""}, {"x"}, {"no-cached"}, {`x="no-cache"`}},
		true:  {{"no-cache"}, {"No-Cache"}, {"x, no-cache"}, {"x", "no-cache"}, {"no-cache, x"}},
	} {
		for _, lines := range all {
			if got := PragmaNoCache(lines); got != want {
				t.Errorf("%q: %t, want %t", lines, got, want)
			}
		}
	}
}
