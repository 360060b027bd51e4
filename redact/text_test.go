package redact_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/plyhttp/ply/redact"
)

// A secret that is a value, a password or a user name never comes through, whatever surrounds it.
func FuzzText(f *testing.F) {
	for _, seed := range []string{"Get %q: EOF", "x %s y", "<a href=%s>", "%s,%s", "parse %q: bad"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, format string) {
		const canary = "c4n4ry"
		if strings.Contains(format, "?") || strings.Contains(format, "=") || strings.Contains(format, "@") || strings.Contains(format, "#") {
			return // the canary would not be what the URL calls it
		}
		for _, u := range []string{"https://h/p?k=" + canary, "https://" + canary + ":" + canary + "@h/p"} {
			text := strings.ReplaceAll(strings.ReplaceAll(format, "%q", `"`+u+`"`), "%s", " "+u+" ")
			if got := redact.Text(text); strings.Contains(got, canary) {
				t.Errorf("Text(%q) = %q", text, got)
			}
		}
	})
}

// A query may hold brackets as they are; a text may have a URL in brackets.
func TestTextWithBrackets(t *testing.T) {
	for in, want := range map[string]string{
		`fetch https://h/?filter={"token":"hush"}: broken`: `fetch https://h/?filter=REDACTED: broken`,
		`https://h/?a=b(hush)c`:                            `https://h/?a=REDACTED`,
		`/p?a[]=hush&b[x]=hush`:                            `/p?a[]=REDACTED&b[x]=REDACTED`,
		`(see https://h/?a=hush), please`:                  `(see https://h/?a=REDACTED), please`,
		`{"next":"https://h/?a=hush","n":1}`:               `{"next":"https://h/?a=REDACTED","n":1}`,
		`what? [nothing] (x=1)`:                            `what? [nothing] (x=1)`,
		`GET http://[::1]:80/: 1 attempt`:                  `GET http://[::1]:80/: 1 attempt`,
		`see http://u:hush@[fe80::1]/a?b=hush, (ok)`:       `see http://REDACTED:REDACTED@[fe80::1]/a?b=REDACTED, (ok)`,
		`http://[::1] [http://h/?a=hush]`:                  `http://[::1] [http://h/?a=REDACTED]`,
	} {
		if got := redact.Text(in); got != want {
			t.Errorf("%s\nreads %s\nwant  %s", in, got, want)
		}
	}
}

func TestTextHidesSecrets(t *testing.T) {
	const hush = "hush4242"
	for in, want := range map[string]string{
		// credentials behind their scheme
		"got 401 with Bearer hush4242":            "got 401 with Bearer REDACTED",
		"Bearer x":                                "Bearer REDACTED",
		`header "bearer hush4242" sent`:           `header "bearer REDACTED" sent`,
		"Authorization: Basic aHVzaDQyNDI=; next": "Authorization: REDACTED",
		"sent Basic aHVzaDpodXNo to it":           "sent Basic REDACTED to it",
		"with token hush4242":                     "with token REDACTED",
		"authorization=Bearer hush4242 x":         "authorization=REDACTED",
		"X-Api-Key: hush4242 (rejected)":          "X-Api-Key: REDACTED (rejected)",
		"Cookie: a=hush4242; b=hush4242":          "Cookie: REDACTED",
		// names and values
		"token=hush4242: EOF":                                "token=REDACTED: EOF",
		"http://h/?key=hush: 2 attempts. Bearer hush4242.":   "http://h/?key=REDACTED: 2 attempts. Bearer REDACTED.",
		"token=hush4242":                                     "token=REDACTED",
		"login failed: password=hush, user=joe":              "login failed: password=REDACTED, user=joe",
		`token="hush 4242" x`:                                `token="REDACTED" x`,
		"api_key: hush, retrying":                            "api_key: REDACTED, retrying",
		"apiKey: hush":                                       "apiKey: REDACTED",
		"wrong password: hush4242":                           "wrong password: REDACTED",
		"password => hush":                                   "password => REDACTED",
		`{"access_token":"hush","n":1}`:                      `{"access_token":"REDACTED","n":1}`,
		`{"pin": 1234, "n": 1}`:                              `{"pin": REDACTED, "n": 1}`,
		`{"token": {"a": "hush"}, "n": 1}`:                   `{"token": REDACTED, "n": 1}`,
		`body {\"password\":\"hu\\\"sh\",\"n\":1}`:           `body {\"password\":\"REDACTED\",\"n\":1}`,
		`login(password: "hush", user: "joe")`:               `login(password: "REDACTED", user: "joe")`,
		`login(password: """hush "x" """, n: 1)`:             `login(password: """REDACTED""", n: 1)`,
		`token="hush`:                                        `token="REDACTED`,
		"X-Signing-Key=hush&x=1":                             "X-Signing-Key=REDACTED&x=1",
		`wrong password "hush" for joe`:                      `wrong password "REDACTED" for joe`,
		"token 'hush' expired":                               "token 'REDACTED' expired",
		"Basic YTpi":                                         "Basic REDACTED",
		"incorrect API key: hush4242":                        "incorrect API key: REDACTED",
		`http.Header{"X-Api-Key":[]string{"hush"}, "A":nil}`: `http.Header{"X-Api-Key":REDACTED, "A":nil}`,
		"&{User:joe Password:hush N:1}":                      "&{User:joe Password:REDACTED N:1}",
		"{Token:hush}":                                       "{Token:REDACTED}",
		"user: joe\npassword: hush\nn: 1":                    "user: joe\npassword: REDACTED\nn: 1",
		"- a: b\n  - token: hush\r\n":                        "- a: b\n  - token: REDACTED\r\n",
		// markup and PEM
		"fault: <password>hush</password> <n>1</n>":                                "fault: <password>REDACTED</password> <n>1</n>",
		`<s:Password Type="text">hush</s:Password>`:                                `<s:Password Type="text">REDACTED</s:Password>`,
		"<pin/><pin></pin><b>bold</b>":                                             "<pin/><pin></pin><b>bold</b>",
		"x -----BEGIN RSA PRIVATE KEY-----\nhush\n-----END RSA PRIVATE KEY----- y": "x -----BEGIN RSA PRIVATE KEY-----REDACTED-----END RSA PRIVATE KEY----- y",
		"-----BEGIN PRIVATE KEY-----\nhush":                                        "-----BEGIN PRIVATE KEY-----REDACTED",
		"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----":             "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
		// logins
		"dial user:hush@db.test:5432 failed": "dial REDACTED:REDACTED@db.test:5432 failed",
		"root:hush@tcp(127.0.0.1:3306)/db":   "REDACTED:REDACTED@tcp(127.0.0.1:3306)/db",
		"user:hu@sh@db.test":                 "REDACTED:REDACTED@db.test",
		// URLs that go on behind a space
		`Get "http://h/?q=a b&token=hush": EOF`:     `Get "http://h/?q=REDACTED&token=REDACTED": EOF`,
		`Get "http://h/?q=hush hush": EOF`:          `Get "http://h/?q=REDACTED": EOF`,
		`Get "http://h/a b?token=hush 4242": EOF`:   `Get "http://h/a%20b?token=REDACTED": EOF`,
		"refused http://h/?q=a b c&x=hush: EOF":     "refused http://h/?q=REDACTED&x=REDACTED: EOF",
		"http://h/?q=a and http://i/?x=hush&y=hush": "http://h/?q=REDACTED and http://i/?x=REDACTED&y=REDACTED",
		"GET /download?c2VjcmV0LXRva2Vu: 403":       "GET /download?REDACTED: 403",
		// prose
		`Post "https://auth.test/oauth/token": EOF`:           `Post "https://auth.test/oauth/token": EOF`,
		`Get "http://session:8080/x": EOF`:                    `Get "http://session:8080/x": EOF`,
		"dial tcp auth:80: connect: connection refused":       "dial tcp auth:80: connect: connection refused",
		`Unexpected token '<', "<html>" is no JSON`:           `Unexpected token '<', "<html>" is no JSON`,
		"either/or? /why? yes":                                "either/or? /why? yes",
		"max_tokens: 4096":                                    "max_tokens: 4096",
		`unknown key "a", duplicate key: users_1`:             `unknown key "a", duplicate key: users_1`,
		"fetch token: context deadline exceeded":              "fetch token: context deadline exceeded",
		"refresh token: Post: x509: certificate signed by":    "refresh token: Post: x509: certificate signed by",
		"token: 401 Unauthorized":                             "token: 401 Unauthorized",
		"token: dial tcp 127.0.0.1:443: connect: refused":     "token: dial tcp 127.0.0.1:443: connect: refused",
		"session: 10.0.0.1:443 is gone":                       "session: 10.0.0.1:443 is gone",
		"bearer token expired, basic authentication required": "bearer token expired, basic authentication required",
		"a basic problem with the token endpoint":             "a basic problem with the token endpoint",
		"unexpected token: EOF":                               "unexpected token: EOF",
		"joe@example.com, mailto:joe@example.com":             "joe@example.com, mailto:joe@example.com",
		"max-age=60, public":                                  "max-age=60, public",
		"see http://h/?q=1 for R&D":                           "see http://h/?q=REDACTED for R&D",
	} {
		got := redact.Text(in)
		if got != want {
			t.Errorf("%s\nreads %s\nwant  %s", in, got, want)
		}
		if again := redact.Text(got); again != got {
			t.Errorf("%s\nreads %s the second time", got, again)
		}
		if strings.Contains(got, hush) {
			t.Errorf("%s shows it", got)
		}
	}
}

func TestMarkupAndKeysThatAreCut(t *testing.T) {
	x := strings.Repeat
	texts(t, map[string]string{
		"x</n> <pin":             "x</n> <pin",
		"x</n> <pin>hush":        "x</n> <pin>REDACTED",
		"</n> <pin <b>hush</b>":  "</n> <pin <b>hush</b>",
		"<>hush</>":              "<>hush</>",
		"-----BEGIN PRIVATE KEY": "-----BEGIN PRIVATE KEY-----REDACTED",
		"-----BEGIN PRIVATE KEY----\nhush-----END PRIVATE KEY-----":                                        "-----BEGIN PRIVATE KEY-----REDACTED-----END PRIVATE KEY-----",
		"-----BEGIN X-----\n-----END X-----\n-----BEGIN PRIVATE KEY-----\nhush\n-----END PRIVATE KEY-----": "-----BEGIN X-----\n-----END X-----\n-----BEGIN PRIVATE KEY-----REDACTED-----END PRIVATE KEY-----",
		// a label has up to 64 bytes
		"-----BEGIN PGP PRIVATE KEY BLOCK-----\nhush":       "-----BEGIN PGP PRIVATE KEY-----REDACTED",
		"-----BEGIN " + x("x", 53) + "PRIVATE KEY-----hush": "-----BEGIN " + x("x", 53) + "PRIVATE KEY-----REDACTED",
		"-----BEGIN " + x("x", 54) + "PRIVATE KEY-----hush": "-----BEGIN " + x("x", 54) + "PRIVATE KEY-----hush",
	})
}

func TestURLInATextEndsWhereItsQueryEnds(t *testing.T) {
	texts(t, map[string]string{
		`said "http://h/a?x=hush then left`:                      `said "http://h/a?x=REDACTED then left`,
		"said \"http://h/a?x=hush then left\nwith \" ":           "said \"http://h/a?x=REDACTED then left\nwith \" ",
		`"see http://u:hush@h/x, now"`:                           `"see http://REDACTED:REDACTED@h/x, now"`,
		`Get "http://h/a)?x=("y")&n=hush": EOF`:                  `Get "http://h/a)?x=REDACTED&n=REDACTED": EOF`,
		`Get "http://h/a) b": x "y"`:                             `Get "http://h/a%29%20b": x "y"`,
		`Get "http://h/?q=it's hush&x=hush": EOF`:                `Get "http://h/?q=REDACTED&x=REDACTED": EOF`,
		`see http://h/?a=hush" and`:                              `see http://h/?a=REDACTED" and`,
		`see http://h/?a=hush "b&c=d"`:                           `see http://h/?a=REDACTED "b&c=d"`,
		"see http://h/?a=hush b\n&c=d":                           "see http://h/?a=REDACTED b\n&c=d",
		"http://h/?q=hush b&c=hush http://i/":                    "http://h/?q=REDACTED&c=REDACTED http://i/",
		"http://h/?q=hush b&=c":                                  "http://h/?q=REDACTED b&=c",
		"http://h/?q=hush b&c=hush, d":                           "http://h/?q=REDACTED&c=REDACTED, d",
		"http://h/?q=" + strings.Repeat("x ", 510) + "&c=hush y": "http://h/?q=REDACTED&c=REDACTED y",
		"why?not":                        "why?not",
		"next?page=hush":                 "next?page=REDACTED",
		"/next?hush":                     "/next?REDACTED",
		"x  user:hush@h y":               "x  REDACTED:REDACTED@h y",
		"user:hush@":                     "user:hush@",
		"@h:x":                           "@h:x",
		"acct:joe@h, MAILTO:joe@h, :x@h": "acct:joe@h, MAILTO:joe@h, :x@h",
	})
}

// What a server chooses the length of is looked through once.
func TestTextOfAMegabyteIsBounded(t *testing.T) {
	for _, part := range []string{`parsing "x" `, "parsing ", "token:", "token: ", "bearer ", "a:b@", `"http://h/?a=b `, "http://h/?a=b&c=d ", "/p?a=1 ", "token=", `cookie:a="x" `, `cookie:a="`, `token:["x`, "token:b", `dpop=["`, `token="`, "token:{", "password \"", "= ", "token=[]x", "<password>", "<password> </", "-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "\n token: x", "/?a "} {
		text := strings.Repeat(part, 1<<20/len(part))
		redact.ErrorText(errors.New(text)) // the square of its length would take minutes
	}
}
