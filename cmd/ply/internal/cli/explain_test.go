package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
)

func TestExplainSaysWhatIsStoredAndWhatTheOriginSaysAndStoresNothing(t *testing.T) {
	var requests atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Vary", "Accept-Encoding")
		io.WriteString(w, "hello\n")
	})
	p := plyRun{env: plyEnv(t)}
	for range 2 {
		got := p.run(t, "explain", s.URL+"/a")
		assert.Equal(t, exitOK, got.code, got.stderr)
		for _, part := range []string{"would ask the origin", "Nothing was stored for the URI.  [RFC 9111 §4]", "would be stored, fresh for ", "Cache-Control: max-age=60",
			"max-age gives the lifetime.  [RFC 9111 §4.2.1, §5.2.2.1]", "key: method GET", "would change it: "} {
			assert.Contains(t, got.stdout, part)
		}
	}
	require.Equal(t, exitOK, p.run(t, "get", s.URL+"/a").code)
	got := p.run(t, "explain", "--no-fetch", s.URL+"/a")
	assert.Contains(t, got.stdout, "would answer from the store")
	assert.Contains(t, got.stdout, "The stored response is fresh.  [RFC 9111 §4.2]")
	assert.EqualValues(t, 3, requests.Load())
}

// Whether a body without a length is stored shows at its end: ply explain reads as far, and says what ply get then does.
func TestBodyThatGrowsTooLargeWithoutALengthIsSaidNotToBeStored(t *testing.T) {
	const tooLong = "body exceeds MaxEntryBytes"
	bytes := map[string]int64{"/limit": maxEntryBytes, "/more": maxEntryBytes + 1, "/much": 4 * maxEntryBytes}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		io.CopyN(w, zeros{}, bytes[r.URL.Path])
	})
	p := plyRun{env: plyEnv(t)}
	for path := range bytes {
		explained := p.run(t, "explain", "--check", s.URL+path)
		got := p.run(t, "get", "-v", "-o", filepath.Join(t.TempDir(), "body"), s.URL+path)
		require.Equal(t, exitOK, got.code, got.stderr)
		if again := p.run(t, "get", "--offline", "-o", os.DevNull, s.URL+path); path == "/limit" {
			assert.Equal(t, exitOK, explained.code, explained.stdout)
			assert.NotContains(t, got.stderr, "not stored")
			assert.Equal(t, exitOK, again.code)
			continue
		} else {
			assert.Equal(t, exitNotCached, again.code)
		}
		assert.Equal(t, exitCheck, explained.code)
		assert.Contains(t, explained.stdout, "The response would not be stored: "+tooLong+".  [Options.MaxEntryBytes]")
		assert.Contains(t, got.stderr, "\n  not stored, as the end of the body shows: "+tooLong+"\n")
	}
	var line gotJSON
	require.NoError(t, json.Unmarshal([]byte(p.run(t, "get", "--format", "json", "-o", os.DevNull, s.URL+"/more").stdout), &line))
	assert.Equal(t, tooLong, line.NotStored)
}

func TestExplainOfABodyThatBreaksOffFails(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "a beginning")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	got := plyRun{env: plyEnv(t)}.run(t, "explain", "--check", s.URL)
	assert.Equal(t, exitNetwork, got.code)
	assert.Contains(t, got.stderr, "the body broke off")
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A new store has no key yet for the hashes of credentials, and the process that explains a filled one has sent nothing: what ply explain says is what ply get then does.
func TestExplainAgreesWithGetOverEachStoreNewAndFilled(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", "Cookie, X-Api-Key")
		io.WriteString(w, "for "+r.Header.Get("Cookie"))
	})
	eachStore(t, func(t *testing.T, name string) {
		p := plyRun{env: plyEnv(t)}
		explain := func(cookie string) (x explained) {
			t.Helper()
			got := p.run(t, "explain", "--format", "json", "--cache", name, "-H", "Cookie: "+cookie, s.URL)
			require.Equal(t, exitOK, got.code, got.stderr)
			require.NoError(t, json.Unmarshal([]byte(got.stdout), &x))
			return x
		}
		get := func(cookie string) string {
			t.Helper()
			got := p.run(t, "get", "--format", "json", "--cache", name, "-H", "Cookie: "+cookie, s.URL)
			require.Equal(t, exitOK, got.code, got.stderr)
			var line gotJSON
			require.NoError(t, json.Unmarshal([]byte(got.stdout), &line))
			assert.Equal(t, "for "+cookie, *line.Body)
			return line.Cache
		}
		for _, cookie := range []string{"a=1", "a=2"} {
			x := explain(cookie)
			assert.Equal(t, []any{cache.ActionFetch, true, ""}, []any{x.Now.Action, x.Response.Stored, x.Response.Reason})
			assert.Equal(t, "miss", get(cookie))
		}
		for _, cookie := range []string{"a=1", "a=2"} {
			x := explain(cookie)
			assert.Equal(t, []any{cache.ActionServe, true}, []any{x.Now.Action, x.Response.Stored})
			assert.Equal(t, "hit", get(cookie))
		}
	})
}

func TestExplainReadsAnAnswerFromAFileOrStdin(t *testing.T) {
	const answer = "HTTP/2 200\ncache-control: private, max-age=600\nset-cookie: sid=hidden\n"
	p := plyRun{env: plyEnv(t), stdin: answer}
	got := p.run(t, "explain", "--response", "-", "https://h.test/a")
	require.Equal(t, exitOK, got.code, got.stderr)
	assert.Contains(t, got.stdout, "200, would be stored, fresh for 10m0s")
	assert.NotContains(t, got.stdout, "hidden")

	got = p.run(t, "--format", "json", "explain", "--shared", "--check", "--response", "-", "https://h.test/a")
	assert.Equal(t, exitCheck, got.code)
	var x explained
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &x))
	assert.Equal(t, []any{"shared", 200, false, "private", "RFC 9111 §5.2.2.7"}, []any{x.Cache, x.Status, x.Response.Stored, x.Response.Reason, x.Response.Source})

	p.stdin = "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n\r\nbody"
	got = p.run(t, "explain", "--expiry", "1h", "--response", "-", "https://h.test/a")
	assert.Contains(t, got.stdout, "fresh for 1h0m0s")
	assert.Contains(t, got.stdout, "[Options.Expiry]")
	assert.Contains(t, p.run(t, "explain", "--expiry", "never", "--response", "-", "https://h.test/a").stdout, "fresh for ever")
}

func TestExplainReadsAnArchiveAtTheTimeOfItsExchanges(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.har")
	require.NoError(t, os.WriteFile(file, []byte(archive), 0o600))
	got := runPly(t, "--format", "json", "explain", "--har", file, "https://h.test/app.js")
	require.Equal(t, exitOK, got.code, got.stderr)
	var x explained
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &x))
	require.NotNil(t, x.Response)
	assert.Equal(t, []any{true, time.Hour, "Expires"}, []any{x.Response.Stored, x.Response.FreshnessLifetime, x.Response.LifetimeFrom})
	assert.Less(t, x.Response.Age, 2*time.Second)
	assert.Equal(t, exitError, runPly(t, "explain", "--har", file, "https://h.test/other").code)
}

func TestExplainRefusesWhatItCannotDo(t *testing.T) {
	for _, args := range [][]string{
		{"explain"}, {"explain", "--expiry", "soon", "https://h.test"}, {"explain", "--key", "magic", "https://h.test"}, {"explain", "-X", "DELETE", "https://h.test"},
		{"explain", "-H", "no colon", "https://h.test"}, {"explain", "--cache", "none", "https://h.test"}, {"lint"}, {"lint", "--fail-on", "x", "https://h.test"},
	} {
		got := runPly(t, args...)
		assert.Equal(t, exitUsage, got.code, "%v: %s", args, got.stderr)
	}
}

// archive has an exchange as browsers record it: HTTP/2's fields in lower case, content without text, and one that got no answer.
const archive = `{"log": {"version": "1.2", "creator": {"name": "b", "version": "1"}, "entries": [
 {"startedDateTime": "2020-01-01T12:00:00.000Z", "time": 500,
  "request": {"method": "GET", "url": "https://h.test/app.js", "httpVersion": "h2", "headers": [{"name": ":authority", "value": "h.test"}, {"name": "accept-encoding", "value": "gzip"}], "queryString": [], "cookies": [], "headersSize": -1, "bodySize": 0},
  "response": {"status": 200, "statusText": "", "httpVersion": "h2", "headers": [{"name": "date", "value": "Wed, 01 Jan 2020 12:00:00 GMT"}, {"name": "expires", "value": "Wed, 01 Jan 2020 13:00:00 GMT"}, {"name": "content-encoding", "value": "gzip"}],
   "cookies": [], "content": {"size": 5, "mimeType": "text/javascript"}, "redirectURL": "", "headersSize": -1, "bodySize": 5}, "cache": {}, "timings": {"send": 0, "wait": 0, "receive": 0}},
 {"startedDateTime": "2020-01-01T12:00:00.000Z", "time": 0,
  "request": {"method": "GET", "url": "https://h.test/b", "httpVersion": "h2", "headers": [], "queryString": [], "cookies": [], "headersSize": -1, "bodySize": 0},
  "response": {"status": 0, "statusText": "", "httpVersion": "", "headers": [], "cookies": [], "content": {"size": 0, "mimeType": ""}, "redirectURL": "", "headersSize": -1, "bodySize": 0}, "cache": {}, "timings": {"send": 0, "wait": 0, "receive": 0}}
]}}`

func TestLintOfAnArchiveLooksAtWhatCameOverTheWire(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.har")
	require.NoError(t, os.WriteFile(file, []byte(archive), 0o600))
	got := runPly(t, "lint", "--har", file)
	assert.Equal(t, exitCheck, got.code, got.stderr)
	assert.Contains(t, got.stdout, "error encoding-without-vary")
	assert.Contains(t, got.stdout, "warning no-validator")
	assert.Contains(t, got.stdout, "1 error, 1 warning, 0 notes in 1 exchange")
}

// An origin as old versions of Apache are, with gzip: found by the live probes alone.
func TestLintProbesCodingsConditionsAndHEAD(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "max-age=60")
		h.Set("Vary", "Accept-Encoding, Origin")
		h.Set("ETag", `"1"`)
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			h.Set("ETag", `"1-gzip"`)
			h.Set("Content-Encoding", "gzip")
		}
		if r.Method == http.MethodHead {
			h.Set("ETag", `"head"`)
		}
		if r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
		}
	})
	got := runPly(t, "--format", "json", "lint", s.URL)
	assert.Equal(t, exitCheck, got.code, got.stderr)
	var names []string
	for line := range strings.Lines(got.stdout) {
		var f struct{ Rule string }
		require.NoError(t, json.Unmarshal([]byte(line), &f))
		names = append(names, f.Rule)
	}
	assert.Equal(t, []string{"head-differs", "condition-ignored"}, names)
	assert.Equal(t, exitOK, runPly(t, "lint", "--fail-on", "error", s.URL).code)
}

func TestLintOfAGoodOriginFindsNothing(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		http.ServeContent(w, r, "a.txt", time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), strings.NewReader("hello"))
	})
	got := runPly(t, "lint", s.URL)
	assert.Equal(t, result{stdout: "0 errors, 0 warnings, 0 notes in 6 exchanges\n"}, got)
	assert.Contains(t, runPly(t, "lint", "--rules").stdout, "[RFC 9111 §5.2.2.5]")
}
