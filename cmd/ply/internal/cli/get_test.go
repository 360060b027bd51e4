package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/har"
)

func TestGetPrintsTheBodyAndASecondProcessGetsItFromTheCache(t *testing.T) {
	for _, store := range []string{"", "cache dir", "sqlite:cache.db"} {
		t.Run(store, func(t *testing.T) {
			var requests atomic.Int32
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				w.Header().Set("Cache-Control", "max-age=60")
				io.WriteString(w, "hello\n")
			})
			p := plyRun{env: plyEnv(t, "PLY_CACHE="+store), dir: t.TempDir()}
			for range 2 {
				assert.Equal(t, result{stdout: "hello\n"}, p.run(t, "get", s.URL+"/a"))
			}
			assert.EqualValues(t, 1, requests.Load())
			got := p.run(t, "get", "-v", s.URL+"/a")
			assert.Contains(t, got.stderr, "hit")
			assert.Equal(t, result{stdout: "hello\n"}, p.run(t, "get", "--offline", s.URL+"/a"))
			got = p.run(t, "get", "--offline", s.URL+"/b")
			assert.Equal(t, result{stderr: "ply: the cache has no answer for " + s.URL + "/b: leave out --offline to fetch it\n", code: exitNotCached}, got)
			p.run(t, "get", "--refresh", s.URL+"/a")
			assert.EqualValues(t, 2, requests.Load())
			p.run(t, "get", "--cache", "none", s.URL+"/a")
			assert.EqualValues(t, 3, requests.Load())
		})
	}
}

func TestGetSendsWhatTheFlagsSay(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s|%s|%s|%s", r.Method, r.Header.Get("Content-Type"), r.Header.Get("X-A"), r.Header.Get("Authorization"), body)
	})
	dir := t.TempDir()
	for name, content := range map[string]string{"body": "from a file", "fields": "X-A: 1\r\n\nAuthorization: Custom canary\n", "password": "pass word\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	p := plyRun{env: plyEnv(t, "TOKEN=canary"), dir: dir, stdin: "from stdin"}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-H", "X-A: one"}, "GET |one||"},
		{[]string{"-d", "a=b"}, "POST application/x-www-form-urlencoded|||a=b"},
		{[]string{"-d", ""}, "POST application/x-www-form-urlencoded|||"},
		{[]string{"-d", "@body", "-H", "Content-Type: text/plain"}, "POST text/plain|||from a file"},
		{[]string{"-d", "a=b", "-d", "@body", "-d", "-"}, "POST application/x-www-form-urlencoded|||a=b&from a file&from stdin"},
		{[]string{"-d", "-"}, "POST application/x-www-form-urlencoded|||from stdin"},
		{[]string{"--json", `{"a":1}`, "-X", "PUT"}, `PUT application/json|||{"a":1}`},
		{[]string{"--bearer", "env:TOKEN"}, "GET ||Bearer canary|"},
		{[]string{"--user", "me", "--password", "file:password"}, "GET ||Basic bWU6cGFzcyB3b3Jk|"},
		{[]string{"-H", "@fields"}, "GET |1|Custom canary|"},
	} {
		got := p.run(t, append([]string{"get", s.URL}, c.args...)...)
		assert.Equal(t, result{stdout: c.want}, got, "%v", c.args)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--bearer", "canary"}, "--bearer takes no secret on the command line"},
		{[]string{"--bearer", "env:MISSING"}, "--bearer is empty"},
		{[]string{"--user", "me:canary"}, "--user is a name without a password"},
		{[]string{"--user", "me"}, "--password cannot be asked for without a terminal"},
		{[]string{"-H", "canary"}, "a header field has no colon"},
		{[]string{"-d", "@missing"}, "the content cannot be read"},
	} {
		got := p.run(t, append([]string{"get", s.URL}, c.args...)...)
		assert.Equal(t, exitUsage, got.code, "%v", c.args)
		assert.Contains(t, got.stderr, c.want)
		assert.NotContains(t, got.stderr, "canary")
	}
}

func TestGetShowsTheHeaderAndBodiesOfErrors(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = []string{"Mon, 02 Jan 2006 15:04:05 GMT"}
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, "gone\n")
	})
	header := "HTTP/1.1 404 Not Found\nCache-Status: "
	got := runPly(t, "get", "-i", "--cache", "none", s.URL)
	assert.Equal(t, result{stdout: "HTTP/1.1 404 Not Found\nContent-Length: 5\nContent-Type: text/plain; charset=utf-8\nDate: Mon, 02 Jan 2006 15:04:05 GMT\n\ngone\n", code: exitStatus4xx}, got)
	got = runPly(t, "get", "-I", s.URL)
	assert.True(t, strings.HasPrefix(got.stdout, header), got.stdout)
	got = runPly(t, "get", "--fail", s.URL)
	assert.Empty(t, got.stdout)
	assert.Contains(t, got.stderr, "404 Not Found")
	assert.Equal(t, exitStatus4xx, got.code)
}

func TestGetWritesSeveralURLsInOrderHoweverManyAtATime(t *testing.T) {
	var together sync.WaitGroup // all three are under way before one is answered
	together.Add(3)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		together.Done()
		together.Wait()
		io.WriteString(w, r.URL.Path)
	})
	got := runPly(t, "get", "--parallel", "3", s.URL+"/1", s.URL+"/2", s.URL+"/3")
	assert.Equal(t, result{stdout: "/1/2/3"}, got)
}

func TestGetOfSeveralURLsGoesOnAfterAnError(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			w.WriteHeader(http.StatusNotFound)
		}
		io.WriteString(w, r.URL.Path)
	})
	p := plyRun{env: plyEnv(t), dir: t.TempDir()}
	got := p.run(t, "get", "-O", s.URL+"/no", s.URL+"/yes")
	assert.Equal(t, exitStatus4xx, got.code)
	assert.Contains(t, got.stderr, "404 Not Found")
	assert.NoFileExists(t, filepath.Join(p.dir, "no"))
	data, err := os.ReadFile(filepath.Join(p.dir, "yes"))
	require.NoError(t, err)
	assert.Equal(t, "/yes", string(data))
	assert.Equal(t, exitUsage, p.run(t, "get", "-O", s.URL+"/a/x", s.URL+"/b/x").code)
	assert.Equal(t, exitUsage, p.run(t, "get", "-o", "file", s.URL+"/a", s.URL+"/b").code)
}

func TestRemoteNamesStayInTheDirectory(t *testing.T) {
	for path, want := range map[string]string{
		"/a/image.iso": "image.iso", "": "index.html", "/": "index.html", "/..": "index.html", "/a/.bashrc": "bashrc",
		"/%2e%2e%2fetc%2fpasswd": "passwd", "/a%5cb": "a_b", "/esc%1b%5b2J": "esc_[2J",
		"/-rf": "_-rf", "/nul": "_nul", "/COM3.txt": "_COM3.txt", "/com10": "com10", "/a.": "a", "/a%20": "a", "/%20": "index.html", "/.%20.": "index.html", "/a%00b": "a_b",
	} {
		jobs, err := (&getFlags{remoteName: true, parallel: 1}).jobs([]string{"http://example.com" + path})
		require.NoError(t, err)
		assert.Equal(t, want, jobs[0].file, path)
	}
}

func TestGetAsJSONIsOneObjectForEachURL(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Write([]byte(map[string]string{"/text": "a\x1bb", "/bytes": "\xff"}[r.URL.Path]))
	})
	p := plyRun{env: plyEnv(t), dir: t.TempDir()}
	p.run(t, "get", s.URL+"/text")
	got := p.run(t, "get", "--format", "json", s.URL+"/text", s.URL+"/bytes")
	assert.Empty(t, got.stderr)
	assert.NotContains(t, got.stdout, "\x1b")
	d := json.NewDecoder(strings.NewReader(got.stdout))
	var text, bytes map[string]any
	require.NoError(t, d.Decode(&text))
	require.NoError(t, d.Decode(&bytes))
	assert.Equal(t, s.URL+"/text", text["url"])
	assert.Equal(t, "hit", text["cache"])
	assert.Equal(t, "a\x1bb", text["body"])
	assert.EqualValues(t, 200, text["status"])
	assert.Contains(t, text, "record")
	assert.Equal(t, "miss", bytes["cache"])
	assert.Equal(t, "/w==", bytes["bodyBase64"])
	assert.NotContains(t, bytes, "body")
	got = p.run(t, "get", "--format", "json", "-O", s.URL+"/text")
	var file map[string]any
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &file))
	assert.Equal(t, "text", file["file"])
	assert.EqualValues(t, 3, file["bytes"])
}

func TestGetGoesOnWithoutACacheThatNothingAskedFor(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })
	home := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(home, nil, 0o600))
	p := plyRun{env: append(plyEnv(t), "HOME="+home, "XDG_CACHE_HOME="+home, "LocalAppData="+home)}
	got := p.run(t, "get", s.URL)
	assert.Equal(t, 0, got.code, got.stderr)
	assert.Equal(t, "hello", got.stdout)
	assert.Contains(t, got.stderr, "the cache cannot be opened")
	assert.Contains(t, got.stderr, "going on without it")
	assert.Equal(t, result{stdout: "hello"}, p.run(t, "get", "--cache", "none", s.URL))
	for _, args := range [][]string{{"--offline"}, {"--cache", home}} {
		got := p.run(t, append([]string{"get", s.URL}, args...)...)
		assert.Equal(t, exitError, got.code, "%v", args)
		assert.Empty(t, got.stdout)
	}
}

func TestGetAsJSONHasAnObjectForWhatFailed(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cut" {
			w.Header().Set("Content-Length", "10")
			io.WriteString(w, "half")
			return
		}
		w.WriteHeader(http.StatusNotFound)
	})
	closed := serve(t, nil)
	closed.Close()
	p := plyRun{env: plyEnv(t), dir: t.TempDir()}
	for _, c := range []struct {
		args   []string
		status any
		err    string
		code   int
	}{
		{[]string{closed.URL + "/?token=canary"}, nil, "connection refused", exitNetwork},
		{[]string{"-o", "file", closed.URL + "/?token=canary"}, nil, "connection refused", exitNetwork},
		{[]string{s.URL + "/404"}, 404., "", exitStatus4xx},
		{[]string{"--fail", s.URL + "/404"}, 404., "404 Not Found", exitStatus4xx},
		{[]string{"-o", "file", s.URL + "/404"}, 404., "404 Not Found", exitStatus4xx},
		{[]string{s.URL + "/cut"}, 200., "unexpected EOF", exitNetwork},
		{[]string{"-o", "file", s.URL + "/cut"}, 200., "unexpected EOF", exitNetwork},
		{[]string{"--offline", s.URL + "/absent"}, 504., "leave out --offline", exitNotCached},
	} {
		got := p.run(t, append([]string{"get", "--format", "json", "--retries", "0"}, c.args...)...)
		assert.Equal(t, c.code, got.code, "%v", c.args)
		var line map[string]any
		require.NoError(t, json.Unmarshal([]byte(got.stdout), &line), "%v: %s", c.args, got.stdout)
		assert.Equal(t, c.args[len(c.args)-1], line["url"])
		assert.Equal(t, c.status, line["status"], "%v", c.args)
		if c.err == "" {
			assert.NotContains(t, line, "error")
		} else {
			assert.Contains(t, line["error"], c.err, "%v", c.args)
			assert.NotContains(t, line["error"], "canary")
		}
		assert.Contains(t, line, "record")
	}
}

func TestHARHasRedirectsAndRetriesAndNoSecrets(t *testing.T) {
	var attempts atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/from":
			w.Header().Set("Location", "/to?token=canary-query")
			w.WriteHeader(http.StatusFound)
		case attempts.Add(1) == 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			w.Header().Set("Set-Cookie", "id=canary-cookie")
			io.WriteString(w, "hello")
		}
	})
	p := plyRun{env: plyEnv(t, "TOKEN=canary-token"), dir: t.TempDir()}
	for _, secrets := range []bool{false, true} {
		attempts.Store(0)
		got := p.run(t, "get", "--har", "all.har", "--cache", "none", "--bearer", "env:TOKEN", fmt.Sprintf("--show-secrets=%v", secrets), s.URL+"/from")
		assert.Equal(t, result{stdout: "hello"}, got)
		data, err := os.ReadFile(filepath.Join(p.dir, "all.har"))
		require.NoError(t, err)
		var seen []string
		for e, err := range har.Entries(strings.NewReader(string(data))) {
			require.NoError(t, err)
			u := strings.TrimPrefix(e.Request.URL, s.URL)
			path, _, _ := strings.Cut(u, "?")
			seen = append(seen, fmt.Sprint(path, " ", e.Response.Status))
		}
		assert.Equal(t, []string{"/from 302", "/to 503", "/to 200"}, seen)
		for _, secret := range []string{"canary-query", "canary-cookie", "canary-token"} {
			assert.Equal(t, secrets, strings.Contains(string(data), secret), secret)
		}
		info, err := os.Stat(filepath.Join(p.dir, "all.har"))
		require.NoError(t, err)
		assert.Zero(t, info.Mode().Perm()&0o077, "the archive is for the user alone")
		assert.Equal(t, exitUsage, p.run(t, "get", "--har", "all.har", "--retries", "-1", s.URL).code)
		still, err := os.ReadFile(filepath.Join(p.dir, "all.har"))
		require.NoError(t, err)
		assert.Equal(t, data, still, "nothing was done")
	}
}
