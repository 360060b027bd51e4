package cli

import (
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// planted are the secrets of a text, each with the place where it was planted in its name.
var planted = regexp.MustCompile(`(?i)c4n4ry-[a-z0-9]+`)

// plantedIn are the places whose secrets a text has, apart from those of content that a command hands on as it came.
func plantedIn(text string, content bool) (places []string) {
	for _, s := range planted.FindAllString(text, -1) {
		if !content || !strings.HasPrefix(s, "c4n4ry-content") {
			places = append(places, s)
		}
	}
	slices.Sort(places)
	return slices.Compact(places)
}

// originWithSecrets has a secret in each place of a response.
func originWithSecrets(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	h := w.Header()
	h.Add("Set-Cookie", "sid=c4n4ry-setcookie; Path=/")
	h["set-cookie"] = []string{"b=c4n4ry-setcookielower"}
	h.Set("Www-Authenticate", "Bearer c4n4ry-challenge")
	h.Set("X-Session-Token", "c4n4ry-session")
	h.Set("X-Next", "/next?token=c4n4ry-next")
	h.Set("Link", `</next?token=c4n4ry-link>; rel="next"`)
	h.Set("Content-Location", "/x?token=c4n4ry-contentlocation")
	h.Set("Vary", "Authorization, Cookie, X-Api-Key")
	h.Set("Cache-Control", "max-age=600")
	h.Set("Etag", `"1"`)
	h.Set("Content-Type", "application/json")
	h.Set(http.TrailerPrefix+"X-Auth-Token", "c4n4ry-trailer")
	const content = `{"name":"tea","access_token":"c4n4ry-content","list":[{"name":"password","value":"c4n4ry-contentvalue"}],"next":"https://h.test/?sig=c4n4ry-contenturl"}`
	switch path := r.URL.Path; path {
	case "/from":
		h.Set("Location", "//c4n4ry-locationuser:c4n4ry-locationpassword@"+r.Host+"/to?access_token=c4n4ry-location&c4n4ry-locationbare")
		w.WriteHeader(http.StatusTemporaryRedirect)
	case "/zip":
		h.Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		io.WriteString(z, content)
		z.Close()
	case "/malformed", "/trailer", "/reason", "/refused", "/cut":
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			defer conn.Close()
			hijacked(conn, path, content)
		}
	default:
		io.WriteString(w, content)
	}
}

// hijacked answers as no handler can: with a reason phrase of its own, a field or a trailer without a colon, or a body that is cut off.
func hijacked(conn net.Conn, path, content string) {
	io.WriteString(conn, map[string]string{
		"/malformed": "HTTP/1.1 200 OK\r\nX-Token c4n4ry-malformed\r\n\r\n",
		"/trailer":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Token c4n4ry-badtrailer\r\n\r\n",
		"/reason":    fmt.Sprintf("HTTP/1.1 200 OK token=c4n4ry-reason\r\nCache-Control: max-age=600\r\nConnection: close\r\nContent-Length: %d\r\nContent-Type: application/json\r\n\r\n%s", len(content), content),
		"/refused":   "HTTP/1.1 403 Forbidden token=c4n4ry-refusal\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: 22\r\n\r\npassword=c4n4ry-errors",
		"/cut":       "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
	}[path])
}

// Each command runs over a store that requests with a secret in each place have filled. What leaks shows by its name from which place.
// What a server sent as content is on stdout where that is what was asked for, as from get, and hidden where a command shows it beside other things.
func TestNoCommandShowsASecretOfAnyPlace(t *testing.T) {
	s := serve(t, originWithSecrets)
	dir := t.TempDir()
	p := plyRun{env: plyEnv(t, "TOKEN=c4n4ry-token", "PASSWORD=c4n4ry-password"), dir: dir}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "fields"), []byte("X-Api-Key: c4n4ry-apikey\nproxy-AUTHORIZATION: Basic c4n4ry-proxy\nCookie: sid=c4n4ry-cookie\nReferer: http://h.test/?token=c4n4ry-referer\nX-Custom: token=c4n4ry-custom\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "answer"), []byte("HTTP/1.1 200 token=c4n4ry-phrase\nSet-Cookie: sid=c4n4ry-answer\nCache-Control: max-age=60\nContent-Location: /?token=c4n4ry-answerlocation\n\n"), 0o600))
	host := strings.TrimPrefix(s.URL, "http://")
	const query = "?access_token=c4n4ry-query&%74oken=c4n4ry-escaped&sig=c4n4ry-signature&id=c4n4ry-id#c4n4ry-fragment"
	plain := func(path string) string { return s.URL + path + query }
	login := func(path string) string { return "http://c4n4ry-user:c4n4ry-userinfo@" + host + path + query }
	get := func(more ...string) []string {
		return append([]string{"get", "--cache", "store", "--retries", "0", "-H", "@fields"}, more...)
	}
	inStore := func(command string, more ...string) []string {
		return append([]string{"cache", command, "store"}, more...)
	}
	const hands = true // the content of responses, or everything that is stored, on stdout
	for _, step := range []struct {
		name  string
		code  int
		hands bool
		args  []string
	}{
		{"content that is posted", 0, hands, get("-v", "--user", "me", "--password", "env:PASSWORD", "--json", `{"password":"c4n4ry-json","list":[{"name":"token","value":"c4n4ry-named"}]}`, plain("/from"))},
		{"an archive of a form", 0, hands, get("--har", "2.har", "-d", "user=u&password=c4n4ry-form", login("/from"))},
		{"a record", 0, hands, get("-v", "--bearer", "env:TOKEN", plain("/from"))},
		{"a record of a login in the URL", 0, hands, get("-v", login("/to"))},
		{"a record as JSON", 0, hands, get("-v", "--bearer", "env:TOKEN", plain("/zip"))},
		{"a reason phrase", 0, hands, get("-v", plain("/reason"))},
		{"a hit", 0, hands, get("-v", "--offline", "--bearer", "env:TOKEN", plain("/from"))},
		{"a status", 4, false, get("-v", "--fail", plain("/refused"))},
		{"an archive", 0, hands, get("--har", "1.har", "--refresh", "--bearer", "env:TOKEN", plain("/from"), plain("/zip"))},
		{"an archive of a malformed field", exitNetwork, false, get("-v", "--har", "3.har", plain("/malformed"))},
		{"an archive of a malformed trailer", exitNetwork, hands, get("-v", "--har", "4.har", plain("/trailer"))},
		{"an archive of what is cut", exitNetwork, hands, get("-v", "--har", "5.har", login("/cut"))},
		{"an archive of phrases", 0, hands, get("--har", "6.har", "--refresh", plain("/reason"))},
		{"two credentials", exitError, false, get("--bearer", "env:TOKEN", login("/from"))},
		{"curl", 0, false, get("--curl", "--bearer", "env:TOKEN", "--json", `{"password":"c4n4ry-json"}`, plain("/from"))},
		{"curl, a form", 0, false, get("--curl", "-d", "user=u&password=c4n4ry-form", login("/from"))},
		{"curl, XML", 0, false, get("--curl", "-H", "Content-Type: text/xml", "-d", "<a><password>c4n4ry-xml</password></a>", plain("/from"))},
		{"nothing stored", exitNotCached, false, get("--offline", login("/never"))},
		{"a file that cannot be written", exitError, false, get("-o", "no/such/file", plain("/to"))},
		{"no URL of HTTP", exitUsage, false, []string{"get", "htp://u:c4n4ry-badscheme@h.test/?token=c4n4ry-badquery"}},
		{"no URL", exitUsage, false, []string{"get", "http://u:c4n4ry-badhost@h test/?token=c4n4ry-badquery"}},
		{"no host", exitNetwork, false, []string{"get", "--cache", "none", "http://u:c4n4ry-nohost@127.0.0.1:1/?token=c4n4ry-noquery"}},
		{"no store", exitError, false, []string{"get", "--cache", "redis://u:c4n4ry-storepassword@127.0.0.1:1/0?password=c4n4ry-storequery", plain("/to")}},
		{"no field", exitUsage, false, []string{"get", "-H", "X-Token c4n4ry-nocolon", plain("/to")}},
		{"no origin of a proxy", exitUsage, false, []string{"proxy", "http://u:c4n4ry-origin@" + host}},

		{"explain", 0, false, []string{"explain", "--cache", "store", "-H", "@fields", login("/to")}},
		{"explain, JSON", 0, false, []string{"explain", "--cache", "store", "--format", "json", "-H", "@fields", login("/to")}},
		{"explain a redirect", 0, false, []string{"explain", "--cache", "store", "--shared", "-H", "@fields", plain("/from")}},
		{"explain what is stored", 0, false, []string{"explain", "--cache", "store", "--no-fetch", "-H", "@fields", plain("/reason")}},
		{"explain a principal", 0, false, []string{"explain", "--cache", "store", "--principal", "c4n4ry-principal", plain("/reason")}},
		{"explain an error", exitNetwork, false, []string{"explain", "--cache", "store", login("/malformed")}},
		{"explain a file", 0, false, []string{"explain", "--cache", "store", "--response", "answer", login("/to")}},
		{"explain no URL", exitUsage, false, []string{"explain", "http://u:c4n4ry-badhost@h test/?token=c4n4ry-badquery"}},
		{"explain an archive", 0, false, []string{"explain", "--har", "1.har"}},
		{"explain an archive, JSON", 0, false, []string{"explain", "--format", "json", "--har", "2.har"}},
		{"explain phrases", 0, false, []string{"explain", "--har", "6.har"}},
		{"lint no URL", exitUsage, false, []string{"lint", "htp://u:c4n4ry-badscheme@h.test/?token=c4n4ry-badquery"}},
		{"lint", exitCheck, false, []string{"lint", "-H", "@fields", login("/to"), plain("/from")}},
		{"lint, JSON", exitCheck, false, []string{"lint", "--format", "json", "-H", "@fields", plain("/reason")}},
		{"lint an archive", exitCheck, false, []string{"lint", "--har", "1.har"}},
		{"replay", 0, false, []string{"replay", "1.har", "--policy", "none", "--policy", "cache,retry=2"}},
		{"replay, JSON", 0, false, []string{"replay", "1.har", "--format", "json"}},

		{"ls", 0, false, inStore("ls")},
		{"ls, long", 0, false, inStore("ls", "--long", "--sort", "size")},
		{"ls, JSON", 0, false, inStore("ls", "--format", "json")},
		{"show", 0, false, inStore("show", host+"/**")},
		{"show, JSON", 0, false, inStore("show", host+"/**", "--format", "json")},
		{"show, raw", 0, hands, inStore("show", host+"/reason", "--raw")},
		{"show nothing", exitNotCached, false, inStore("show", "http://u:c4n4ry-unknown@h.test/?token=c4n4ry-unknown")},
		{"stats", 0, false, inStore("stats")},
		{"stats, JSON", 0, false, inStore("stats", "--format", "json")},
		{"verify", 0, false, inStore("verify")},
		{"verify, JSON", 0, false, inStore("verify", "--format", "json")},
		{"an archive of the store", 0, hands, inStore("export", "-", "--har")},
		{"an archive of the store without content", 0, false, inStore("export", "7.har", "--har", "--omit-bodies")},
		{"a copy", 0, false, inStore("copy", "copied")},
		{"an export", 0, false, inStore("export", "all.plycache")},
		{"an import", 0, false, []string{"cache", "import", "imported", "all.plycache"}},
		{"rm, dry", 0, false, inStore("rm", host+"/**", "--dry-run", "--principal", "c4n4ry-principal")},
		{"rm, dry, all", 0, false, inStore("rm", host+"/**", "--dry-run")},
	} {
		got := p.run(t, step.args...)
		assert.Equal(t, step.code, got.code, "%s: %s", step.name, got.stderr)
		assert.Empty(t, plantedIn(got.stdout, step.hands), "stdout of %s: %s", step.name, got.stdout)
		assert.Empty(t, plantedIn(got.stderr, false), "stderr of %s: %s", step.name, got.stderr)
	}
	for i := range 7 {
		text, err := os.ReadFile(filepath.Join(dir, fmt.Sprint(i+1, ".har")))
		require.NoError(t, err)
		require.Contains(t, string(text), "REDACTED")
		assert.Empty(t, plantedIn(string(text), true), "%d.har", i+1)
	}
	shown := p.run(t, inStore("show", host+"/**")...).stdout
	for _, part := range []string{"/from?", "/to?", "/reason?", "/zip?", "Location: //REDACTED:REDACTED@127", `"name":"tea","access_token":"REDACTED"`, "X-Session-Token: REDACTED", "varies on  Cookie: #", "Content-Encoding: gzip"} {
		assert.Contains(t, shown, part, "the store must have what could leak")
	}
}

// The variable that names the store may have its password, which neither help nor completion nor an error shows.
func TestStoreOfTheEnvironmentKeepsItsPassword(t *testing.T) {
	p := plyRun{env: plyEnv(t, "PLY_CACHE=redis://c4n4ry-user:c4n4ry-password@127.0.0.1:1/0?password=c4n4ry-query"), dir: t.TempDir()}
	for _, args := range [][]string{
		{"get", "--help"}, {"explain", "--help"}, {"proxy", "--help"}, {"get", "--no-such-flag"}, {"__complete", "get", "--cache", ""}, {"__complete", "get", "http"},
		{"get", "http://127.0.0.1:1/"}, {"explain", "http://127.0.0.1:1/"}, {"proxy", "http://127.0.0.1:1/"}, {"cache", "ls", "default"},
	} {
		got := p.run(t, args...)
		assert.NotEmpty(t, got.stdout+got.stderr, args)
		assert.Empty(t, plantedIn(got.stdout+got.stderr, false), "%v: %s%s", args, got.stdout, got.stderr)
	}
}

// What the environment and files hold beside the command line: passwords of netrc and of a proxy, tokens, and keys of encryption that are none.
func TestSecretsOfTheEnvironmentAndOfFilesAreNotShown(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=600")
		if user, _, ok := r.BasicAuth(); !ok || user != "c4n4ry-netrclogin" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	dir := t.TempDir()
	for name, text := range map[string]string{
		"netrc": "machine 127.0.0.1 login c4n4ry-netrclogin password c4n4ry-netrcpassword\n", "keys": "c4n4ry-encryptionkey\n", "token": "c4n4ry-line\nc4n4ry-secondline\n", "empty": "",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	p := plyRun{env: plyEnv(t, "NETRC="+filepath.Join(dir, "netrc"), "HTTP_PROXY=http://c4n4ry-proxyuser:c4n4ry-proxypassword@127.0.0.1:1", "TOKEN=c4n4ry-token"), dir: dir}
	for _, test := range []struct {
		code int
		args []string
	}{
		{0, []string{"get", "-v", "--har", "1.har", s.URL}},
		{0, []string{"get", "--curl", s.URL}},
		{0, []string{"get", "-v", "--format", "json", s.URL}},
		{0, []string{"explain", s.URL}},
		{0, []string{"explain", "--format", "json", s.URL}},
		{0, []string{"lint", "--fail-on", "never", s.URL}},
		{0, []string{"cache", "ls", "default", "--long"}},
		{0, []string{"cache", "show", "default", strings.TrimPrefix(s.URL, "http://") + "/**"}},
		{exitNetwork, []string{"get", "-v", "--har", "2.har", "--retries", "0", "http://h.test/"}},
		{exitNetwork, []string{"explain", "http://h.test/"}},
		{exitError, []string{"cache", "ls", "default", "--encryption-key-file", "keys"}},
		{exitError, []string{"cache", "ls", "default", "--encryption-key-file", "empty"}},
		{exitUsage, []string{"get", "--bearer", "file:token", s.URL}},
		{exitUsage, []string{"get", "--bearer", "env:NONE", s.URL}},
		{exitUsage, []string{"get", "--bearer", "c4n4ry-argument", s.URL}},
		{exitUsage, []string{"get", "--user", "me:c4n4ry-argument", s.URL}},
		{exitUsage, []string{"get", "--user", "me", "--password", "c4n4ry-argument", s.URL}},
		{exitUsage, []string{"get", "--bearer", "file:empty", s.URL}},
	} {
		got := p.run(t, test.args...)
		assert.Equal(t, test.code, got.code, "%v: %s", test.args, got.stderr)
		assert.NotEmpty(t, got.stdout+got.stderr, test.args)
		assert.Empty(t, plantedIn(got.stdout+got.stderr, false), "%v: %s%s", test.args, got.stdout, got.stderr)
	}
	for _, name := range []string{"1.har", "2.har"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Empty(t, plantedIn(string(text), false), name)
	}
}
