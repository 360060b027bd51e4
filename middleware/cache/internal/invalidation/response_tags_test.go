package invalidation

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNamedTags(t *testing.T) {
	many := func(n int) (names []string) {
		for i := range n {
			names = append(names, fmt.Sprint("t", i))
		}
		return names
	}
	for name, test := range map[string]struct {
		names []string
		want  int
		why   string
	}{
		"none":                       {},
		"each counts once":           {names: []string{"a", "b", "a", "A"}, want: 2},
		"empty names do not count":   {names: []string{"", "a"}, want: 1},
		"as many as can be":          {names: many(128), want: 128},
		"many, and some twice":       {names: append(many(128), many(128)...), want: 128},
		"one too many":               {names: many(129), why: "more than 128 tags"},
		"a name of the longest kind": {names: []string{strings.Repeat("x", 1024)}, want: 1},
		"a name that is too long":    {names: []string{"a", strings.Repeat("x", 1025)}, why: "a tag exceeds 1024 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			tags, why := NamedTags(test.names)
			if diff := cmp.Diff([]any{test.want, test.why}, []any{len(tags), why}); diff != "" {
				t.Errorf("tags, and why not (-want +got)\n%s", diff)
			}
		})
	}
}

// A name is no other kind of tag, whatever it begins with.
func TestNamedTagsAreApartFromOthers(t *testing.T) {
	for _, name := range []string{"p1", "1", "tp1"} {
		if NamedTag(name) == HashedPrincipalTag("1") {
			t.Errorf("the tag %q is that of a principal", name)
		}
	}
	if NamedTag("a") == NamedTag("b") || NamedTag("Product-1") != NamedTag("pRODUCT-1") {
		t.Error("two names are one, or one in two cases are two")
	}
}
