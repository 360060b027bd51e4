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

// RFC 9110 §5.6.2: which of all bytes a token may contain.
func TestIsToken(t *testing.T) {
	const tchar = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for c := range 256 {
		s := string([]byte{byte(c)})
		if got, want := IsToken(s), strings.Contains(tchar, s); got != want {
			t.Errorf("IsToken(%q) = %v, want %v", s, got, want)
		}
		if got, want := IsToken("a"+s), strings.Contains(tchar, s); got != want {
			t.Errorf("IsToken(%q) = %v, want %v", "a"+s, got, want)
		}
	}
	if IsToken("") {
		t.Error("an empty token")
	}
}

// Only ASCII letters change their case.
func TestLowerAndEqualFold(t *testing.T) {
	for c := range 256 {
		s := string([]byte{byte(c)})
		want := s
		if 'A' <= c && c <= 'Z' {
			want = string([]byte{byte(c) + 'a' - 'A'})
		}
		for _, prefix := range []string{"", "x", "X"} {
			if got := Lower(prefix + s); got != strings.Repeat("x", len(prefix))+want {
				t.Errorf("Lower(%q) = %q", prefix+s, got)
			}
		}
		for d := range 256 {
			other := string([]byte{byte(d)})
			if got, same := EqualFold("a"+s, "A"+other), Lower(s) == Lower(other); got != same {
				t.Errorf("EqualFold(%q, %q) = %v, want %v", s, other, got, same)
			}
		}
	}
	if Lower("\u212a") != "\u212a" || EqualFold("\u212a", "k") || EqualFold("a", "ab") || !EqualFold("", "") {
		t.Error("letters outside ASCII, or lengths")
	}
}

// RFC 9110 §5.6.4: quoted strings.
func TestUnquote(t *testing.T) {
	for _, test := range []struct {
		s, want string
		ok      bool
	}{
		{`""`, "", true}, {`"a"`, "a", true}, {`"a\"b"`, `a"b`, true}, {`"a\\"`, `a\`, true}, {`"\a"`, "a", true}, {`"a, b"`, "a, b", true}, {`"\\\""`, `\"`, true},
		{"", "", false}, {`"`, "", false}, {`a"`, "", false}, {`"a`, "", false}, {`"a\"`, "", false}, {`"a"b`, "", false}, {`"a" `, "", false}, {` "a"`, "", false}, {`ab`, "", false}, {`""a""`, "", false},
	} {
		if got, ok := Unquote(test.s); got != test.want || ok != test.ok {
			t.Errorf("Unquote(%q) = %q, %v, want %q, %v", test.s, got, ok, test.want, test.ok)
		}
	}
}
