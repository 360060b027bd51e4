package field

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// slowMembers is Members as its doc says it, one quote at a time.
func slowMembers(line string) []string {
	var found []string
	member := ""
	for i := 0; i < len(line); i++ {
		end := 0
		if line[i] == '"' {
			end = quotedEnd(line[i:])
		}
		switch {
		case end > 0:
			member += line[i : i+end]
			i += end - 1
		case line[i] == ',':
			found, member = append(found, TrimOWS(member)), ""
		default:
			member += line[i : i+1]
		}
	}
	found = append(found, TrimOWS(member))
	return slices.DeleteFunc(found, func(s string) bool { return s == "" })
}

// slowRestrictions are the words outside quoted strings, one quote at a time.
func slowRestrictions(member string) (words []string) {
	for i := 0; i < len(member); i++ {
		if member[i] == '"' {
			i += max(quotedEnd(member[i:])-1, 0)
			continue
		}
		n := 0
		for i+n < len(member) && isTokenByte(member[i+n]) {
			n++
		}
		if member[i:i+n] == "private" {
			words = append(words, "private")
		}
		i += max(n-1, 0)
	}
	return words
}

// What is read in one pass is what is read by looking for the end of each quoted string anew: all lines of few bytes are compared.
func TestMembersInOnePass(t *testing.T) {
	pieces := []string{`"`, `\`, ",", "a", " private "}
	var lines func(prefix string, n int)
	lines = func(prefix string, n int) {
		if diff := cmp.Diff(slowMembers(prefix), slices.Collect(Members([]string{prefix})), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%s (-slow +fast)\n%s", prefix, diff)
		}
		var words []string
		restrictions(prefix, func(d Directive) { words = append(words, d.Name) })
		if diff := cmp.Diff(slowRestrictions(prefix), words); diff != "" {
			t.Fatalf("%s (-slow +fast)\n%s", prefix, diff)
		}
		if n == 0 {
			return
		}
		for _, p := range pieces {
			lines(prefix+p, n-1)
		}
	}
	lines("", 6)
}

// A dictionary and parameters of any length have one member for each key, where the key came first, with the value that came last (RFC 9651 §4.2.2, §4.2.3.2).
func TestManyKeys(t *testing.T) {
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
