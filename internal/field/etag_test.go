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
		{`"1"`, `W/"1"`, true, false}, {`"1"`, `"2"`, false, false}, {`W/1`, `W/1`, true, false}, {`W/1`, `1`, false, false},
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

// RFC 9110 §13.1.2: If-None-Match compares weakly, and an asterisk stands for any representation.
func TestNoneMatch(t *testing.T) {
	for _, test := range []struct {
		lines []string
		tag   string
		want  bool
	}{
		{nil, `"1"`, true},
		{[]string{`"2"`}, `"1"`, true},
		{[]string{`"2", W/"1"`}, `"1"`, false},
		{[]string{`"2"`, ` "1" `}, `W/"1"`, false},
		{[]string{" * "}, `"1"`, false},
		{[]string{`"*"`}, `"1"`, true},
	} {
		if got := NoneMatch(test.lines, ParseETag(test.tag)); got != test.want {
			t.Errorf("%q and %s: %v, want %v", test.lines, test.tag, got, test.want)
		}
	}
	if got := ParseETag(" W/\"1\"\t"); got != (ETag{Opaque: `"1"`, Weak: true}) {
		t.Errorf("white space around a tag: %+v", got)
	}
}

// RFC 9110 §8.8.3: a tag between quotes may hold commas and backslashes, and neither ends it.
func TestTags(t *testing.T) {
	got := slices.Collect(Tags([]string{`"a\", W/"b,c" ,, d`, `"e","g"`, `"open, "f"`}))
	if diff := cmp.Diff([]string{`"a\"`, `W/"b,c"`, "d", `"e"`, `"g"`, `"open, "f"`}, got); diff != "" {
		t.Errorf("tags (-want +got)\n%s", diff)
	}
}
