package tape_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/plytest/tape"
)

// A call is a request, and whose answer it has. In a replay, "" means that it is refused.
type call struct {
	whose, path string
	fields      []string // in pairs
	form        string
}

func (c call) send(t *testing.T, h http.RoundTripper) (string, error) {
	t.Helper()
	method := map[bool]string{true: "POST", false: "GET"}[c.form != ""]
	return sendWith(t, h, method, "http://h.example"+c.path, c.form, c.fields...)
}

// replayCalls records calls, and checks what others get of the tape.
func replayCalls(t *testing.T, recorded, replayed []call) {
	t.Helper()
	path, now := filepath.Join(t.TempDir(), "a.tape"), ""
	require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
		h := s.Middleware(answers(func(*http.Request) string { return now }))
		for _, c := range recorded {
			now = c.whose
			_, err := c.send(t, h)
			require.NoError(t, err)
		}
	}))
	run(path, tape.Options{}, func(_ *test, s *tape.Session) {
		h := s.Middleware(noServer(t))
		for i, c := range replayed {
			have, err := c.send(t, h)
			if c.whose == "" {
				var unmatched *tape.UnmatchedError
				require.ErrorAs(t, err, &unmatched, "%d: got the answer of %q", i, have)
				require.True(t, unmatched.OfOthers, i)
				continue
			}
			require.NoError(t, err, i)
			require.Equal(t, c.whose, have, i)
		}
	})
}

// The key of an application, or a cookie such as "theme", does not say who a user is.
func TestSecretThatSeveralCallersHaveMakesNoOneOfThem(t *testing.T) {
	mine(t)
	key := func(whose, path, token string) call {
		c := call{whose: whose, path: path, fields: []string{"X-Api-Key", "of-all"}}
		if token != "" {
			c.fields = append(c.fields, "Authorization", "Bearer "+token)
		}
		return c
	}
	cookie := func(whose, line string) call {
		return call{whose: whose, path: "/me", fields: []string{"Cookie", "theme=dark" + line}}
	}
	for name, tt := range map[string]struct{ recorded, replayed []call }{
		"a service gets its own answer only": {
			[]call{key("svc", "/me", ""), key("ada", "/me", "a")},
			[]call{key("svc", "/me", ""), key("", "/me", ""), key("ada", "/me", "x")},
		},
		"a user does not get that of the service": {
			[]call{key("svc", "/me", ""), key("ada", "/me", "a"), key("bob", "/me", "b")},
			[]call{key("ada", "/me", "x"), key("", "/me", "x"), key("svc", "/me", ""), key("", "/me", ""), key("bob", "/me", "y")},
		},
		"a service without an answer gets none of a user who is there": {
			[]call{key("svc", "/x", ""), key("ada", "/me", "a"), key("ada", "/me", "a")},
			[]call{key("svc", "/x", ""), key("ada", "/me", "x"), key("", "/me", ""), key("ada", "/me", "x")},
		},
		"visitors with a cookie that all have": {
			[]call{cookie("visitor", ""), cookie("ada", "; sid=a"), cookie("bob", "; sid=b")},
			[]call{cookie("visitor", ""), cookie("ada", "; sid=x"), cookie("", ""), cookie("", "; sid=x"), cookie("bob", "; sid=y")},
		},
	} {
		t.Run(name, func(t *testing.T) { replayCalls(t, tt.recorded, tt.replayed) })
	}
}

// A part of a name that is a word for what changes makes no secret of a user one that says nothing.
func TestSecretWithTheNameOfWhatChangesStillSaysWho(t *testing.T) {
	mine(t)
	for _, name := range []string{"botPassword", "hubspotPrivateKey", "hubspotToken", "X-Policy-Token", "signatureKey", "X-Hmac-Secret", "totpSecret"} {
		for _, content := range []bool{false, true} {
			as := func(whose, secret string) call {
				if content {
					return call{whose: whose, path: "/me", form: name + "=" + secret}
				}
				return call{whose: whose, path: "/me", fields: []string{name, secret}}
			}
			replayCalls(t, []call{as("ada", "a"), as("bob", "b"), as("ada", "a"), as("bob", "b")}, []call{as("ada", "x"), as("ada", "x"), as("bob", "y"), as("", "x"), as("bob", "y")})
		}
	}
	for _, name := range []string{"X-Signature", "X-Csrf-Token", "otp_token", "X-OTP-Token", "userOtpToken", "X-Hub-Signature-256", "X-Hmac-Sha256-Token", "csrfmiddlewaretoken", "_token", "authenticity_token", "Policy-Signature"} {
		as := func(whose, secret string) call { return call{whose: whose, path: "/me", form: name + "=" + secret} }
		replayCalls(t, []call{as("1", "a"), as("2", "b"), as("3", "c")}, []call{as("1", "same"), as("2", "same"), as("3", "same")})
	}
}

// Providers of identities write into a token when and how its subject has logged in.
func TestTokensOfOneSubjectAreOneUser(t *testing.T) {
	mine(t)
	as := func(whose, subject, login string) call {
		claims := fmt.Sprintf(`{"sub":%q,"tid":"one","exp":%[2]d,"auth_time":%[2]d,"sid":%[3]q,"nonce":%[3]q,"at_hash":%[3]q,"uti":%[3]q}`, subject, len(login), login)
		return call{whose: whose, path: "/me", fields: []string{"Authorization", "Bearer e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".sig"}}
	}
	replayCalls(t, []call{as("ada", "a", "1"), as("bob", "b", "2"), as("ada", "a", "33"), as("bob", "b", "44")}, []call{as("ada", "x", "5"), as("ada", "x", "5"), as("bob", "y", "6"), as("", "x", "77"), as("bob", "y", "77")})
}

func TestPartsWithAnotherBoundaryAreTheSameContent(t *testing.T) {
	mine(t)
	path := filepath.Join(t.TempDir(), "a.tape")
	upload := func(t *testing.T, h http.RoundTripper, text, token string) (string, error) {
		t.Helper()
		var body bytes.Buffer
		parts := multipart.NewWriter(&body)
		require.NoError(t, parts.WriteField("text", text))
		require.NoError(t, parts.WriteField("token", token))
		require.NoError(t, parts.Close())
		r, err := http.NewRequestWithContext(t.Context(), "POST", "http://h.example/upload", &body)
		require.NoError(t, err)
		r.Header.Set("Content-Type", parts.FormDataContentType())
		resp, err := h.RoundTrip(r)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		said, err := io.ReadAll(resp.Body)
		return string(said), err
	}
	require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
		h := s.Middleware(whose)
		for _, user := range []string{"ada", "bob", "ada"} {
			have, err := upload(t, h, "one", user)
			require.NoError(t, err)
			require.Equal(t, user, have)
		}
	}))
	reported := run(path, tape.Options{}, func(_ *test, s *tape.Session) {
		h := s.Middleware(noServer(t))
		for _, user := range []string{"ada", "ada", "bob"} { // as the token of ada comes first
			have, err := upload(t, h, "one", "fake-of-"+user)
			require.NoError(t, err)
			require.Equal(t, user, have)
		}
		_, err := upload(t, h, "two", "y")
		require.Error(t, err)
	})
	require.Len(t, reported, 1)
	require.Contains(t, reported[0], "- one\\r\n+ two\\r\n")
	require.NotContains(t, strings.ReplaceAll(reported[0], "--boundary", ""), "- --", "boundaries do not differ")
}
