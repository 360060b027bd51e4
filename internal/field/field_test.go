package field

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
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

// RFC 9110 §5.6.2: the characters of a token.
func TestIsToken(t *testing.T) {
	const chars = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	if IsToken("") {
		t.Error("nothing is a token")
	}
	for c := range 256 {
		s := string([]byte{byte(c)})
		if want := strings.Contains(chars, s); IsToken(s) != want || IsToken(s+"a") != want || IsToken("a"+s) != want {
			t.Errorf("%q in a token: %v, want %v", s, IsToken(s), want)
		}
	}
}

// RFC 9110 §5.6.4: quoted strings.
func TestUnquote(t *testing.T) {
	for _, test := range []struct {
		s, want string
		ok      bool
	}{
		{`""`, "", true}, {`"a"`, "a", true}, {`"a\"b\\c\d"`, `a"b\cd`, true}, {`"\a"`, "a", true},
		{"", "", false}, {`"`, "", false}, {"a", "", false}, {`a"`, "", false}, {`"a`, "", false}, {`"a\"`, "", false}, {`"a"b`, "", false}, {`"a"b"`, "", false}, {`a"b"`, "", false}, {`""""`, "", false},
	} {
		if got, ok := Unquote(test.s); got != test.want || ok != test.ok {
			t.Errorf("Unquote(%s) = %q, %v, want %q, %v", test.s, got, ok, test.want, test.ok)
		}
	}
}

// Names are compared in ASCII: no other letter is the lower case of one, or its equal.
func TestCaseIsOfASCII(t *testing.T) {
	for upper, lower := range map[string]string{"A": "a", "Z": "z", "aZA": "aza", "@[`{": "@[`{", "\u212a": "\u212a", "Ü": "Ü", "": ""} {
		if got := Lower(upper); got != lower {
			t.Errorf("Lower(%q) = %q, want %q", upper, got, lower)
		}
		if !EqualFold(upper, lower) || !EqualFold(lower, upper) {
			t.Errorf("%q and %q must be equal", upper, lower)
		}
	}
	for _, pair := range [][2]string{{"a", "b"}, {"ab", "cb"}, {"a", "ab"}, {"@", "`"}, {"[", "{"}, {"\u212a", "k"}, {"Ü", "ü"}} {
		if EqualFold(pair[0], pair[1]) {
			t.Errorf("%q and %q must differ", pair[0], pair[1])
		}
	}
}
