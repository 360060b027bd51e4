package inspect_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/inspect"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/note"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/redact"
)

// everything returns all that the inspector has to say, but for its stream, which has the rows of the list.
func everything(t *testing.T, in http.Handler) map[string]string {
	t.Helper()
	said := map[string]string{}
	for _, target := range []string{"calls", "cache", "stats", "cache?limit=1", "cache?prefix=http"} {
		said[target] = ask(in, "GET", target, "").Body.String()
	}
	for _, c := range calls(t, in) {
		target := fmt.Sprintf("calls/%d", c.ID)
		said[target] = ask(in, "GET", target, "").Body.String()
	}
	said["har"] = ask(in, "POST", "har", "{}").Body.String()
	said["stream"] = streamed(t, in)
	return said
}

// streamed returns what the stream begins with: hello, and all calls.
func streamed(t *testing.T, in http.Handler) string {
	t.Helper()
	w := newEventReader(in)
	defer w.stop()
	return w.until(`event: calls`)
}

// Each place where a call can have a secret has one of its own, so that a failure says which leaked.
func TestNoSecretOfACallIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := `{"access_token":"c4nary-answer","list":[{"name":"password","value":"c4nary-named"}]}`
		origin := &plytest.Origin{Paths: map[string][]plytest.Reply{
			"/old":  {plytest.Status(http.StatusTemporaryRedirect, "Location", "https://a.test/new?token=c4nary-location&plain=c4nary-plain")},
			"/new":  {plytest.Status(503, "X-Api-Key", "c4nary-retried"), plytest.Text(answer, "Content-Type", "application/json", "Set-Cookie", "sid=c4nary-set", "Www-Authenticate", "Bearer c4nary-challenge")},
			"/kept": {plytest.Text(`{"token":"c4nary-kept"}`, "Cache-Control", "max-age=60", "Vary", "Authorization, X-Api-Key, Cookie", "Set-Cookie", "sid=c4nary-stored", "Surrogate-Key", "token=c4nary-tag plain", "X-Session-Token", "c4nary-session")},
		}, Script: []plytest.Reply{{Trailer: http.Header{"X-Auth-Token": {"c4nary-trailer"}}, Body: "password=c4nary-text"}}}
		c := newCache(t, cache.Options{Tags: cache.SurrogateKey, ReplayCookies: true})
		in := newInspector(t, inspect.Options{Cache: c})
		told := func(next ply.Handler) ply.Handler {
			return ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
				note.Tell(req.Context(), note.Note{Layer: "own", Event: "asked", Detail: "with token=c4nary-note"})
				if req.URL.Path == "/fail" {
					return nil, errors.New("dial https://u:c4nary-userinfo-error@h.test/?token=c4nary-error: refused, Authorization: Bearer c4nary-bearer")
				}
				return next.RoundTrip(req)
			})
		}
		client := newClient(t, ply.Options{Transport: origin, Use: []ply.Middleware{in.Middleware, c.Middleware, retry.New(retry.Options{}), told}})
		for _, path := range []string{"/old", "/kept", "/kept", "/other", "/fail"} {
			for i, opt := range []ply.RequestOption{
				ply.BodyString(`{"password":"c4nary-body"}`), ply.BodyForm(map[string][]string{"code": {"c4nary-form"}, "password": {"c4nary-form2"}}),
				ply.BodyString("Authorization: Bearer c4nary-raw"), ply.SetHeader("X-Plain", "1"),
			} {
				method := http.MethodPut
				opts := []ply.RequestOption{
					opt, ply.SetHeader("Authorization", "Bearer c4nary-auth"), ply.SetHeader("Cookie", "sid=c4nary-cookie"), ply.SetHeader("X-Api-Key", "c4nary-key"),
					ply.SetHeader("Referer", "https://a.test/?token=c4nary-referer"), ply.SetHeader("X-Custom", "token=c4nary-custom"),
				}
				if i == 3 {
					method = http.MethodGet
				}
				req, err := client.NewRequest(t.Context(), method, "https://a.test"+path+"?token=c4nary-query&id=c4nary-id&c4nary-bare", opts...)
				require.NoError(t, err)
				resp, err := client.Do(req)
				if err == nil {
					discard(resp)
				}
			}
		}
		for target, text := range everything(t, in) {
			if at := strings.Index(text, "c4nary"); at >= 0 {
				t.Errorf("%s: …%s…", target, text[max(0, at-200):min(len(text), at+40)])
			}
			require.NotEmpty(t, text, target)
		}
		require.NotZero(t, c.Stats().Entries, "the cache must have something to show")
	})
}

// A body ends where the copy does, which may be within a secret.
func TestNoSecretIsShownOfABodyThatWasCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, content := range []string{
			`{"user":"u","access_token":"c4nary-and-much-more-of-it"}`, "user=u&password=c4nary-and-much-more", "Authorization: Bearer c4nary-and-much-more",
			"-----BEGIN PRIVATE KEY-----\nc4naryMIIEvQ\nc4naryIBADANBg\n-----END PRIVATE KEY-----\n", "<a><password>c4nary-and-much-more</password></a>",
		} {
			for cut := 1; cut <= len(content); cut++ {
				in := newInspector(t, inspect.Options{MaxBodyBytes: cut})
				client := newClient(t, ply.Options{BaseURL: "http://a.test", Transport: plytest.NewOrigin(plytest.Text(content, "Content-Type", "text/plain")), Use: []ply.Middleware{in.Middleware}})
				fetch(t, client, "/")
				require.NotContains(t, ask(in, "GET", "calls/1", "").Body.String(), "c4na", "cut after %d of %q", cut, content)
			}
		}
	})
}

func TestRedactorDecidesWhatIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open, strict := &redact.Redactor{ShowParams: []string{"page"}}, &redact.Redactor{Path: func(string) string { return "/hidden" }, HideHeaders: []string{"Server"}}
		for _, tt := range []struct {
			own, ofCall *redact.Redactor
			url, field  string
		}{
			{nil, nil, "http://a.test/x?page=REDACTED", "v"},
			{nil, open, "http://a.test/x?page=2", "v"},
			{open, nil, "http://a.test/x?page=2", "v"},
			{strict, open, "http://a.test/hidden?page=REDACTED", "REDACTED"},
		} {
			in := newInspector(t, inspect.Options{Redactor: tt.own})
			client := newClient(t, ply.Options{Redactor: tt.ofCall, BaseURL: "http://a.test", Transport: plytest.NewOrigin(plytest.Text("a", "Server", "v")), Use: []ply.Middleware{in.Middleware}})
			fetch(t, client, "/x?page=2")
			got := get[call](t, in, "calls/1")
			require.Equal(t, []string{tt.url, tt.url}, []string{got.URL, got.HopList[0].URL})
			require.Contains(t, got.HopList[0].Response.Headers, field{"Server", tt.field})
		}
	})
}

// What a server or a program writes is data: it is text in JSON in which nothing is left that HTML, a script or a terminal would read as its own.
func TestHostileTextsComeOutAsHarmlessJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hostile := "</script><script>alert(1)</script>\u2028\x1b]0;owned\x07\x1b[31m\"'\\`${7*7}\xff\xfe\x00&lt;"
		in := newInspector(t, inspect.Options{Cache: newCache(t, cache.Options{})})
		h := http.Header{"X-Evil": {hostile, strings.Repeat(hostile, 10_000)}, "Content-Type": {"text/html;" + hostile}, "Cache-Status": {"ply; detail=\"" + hostile + "\""}}
		for i := range 2000 {
			h[fmt.Sprintf("X-%d", i)] = []string{hostile}
		}
		transport := ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
			if req.URL.Path == "/fail" {
				return nil, errors.New(hostile)
			}
			return &http.Response{StatusCode: 299, Status: "299 " + hostile, Proto: hostile, Header: h, Body: http.NoBody, Request: req, ContentLength: -1}, nil
		})
		client := newClient(t, ply.Options{Transport: transport, Use: []ply.Middleware{in.Middleware}})
		for _, path := range []string{"/?" + "%3Cscript%3E", "/fail", "/<script>alert(1)</script>" + strings.Repeat("long", 10_000)} {
			resp, err := client.Do(&http.Request{Method: "GET", URL: mustParse(t, "http://a.test"+path), Header: http.Header{"X-Mine": {"</script>\x1b[1m"}}})
			if err == nil {
				discard(resp)
			}
		}
		for target, text := range everything(t, in) {
			require.True(t, utf8.ValidString(text), target)
			require.False(t, strings.ContainsAny(text, "<>\x1b\x07\x00\u2028"), target)
			if target != "har" && target != "calls" {
				require.Less(t, len(text), 2<<20, target)
			}
		}
	})
}
