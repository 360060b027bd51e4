package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
)

// eachStore runs f with the name of an empty store of each kind.
func eachStore(t *testing.T, f func(t *testing.T, name string)) {
	t.Run("files", func(t *testing.T) { f(t, t.TempDir()) })
	t.Run("sqlite", func(t *testing.T) { f(t, "sqlite:"+filepath.ToSlash(filepath.Join(t.TempDir(), "cache.db"))) })
	t.Run("redis", func(t *testing.T) { f(t, redisServer(t)) })
}

// redisServer starts a redis-server on a socket.
func redisServer(t *testing.T) string {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		testutil.SkipUnlessCI(t, "redis-server is not installed")
	}
	dir, err := os.MkdirTemp("", "ply") // short enough for a socket
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	cmd := exec.Command(program, "--port", "0", "--unixsocket", socket, "--save", "", "--dir", dir)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	testutil.Eventually(t, "the socket of redis-server", func() bool { _, err := os.Stat(socket); return err == nil })
	return "unix://" + socket
}

// filled is a server and the environment of processes, after a client has stored responses in a store: /a, /b with two queries, /stale, and /lang in one language with a cookie.
func filled(t *testing.T, name string) (plyRun, string) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Header().Set("Content-Type", "text/plain")
		if r.URL.Path == "/a" {
			w.Header().Set("Surrogate-Key", "first letters")
		}
		if r.URL.Path == "/stale" {
			w.Header().Set("Cache-Control", "max-age=0")
			w.Header().Set("ETag", `"1"`)
		}
		if r.URL.Path == "/lang" {
			w.Header().Set("Vary", "Accept-Language, Cookie")
			w.Header().Set("Set-Cookie", "sid=canary-set")
		}
		io.WriteString(w, "content of "+r.URL.Path)
	})
	p := plyRun{env: plyEnv(t), dir: t.TempDir()}
	for _, path := range []string{"/a", "/b?token=canary-1", "/b?token=canary-2", "/stale"} {
		require.Equal(t, http.StatusOK, through(t, name, cache.ModeDefault, s.URL+path).StatusCode)
	}
	require.Equal(t, http.StatusOK, through(t, name, cache.ModeDefault, s.URL+"/lang", ply.SetHeader("Accept-Language", "de"), ply.SetHeader("Cookie", "sid=canary-cookie")).StatusCode)
	return p, s.URL
}

// through gets a URL in this process through a client with a cache on a store, and reads the body.
func through(t *testing.T, name string, mode cache.Mode, url string, opts ...ply.RequestOption) *http.Response {
	t.Helper()
	c, err := (&chainFlags{cache: name, maxRedirects: 1}).open(t.Context(), cache.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.close()) }()
	resp, err := c.client.Get(cache.WithMode(t.Context(), mode), url, opts...)
	require.NoError(t, err)
	require.NoError(t, ply.Discard(ply.AnyStatus(resp, nil)))
	return resp
}

// urls are the paths that ply cache ls lists.
func urls(t *testing.T, p plyRun, origin string, args ...string) []string {
	t.Helper()
	got := p.run(t, append([]string{"cache", "ls", "--format", "json"}, args...)...)
	require.Equal(t, 0, got.code, got.stderr)
	var all []string
	for d := json.NewDecoder(strings.NewReader(got.stdout)); d.More(); {
		var e struct{ URL string }
		require.NoError(t, d.Decode(&e))
		all = append(all, strings.TrimPrefix(e.URL, origin))
	}
	return all
}

func TestCacheLsListsWhatTheArgumentsAndFlagsChoose(t *testing.T) {
	eachStore(t, func(t *testing.T, name string) {
		p, origin := filled(t, name)
		b, host := "/b?token=REDACTED", strings.TrimPrefix(origin, "http://")
		tests := []struct {
			args []string
			want []string
		}{
			{nil, []string{"/a", b, b, "/lang", "/stale"}},
			{[]string{origin + "/b?token=canary-2"}, []string{b}},
			{[]string{host + "/b", origin + "/a"}, []string{"/a", b, b}},
			{[]string{"--stale"}, []string{"/stale"}},
			{[]string{"--older-than", "1h"}, nil},
			{[]string{"--principal", "alice"}, nil},
			{[]string{"--tag", "t"}, nil},
			{[]string{"--tag", "letters"}, []string{"/a"}},
			{[]string{"--reverse", "--limit", "2"}, []string{"/stale", "/lang"}},
			{[]string{"--sort", "expires", "--limit", "1"}, []string{"/stale"}},
		}
		for _, tt := range tests {
			assert.Equal(t, tt.want, urls(t, p, origin, append([]string{name}, tt.args...)...), tt.args)
		}
		text := p.run(t, "cache", "ls", name, "--long")
		assert.Contains(t, text.stdout, "Accept-Language=de")
		assert.Contains(t, text.stdout, "Cookie=#")
		assert.NotContains(t, text.stdout+p.run(t, "cache", "ls", name, "--format", "json").stdout, "canary")
	})
}

func TestCacheShowHidesSecretsAndShowsTheBody(t *testing.T) {
	dir := t.TempDir()
	p, origin := filled(t, dir)
	got := p.run(t, "cache", "show", dir, origin+"/lang")
	require.Equal(t, 0, got.code, got.stderr)
	for _, want := range []string{"content of /lang", "varies on  Accept-Language: de", "varies on  Cookie: #", "fresh for", "Vary: Accept-Language, Cookie"} {
		assert.Contains(t, got.stdout, want)
	}
	assert.NotContains(t, got.stdout, "canary")
	assert.Equal(t, "content of /a", p.run(t, "cache", "show", dir, origin+"/a", "--raw").stdout)
	var e struct{ Body struct{ Text string } }
	require.NoError(t, json.Unmarshal([]byte(p.run(t, "cache", "show", dir, origin+"/a", "--format", "json").stdout), &e))
	assert.Equal(t, "content of /a", e.Body.Text)

	assert.Equal(t, exitNotCached, p.run(t, "cache", "show", dir, origin+"/none").code)
	several := p.run(t, "cache", "show", dir, strings.TrimPrefix(origin, "http://")+"/**", "--raw")
	assert.Equal(t, exitUsage, several.code)
	assert.Contains(t, several.stderr, "5 responses fit")
}

func TestCacheRmRemovesWhatIsChosenAndAsksBeforeMuch(t *testing.T) {
	eachStore(t, func(t *testing.T, name string) {
		p, origin := filled(t, name)
		dry := p.run(t, "cache", "rm", name, origin+"/b?token=canary-1", "--dry-run")
		assert.Equal(t, "would remove GET "+origin+"/b?token=REDACTED\n", dry.stdout)
		assert.Len(t, urls(t, p, origin, name), 5)

		assert.Equal(t, "removed 1\n", p.run(t, "cache", "rm", name, origin+"/b?token=canary-1").stderr)
		assert.Equal(t, exitNotCached, p.run(t, "get", "--cache", name, "--offline", origin+"/b?token=canary-1").code)
		assert.Equal(t, 0, p.run(t, "get", "--cache", name, "--offline", origin+"/b?token=canary-2").code)
		assert.Equal(t, exitUsage, p.run(t, "cache", "rm", name).code)

		host := strings.TrimPrefix(origin, "http://")
		for i := range unquestioned {
			p.run(t, "get", "--cache", name, fmt.Sprintf("%s/many/%d", origin, i))
		}
		refused := p.run(t, "cache", "rm", name, host+"/**")
		assert.Equal(t, exitUsage, refused.code)
		assert.Contains(t, refused.stderr, "Remove 14 entries?")
		assert.Equal(t, "removed 14\n", p.run(t, "cache", "rm", name, host+"/**", "--yes").stderr)
		assert.Empty(t, urls(t, p, origin, name))
	})
}

func TestCacheCommandsSayHowAPatternThatFitsNothingIsWritten(t *testing.T) {
	dir := t.TempDir()
	p, origin := filled(t, dir)
	host := strings.TrimPrefix(origin, "http://")
	for _, args := range [][]string{{"ls", dir}, {"rm", dir}, {"rm", dir, "--dry-run"}, {"show", dir}, {"export", dir, "out"}} {
		got := p.run(t, append([]string{"cache", args[0]}, append(args[1:], "*.png", host+"/a")...)...)
		assert.Equal(t, 0, got.code, args)
		assert.Equal(t, 1, strings.Count(got.stderr, "no entry fits the pattern"), got.stderr)
		assert.Contains(t, got.stderr, "no entry fits the pattern *.png: a pattern is a host, or a host and a path, as api.example.com/img/*.png", args)
		if args[0] == "rm" && len(args) == 2 {
			through(t, dir, cache.ModeDefault, origin+"/a")
		}
	}
	assert.Contains(t, p.run(t, "cache", "show", dir, "*.png").stderr, "as api.example.com/img/*.png")
	for _, args := range [][]string{{origin + "/none"}, {host + "/a", "--tag", "none"}} { // a URL is no pattern, and this one fits
		got := p.run(t, append([]string{"cache", "rm", dir}, args...)...)
		assert.Equal(t, "removed 0\n", got.stderr)
	}
}

func TestCacheClearNeedsAYes(t *testing.T) {
	dir := t.TempDir()
	p, origin := filled(t, dir)
	assert.Equal(t, exitUsage, p.run(t, "cache", "clear", dir).code)
	assert.Len(t, urls(t, p, origin, dir), 5)
	assert.Equal(t, 0, p.run(t, "cache", "clear", dir, "-y").code)
	assert.Empty(t, urls(t, p, origin, dir))
}

func TestCacheMovesByExportAndByCopy(t *testing.T) {
	eachStore(t, func(t *testing.T, name string) {
		dir := t.TempDir()
		p, origin := filled(t, dir)
		exported := p.run(t, "cache", "export", dir, "-")
		require.Equal(t, 0, exported.code, exported.stderr)
		p.stdin = exported.stdout
		got := p.run(t, "cache", "import", name, "-")
		require.Equal(t, 0, got.code, got.stderr)
		p.stdin = ""
		answered := func(where string) {
			for _, u := range []string{"/a", "/b?token=canary-2"} {
				assert.Equal(t, "content of "+u[:2], p.run(t, "get", "--cache", where, "--offline", origin+u).stdout)
			}
			for cookie, want := range map[string]int{"sid=canary-cookie": http.StatusOK, "sid=other": http.StatusGatewayTimeout} {
				resp := through(t, where, cache.ModeOnlyIfCached, origin+"/lang", ply.SetHeader("Accept-Language", "de"), ply.SetHeader("Cookie", cookie))
				assert.Equal(t, want, resp.StatusCode, cookie)
			}
		}
		answered(name)
		copied := filepath.Join(t.TempDir(), "copied")
		got = p.run(t, "cache", "copy", name, copied)
		require.Equal(t, 0, got.code, got.stderr)
		assert.Contains(t, got.stderr, "copied 5 entries")
		answered(copied)
	})
}

func TestCacheExportOfASharedCacheIsRefusedByAPrivateOne(t *testing.T) {
	dir := t.TempDir()
	p, _ := filled(t, dir)
	file := filepath.Join(p.dir, "x")
	require.Equal(t, 0, p.run(t, "cache", "export", dir, file, "--shared").code)
	got := p.run(t, "cache", "import", t.TempDir(), file)
	assert.Equal(t, exitError, got.code)
	assert.Contains(t, got.stderr, "shared")
}

func TestCacheExportsAnArchiveThatCanBeImported(t *testing.T) {
	dir := t.TempDir()
	p, origin := filled(t, dir)
	file := filepath.Join(p.dir, "x.har")
	require.Equal(t, 0, p.run(t, "cache", "export", dir, file, "--har").code)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.NotContains(t, string(text), "canary")
	other := t.TempDir()
	got := p.run(t, "cache", "import", other, file)
	require.Equal(t, 0, got.code, got.stderr)
	assert.Contains(t, urls(t, p, origin, other), "/a")
	assert.NotContains(t, urls(t, p, origin, other), "/lang", "it was for a cookie that the archive does not have")
}

func TestCacheVerifyEndsWith7WhereARecordIsDamaged(t *testing.T) {
	name := t.TempDir()
	p, _ := filled(t, name)
	sound := p.run(t, "cache", "verify", name)
	assert.Equal(t, 0, sound.code)
	assert.Contains(t, sound.stdout, "5 entries")
	s, err := openStore(t.Context(), name)
	require.NoError(t, err)
	ranger, ok := store.As[store.Ranger](s)
	require.True(t, ok)
	require.NoError(t, ranger.Range(t.Context(), store.KindEntry, func(key string, r store.Record) bool {
		r.Data = bytes.Clone(r.Data)
		r.Data[len(r.Data)/2] ^= 1
		require.NoError(t, s.Put(t.Context(), key, r))
		return false
	}))
	require.NoError(t, s.Close())
	got := p.run(t, "cache", "verify", name, "--format", "json")
	assert.Equal(t, exitCheck, got.code)
	assert.Contains(t, got.stdout, `"Damaged": 1`)
	assert.Equal(t, exitCheck, p.run(t, "cache", "verify", name, "--delete-damaged").code)
	assert.Equal(t, 0, p.run(t, "cache", "verify", name).code)
}

func TestCacheCommandsMakeNoStoreThatIsNotThere(t *testing.T) {
	p := plyRun{env: plyEnv(t), dir: t.TempDir()}
	for _, name := range []string{"typo", "sqlite:typo.db", "file:///no/such/dir", "default"} {
		for _, args := range [][]string{{"ls", name}, {"stats", name}, {"clear", "-y", name}, {"verify", name}, {"export", name, "-"}} {
			got := p.run(t, append([]string{"cache"}, args...)...)
			assert.Equal(t, exitError, got.code, args)
			assert.Contains(t, got.stderr, "there is no store", args)
		}
	}
	left, err := os.ReadDir(p.dir)
	require.NoError(t, err)
	assert.Empty(t, left)
	assert.Equal(t, exitUsage, p.run(t, "cache", "ls", "memory").code)
	assert.Equal(t, exitUsage, p.run(t, "cache", "ls").code)
	assert.Equal(t, exitUsage, p.run(t, "cache", "nonsense").code)
}

func TestCacheCommandsWorkWhileAnotherProcessWrites(t *testing.T) {
	eachStore(t, func(t *testing.T, name string) {
		p, origin := filled(t, name)
		host := strings.TrimPrefix(origin, "http://")
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for i := 0; ctx.Err() == nil; i++ {
				all := []string{"get", "--cache", name}
				for j := range 50 {
					all = append(all, fmt.Sprintf("%s/w/%d/%d", origin, i%4, j))
				}
				p.command(ctx, t, all...).Run()
			}
		}()
		defer func() { stop(); <-ended }()
		for range 3 {
			for _, args := range [][]string{{"ls", name}, {"verify", name}, {"stats", name}, {"export", name, filepath.Join(p.dir, "x")}, {"rm", "-y", name, host + "/w/**"}} {
				got := p.run(t, append([]string{"cache"}, args...)...)
				assert.Equal(t, 0, got.code, "%s: %s", args, got.stderr)
			}
		}
		assert.Subset(t, urls(t, p, origin, name), []string{"/a", "/lang"})
	})
}

func TestCacheLsSaysThatAStoreIsEncrypted(t *testing.T) {
	dir, key := t.TempDir(), filepath.Join(t.TempDir(), "key")
	p, origin := filled(t, dir)
	require.NoError(t, os.WriteFile(key, []byte(strings.Repeat("2a", 32)+"\n"), 0o600))
	sealed := filepath.Join(t.TempDir(), "sealed")
	exported := p.run(t, "cache", "export", dir, "-")
	p.stdin = exported.stdout
	require.Equal(t, 0, p.run(t, "cache", "import", sealed, "-", "--encryption-key-file", key).code)
	p.stdin = ""
	got := p.run(t, "cache", "ls", sealed)
	assert.Empty(t, got.stdout)
	assert.Contains(t, got.stderr, "5 records that cannot be read")
	assert.Len(t, urls(t, p, origin, sealed, "--encryption-key-file", key), 5)
}

func TestCacheImportOfAnEndlessStdinEndsWithSIGINT(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no SIGINT to send")
	}
	p := plyRun{env: plyEnv(t), dir: t.TempDir()}
	cmd := p.command(t.Context(), t, "cache", "import", "store", "-")
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = io.WriteString(stdin, "plycache")
	require.NoError(t, err)
	testutil.Eventually(t, "the store", func() bool { _, err := os.Stat(filepath.Join(p.dir, "store")); return err == nil })
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	cmd.Wait()
	assert.Equal(t, exitInterrupted, cmd.ProcessState.ExitCode())
}
