package field

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// RFC 9110 §5.6.1: lists.
func TestMembers(t *testing.T) {
	for _, test := range []struct {
		name  string
		lines []string
		want  []string
	}{
		{"nothing", nil, nil},
		{"one", []string{"a"}, []string{"a"}},
		{"lines are one list", []string{"a, b", "c"}, []string{"a", "b", "c"}},
		{"empty members", []string{", a,, ,b,", ""}, []string{"a", "b"}},
		{"tabs", []string{"\ta\t,\tb"}, []string{"a", "b"}},
		{"quoted comma", []string{`a="b,c", d`}, []string{`a="b,c"`, "d"}},
		{"escaped quote", []string{`a="b\",c", d`}, []string{`a="b\",c"`, "d"}},
		{"a quote that never ends hides nothing", []string{`a="b, no-store`}, []string{`a="b`, "no-store"}},
		{"no-break space is no white space", []string{"\u00a0a"}, []string{"\u00a0a"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, slices.Collect(Members(test.lines))); diff != "" {
				t.Errorf("members (-want +got)\n%s", diff)
			}
		})
	}
}

// RFC 9111 §1.2.2: delta-seconds.
func TestDeltaSeconds(t *testing.T) {
	for _, test := range []struct {
		s    string
		want time.Duration
		ok   bool
	}{
		{"0", 0, true}, {"60", time.Minute, true}, {"003600", time.Hour, true},
		{"2147483647", MaxDelta * time.Second, true}, {"2147483648", MaxDelta * time.Second, true},
		{"9223372037", MaxDelta * time.Second, true}, {"99999999999999999999", MaxDelta * time.Second, true},
		{"", 0, false}, {"-1", 0, false}, {"+1", 0, false}, {"1.5", 0, false}, {"0x1", 0, false}, {" 1", 0, false}, {"1a", 0, false}, {"٣", 0, false},
	} {
		if got, ok := DeltaSeconds(test.s); got != test.want || ok != test.ok {
			t.Errorf("DeltaSeconds(%q) = %v, %v, want %v, %v", test.s, got, ok, test.want, test.ok)
		}
	}
}

// RFC 9111 §5.1: of a list the first member counts; what is invalid counts as absent.
func TestAge(t *testing.T) {
	for _, test := range []struct {
		lines []string
		want  time.Duration
		ok    bool
	}{
		{[]string{"60"}, time.Minute, true}, {[]string{"60, 0"}, time.Minute, true}, {[]string{"0", "60"}, 0, true},
		{[]string{"abc"}, 0, false}, {[]string{"-60"}, 0, false}, {[]string{"60.0"}, 0, false}, {[]string{"60;a=b"}, 0, false}, {nil, 0, false},
	} {
		if got, ok := Age(test.lines); got != test.want || ok != test.ok {
			t.Errorf("Age(%q) = %v, %v, want %v, %v", test.lines, got, ok, test.want, test.ok)
		}
	}
}

// RFC 9110 §5.6.7: three formats and no other; RFC 9111 §4.2: in any case, and only in GMT.
func TestDate(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	want := time.Date(1994, 11, 6, 8, 49, 37, 0, time.UTC)
	for _, s := range []string{
		"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
		"SUN, 06 nov 1994 08:49:37 gMt", "Mon, 06 Nov 1994 08:49:37 GMT",
	} {
		if got, ok := Date(s, now); !ok || !got.Equal(want) {
			t.Errorf("Date(%q) = %v, %v, want %v", s, got, ok, want)
		}
	}
	for _, s := range []string{
		"", "0", "-1", "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 1994 08:49:37 +0000", "Sun, 06 Nov 94 08:49:37 GMT",
		"Sun 06 Nov 1994 08:49:37 GMT", "Sun, 06  Nov 1994 08:49:37 GMT", "Sun, 06-Nov-1994 08:49:37 GMT", "Sun, 06 Nov 1994 08.49.37 GMT",
		"Sun, 06 Nov 1994 8:49:37 GMT", "Sun, 6 Nov 1994 08:49:37 GMT", "Xxx, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Xxx 1994 08:49:37 GMT",
		"Sun, 32 Nov 1994 08:49:37 GMT", "Sun, 31 Nov 1994 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
		"Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:61 GMT", "Sun Nov 06 08:49:37 1994 GMT", "1994-11-06T08:49:37Z",
		"Sun, 06-Nov-94 08:49:37 GMT", "Sunday, 06 Nov 1994 08:49:37 GMT", " Sun, 06 Nov 1994 08:49:37 GMT",
	} {
		if got, ok := Date(s, now); ok {
			t.Errorf("Date(%q) = %v, want none", s, got)
		}
	}
	if got, _ := Date("Thursday, 18-Aug-50 02:01:18 GMT", now); got.Year() != 2050 {
		t.Errorf("year 50 seen from 2026 is %d, want 2050", got.Year())
	}
	if got, _ := Date("Friday, 18-Aug-77 02:01:18 GMT", now); got.Year() != 1977 {
		t.Errorf("year 77 seen from 2026 is %d, want 1977: it would be more than 50 years ahead", got.Year())
	}
	for _, test := range []struct {
		line, now string
		want      int
	}{
		{"Saturday, 31-Oct-76 00:00:00 GMT", "2026-11-01", 2076},
		{"Monday, 02-Nov-76 00:00:01 GMT", "2026-11-01", 1976},
		{"Friday, 01-Jan-00 00:00:00 GMT", "2099-12-31", 2100},
		{"Tuesday, 29-Feb-00 00:00:00 GMT", "2099-12-31", 2000},
	} {
		seenFrom, _ := time.Parse(time.DateOnly, test.now)
		if got, ok := Date(test.line, seenFrom); !ok || got.Year() != test.want {
			t.Errorf("%s seen from %s is of %d, %v, want %d (RFC 9110 §5.6.7)", test.line, test.now, got.Year(), ok, test.want)
		}
	}
	if _, ok := DateField([]string{"Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT"}, now); ok {
		t.Error("two lines are no date")
	}
}

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
		{"restriction in quotation marks", []string{`max-age=60, "private"`}, Response{MaxAge: seconds(60), Private: true}},
		{"a whole field in quotation marks", []string{`"no-store, max-age=60"`}, Response{NoStore: true}},
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

// RFC 9110 §8.8.3.2: comparison of entity tags.
func TestETags(t *testing.T) {
	for _, test := range []struct {
		a, b         string
		weak, strong bool
	}{
		{`W/"1"`, `W/"1"`, true, false}, {`W/"1"`, `W/"2"`, false, false}, {`W/"1"`, `"1"`, true, false}, {`"1"`, `"1"`, true, true},
		{`1`, `1`, true, false}, {`1`, `"1"`, false, false}, {``, ``, false, false}, {`w/"1"`, `"1"`, false, false}, {`w/"1"`, `w/"1"`, true, false},
	} {
		a, b := ParseETag(test.a), ParseETag(test.b)
		if a.WeaklyEquals(b) != test.weak || a.StronglyEquals(b) != test.strong {
			t.Errorf("%s and %s: weak %v, strong %v", test.a, test.b, a.WeaklyEquals(b), a.StronglyEquals(b))
		}
		if a.String() != test.a {
			t.Errorf("%s is written as %s", test.a, a)
		}
	}
}

// RFC 9110 §8.8.3: a tag between quotes may hold commas and backslashes, and neither ends it.
func TestTags(t *testing.T) {
	got := slices.Collect(Tags([]string{`"a\", W/"b,c" ,, d`, `"e"`, `"open, "f"`}))
	if diff := cmp.Diff([]string{`"a\"`, `W/"b,c"`, "d", `"e"`, `"open, "f"`}, got); diff != "" {
		t.Errorf("tags (-want +got)\n%s", diff)
	}
}

// RFC 9110 §7.6.1 and RFC 9111 §3.1: what is not stored.
func TestRemoveHopByHop(t *testing.T) {
	h := http.Header{"Connection": {"a, B", "close"}, "A": {"1"}, "B": {"2"}, "C": {"3"}, "Keep-Alive": {"x"}, "Te": {"x"}, "Upgrade": {"x"},
		"Transfer-Encoding": {"chunked"}, "Proxy-Authenticate": {"x"}, "Proxy-Authentication-Info": {"x"}, "Proxy-Authorization": {"x"}, "Proxy-Connection": {"x"}}
	RemoveHopByHop(h)
	if diff := cmp.Diff(http.Header{"C": {"3"}}, h); diff != "" {
		t.Errorf("header (-want +got)\n%s", diff)
	}
}

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
	for _, s := range []string{"a,", ",a", "a b", `"a`, `"\a"`, "(a", "1.", "1.2345", "1234567890123456", "-", "?2", ":a", "&", "A=1;B", "(a(b))", `%"%FF"`, `%"%ff"`, "@1.5"} {
		if list, ok := ParseList([]string{s}); ok {
			t.Errorf("%q is read as %v", s, list)
		}
	}
	for _, s := range []string{"A=1", "=1", "a=", "a=1,", "1=2"} {
		if dictionary, ok := ParseDictionary([]string{s}); ok {
			t.Errorf("%q is read as %v", s, dictionary)
		}
	}
}

// RFC 9213 §2: the first targeted field that is valid and not empty counts, and Cache-Control only without one.
func TestControlling(t *testing.T) {
	for _, test := range []struct {
		name     string
		h        http.Header
		want     Response
		targeted bool
	}{
		{"none", http.Header{"Cache-Control": {"max-age=1"}}, Response{MaxAge: seconds(1)}, false},
		{"targeted", http.Header{"Cache-Control": {"no-store"}, "Cdn-Cache-Control": {"max-age=5"}}, Response{MaxAge: seconds(5)}, true},
		{"first of two", http.Header{"Ply-Cache-Control": {"max-age=6"}, "Cdn-Cache-Control": {"max-age=5"}}, Response{MaxAge: seconds(6)}, true},
		{"malformed", http.Header{"Cache-Control": {"max-age=1"}, "Cdn-Cache-Control": {"max-age=5, &"}}, Response{MaxAge: seconds(1)}, false},
		{"empty", http.Header{"Cache-Control": {"max-age=1"}, "Cdn-Cache-Control": {""}}, Response{MaxAge: seconds(1)}, false},
		{"member of another type", http.Header{"Cdn-Cache-Control": {`max-age="5", no-store`}}, Response{NoStore: true}, true},
		{"false member", http.Header{"Cdn-Cache-Control": {`no-store=?0, max-age=5`}}, Response{MaxAge: seconds(5)}, true},
		{"private with a token", http.Header{"Cdn-Cache-Control": {`private=yes, max-age=5`}}, Response{Private: true, MaxAge: seconds(5)}, true},
		{"private with a number", http.Header{"Cdn-Cache-Control": {`private=1, max-age=5`}}, Response{Private: true, MaxAge: seconds(5)}, true},
		{"private with a list", http.Header{"Cdn-Cache-Control": {`private=("a"), max-age=5`}}, Response{Private: true, MaxAge: seconds(5)}, true},
		{"private with names", http.Header{"Cdn-Cache-Control": {`private="a", max-age=5`}}, Response{PrivateFields: []string{"a"}, MaxAge: seconds(5)}, true},
		{"no-cache and no-store with numbers", http.Header{"Cdn-Cache-Control": {`no-cache=1, no-store=1.5, must-revalidate=:YQ==:`}}, Response{NoCache: true, NoStore: true, MustRevalidate: true}, true},
		{"negative", http.Header{"Cdn-Cache-Control": {`max-age=-5`}}, Response{MaxAge: seconds(0)}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.want.Present = true
			got, targeted := Controlling(test.h, []string{"Ply-Cache-Control", "CDN-Cache-Control"})
			if diff := cmp.Diff(test.want, got); diff != "" || targeted != test.targeted {
				t.Errorf("targeted %v (-want +got)\n%s", targeted, diff)
			}
		})
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

// FuzzDate: a date that is read is one of the formats, written again it is the same instant, and the standard library agrees.
func FuzzDate(f *testing.F) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Add("Sun, 06 Nov 1994 08:49:37 GMT")
	f.Add("Sunday, 06-Nov-94 08:49:37 GMT")
	f.Add("Sun Nov  6 08:49:37 1994")
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := Date(s, now)
		if !ok {
			return
		}
		again, ok := Date(got.Format(http.TimeFormat), now)
		if got.Year() > 0 && got.Year() <= 9999 && (!ok || !again.Equal(got)) {
			t.Fatalf("%q is %v, and written again %v", s, got, again)
		}
		if std, err := http.ParseTime(s); err == nil && len(s) != len("Sunday, 06-Nov-94 08:49:37 GMT") && s[3] == ',' && !std.Equal(got) {
			t.Fatalf("%q is %v, the standard library says %v", s, got, std)
		}
	})
}

// FuzzStructuredFields: reading never panics, and a list of one member is that member.
func FuzzStructuredFields(f *testing.F) {
	f.Add(`"a";b=1, (c d);e=?0`)
	f.Add(`params=("a"), key-order`)
	f.Fuzz(func(t *testing.T, s string) {
		list, ok := ParseList([]string{s})
		if twice, ok2 := ParseList([]string{s, s}); ok && len(list) > 0 && (!ok2 || len(twice) != 2*len(list)) {
			t.Fatalf("%q has %d members, twice %d", s, len(list), len(twice))
		}
		ParseDictionary([]string{s})
	})
}
