package redact_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"net/url"
	"strings"
	"testing"

	"github.com/plyhttp/ply/redact"
)

func TestURL(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", "https://example.com/a/b", "https://example.com/a/b"},
		{"user and password", "https://u:p@example.com/", "https://REDACTED:REDACTED@example.com/"},
		{"user alone", "https://ghp_x@example.com/", "https://REDACTED@example.com/"},
		{"query keeps keys and order", "http://h/?b=1&a=2&b=3", "http://h/?b=REDACTED&a=REDACTED&b=REDACTED"},
		{"empty value", "http://h/?a=", "http://h/?a=REDACTED"},
		{"flag", "http://h/?acl&x=1", "http://h/?acl&x=REDACTED"},
		{"bare token", "http://h/?sk_live_4242", "http://h/?REDACTED"},
		{"bare token of letters", "http://h/?abcdefghijklmnopqrstuvwxyzabcdefghijklmn", "http://h/?REDACTED"},
		{"bare token of capitals", "http://h/?AbCdEfGhIjKlMnOp", "http://h/?REDACTED"},
		{"bare token of small letters", "http://h/?correcthorse", "http://h/?REDACTED"},
		{"padded token", "http://h/?c2VjcmV0LXRva2VuLTEyMzQ=", "http://h/?REDACTED"},
		{"token with two pads", "http://h/?c2VjcmV0LXRva2Vu==", "http://h/?REDACTED"},
		{"padded token of letters", "http://h/?correcthorse=", "http://h/?REDACTED"},
		{"padded token beside a parameter", "http://h/?a=1&c2VjcmV0LXRva2VuLTEyMzQ=", "http://h/?a=REDACTED&REDACTED"},
		{"no plausible name", "http://h/?c2VjcmV0LXRva2VuLTEyMzQabc=x", "http://h/?REDACTED"},
		{"JSON", `http://h/?{"token":"c2VjcmV0=="}`, "http://h/?REDACTED"},
		{"several without values", "http://h/?q=&page=&X-Amz-Security-Token=", "http://h/?q=REDACTED&page=REDACTED&X-Amz-Security-Token=REDACTED"},
		{"names of many kinds", "http://h/?filter[user.name]=x&$top=1&utm_source=y&f%5Ba%5D=z&x2=1", "http://h/?filter[user.name]=REDACTED&$top=REDACTED&utm_source=REDACTED&f%5Ba%5D=REDACTED&x2=REDACTED"},
		{"flag of several words", "http://h/?publicAccessBlock", "http://h/?publicAccessBlock"},
		{"semicolons", "http://h/?a=1;b=2", "http://h/?a=REDACTED"},
		{"malformed escapes", "http://h/?a=%zz&%zz=b", "http://h/?a=REDACTED&%zz=REDACTED"},
		{"value with equals signs", "http://h/?sig=a==&n=1", "http://h/?sig=REDACTED&n=REDACTED"},
		{"fragment dropped", "http://h/p#token", "http://h/p"},
		{"lone question mark", "http://h/p?", "http://h/p?"},
		{"opaque", "mailto:joe@example.com", "mailto:REDACTED"},
		{"reference", "/next?token=x", "/next?token=REDACTED"},
		{"session in the path", "http://h/a;jsessionid=1F/b;v=1", "http://h/a;jsessionid=REDACTED/b;v=1"},
		{"escaped path kept", "http://h/a%2Fb", "http://h/a%2Fb"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u, err := url.Parse(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			before := *u
			if got := redact.URL(u); got != tt.want {
				t.Errorf("URL(%q) = %q, want %q", tt.in, got, tt.want)
			}
			if *u != before {
				t.Error("the URL was changed")
			}
		})
	}
	if got := redact.URL(nil); got != "" {
		t.Errorf("URL(nil) = %q", got)
	}
	if got := redact.URL(&url.URL{Path: "/a", RawQuery: "x\ny=1"}); got != "/a?x%0Ay=REDACTED" {
		t.Errorf("line break in a query: %q", got)
	}
}

func TestSecretHeader(t *testing.T) {
	for _, name := range []string{
		"Authorization", "PROXY-AUTHORIZATION", "Cookie", "Set-Cookie", "WWW-Authenticate", "X-Amz-Security-Token",
		"X-Auth-Token", "X-Client-Secret", "X-Api-Key", "apikey", "X_API_KEY", "X-Password", "X-Session-Id", "X-CSRF-Token",
	} {
		if !redact.IsSecretHeader(name) {
			t.Errorf("%s passes as harmless", name)
		}
	}
	for _, name := range []string{"Accept", "Content-Type", "ETag", "Cache-Control", "Retry-After", "Idempotency-Key", "X-Request-Id"} {
		if redact.IsSecretHeader(name) {
			t.Errorf("%s passes as secret", name)
		}
	}
}

func TestSecretName(t *testing.T) {
	for _, name := range []string{
		"token", "accessToken", "refresh_token", "client-secret", "pwd", "passphrase", "jsessionid", "PHPSESSID",
		"pass", "db_pass", "dbpass", "smtpPass", "userPass1", "pass_confirmation", "passcode", "PassCode", "passkey",
		"otp", "otp_code", "otpCode", "totp", "smsCode", "mfa_code", "2fa_code", "pin", "PIN", "new_pin", "pinCode", "pincode", "pin_hash",
		"cvv", "cvv2", "cardCvc", "cvv_number", "sas", "sasUrl", "sas_uri", "sig", "auth", "basicAuth", "dsn", "DSN", "connectionString",
		"key", "KEY", "signing_key", "signingKey", "signing-key", "SigningKey", "signingkey", "SIGNING_KEY", "encryptionKeyBase64", "hostKey2", "master_keys",
		"Fastly-Key", "X-Rapid-Key", "x-functions-key", "DD-APPLICATION-KEY", "X-APIKey", "aKey", "s3Key", "account.key", "auth[key]", "writekey",
		"two_factor_code", "deviceCode", "pairing_code", "activation_code", "otps", "puk", "pswd", "keyMaterial", "motDePasse", "contraseña", "dek",
		"client_assertion", "github_pat", "code_verifier", "hmac", "X-Shopify-Hmac-Sha256", "\xffkey", "clé_key",
	} {
		if !redact.IsSecretName(name) {
			t.Errorf("%q passes as harmless", name)
		}
	}
	for _, name := range []string{
		"", "-", "\xff", "id", "name", "keyboard", "monkey", "Monkey", "turkeys", "whiskey", "hotkey", "keyCode", "key_id", "keyId", "KeyName", "keyType", "keys", "key_value",
		"primary_key", "primaryKey", "PRIMARY KEY", "primarykey", "foreign_key", "publicKey", "public_keys", "cacheKey", "sort_key", "partitionKey", "idempotency_key", "LastEvaluatedKey",
		"Surrogate-Key", "Sec-WebSocket-Key", "Sec-Websocket-Key", "bypass", "compass", "passed", "passenger", "pass_rate", "passport", "pinned", "opinion", "spin", "pin_count",
		"author", "authority", "authenticated", "design", "signal", "sasha", "option", "pattern", "pat", "accountSid", "code", "country_code", "error_code", "postcode", "adsense",
		"max_tokens", "totalTokens", "prompt_tokens", "token_type", "tokenType", "token_count", "token_endpoint", "session_duration", "password_length",
		"Content-Security-Policy", "Access-Control-Allow-Origin", "X-Frame-Options", "client_assertion_type",
	} {
		if redact.IsSecretName(name) {
			t.Errorf("%q passes as secret", name)
		}
	}
}

// A cache asks for each field of a request.
func TestNamesCostNoAllocation(t *testing.T) {
	for _, name := range []string{"Accept", "accept-language", "X-Custom-Header", "X-Signing-Key", "X-A-Rather-Long-Name-Of-Ten-Words-And-More-Than-Most"} {
		if n := testing.AllocsPerRun(100, func() { redact.IsSecretHeader(name) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkSecretHeader(b *testing.B) {
	for _, name := range []string{"Accept-Language", "X-Custom-Header"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				redact.IsSecretHeader(name)
			}
		})
	}
}

func parseError(s string) error {
	_, err := url.Parse(s)
	return err
}

func TestError(t *testing.T) {
	parse, escape := parseError("http://user:pass/word@example.com/"), parseError("http://user:pa%zzss@example.com/")
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"no URL", io.EOF, "EOF"},
		{"question", errors.New("what now? try again"), "what now? try again"},
		{"url.Error", &url.Error{Op: "Get", URL: "http://u:p@h/?k=v", Err: io.EOF}, `Get "http://REDACTED:REDACTED@h/?k=REDACTED": EOF`},
		{"wrapped url.Error", fmt.Errorf("x: %w", &url.Error{Op: "Get", URL: "http://h/?k=v", Err: io.EOF}), `x: Get "http://h/?k=REDACTED": EOF`},
		{"url in text", errors.New("moved to https://u:p@h/p?k=v, sorry"), "moved to https://REDACTED:REDACTED@h/p?k=REDACTED, sorry"},
		{"reference in text", errors.New("moved to /p?token=v"), "moved to /p?token=REDACTED"},
		{"unparsable URL", parse, `parse "REDACTED": invalid port REDACTED after host`},
		{"bad escape", escape, `parse "REDACTED": invalid URL escape REDACTED`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := redact.Error(tt.err)
			if got.Error() != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if !errors.Is(got, tt.err) {
				t.Error("the error is lost")
			}
		})
	}
	if redact.Error(nil) != nil {
		t.Error("nil became an error")
	}
	late := redact.Error(&url.Error{Op: "Get", URL: "http://h/?k=v", Err: context.DeadlineExceeded})
	if timeout, ok := late.(interface{ Timeout() bool }); !ok || !timeout.Timeout() {
		t.Error("the timeout is lost")
	}
}

func TestParseReason(t *testing.T) {
	for in, want := range map[string]string{
		"http://u:hun/ter2@h/":    "invalid port REDACTED after host",
		"http://u:hunter2":        "invalid port REDACTED after host",
		"http://u:hun%zzter2@h/":  "invalid URL escape REDACTED",
		"http://[::1:hunter2]/":   "invalid host: ParseAddr(REDACTED)",
		"http://hunter2 h/":       "invalid character REDACTED in host name",
		"://u:hunter2@h/":         "missing protocol scheme",
		"http://u:hunter2@h/\x7f": "net/url: invalid control character in URL",
	} {
		if got := redact.ParseReason(parseError(in)); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}

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
	} {
		if got := redact.Text(in); got != want {
			t.Errorf("%s\nreads %s\nwant  %s", in, got, want)
		}
	}
}

func TestTextOfOthers(t *testing.T) {
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

// net/http and what it is made of quote what they cannot read.
func TestErrorsThatQuoteAServer(t *testing.T) {
	for in, want := range map[string]string{
		`net/http: HTTP/1.x transport connection broken: malformed MIME header: missing colon: "Set-Cookie sid=hush"`: `net/http: HTTP/1.x transport connection broken: malformed MIME header: missing colon: "REDACTED"`,
		`malformed MIME header line: "Key\x00: hu\"sh"; again`:                                                        `malformed MIME header line: "REDACTED"; again`,
		`malformed HTTP response "hush"`:                                                                              `malformed HTTP response "REDACTED"`,
		`malformed HTTP status code "hush"`:                                                                           `malformed HTTP status code "REDACTED"`,
		`malformed HTTP version "hush"`:                                                                               `malformed HTTP version "REDACTED"`,
		`bad Content-Length "hush"`:                                                                                   `bad Content-Length "REDACTED"`,
		`http: message cannot contain multiple Content-Length headers; got ["hush" "hush"]`:                           `http: message cannot contain multiple Content-Length headers; got ["REDACTED" "REDACTED"]`,
		`unsupported transfer encoding: "hush"`:                                                                       `unsupported transfer encoding: "REDACTED"`,
		`strconv.ParseInt: parsing "hush": invalid syntax`:                                                            `strconv.ParseInt: parsing "REDACTED": invalid syntax`,
		`malformed HTTP response "hush… and no end`:                                                                   `malformed HTTP response REDACTED`,
	} {
		if got := redact.ErrorText(errors.New(in)); got != want {
			t.Errorf("%s\nreads %s\nwant  %s", in, got, want)
		}
	}
}

// An error that was cleaned shows its text however it is printed, and what is in it is still found.
func TestACleanedErrorIsItsText(t *testing.T) {
	inner := textproto.ProtocolError(`malformed MIME header: missing colon: "Set-Cookie sid=hush"`)
	err := redact.Error(fmt.Errorf("x: %w", inner))
	marshaled, _ := json.Marshal(map[string]any{"err": err})
	for _, shown := range []string{
		fmt.Sprint(err), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err), fmt.Sprintf("%q", err), fmt.Sprintf("%d", err), fmt.Sprintf("%x", err), string(marshaled),
		fmt.Sprintf("%#v", struct{ Err error }{err}),
	} {
		if strings.Contains(shown, "hush") || strings.Contains(shown, fmt.Sprintf("%x", "hush")) {
			t.Error(shown)
		}
	}
	if !errors.Is(err, inner) {
		t.Error("the error is lost")
	}
}

func TestURLTemplate(t *testing.T) {
	r := &redact.Redactor{Path: func(p string) string { return strings.ReplaceAll(p, "123:hush", "REDACTED") }}
	for in, want := range map[string]string{
		"/users/{id}":                      "/users/{id}",
		"/bot123:hush/{method}":            "/botREDACTED/{method}",
		"/a;jsessionid=hush/{id}":          "/a;jsessionid=REDACTED/{id}",
		"/search{?q,token}":                "/search{?q,token}",
		"/search?token=hush&q={q}":         "/search?token=REDACTED&q=REDACTED",
		"https://u:hush@h/{id}?key=hush#x": "https://REDACTED@h/{id}?key=REDACTED",
		"":                                 "",
	} {
		if got := r.URLTemplate(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

// What a server chooses the length of is looked through once.
func TestTextsOfAMegabyte(t *testing.T) {
	for _, part := range []string{`parsing "x" `, "parsing ", "token:", "token: ", "bearer ", "a:b@", `"http://h/?a=b `, "http://h/?a=b&c=d ", "/p?a=1 ", "token=", `token="`, "token:{", "password \"", "= ", "token=[]x", "<password>", "<password> </", "-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "\n token: x", "/?a "} {
		text := strings.Repeat(part, 1<<20/len(part))
		redact.ErrorText(errors.New(text)) // the square of its length would take minutes
	}
}
