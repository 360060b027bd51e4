package netrc_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/internal/netrc"
)

// found is what a lookup gives.
type found struct {
	Name, Password string
	OK             bool
}

func lookup(f *netrc.File, host string) found {
	name, password, ok := f.Lookup(host)
	return found{name, password, ok}
}

func TestLookup(t *testing.T) {
	tests := []struct {
		name, text, host string
		want             found
	}{
		{"one line", "machine a.com login ann password one", "a.com", found{"ann", "one", true}},
		{"several lines", "machine a.com\n\tlogin ann\r\n\tpassword one\n", "a.com", found{"ann", "one", true}},
		{"another machine", "machine a.com login ann password one\nmachine b.com login bob password two", "b.com", found{"bob", "two", true}},
		{"unknown host", "machine a.com login ann password one", "b.com", found{}},
		{"not a subdomain", "machine a.com login ann password one", "x.a.com", found{}},
		{"not a suffix", "machine a.com login ann password one", "xa.com", found{}},
		{"case of the host", "machine A.com login ann password one", "a.COM", found{"ann", "one", true}},
		{"address", "machine ::1 login ann password one", "::1", found{"ann", "one", true}},
		{"default", "machine a.com login ann password one default login anyone password x", "b.com", found{"anyone", "x", true}},
		{"default stands first", "default login anyone password x\nmachine a.com login ann password one", "a.com", found{"ann", "one", true}},
		{"a host called default is none", "machine default login ann password one", "b.com", found{}},
		{"first entry counts", "machine a.com login ann password one\nmachine a.com login bob password two", "a.com", found{"ann", "one", true}},
		{"first default counts", "default login ann password one default login bob password two", "a.com", found{"ann", "one", true}},
		{"user for login", "machine a.com user ann password one", "a.com", found{"ann", "one", true}},
		{"password first", "machine a.com password one login ann", "a.com", found{"ann", "one", true}},
		{"no password", "machine a.com login ann", "a.com", found{"ann", "", true}},
		{"no login", "machine a.com password one", "a.com", found{"", "one", true}},
		{"account for want of a login", "machine a.com account acc password one", "a.com", found{"acc", "one", true}},
		{"account beside a login", "machine a.com login ann account acc password one", "a.com", found{"ann", "one", true}},
		{"an empty entry keeps the default away", "machine a.com default login anyone password x", "a.com", found{}},
		{"quotes", `machine a.com login "ann b" password "a \"b\" \\ # c"`, "a.com", found{"ann b", `a "b" \ # c`, true}},
		{"empty quotes", `machine a.com login ann password ""`, "a.com", found{"ann", "", true}},
		{"quotes over lines", "machine a.com login ann password \"a\nb\"", "a.com", found{"ann", "a\nb", true}},
		{"quote inside a word", `machine a.com login ann password a"b"c`, "a.com", found{"ann", `a"b"c`, true}},
		{"backslash", `machine a.com login ann password a\ b\\c\"`, "a.com", found{"ann", `a b\c"`, true}},
		{"backslash at the end", `machine a.com login ann password one\`, "a.com", found{"ann", `one\`, true}},
		{"comment lines", "# machine a.com login x password y\n#machine a.com login x\nmachine a.com # login x\n login ann password one", "a.com", found{"ann", "one", true}},
		{"comment behind an entry", "machine a.com login ann password one # login bob", "a.com", found{"ann", "one", true}},
		{"comment at the end", "machine a.com login ann password one #", "a.com", found{"ann", "one", true}},
		{"a value that starts with #", "machine a.com login #ann password #one", "a.com", found{"#ann", "#one", true}},
		{"a value that is a keyword", "machine a.com login password password login", "a.com", found{"password", "login", true}},
		{"macro", "macdef init\nmachine a.com login x password y\n\nmachine a.com login ann password one", "a.com", found{"ann", "one", true}},
		{"macro in an entry", "machine a.com login ann password one\nmacdef init\r\nlogin x\r\n\r\nmachine b.com login bob password two", "b.com", found{"bob", "two", true}},
		{"macro up to the end", "machine a.com login ann password one\nmacdef init\nlogin x", "a.com", found{"ann", "one", true}},
		{"macro without lines", "machine a.com login ann password one\nmacdef init", "a.com", found{"ann", "one", true}},
		{"words of other tools", "machine a.com port 8080 login ann method git password one", "a.com", found{"ann", "one", true}},
		{"words before the first entry", "login x password y machine a.com login ann password one", "a.com", found{"ann", "one", true}},
		{"byte order mark", "\ufeffmachine a.com login ann password one", "a.com", found{"ann", "one", true}},
		{"not ASCII", "machine a.com login änn password pä", "a.com", found{"änn", "pä", true}},
		{"empty", "", "a.com", found{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := netrc.Parse(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, lookup(f, tt.host)); diff != "" {
				t.Errorf("login (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNoFileHasNoLogins(t *testing.T) {
	for _, f := range []*netrc.File{nil, {}} {
		if got := lookup(f, "a.com"); got != (found{}) {
			t.Errorf("got %+v", got)
		}
	}
}

func TestErrorsNameTheLineAndNoSecret(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"no machine", "\nmachine", "line 2: machine without a value"},
		{"no login", "machine a.com\nlogin", "line 2: login without a value"},
		{"no password", "machine a.com login ann\n\npassword\n\n", "line 3: password without a value"},
		{"no macro name", "macdef", "line 1: macdef without a value"},
		{"open quote", "machine a.com\nlogin ann password \"secret\nmachine b.com", "line 2: a quote is not closed"},
		{"open quote for a keyword", "machine a.com\n\"secret", "line 2: a quote is not closed"},
		{"lines of quotes and macros count", "machine a.com password \"x\ny\"\nmacdef m\nz\n\nlogin", "line 6: login without a value"},
		{"too large", strings.Repeat("machine a.com password secret\n", 1<<16), "larger than 1048576 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := netrc.Parse(tt.text)
			if err == nil || err.Error() != tt.want || f != nil {
				t.Errorf("got %v, %v; want the error %q", f, err, tt.want)
			}
		})
	}
}

func TestReadFindsTheFile(t *testing.T) {
	dir := t.TempDir()
	named := write(t, dir, "named", "machine a.com login named password one")
	environment := write(t, dir, "environment", "machine a.com login environment password one")
	write(t, dir, ".netrc", "machine a.com login home password one")

	tests := []struct{ name, path, env, home, want string }{
		{"path given", named, environment, dir, "named"},
		{"path of the environment", "", environment, dir, "environment"},
		{"home directory", "", "", dir, "home"},
		{"no home directory", "", "", "", ""},
		{"home that is no directory", "", "", named, ""},
		{"path given does not exist", filepath.Join(dir, "missing"), environment, dir, ""},
		{"path of the environment does not exist", "", filepath.Join(dir, "missing"), dir, ""},
		{"empty device", "", os.DevNull, dir, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("NETRC", tt.env)
			t.Setenv("HOME", tt.home)
			t.Setenv("USERPROFILE", tt.home)
			f, err := netrc.Read(tt.path)
			if err != nil {
				t.Fatal(err)
			}
			if got := lookup(f, "a.com").Name; got != tt.want {
				t.Errorf("login of %q, want that of %q", got, tt.want)
			}
		})
	}
}

// write makes a file that everyone can read.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadReportsWhatItCannotRead(t *testing.T) {
	dir := t.TempDir()
	broken := write(t, dir, "broken", "machine a.com login ann password \"secret")
	large := write(t, dir, "large", strings.Repeat(" ", 2<<20))

	tests := []struct{ name, path, want string }{
		{"a directory", dir, "directory"},
		{"below a file", filepath.Join(broken, "file"), "file"},
		{"broken", broken, broken + ": line 1: a quote is not closed"},
		{"too large", large, large + ": larger than 1048576 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := netrc.Read(tt.path)
			if err == nil || !strings.HasPrefix(err.Error(), "netrc: ") || !strings.Contains(err.Error(), tt.want) || f != nil {
				t.Errorf("got %v, %v; want an error about %q", f, err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error tells the password: %v", err)
			}
		})
	}
}

// harmless are the errors that Parse may give: none has room for a secret.
var harmless = regexp.MustCompile(`^(line \d+: ((machine|login|user|password|account|macdef) without a value|a quote is not closed)|larger than \d+ bytes)$`)

func FuzzParse(f *testing.F) {
	f.Add("machine a.com login ann password one # comment\ndefault login x")
	f.Add("macdef m\nx\n\nmachine \"a b\" account \\\"")
	f.Add("machine a \"")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := netrc.Parse(text); err != nil && !harmless.MatchString(err.Error()) {
			t.Errorf("error %q", err)
		}
	})
}

// FuzzWritten writes entries down, quoted or with backslashes, and expects to find them again.
func FuzzWritten(f *testing.F) {
	f.Add("a.com", "ann", "one", "b.com", "bob", `p "w" \ #`, " ", true)
	f.Add("a.com", "#ann", "machine", "A.COM", "login", "x\ny\r\n", " # comment\n", false)
	f.Fuzz(func(t *testing.T, host, login, password, host2, login2, password2, gap string, quotes bool) {
		write := backslashes
		if quotes {
			write = quoted
		}
		if !quotes && (host == "" || login == "" || password == "" || host2 == "" || login2 == "" || password2 == "") {
			return // only quotes can show an empty word
		}
		gap = regexp.MustCompile(`[^ \t\r\n]`).ReplaceAllString(gap, "") + "\n"
		text := fmt.Sprintf("# logins\nmachine %s%slogin %s%spassword %s%smacdef m\nlogin x\n\n machine %s password %s login %s",
			write(host), gap, write(login), gap, write(password), gap, write(host2), write(password2), write(login2))
		file, err := netrc.Parse(text)
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if got, want := lookup(file, host), (found{login, password, login != "" || password != ""}); got != want {
			t.Errorf("got %+v, want %+v of\n%s", got, want, text)
		}
		if strings.EqualFold(host, host2) {
			return
		}
		if got, want := lookup(file, host2), (found{login2, password2, login2 != "" || password2 != ""}); got != want {
			t.Errorf("got %+v, want %+v of\n%s", got, want, text)
		}
	})
}

func quoted(word string) string {
	return `"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(word) + `"`
}

func backslashes(word string) string {
	var b strings.Builder
	for i := range len(word) {
		b.WriteByte('\\')
		b.WriteByte(word[i])
	}
	return b.String()
}
