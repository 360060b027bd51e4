package redact_test

import (
	"testing"

	"github.com/plyhttp/ply/redact"
)

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
		"smtpPIN", "s3PIN", "HTTPPin", "cvv9", "pin0", "pin10",
		"client_assertion", "github_pat", "code_verifier", "hmac", "X-Shopify-Hmac-Sha256", "\xffkey", "clé_key",
	} {
		if !redact.IsSecretName(name) {
			t.Errorf("%q passes as harmless", name)
		}
	}
	for _, name := range []string{
		"", "-", "\xff", "id", "name", "keyboard", "monkey", "Monkey", "turkeys", "whiskey", "hotkey", "keyCode", "key_id", "keyId", "KeyName", "keyType", "keys", "key_value",
		"primary_key", "primaryKey", "PRIMARY KEY", "primarykey", "foreign_key", "publicKey", "public_keys", "cacheKey", "sort_key", "partitionKey", "idempotency_key", "LastEvaluatedKey", "max-keys", "MaxKeys",
		"Surrogate-Key", "Sec-WebSocket-Key", "Sec-Websocket-Key", "bypass", "compass", "passed", "passenger", "pass_rate", "passport", "pinned", "opinion", "spin", "pin_count",
		"author", "authority", "authenticated", "design", "signal", "sasha", "option", "pattern", "pat", "accountSid", "code", "country_code", "error_code", "postcode", "adsense",
		"max_tokens", "totalTokens", "prompt_tokens", "token_type", "tokenType", "token_count", "token_endpoint", "session_duration", "password_length",
		"aBPIN", "X5PIN", "sms", "mfa", "value", "data_text",
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
