package logging_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

func TestMaskSecrets(t *testing.T) {
	mask := logging.MaskMembers("email")
	for _, tt := range []struct{ in, want string }{
		{`{"email":"a@b","n":1}`, `{"email":"REDACTED","n":1}`},
		{`{"EMAIL" : "a\"b" }`, `{"EMAIL" : "REDACTED" }`},
		{`{"access_token":123,"n":1}`, `{"access_token":"REDACTED","n":1}`},
		{`{"secret":{"a":[1,"}"]},"n":1}`, `{"secret":"REDACTED","n":1}`},
		{`{"secret":[{"a":"]"}]}`, `{"secret":"REDACTED"}`},
		{`{"secret":null}`, `{"secret":"REDACTED"}`},
		{`[{"a":{"b":{"apiKey":"x"}}},{"session":"y"}]`, `[{"a":{"b":{"apiKey":"REDACTED"}}},{"session":"REDACTED"}]`},
		{`{"\u0074oken":"x"}`, `{"\u0074oken":"REDACTED"}`},
		{`{"a":"token","b":"c"}`, `{"a":"token","b":"c"}`},
		{`{"token`, `{"token`},
		{`{"token":`, `{"token":"REDACTED"`},
		{`{"token":"abc`, `{"token":"REDACTED"`},
		{`{"token":{"a":"b`, `{"token":"REDACTED"`},
		{`{"next":"https://h/?k=v"}`, `{"next":"https://h/?k=REDACTED"}`},
		{``, ``},
	} {
		if got := string(mask("application/json", []byte(tt.in))); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.in, got, tt.want)
		}
	}
}

// What a body is called does not say what it is.
func TestMaskSecretsOfOtherMediaTypes(t *testing.T) {
	for _, tt := range []struct{ mediaType, in, want string }{
		{"text/plain", ` {"access_token":"hush","n":1}`, ` {"access_token":"REDACTED","n":1}`},
		{"text/plain", `)]}', {"access_token":"hush","n":1}`, `)]}', {"access_token":"REDACTED","n":1}`},
		{"text/plain", `"{\"pin\":\"hush\"}"`, `"{\"pin\":\"REDACTED\"}"`},
		{"text/plain", "[INFO] token=hush, done", "[INFO] token=REDACTED, done"},
		{"text/plain", "<a><token>hush</token></a>", "REDACTED"},
		{"text/html", "<?xml version='1.0'?><token>hush</token>", "REDACTED"},
		{"text/html", `<p>no such page</p>`, `<p>no such page</p>`},
		{"application/xml", "\n<password>hush</password>", "REDACTED"},
		{"application/soap+xml", "<password>hush", "REDACTED"},
		{"application/x-www-form-urlencoded", `{"access_token":"c2VjcmV0LXRva2Vu=="}`, `{"access_token":"REDACTED"}`},
		{"application/x-www-form-urlencoded", "c2VjcmV0LXRva2Vu==", "REDACTED"},
		{"application/x-www-form-urlencoded", "<token>hush=</token>", "REDACTED"},
		{"application/graphql", `mutation { login(user: "joe", password: "hush") { token } }`, `mutation { login(user: "joe", password: "REDACTED") { token } }`},
		{"application/json", `{"query":"mutation { login(password: \"hush\", pin: 1234) { id } }"}`, `{"query":"mutation { login(password: \"REDACTED\", pin: REDACTED) { id } }"}`},
		{"application/json", `[{"name":"DB_PASSWORD","value":"hush"},{"name":"n","value":"1"}]`, `[{"name":"DB_PASSWORD","value":"REDACTED"},{"name":"n","value":"1"}]`},
		{"application/json", `{"Key":"api-key", "n":1, "Value":["hush"]}`, `{"Key":"REDACTED", "n":1, "Value":"REDACTED"}`},
		{"application/json", `[{"name":"token"},{"value":"1"},{"name":`, `[{"name":"token"},{"value":"1"},{"name":`},
		{"application/json", `password=hush&n=1`, `password=REDACTED&n=1`},
		{"application/json", `{password: "hush"}`, `{password: "REDACTED"}`},
		{"application/json", `{"fault":"<password>hush</password>"}`, `{"fault":"<password>REDACTED</password>"}`},
		{"application/json", `{"max_tokens":100,"token_type":"x","usage":{"total_tokens":8}}`, `{"max_tokens":100,"token_type":"x","usage":{"total_tokens":8}}`},
		{"text/yaml", "password: hush\nuser: joe", "password: REDACTED\nuser: joe"},
		{"text/html", `<p>x <password>hush</password></p>`, `<p>x <password>REDACTED</password></p>`},
		{"application/json", `{"message":"401 with Bearer hush4242"}`, `{"message":"401 with Bearer REDACTED"}`},
	} {
		if got := string(logging.MaskSecrets(tt.mediaType, []byte(tt.in))); got != tt.want {
			t.Errorf("%s: %s\n got %s\nwant %s", tt.mediaType, tt.in, got, tt.want)
		}
	}
}

func FuzzMaskSecrets(f *testing.F) {
	for cut := range uint8(40) { // a body can end anywhere
		f.Add(`{"a":[1,{"b":"`, `"}]}`, cut)
		f.Add(`{"x":"\"",`, `,"y":1}`, cut)
	}
	f.Fuzz(func(t *testing.T, before, after string, cut uint8) {
		logging.MaskSecrets("application/json", []byte(before+`"password":"c4n4ry"`+after))
		if strings.ContainsAny(before, `"\`) || strings.Contains(before, "c4n4ry") || strings.Contains(after, "c4n4ry") {
			return // the member might not be one
		}
		if got := string(logging.MaskSecrets("application/json", []byte(before+`"password":"c4n4ry"`+after))); strings.Contains(got, "c4n4ry") {
			t.Errorf("%q", got)
		}
		nested, err := json.Marshal("{" + before + `"password":"c4n4ry"` + after)
		if err != nil {
			return
		}
		text := `{"event":` + string(nested[:len(nested)-int(cut)%min(len(nested), 40)])
		if got := string(logging.MaskSecrets("application/json", []byte(text))); strings.Contains(got, "c4n4") {
			t.Errorf("%q gives %q", text, got)
		}
	})
}

// Twelve secrets go through logging, cache and retry with all that can be logged turned on.
func TestNoSecretInAnyRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const canary = "c4n4ry"
		var j bytes.Buffer
		logger := slog.New(slog.NewJSONHandler(&j, &slog.HandlerOptions{Level: slog.LevelDebug}))
		l := logging.New(logging.Options{Logger: logger, Headers: true, BodyBytes: 1 << 16})
		c, err := cache.New(cache.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var texts []string
		var failing error = &url.Error{Op: "Get", URL: "https://u:" + canary + "@h/?t=" + canary, Err: io.EOF}
		origin := &plytest.Origin{Paths: map[string][]plytest.Reply{
			"/ok": {plytest.Text(`{"password":"`+canary+`"}`, "Content-Type", "application/json", "Set-Cookie", "sid="+canary, "Cache-Control", "max-age=60",
				"X-Custom", canary, "Www-Authenticate", "Bearer "+canary)},
			"/moved": {plytest.Status(302, "Location", "/ok?token="+canary)},
			"/fails": {plytest.Fail(failing)},
		}}
		hc := &http.Client{Transport: l(c.Middleware(retry.New(retry.Options{})(l(origin))))}
		for _, path := range []string{"/ok", "/ok", "/moved", "/fails"} {
			for _, method := range []string{"GET", "POST"} {
				target := "https://" + canary + ":" + canary + "@example.com" + path + "?token=" + canary + "&X-Amz-Signature=" + canary
				req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(`{"client_secret":"`+canary+`"}`))
				if err != nil {
					t.Fatal(err)
				}
				if method == "GET" {
					req.Body, req.GetBody, req.ContentLength = nil, nil, 0
				}
				for _, name := range []string{"Authorization", "Cookie", "X-Api-Key", "Proxy-Authorization", "X-Custom"} {
					req.Header.Set(name, canary)
				}
				req.Header.Set("Content-Type", "application/json")
				req.Header.Set("Referer", "https://example.com/?token="+canary)
				texts = append(texts, logging.Curl(req))
				resp, err := hc.Do(req)
				if err != nil {
					// http.Client adds the URL of the request by itself; what is below it is ours.
					texts = append(texts, err.(*url.Error).Err.Error())
					continue
				}
				texts = append(texts, resp.Header.Values("Cache-Status")...)
				testutil.ReadAll(resp.Body)
			}
		}
		texts = append(texts, j.String())
		for _, text := range texts {
			if i := strings.Index(text, canary); i >= 0 {
				t.Errorf("a secret in …%s…", text[max(0, i-200):min(len(text), i+100)])
			}
		}
		if strings.Count(j.String(), "\n") < 16 {
			t.Errorf("only %d records", strings.Count(j.String(), "\n"))
		}
	})
}

func TestMaskSecretsInUnusualBodies(t *testing.T) {
	wide := func(s string) string {
		var b strings.Builder
		for _, r := range s {
			b.WriteString(string(r) + "\x00")
		}
		return b.String()
	}
	for name, reply := range map[string]plytest.Reply{
		"another charset":            plytest.Text(wide(`{"password":"hush"}`), "Content-Type", "application/json; charset=utf-16le"),
		"another charset, not named": plytest.Text("\xff\xfe"+wide(`{"password":"hush"}`), "Content-Type", "application/json"),
		"no mark either":             plytest.Text(wide(`{"password":"hush"}`), "Content-Type", "application/json"),
		"JSON in JSON":               plytest.Text(`{"event":"{\"user\":\"joe\",\"password\":\"hush\"}"}`, "Content-Type", "application/json"),
		"and in that":                plytest.Text(`{"event":"[\"{\\\"password\\\":\\\"hush\\\"}\"]"}`, "Content-Type", "application/json"),
		"JSON in JSON, cut":          plytest.Text(`{"event":"{\"user\":\"joe\",\"password\":\"hush and more`, "Content-Type", "application/json"),
		"cut in an escape":           plytest.Text(`{"event":"{\"password\":\"hush\`, "Content-Type", "application/json"),
	} {
		var j journal
		h := logging.New(logging.Options{Logger: j.logger(), BodyBytes: 1 << 10})(plytest.NewOrigin(reply))
		resp, err := h.RoundTrip(newRequest(t, t.Context(), "GET", ""))
		require.NoError(t, err)
		testutil.ReadAll(resp.Body)
		if said := strings.ReplaceAll(strings.ReplaceAll(j.String(), `\x00`, ""), "\x00", ""); strings.Contains(said, "hush") {
			t.Errorf("%s: %s", name, said)
		}
	}
	want := `{"event":"{\"user\":\"joe\",\"password\":\"REDACTED\"}","n":1}`
	if got := string(logging.MaskSecrets("application/json", []byte(`{"event":"{\"user\":\"joe\",\"password\":\"hush\"}","n":1}`))); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	plain := `{"event":"{\"user\" : \"\u006aoe\"}"}` // without a secret nothing changes
	if got := string(logging.MaskSecrets("application/json", []byte(plain))); got != plain {
		t.Errorf("got %s", got)
	}
}
