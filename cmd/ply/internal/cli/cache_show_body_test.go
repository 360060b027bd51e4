package cli

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A stored body is shown decoded and without secrets, and as what it is where it is no text. --raw has the bytes that are stored.
func TestCacheShowDecodesMasksAndBoundsBodies(t *testing.T) {
	long := strings.Repeat("é", 100)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/zip":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			io.WriteString(z, `{"a":1,"password":"canary"}`)
			z.Close()
		case "/binary":
			io.WriteString(w, "a\x00b")
		case "/damaged":
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Content-Length", "3")
			io.WriteString(w, "abc")
		default:
			io.WriteString(w, long)
		}
	})
	dir := t.TempDir()
	p := plyRun{env: plyEnv(t)}
	for _, path := range []string{"/zip", "/binary", "/long", "/damaged"} {
		p.run(t, "get", "--cache", dir, s.URL+path)
	}
	for _, test := range []struct{ path, body, text, json string }{
		{"/zip", "4096", "\n" + `{"a":1,"password":"REDACTED"}` + "\n", `{"Text":"{\"a\":1,\"password\":\"REDACTED\"}"}`},
		{"/binary", "4096", "\n(not text: --raw writes it)\n", `{"Base64":"YQBi"}`},
		{"/long", "5", "\néé\n(and more: --body says how much is shown, --raw writes all of it)\n", `{"Text":"éé","Truncated":true}`},
		{"/long", "200", "\n" + long + "\n", `{"Text":"` + long + `"}`},
		{"/long", "0", "", "null"},
	} {
		shown := p.run(t, "cache", "show", dir, s.URL+test.path, "--body", test.body)
		require.Equal(t, exitOK, shown.code, shown.stderr)
		_, body, _ := strings.Cut(shown.stdout, "\n\n")
		_, body, _ = strings.Cut(body, "GMT\n") // Date is the last field
		assert.Empty(t, cmp.Diff(test.text, body), test.path)
		var form, want struct{ Body any }
		require.NoError(t, json.Unmarshal([]byte(p.run(t, "cache", "show", dir, s.URL+test.path, "--body", test.body, "--format", "json").stdout), &form))
		require.NoError(t, json.Unmarshal([]byte(test.json), &want.Body))
		assert.Empty(t, cmp.Diff(want, form), test.path)
	}
	assert.True(t, strings.HasPrefix(p.run(t, "cache", "show", dir, s.URL+"/zip", "--raw").stdout, "\x1f\x8b"), "the bytes that are stored")
	damaged := p.run(t, "cache", "show", dir, s.URL+"/damaged")
	assert.Equal(t, exitOK, damaged.code, damaged.stderr)
	assert.Contains(t, damaged.stdout, "(cannot be decoded: decode: gzip: unexpected EOF; --raw writes it)")
}
