package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/plytest/tape"
)

var testTime = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

// builtPly is the ply program itself: a replay needs a process that is no test.
func builtPly(t *testing.T) func(args ...string) result {
	t.Helper()
	program := filepath.Join(t.TempDir(), "ply.exe")
	out, err := exec.Command("go", "build", "-o", program, "../..").CombinedOutput()
	require.NoError(t, err, string(out))
	return func(args ...string) result {
		var stdout, stderr strings.Builder
		cmd := exec.Command(program, args...)
		cmd.Env, cmd.Stdout, cmd.Stderr = plyEnv(t)[1:], &stdout, &stderr
		cmd.Run()
		return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
	}
}

// writeArchive writes an archive of n requests for one page, ten seconds apart, each answered after 200 ms and fresh for a minute.
func writeArchive(t *testing.T, n int) string {
	t.Helper()
	var entries []string
	for i := range n {
		at := testTime.Add(time.Duration(i) * 10 * time.Second)
		entries = append(entries, fmt.Sprintf(`{"startedDateTime":%q,"time":200,
"request":{"method":"GET","url":"https://api.example.com/users","httpVersion":"HTTP/1.1","cookies":[],"headers":[],"queryString":[],"headersSize":-1,"bodySize":0},
"response":{"status":200,"statusText":"OK","httpVersion":"HTTP/1.1","cookies":[],"headers":[{"name":"Cache-Control","value":"max-age=60"},{"name":"Date","value":%q}],
"content":{"size":2,"mimeType":"text/plain","text":"hi"},"redirectURL":"","headersSize":-1,"bodySize":2},"cache":{},"timings":{"send":0,"wait":200,"receive":0}}`,
			at.Format(time.RFC3339Nano), at.Format("Mon, 02 Jan 2006 15:04:05 GMT")))
	}
	path := filepath.Join(t.TempDir(), "week.har")
	text := `{"log":{"version":"1.2","creator":{"name":"t","version":"1"},"entries":[` + strings.Join(entries, ",") + `]}}`
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestReplayShowsWhatEachPolicyWouldHaveCost(t *testing.T) {
	ply := builtPly(t)
	path := writeArchive(t, 61)
	got := ply("replay", path, "--policy", "none", "--policy", "cache", "-p", "cache,fresh=24h", "--format", "json")
	require.Equal(t, 0, got.code, got.stderr)
	var reports []map[string]any
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &reports), got.stdout)
	require.Len(t, reports, 3)
	for i, want := range []float64{61, 11, 1} {
		assert.EqualValues(t, want, reports[i]["origin_requests"], reports[i])
	}
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	recorded, err := tape.FromHAR(f)
	require.NoError(t, err)
	saved := filepath.Join(t.TempDir(), "week.tape")
	require.NoError(t, recorded.Save(saved))
	again := ply("replay", saved, "--policy", "none", "--policy", "cache", "-p", "cache,fresh=24h", "--format", "json")
	assert.Equal(t, got, again, "a tape says the same")

	text := ply("replay", path)
	assert.Equal(t, 0, text.code)
	assert.Contains(t, text.stdout, "cache,retry=3")
}

func TestReplaySaysWhatIsWrongWithAFileOrAPolicy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.har")
	require.NoError(t, os.WriteFile(path, []byte(`{"log":`), 0o600))
	assert.Equal(t, exitError, runPly(t, "replay", path).code)
	assert.Equal(t, exitError, runPly(t, "replay", "no-such-file").code)
	assert.Equal(t, exitUsage, runPly(t, "replay").code)
	got := runPly(t, "replay", path, "-p", "cache,retyr=3")
	assert.Equal(t, exitUsage, got.code)
	assert.Contains(t, got.stderr, "\n  cache,retyr=3\n        ^\n")
}
