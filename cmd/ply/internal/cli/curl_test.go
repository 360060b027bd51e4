package cli

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCurlCommandSendsTheSameRequest(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		testutil.SkipUnlessCI(t, "curl is not installed")
	}
	type request struct {
		method, target, body string
		header               http.Header
	}
	requests := make(chan request, 1)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/redirect" {
			http.Redirect(w, r, "/there", http.StatusFound)
			return
		}
		body, _ := io.ReadAll(r.Body)
		r.Header.Del("Accept-Encoding") // both decode; which codings they know differs
		r.Header.Del("Accept")          // curl sends */* where there is none
		requests <- request{r.Method, r.URL.RequestURI(), string(body), r.Header}
	})
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a file"), []byte("from 'a' file\n"), 0o600))
	p := plyRun{env: plyEnv(t, "TOKEN=canary"), dir: dir}
	for _, args := range [][]string{
		{s.URL + "/a?b=c%20d&e='f'"},
		{s.URL + "/redirect"},
		{"-d", "x='y' &$z\n", s.URL},
		{"-d", "@a file", s.URL},
		{"--json", `{"a":"b"}`, "-X", "PATCH", s.URL},
		{"-H", "X-Quote: it's $HOME", "-H", "X-Empty:", s.URL},
		{"--bearer", "env:TOKEN", s.URL},
		{"-I", s.URL},
		{"-X", "POST", s.URL},
		{"-d", "", s.URL},
		{"-X", "PUT", "-H", "Content-Type: text/plain", s.URL},
		{"-X", "DELETE", s.URL},
	} {
		require.Zero(t, p.run(t, append([]string{"get"}, args...)...).code)
		sent := <-requests
		got := p.run(t, append([]string{"get", "--curl", "--show-secrets"}, args...)...)
		require.Equal(t, exitOK, got.code, got.stderr)
		cmd := exec.CommandContext(t.Context(), "sh", "-c", got.stdout)
		cmd.Dir, cmd.Env = dir, []string{"PATH=" + filepath.Dir(curl) + ":" + os.Getenv("PATH"), "HOME=" + dir}
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s%s", got.stdout, out)
		assert.Equal(t, sent, <-requests, got.stdout)
	}
}

func TestCurlCommandHidesSecretsAndSendsNothing(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") })
	p := plyRun{env: plyEnv(t, "TOKEN=canary")}
	got := p.run(t, "get", "--curl", "--bearer", "env:TOKEN", s.URL+"/?token=canary")
	assert.Equal(t, result{stdout: "curl --compressed --location --max-redirs 10 --referer ';auto' -H 'Authorization: REDACTED' -H 'User-Agent: ply' '" + s.URL + "/?token=REDACTED'\n"}, got)
}
