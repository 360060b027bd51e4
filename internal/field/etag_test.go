package field

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// RFC 9110 §8.8.3.2: comparison of entity tags.
func TestETagComparison(t *testing.T) {
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

// RFC 9110 §13.1.2: If-None-Match, by weak comparison.
func TestNoneMatch(t *testing.T) {
	for _, test := range []struct {
		lines []string
		tag   string
		want  bool
	}{
		{nil, `"a"`, true}, {[]string{`"a"`}, `"a"`, false}, {[]string{`W/"a"`}, `"a"`, false}, {[]string{`"a"`}, `W/"a"`, false}, {[]string{`"b"`}, `"a"`, true},
		{[]string{`"b", "a"`}, `"a"`, false}, {[]string{`"b"`, ` "a" `}, `"a"`, false}, {[]string{`"a,b"`}, `"a"`, true},
		{[]string{"*"}, `"a"`, false}, {[]string{" * "}, `"a"`, false}, {[]string{`"b"`, "*"}, `"a"`, false}, {[]string{`"*"`}, `"a"`, true}, {[]string{`"b"`}, "", true}, {[]string{""}, "", true},
	} {
		if got := NoneMatch(test.lines, ParseETag(test.tag)); got != test.want {
			t.Errorf("NoneMatch(%q, %s) = %v, want %v", test.lines, test.tag, got, test.want)
		}
	}
}

func TestStrongETag(t *testing.T) {
	for s, want := range map[string]bool{`"a"`: true, ` "a" `: true, `W/"a"`: false, `W/a`: false, `a`: false, ``: false, `w/"a"`: false} {
		if got := ParseETag(s).Strong(); got != want {
			t.Errorf("%s is strong: %v, want %v", s, got, want)
		}
	}
	weak := ParseETag(` W/"a"`)
	if !weak.Weak || weak.Opaque != `"a"` || ParseETag(`W/a`).Weak || ParseETag(`W/a`).Opaque != `W/a` {
		t.Errorf("%+v, %+v", weak, ParseETag(`W/a`))
	}
	if ParseETag(`"a"`).StronglyEquals(ParseETag(`"b"`)) || ParseETag(`"a"`).StronglyEquals(ParseETag(`W/"a"`)) || ParseETag(`W/"a"`).StronglyEquals(ParseETag(`"a"`)) {
		t.Error("two tags are strongly equal")
	}
}
