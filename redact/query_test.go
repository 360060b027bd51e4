package redact_test

import (
	"strings"
	"testing"

	"github.com/plyhttp/ply/redact"
)

func queries(t *testing.T, r *redact.Redactor, tests map[string]string) {
	t.Helper()
	for in, want := range tests {
		if got := r.Query(in); got != want {
			t.Errorf("%s\nreads %s\nwant  %s", in, got, want)
		}
	}
}

// A key is shown if it is like a name. What is like a token before a "=" is hidden with it.
func TestKeyLikeATokenIsHidden(t *testing.T) {
	x := strings.Repeat
	for key, shown := range map[string]bool{
		// letters alone: up to 48
		x("a", 48): true, x("a", 49): false,
		x("aB", 24): true, x("aB", 24) + "a": false,
		x("é", 48): true, x("é", 49): false,
		// digits alone
		x("1", 48): true, x("1", 49): false,
		// letters of one case and digits: below 24
		x("a", 22) + "0": true, x("a", 23) + "0": false, x("a", 23) + "9": false, x("z", 23) + "0": false,
		x("A", 22) + "0": true, x("A", 23) + "0": false, x("Z", 23) + "0": false,
		// of both cases and digits: below 16
		x("aB", 7) + "0": true, x("aB", 7) + "00": false, x("zZ", 7) + "00": false, x("aA", 7) + "09": false,
		x("a", 15) + "0": true, x("A", 15) + "0": true, x("aB", 8): true,
		// any other character is of no kind
		x("a", 23) + "^": true, x("B", 23) + "`": true, x("0", 22) + "^^": true,
		x("a", 23) + "#": true, x("#", 23) + "0": true, x("é", 23) + "0": true,
		// at most 128 bytes
		x("ab-", 42) + "ab": true, x("ab-", 43): false,
		// an escape counts as what it stands for, if it is one
		x("a", 47) + "%61": true, x("a", 48) + "%61": false, x("a", 40) + "%zz": true, x("a", 49) + "%zz": false, x("a", 10) + "%61" + x("a", 12) + "0": false,
	} {
		want := "REDACTED"
		if shown {
			want = key + "=REDACTED"
		}
		if got := redact.Query(key + "=v"); got != want {
			t.Errorf("%s: got %s, want %s", key, got, want)
		}
	}
	for c := range strings.SplitSeq("- _ . [ ] : $ + %25 * ~ , ; / @ ! | '", " ") { // a stretch ends there
		key := x("a", 47) + c + x("a", 47)
		if got := redact.Query(key + "=v"); !strings.HasSuffix(got, "=REDACTED") {
			t.Errorf("%s: got %s", key, got)
		}
	}
	for _, c := range `"{}<>()\` { // names have none
		if got := redact.Query("a" + string(c) + "b=v"); got != "REDACTED" {
			t.Errorf("%q: got %s", c, got)
		}
	}
}

// A key without a value might be a token, and its "=" base64 padding.
func TestKeyWithoutAValueIsShownIfItIsAWord(t *testing.T) {
	queries(t, nil, map[string]string{
		"":         "",
		"&":        "&",
		"a=1&&b=2": "a=REDACTED&&b=REDACTED",
		// alone
		"acl": "acl", "ACL": "ACL", "aclx": "REDACTED",
		"acl=": "acl=REDACTED", "debug=": "debug=REDACTED", "DEBUG==": "DEBUG=REDACTED",
		"abcd=": "abcd=REDACTED", "abcde=": "REDACTED", "abcde==": "REDACTED", "abcde=x": "abcde=REDACTED",
		"token=": "token=REDACTED",
		// beside others
		"a=1&abcde=":                           "a=REDACTED&abcde=REDACTED",
		"a=1&abcde":                            "a=REDACTED&REDACTED",
		"a=1&" + strings.Repeat("a", 24) + "=": "a=REDACTED&" + strings.Repeat("a", 24) + "=REDACTED",
		"a=1&" + strings.Repeat("a", 25) + "=": "a=REDACTED&REDACTED",
		"a=1&ABCdefzZ=":                        "a=REDACTED&REDACTED",
		"a=1&ABZdefz=":                         "a=REDACTED&ABZdefz=REDACTED",
		"a=1&AAAdef=":                          "a=REDACTED&AAAdef=REDACTED",
		"a=1&AAAAdef=":                         "a=REDACTED&REDACTED",
		"a=1&ZZZZdef=":                         "a=REDACTED&REDACTED",
		"a=1&^^^^def=":                         "a=REDACTED&REDACTED",
		"a=1&@abcde=":                          "a=REDACTED&REDACTED",
		"a=1&[abcde=":                          "a=REDACTED&REDACTED",
		"a=1&`abcde=":                          "a=REDACTED&REDACTED",
		"a=1&x-y_z.abcd=":                      "a=REDACTED&x-y_z.abcd=REDACTED",
		"a=1&a-b-c-d-e-f=":                     "a=REDACTED&a-b-c-d-e-f=REDACTED",
		"a=1&abcd1=":                           "a=REDACTED&REDACTED",
		"a=1&abc:de=":                          "a=REDACTED&REDACTED",
	})
}

// A name or a value that would break the line it is printed on is escaped.
func TestShownParameterIsPrintable(t *testing.T) {
	queries(t, &redact.Redactor{HideParams: []string{}}, map[string]string{
		"a b=1":      "a+b=1",
		" a=\tb":     "+a=%09b",
		"a!b=1":      "a!b=1",
		"a=x y":      "a=x+y",
		"a=x\ny":     "a=x%0Ay",
		"a=x\x7fy":   "a=x%7Fy",
		"a=x~y/+%20": "a=x~y/+%20",
		"a=x=y":      "a=x=y",
	})
}

func TestPathParameterWithTheNameOfASecretIsHidden(t *testing.T) {
	for in, want := range map[string]string{
		"/a;token=hush":           "/a;token=REDACTED",
		"/a;v=1;token=hush;w":     "/a;v=1;token=REDACTED;w",
		"/a;token/b":              "/a;token/b",
		"/token=x;a=b/c;pin=hush": "/token=x;a=b/c;pin=REDACTED",
	} {
		if got := redact.URLText(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}
