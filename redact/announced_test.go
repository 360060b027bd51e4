package redact_test

import (
	"strings"
	"testing"

	"github.com/plyhttp/ply/redact"
)

// texts checks what Text returns, once and again.
func texts(t *testing.T, tests map[string]string) {
	t.Helper()
	for in, want := range tests {
		got := redact.Text(in)
		if got != want {
			t.Errorf("%s\nreads %s\nwant  %s", in, got, want)
		}
		if again := redact.Text(got); again != got {
			t.Errorf("%s\nreads %s the second time", got, again)
		}
	}
}

func TestNameOfASecretEndsAtItsFirstByte(t *testing.T) {
	texts(t, map[string]string{
		// "pin" and "key" are secret alone, and are not behind these bytes
		"pin=x":         "pin=REDACTED",
		"(pin=x":        "(pin=REDACTED",
		"@pin=x":        "@pin=REDACTED",
		"[pin=x":        "[pin=REDACTED",
		"{pin=x":        "{pin=REDACTED",
		"apin=x":        "apin=x",
		"zpin=x":        "zpin=x",
		"Apin=x":        "Apin=x",
		"Zpin=x":        "Zpin=x",
		"0pin=x":        "0pin=x",
		"9pin=x":        "9pin=x",
		"/pin=x":        "/pin=REDACTED",
		"\u00c0pin=x":   "\u00c0pin=x", // its last byte is 0x80
		"épin=x":        "épin=x",
		"public_key=x":  "public_key=x",
		"public-key=x":  "public-key=x",
		"public.key=x":  "public.key=x",
		"public key=x":  "public key=REDACTED",
		"=x":            "=x",
		"api error: no": "api error: no",
		// of a long name the last 64 bytes are read
		"s" + "pin" + strings.Repeat("_hash", 12) + "=x":  "s" + "pin" + strings.Repeat("_hash", 12) + "=x",
		"s" + "pin" + strings.Repeat("_hash", 12) + "_=x": "s" + "pin" + strings.Repeat("_hash", 12) + "_=REDACTED",
		// however far into the text it is
		strings.Repeat("so ", 50) + "token=x": strings.Repeat("so ", 50) + "token=REDACTED",
	})
}

// Behind a colon, a word without digits is hidden only if the name before is marked as one.
func TestWordBehindAColonIsHiddenAfterAMarkedName(t *testing.T) {
	texts(t, map[string]string{
		"bad pin: hush":                "bad pin: hush",
		`{"pin": hush}`:                `{"pin": REDACTED}`,
		`{'pin': hush}`:                `{'pin': REDACTED}`,
		"config[pin]: hush":            "config[pin]: REDACTED",
		"my_pin: hush":                 "my_pin: REDACTED",
		"my-pin: hush":                 "my-pin: REDACTED",
		"aPin: hush":                   "aPin: REDACTED",
		"zPin: hush":                   "zPin: REDACTED",
		"userAuth: hush":               "userAuth: REDACTED",
		"dbZpass: hush":                "dbZpass: REDACTED",
		"claéPin: hush":                "claéPin: REDACTED",
		"TOKEN: hush":                  "TOKEN: hush",
		"bad pass1: hush":              "bad pass1: hush",
		"see x/token=hush":             "see x/token=REDACTED",
		`Post "https://h/token": hush`: `Post "https://h/token": hush`,
	})
}

func TestEntryOfWhatFmtPrintsIsHidden(t *testing.T) {
	texts(t, map[string]string{
		"map[pin:hush user:joe]":   "map[pin:REDACTED user:joe]",
		"map[a:b pin:hush]":        "map[a:b pin:REDACTED]",
		"{pin:hush}":               "{pin:REDACTED}",
		"(pin:hush)":               "(pin:REDACTED)",
		"user:joe,pin:hush":        "user:joe,pin:REDACTED",
		"user:joe;pin:hush":        "user:joe;pin:REDACTED",
		"user:joe|pin:hush":        "user:joe|pin:REDACTED",
		"user:joe&pin:hush":        "user:joe&pin:REDACTED",
		"pin:hush":                 "pin:REDACTED",
		"x\npin:hush y":            "x\npin:REDACTED y",
		"x\rpin:hush y":            "x\rpin:REDACTED y",
		"x\tpin:hush y":            "x\tpin:REDACTED y",
		"urn:pin:hush":             "urn:pin:hush",
		"a bad pin :hush":          "a bad pin :hush",
		"dial auth:8080: refused":  "dial auth:8080: refused",
		"dial auth:8080.1: gone":   "dial auth:8080.1: gone",
		"map[Pin:[a b] N:[c]]":     "map[Pin:REDACTED N:[c]]",
		"map[Token:[a b] N:[c:d]]": "map[Token:REDACTED N:[c:d]]",
	})
}

func TestLineOfItsOwnIsHidden(t *testing.T) {
	texts(t, map[string]string{
		"x\npin: hush":         "x\npin: REDACTED",
		"x\npin: hush\ny":      "x\npin: REDACTED\ny",
		"x\npin: hush\r\ny":    "x\npin: REDACTED\r\ny",
		"x\n\t - pin: hush\ny": "x\n\t - pin: REDACTED\ny",
		"x\npin: hush was bad": "x\npin: hush was bad",
		"x\ny pin: hush\nz":    "x\ny pin: hush\nz",
		"x\npin : hush\ny":     "x\npin : hush\ny",
		"x\n\tpin: hush, \ny":  "x\n\tpin: hush, \ny",
		"x\nkey: hush\ny":      "x\nkey: REDACTED\ny",
		"x\nkey: hu5h y":       "x\nkey: hu5h y",
		"pin=\nx":              "pin=\nx",
		"pin=\r\nx":            "pin=\r\nx",
		"pin=":                 "pin=",
		"pin= \t=> hush":       "pin= \t=> REDACTED",
	})
}

func TestQuotedValueIsHiddenUpToItsQuote(t *testing.T) {
	texts(t, map[string]string{
		`pin="" x`:                  `pin="" x`,
		`pin="h" x`:                 `pin="REDACTED" x`,
		`pin="h\"ush" x`:            `pin="REDACTED" x`,
		`pin="\"hush" x`:            `pin="REDACTED" x`,
		`pin="h\"\"ush" x`:          `pin="REDACTED" x`,
		`pin=\"h\" x`:               `pin=\"REDACTED\" x`,
		`pin=\"h\\\"ush\" x`:        `pin=\"REDACTED\" x`,
		`pin=\\"h" x`:               `pin=\\"REDACTED`,
		`pin="""h"ush""" x`:         `pin="""REDACTED""" x`,
		"pin=`hu sh` x":             "pin=`REDACTED` x",
		`{'pin': b'hu sh', 'n': 1}`: `{'pin': b'REDACTED', 'n': 1}`,
		`pin=bx 'y'`:                `pin=REDACTED 'y'`,
		`pin=\x y`:                  `pin=REDACTED y`,
		`bad pin "" x`:              `bad pin "" x`,
		`bad key "a" x`:             `bad key "a" x`,
		`bad word "a" x`:            `bad word "a" x`,
		`unexpected pin "a" x`:      `unexpected pin "a" x`,
		`Unexpected pin "a" x`:      `Unexpected pin "a" x`,
		`pin "a" x`:                 `pin "REDACTED" x`,
		`pin \"hu sh\" x`:           `pin \"REDACTED\" x`,
	})
}

func TestObjectAndListAreHiddenUpToTheirBracket(t *testing.T) {
	texts(t, map[string]string{
		`{"pin":["hu]sh","x"],"n":1}`:           `{"pin":REDACTED,"n":1}`,
		`{"pin":{"a":"}hush"},"n":1}`:           `{"pin":REDACTED,"n":1}`,
		`{\"pin\":[\"hu]sh\",\"x\"],\"n\":1}`:   `{\"pin\":REDACTED,\"n\":1}`,
		`{"pin":["hu\"]sh"],"n":1}`:             `{"pin":REDACTED,"n":1}`,
		`{"pin":[],"n":1}`:                      `{"pin":REDACTED,"n":1}`,
		`{"pin":["",["a"]],"n":1}`:              `{"pin":REDACTED,"n":1}`,
		`{"pin":[["hush"`:                       `{"pin":REDACTED`,
		`{"pin":["hush`:                         `{"pin":REDACTED`,
		`{Pin:[]string{"hush", "x"}, N:1}`:      `{Pin:REDACTED, N:1}`,
		`{Pin:[][]string{{"hush"}, {}}, N:[1]}`: `{Pin:REDACTED, N:[1]}`,
		`pin=[], n={1}`:                         `pin=REDACTED, n={1}`,
		"pin=[]\nn={1}":                         "pin=REDACTED\nn={1}",
	})
}

// In a Go literal, the name of the type before its brace is not longer than 64 bytes.
func TestTypeOfALiteralIsBounded(t *testing.T) {
	for n, want := range map[int]string{61: "pin=REDACTED", 62: "pin=REDACTED" + strings.Repeat("x", 62) + "{y}"} {
		if got := redact.Text("pin=[]" + strings.Repeat("x", n) + "{y}"); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}

// The value of a field that carries credentials is hidden with its spaces and its parameters, however the field was printed.
func TestFieldOfCredentialsIsHiddenWhole(t *testing.T) {
	texts(t, map[string]string{
		"Authorization: x y, z\r\nA: b":                               "Authorization: REDACTED\r\nA: b",
		"Authorization: x y, z\nA: b":                                 "Authorization: REDACTED\nA: b",
		`sent "Authorization: x y" to it`:                             `sent "Authorization: REDACTED" to it`,
		`Authorization: Digest username="u", response="hush", nc=1`:   `Authorization: REDACTED`,
		"Authorization: Digest response=\"hu\\\"sh\", x=\"y\"\nA: b":  "Authorization: REDACTED\nA: b",
		`{"h":"Authorization: Digest response=\"hush\", nc=1","n":1}`: `{"h":"Authorization: REDACTED","n":1}`,
		`WWW-Authenticate: Bearer realm="x", error="y"`:               `WWW-Authenticate: REDACTED`,
		"Cookie: , a=hush":                                            "Cookie: REDACTED",
		"Cookie:\nA: b":                                               "Cookie:\nA: b",
		"Cookie: a=\nA: b\nC":                                         "Cookie: REDACTED\nA: b\nC",
		"DPoP: eyJ.hush.x":                                            "DPoP: REDACTED",
		"X-Wsse: x hush":                                              "X-Wsse: REDACTED",
		"Cookie: REDACTED; a=hush":                                    "Cookie: REDACTED",
		`Cookie: sid="hush"; a=b`:                                     `Cookie: REDACTED`,
		`Cookie: sid="hush`:                                           `Cookie: REDACTED`,
		`Cookie: {a}; sid=hush`:                                       `Cookie: REDACTED`,
		`{"Cookie":["sid=hush; a=b"],"N":["1"]}`:                      `{"Cookie":REDACTED,"N":["1"]}`,
		`http.Header{"Cookie":[]string{"sid=hush"}, "N":nil}`:         `http.Header{"Cookie":REDACTED, "N":nil}`,
		"map[Cookie:[sid=hush; a=b]]":                                 "map[Cookie:REDACTED",
	})
}

func TestCredentialsBehindTheirScheme(t *testing.T) {
	texts(t, map[string]string{
		// as a value: the scheme is hidden, too
		"X-Auth-Token: Bearer hush x":           "X-Auth-Token: REDACTED x",
		"X-Auth-Token: Bearer  hush":            "X-Auth-Token: REDACTED",
		`X-Auth-Token: Bearer "hush" x`:         `X-Auth-Token: REDACTED" x`,
		"X-Auth-Token: Bearer <hush> x":         "X-Auth-Token: REDACTED> x",
		"X-Auth-Token: Bearer":                  "X-Auth-Token: REDACTED",
		`sent "X-Auth-Token: Bearer" twice`:     `sent "X-Auth-Token: REDACTED" twice`,
		"X-Auth-Token: Bearer, x":               "X-Auth-Token: REDACTED, x",
		"X-Auth-Token: hush x":                  "X-Auth-Token: REDACTED x",
		`X-Key: Digest username="u", nc="hush"`: `X-Key: REDACTED`,
		"token=pin: hush4242":                   "token=REDACTED: REDACTED",
		// in a text: it stays
		"with bearer hush":            "with bearer REDACTED",
		"with bearer  hush":           "with bearer  REDACTED",
		"with bearer <hush>":          "with bearer <REDACTED>",
		`with bearer "hush"`:          `with bearer "REDACTED"`,
		`with bearer 'hush'`:          `with bearer 'REDACTED'`,
		`with \"bearer \\\"hush\\\"`:  `with \"bearer \\\"REDACTED"`,
		"{bearer hush}":               "{bearer REDACTED}",
		"`bearer hush`":               "`bearer REDACTED`",
		"[bearer hush]":               "[bearer REDACTED]",
		"forbearer hush":              "forbearer hush",
		"forthebearer hush":           "forthebearer hush",
		"my_bearer hush":              "my_bearer hush",
		"negotiate YIIhush5":          "negotiate REDACTED",
		"a renegotiate YIIhush5":      "a renegotiate YIIhush5",
		`bearer realm="x", error="y"`: `bearer realm="x", error="y"`,
		`bearer hush= "y"`:            `bearer REDACTED "y"`,
		"bearer realm=x":              "bearer realm=x",
		"bearer hush==":               "bearer REDACTED",
		"bearer expired":              "bearer expired",
		"Bearer Expired.":             "Bearer Expired.",
		"digest username=u, nc=hush":  "digest REDACTED",
		"digest of hush4242":          "digest of hush4242",
		"dpop hush":                   "dpop REDACTED",
		"apikey hush":                 "apikey REDACTED",
	})
}

// What is hidden behind "token: " and after the name of a scheme: words that may be secrets by their length and characters.
func TestWordThatMayBeASecret(t *testing.T) {
	for word, secret := range map[string]bool{
		"ab1x": true, "a1x": false, "abcx": false,
		"abc0": true, "abc9": true, "abc/": false, "ab-c": false, "ab~c": false,
		"a1x.": false, "a1x!": false, "ab1x.": true, "401.": false, "4011.": true,
		strings.Repeat("x", 23): false, strings.Repeat("x", 24): true,
		strings.Repeat("x", 99) + ":": false, strings.Repeat("x", 100) + ":": true,
		"x509:": false, "4242:": false,
		"10.0.0.1": false, "10.0.0.1:443": false, "::1": false, "fe80::1%25": false, "10.0.0.1000": true,
	} {
		want := "token: " + word + " x"
		if secret {
			want = "token: REDACTED" + word[len(strings.TrimRight(word, ":.!")):] + " x"
		}
		if got := redact.Text("token: " + word + " x"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for word, secret := range map[string]bool{
		"AbCdEf": true, "AbCdE": false, "aBcdef": true, "Abcdef": false, "abcdef": false,
		"abcde=": true, "abcd=": false, "Abcdef=": true, "aB+/cd": true, "aB*cde": false, "aB~cde": false, "aB/cde": true, "aB+cde": true, "aBcdé0": true,
	} {
		want := "ntlm " + word + " x"
		if secret {
			want = "ntlm REDACTED x"
		}
		if got := redact.Text("ntlm " + word + " x"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	texts(t, map[string]string{
		"basic YTpi":   "basic REDACTED", // a:b
		"basic YWI":    "basic YWI",      // ab
		"basic YTpi*":  "basic YTpi*",
		"basic YTo=":   "basic REDACTED", // a:
		"bearer YWI":   "bearer REDACTED",
		"basic AbCdEf": "basic REDACTED",
	})
}
