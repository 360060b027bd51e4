package redact_test

import (
	"context"
	"errors"
	"fmt"
	"io"
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
		if !redact.SecretHeader(name) {
			t.Errorf("%s passes as harmless", name)
		}
	}
	for _, name := range []string{"Accept", "Content-Type", "ETag", "Cache-Control", "Retry-After", "Idempotency-Key", "X-Request-Id"} {
		if redact.SecretHeader(name) {
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
		"client_assertion", "github_pat", "code_verifier", "hmac", "X-Shopify-Hmac-Sha256", "\xffkey", "clé_key",
	} {
		if !redact.SecretName(name) {
			t.Errorf("%q passes as harmless", name)
		}
	}
	for _, name := range []string{
		"", "-", "\xff", "id", "name", "keyboard", "monkey", "Monkey", "turkeys", "whiskey", "hotkey", "keyCode", "key_id", "keyId", "KeyName", "keyType", "keys", "key_value",
		"primary_key", "primaryKey", "PRIMARY KEY", "primarykey", "foreign_key", "publicKey", "public_keys", "cacheKey", "sort_key", "partitionKey", "idempotency_key", "LastEvaluatedKey",
		"Surrogate-Key", "Sec-WebSocket-Key", "Sec-Websocket-Key", "bypass", "compass", "passed", "passenger", "pass_rate", "passport", "pinned", "opinion", "spin", "pin_count",
		"author", "authority", "authenticated", "design", "signal", "sasha", "option", "pattern", "pat", "accountSid", "code", "country_code", "error_code", "postcode", "adsense",
		"Content-Security-Policy", "Access-Control-Allow-Origin", "X-Frame-Options", "client_assertion_type",
	} {
		if redact.SecretName(name) {
			t.Errorf("%q passes as secret", name)
		}
	}
}

// A cache asks for each field of a request.
func TestNamesCostNoAllocation(t *testing.T) {
	for _, name := range []string{"Accept", "accept-language", "X-Custom-Header", "X-Signing-Key", "X-A-Rather-Long-Name-Of-Ten-Words-And-More-Than-Most"} {
		if n := testing.AllocsPerRun(100, func() { redact.SecretHeader(name) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkSecretHeader(b *testing.B) {
	for _, name := range []string{"Accept-Language", "X-Custom-Header"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				redact.SecretHeader(name)
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
