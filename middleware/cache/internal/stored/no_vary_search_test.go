package stored

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// No-Vary-Search: which other queries a response answers.
func TestNoVarySearch(t *testing.T) {
	for _, test := range []struct {
		name, line, stored, asked string
		want                      bool
	}{
		{"key-order", "key-order", "a=1&b=2", "b=2&a=1", true},
		{"key-order, order of values", "key-order", "a=1&a=2", "a=2&a=1", false},
		{"params", `params=("a")`, "a=1&b=2", "b=2&a=3", true},
		{"params, one that counts", `params=("a")`, "b=2", "b=3", false},
		{"params, absent", `params=("a")`, "a=1&b=2", "b=2", true},
		{"params, order still counts", `params=("x")`, "a=1&b=2", "b=2&a=1", false},
		{"all params", "params", "a=1", "b=2", true},
		{"all but some", `params, except=("b")`, "a=1&b=2", "b=2", true},
		{"all but some, one that counts", `params, except=("b")`, "b=2", "b=3", false},
		{"encoded name", `params=("a%20b")`, "a+b=1", "a%20b=2", true},
		{"both", `key-order, params=("t")`, "a=1&t=5&b=2", "b=2&a=1&t=6", true},
		{"except without params", `except=("b")`, "a=1", "a=2", false},
		{"malformed", `params=(a)`, "a=1", "a=2", false},
		{"no dictionary", `params, &`, "a=1", "a=2", false},
		{"nothing said", `key-order=?0`, "a=1&b=2", "b=2&a=1", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := NewSearchVariance(http.Header{"No-Vary-Search": {test.line}}, test.stored)
			if got := v != nil && v.Covers(test.asked); got != test.want {
				t.Errorf("covers = %v, want %v", got, test.want)
			}
		})
	}
}

// No-Vary-Search with names and values that are malformed, and what an entry is charged for it.
func TestNoVarySearchMalformed(t *testing.T) {
	for _, test := range []struct {
		name, line, stored, asked string
		want                      bool
	}{
		{"two values with bad escapes", `params=("x")`, "a=%zz", "a=%yy", false},
		{"the same value with a bad escape", `params=("x")`, "a=%zz&x=1", "a=%zz", true},
		{"two names with bad escapes", `params=("x")`, "%zz=1", "%yy=1", false},
		{"a listed name with a bad escape", `params=("%zz")`, "%zz=1", "%zz=2", true},
		{"another name than the listed one", `params=("%zz")`, "%yy=1", "%yy=2", false},
		{"params that is neither boolean nor list", `params=1`, "a=1", "a=2", false},
		{"key-order that is no boolean", `key-order=1, params`, "a=1", "a=2", false},
		{"except that is no list", `params, except=1`, "a=1", "a=2", false},
		{"except with a member that is no string", `params, except=(a)`, "a=1", "a=2", false},
		{"except with a list of params", `params=("a"), except=("b")`, "a=1", "a=2", false},
		{"empty parameters", `params=("x")`, "a=1&&x=2", "&a=1", true},
		{"a name without a value", `params=("x")`, "a", "a=", true},
	} {
		v := NewSearchVariance(http.Header{"No-Vary-Search": {test.line}}, test.stored)
		if got := v != nil && v.Covers(test.asked); got != test.want {
			t.Errorf("%s: covers = %v, want %v", test.name, got, test.want)
		}
	}
	if NewSearchVariance(http.Header{}, "a=1") != nil {
		t.Error("without the field every difference counts")
	}
	few := NewSearchVariance(http.Header{"No-Vary-Search": {`params=("a")`}}, "a=1")
	many := NewSearchVariance(http.Header{"No-Vary-Search": {`params=("a" "b" "cc")`}}, "a=1")
	if got := many.bytes() - few.bytes(); got != 1+2+2*32 {
		t.Errorf("two names more are charged with %d", got)
	}
	if got := few.bytes(); got != int64(len(few.Query))+128+1+32 {
		t.Errorf("%d bytes", got)
	}
	plain, searched := &Entry{}, &Entry{Search: few}
	plain.Derive()
	searched.Derive()
	if searched.Size-plain.Size != few.bytes() {
		t.Errorf("the entry is charged with %d more", searched.Size-plain.Size)
	}
}

func TestNoVarySearchBlindsValues(t *testing.T) {
	if a, b := Blinded("k=secret&j"), Blinded("k=secret&j="); a != b || strings.Contains(a, "secret") || !strings.HasPrefix(a, "k=") || strings.HasSuffix(a, "&") {
		t.Errorf("%s, %s", a, b)
	}
	if Blinded("") != "" || Blinded("k=1") == Blinded("k=2") {
		t.Error("two values are equal if their hashes are")
	}
}

// The names that are listed are sorted and listed once, however the field has them: each query is compared with all of them.
func TestNoVarySearchNamesAreSorted(t *testing.T) {
	v := NewSearchVariance(http.Header{"No-Vary-Search": {`params, except=("b" "a" "c%20d" "a")`}}, "q=1")
	if diff := cmp.Diff([]string{"a", "b", "c d"}, v.AllBut); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, name := range []string{"a", "b", "c+d"} {
		if v.Covers("q=1&"+name+"=1") || !v.Covers("q=2&z=3") {
			t.Errorf("%q counts, the others do not", name)
		}
	}
}

// A value is blinded by the first half of its SHA-256: a store must read in one version what another has written.
func TestNoVarySearchBlindedForm(t *testing.T) {
	sum := sha256.Sum256([]byte("v w"))
	if got, want := Blinded("a%20b=v+w&&c"), "a+b="+hex.EncodeToString(sum[:16])+"&c=e3b0c44298fc1c149afbf4c8996fb924"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// The request for a URI without its query is another request, and leaves that of the caller as it is.
func TestWithoutQueryLeavesTheRequest(t *testing.T) {
	for _, raw := range []string{"http://h/a?q=1", "http://h/a?", "http://h/a"} {
		u, _ := url.Parse(raw)
		r := &http.Request{URL: u}
		bare := WithoutQuery(r)
		if bare.URL.String() != "http://h/a" || r.URL.String() != raw || QueryOf(r) != u.RawQuery {
			t.Errorf("%s: %s, and the caller's is %s", raw, bare.URL, r.URL)
		}
	}
	opaque := &http.Request{URL: &url.URL{Scheme: "http", Host: "h", Opaque: "//h/a?q=1"}}
	if QueryOf(opaque) != "q=1" || WithoutQuery(opaque).URL.String() != "http://h/a" {
		t.Errorf("an opaque URL: %q, %s", QueryOf(opaque), WithoutQuery(opaque).URL)
	}
}
