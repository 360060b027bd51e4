package rfc9111

import (
	"slices"
	"strings"
	"testing"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// RFC 9110 §12.5.4: a response in the language that a request ranks first is what the server would choose.
func TestSelectionByPreferredLanguage(t *testing.T) {
	for _, test := range []struct {
		accept, content string
		want            bool
	}{
		{"fr;q=0.5, de;q=1.0", "de", true}, {"fr;q=0.5, de", "DE", true}, {"fr, de", "de", false}, {"fr, de;q=0.9", "de", false},
		{"de;q=0", "de", false}, {"de;q=2", "de", false}, {"de", "de, fr", false}, {"", "de", false},
		{"de ; q=0.9, fr ; q=0.8", " de ", true}, {"de, fr, en", "en", false}, {"fr;q=0.5, en;q=0.5, de", "de", true}, {"de;x=1", "de", false}, {"fr;q=0.999, de", "de", true}, {"de;q=0.001", "de", true},
		{"de, fr;q=1.0", "de", false}, {"de, fr", "de, fr", false}, {"de, fr", "fr", false}, {"de;q= 0.9 , fr;q=0.8", "de", true}, {"de ;q=1, fr;q=0.5", "de", true},
	} {
		if got := prefersLanguage([]string{test.accept}, []string{test.content}); got != test.want {
			t.Errorf("%q for %q: %v, want %v", test.content, test.accept, got, test.want)
		}
	}
}

// RFC 9111 §4.1, RFC 9110 §12.5: the form of a field value in which two values with one meaning are equal.
func TestNormalisation(t *testing.T) {
	for _, test := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"X", []string{" a "}, "a"},
		{"X", []string{"a , b", ",c"}, "a, b, c"},
		{"X", []string{"a", "b"}, "a, b"},
		{"X", nil, ""},
		{"Cookie", []string{" a=1,2 ", "b"}, "a=1,2, b"},
		{"Accept", []string{"A/b ; Q=0.5 ; X=Y, c/d"}, "c/d,a/b;q=500;x=Y"},
		{"Accept", []string{"a/b;x"}, "a/b;x"},
		{"Accept", []string{"a/b;x="}, "a/b;x="},
		{"Accept", []string{"a/b;;x=1"}, "a/b;x=1"},
		{"Accept", []string{"a/b;q=1", "a/b"}, "a/b"},
		{"Accept", []string{"A/b;q=0"}, "a/b;q=0"},
		{"Accept", []string{"a/b;q=0.999"}, "a/b;q=999"},
		{"Accept", []string{"a/b;q=0.5;q=0.7"}, "a/b;q=500;q=0.7"},
		{"Accept", []string{"a/b;x = 1"}, "a/b;x = 1"},
		{"Accept", []string{"a/b;q=2"}, "a/b;q=2"},
		{"Accept", []string{"A/b;(=1"}, "A/b;(=1"},
		{"Accept", []string{"A/b;x= 1"}, "A/b;x= 1"},
		{"Accept", []string{";q=1"}, ";q=1"},
		{"Accept-Charset", []string{"UTF-8, *;q=0.1"}, "utf-8,*;q=100"},
		{"Accept-Encoding", []string{"BR;q=0.8, gzip"}, "gzip,br;q=800"},
		{"Accept-Language", []string{"de;q=0.5, EN"}, "en,de;q=500"},
	} {
		if got := normalise(test.name, test.lines); got != test.want {
			t.Errorf("%s %q: %q, want %q", test.name, test.lines, got, test.want)
		}
	}
}

// RFC 9110 §12.4.2: a weight is 0 or 1 with at most three digits behind the point, and no more than 1.
func TestNormalisationOfWeights(t *testing.T) {
	for q, want := range map[string]int{
		"0": 0, "1": 1000, "0.5": 500, "0.05": 50, "0.005": 5, "0.123": 123, "1.000": 1000, "1.": 1000, "0.": 0, "0.9": 900, "0.90": 900, "0.099": 99,
		"": -1, "2": -1, "1.001": -1, "0.1234": -1, "0.a": -1, "0.:": -1, "0./": -1, "0.00/": -1, "0.00:": -1, "-1": -1, "01": -1, ".5": -1, "1.1": -1,
	} {
		if got := thousandths(q); got != want {
			t.Errorf("%q: %d, want %d", q, got, want)
		}
	}
}

// Values of fields that may hold a secret are kept as hashes.
func TestNormalisationHashesSecrets(t *testing.T) {
	for name, want := range map[string]bool{
		"Accept": false, "Accept-Language": false, "Access-Control-Request-Method": false, "Sec-Ch-Ua": false, "Sec-Fetch-Mode": false, "Content-Type": false,
		"Dnt": false, "Origin": false, "Range": false, "Save-Data": false, "User-Agent": false, "X-Requested-With": false,
		"Cookie": true, "Authorization": true, "X": true, "Prefer": true, "Sec-Websocket-Key": true,
	} {
		if got := sensitive(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	one, other := &stored.HashKey{1}, &stored.HashKey{2}
	a := hash(one, "a")
	if len(a) != 32 || a != hash(one, "a") || a == hash(one, "b") || a == hash(other, "a") || hash(nil, "a") != "" {
		t.Error("a hash depends on its key and its value alone, and there is none without a key")
	}
	for _, test := range []struct {
		s    stored.Selector
		want bool
	}{
		{stored.Selector{Name: "Cookie", Present: true}, true},
		{stored.Selector{Name: "Cookie", Present: true, Value: "x"}, false},
		{stored.Selector{Name: "Cookie"}, false},
		{stored.Selector{Name: "Accept", Present: true}, false},
	} {
		if got := Unhashed(test.s); got != test.want {
			t.Errorf("%+v lacks its hash: %v, want %v", test.s, got, test.want)
		}
	}
}

// A signature that changes with each request selects by the key that it names.
func TestNormalisationOfSignatures(t *testing.T) {
	sign := func(signature string) string {
		return "AWS4-HMAC-SHA256 Credential=AKID/20260102/eu/s3/aws4_request, SignedHeaders=host, Signature=" + signature
	}
	lines := []string{"x", sign("00"), sign("01")}
	kept := slices.Clone(lines)
	got := identities("Authorization", lines)
	if len(got) != 3 || got[0] != "x" || got[1] != got[2] || got[1] == lines[1] || strings.Contains(got[1], "Signature") {
		t.Errorf("%q", got)
	}
	unnamed := []string{"AWS4-HMAC-SHA256 SignedHeaders=host, Signature=00"}
	if got := identities("Authorization", unnamed); got[0] != unnamed[0] {
		t.Errorf("a signature that names no key: %q", got)
	}
	if !slices.Equal(lines, kept) {
		t.Error("the lines of the request were changed")
	}
	if plain := []string{"Bearer a"}; &identities("Authorization", plain)[0] != &plain[0] {
		t.Error("lines without a signature were copied")
	}
}
