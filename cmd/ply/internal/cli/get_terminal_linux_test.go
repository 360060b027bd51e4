package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// onTerminal runs a ply command whose streams are a terminal, and returns what that got and the exit code.
func onTerminal(t *testing.T, p plyRun, args ...string) (string, int) {
	t.Helper()
	cmd := p.command(t.Context(), t, args...)
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 25, Cols: 100})
	require.NoError(t, err)
	defer terminal.Close()
	var screen bytes.Buffer
	io.Copy(&screen, terminal) // ends with an error once the process has
	cmd.Wait()
	return screen.String(), cmd.ProcessState.ExitCode()
}

func TestTerminalNeverGetsWhatAServerSentRaw(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/binary":
			w.Header().Set("Content-Type", "image/png")
			w.Write([]byte("\x89PNG\x1b[2J"))
		case "/404":
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, "\x1b[2Jgone\n")
		default:
			w.Header()["X-Evil"] = []string{"a\u009b31mred\u202e"}
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			io.WriteString(w, "text ä\n\x1b]0;title\x07 \x1b[2J\n")
		}
	})
	screen, code := onTerminal(t, plyRun{}, "get", "-i", "-v", "--color", "never", s.URL+"/text")
	assert.Equal(t, exitOK, code)
	assert.Contains(t, screen, `text ä`)
	assert.Contains(t, screen, `\x1b]0;title\x07 \x1b[2J`)
	assert.Contains(t, screen, `X-Evil: a\x9b31mred\u202e`)
	assert.NotContains(t, screen, "\x1b")
	assert.NotContains(t, screen, "\u009b")

	screen, code = onTerminal(t, plyRun{}, "get", "--format", "json", s.URL+"/text")
	assert.Equal(t, exitOK, code)
	assert.NotContains(t, screen, "\x1b")
	assert.NotContains(t, screen, "\u009b")
	assert.NotContains(t, screen, "\u202e")
	var line gotJSON
	require.NoError(t, json.Unmarshal([]byte(screen), &line), screen)
	assert.Equal(t, "a\u009b31mred\u202e", line.Header.Get("X-Evil"), "it is the same for a program")

	screen, code = onTerminal(t, plyRun{}, "get", "--color", "never", s.URL+"/binary")
	assert.Equal(t, exitError, code)
	assert.NotContains(t, screen, "PNG")
	assert.Contains(t, screen, "-o FILE")

	screen, code = onTerminal(t, plyRun{}, "get", "-o", "-", s.URL+"/binary")
	assert.Equal(t, exitOK, code)
	assert.Equal(t, "\x89PNG\x1b[2J", screen, "-o - writes each byte")

	screen, code = onTerminal(t, plyRun{}, "get", "--color", "never", "--fail", s.URL+"/404")
	assert.Equal(t, exitStatus4xx, code)
	assert.NotContains(t, screen, "\x1b")
	assert.Contains(t, screen, "404 Not Found")
}

func TestColoursAppearOnATerminalAndNotInAPipe(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	screen, _ := onTerminal(t, plyRun{}, "get", "-I", s.URL)
	assert.Contains(t, screen, "\x1b[1m200 OK\x1b[0m")
	screen, _ = onTerminal(t, plyRun{env: plyEnv(t, "NO_COLOR=1")}, "get", "-I", s.URL)
	assert.NotContains(t, screen, "\x1b")
	assert.NotContains(t, runPly(t, "get", "-I", s.URL).stdout, "\x1b")
	assert.Contains(t, runPly(t, "get", "-I", "--color", "always", s.URL).stdout, "\x1b[1m200 OK\x1b[0m")
}

func TestProgressBarIsOnATerminalAlone(t *testing.T) {
	content := bytes.Repeat([]byte("x"), 3<<20)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"a"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	})
	p := plyRun{env: plyEnv(t), dir: t.TempDir()}
	screen, code := onTerminal(t, p, "get", "-O", s.URL+"/large.bin")
	assert.Equal(t, exitOK, code)
	assert.Contains(t, screen, "large.bin")
	assert.Contains(t, screen, "3.0 MiB / 3.0 MiB")
	data, err := os.ReadFile(filepath.Join(p.dir, "large.bin"))
	require.NoError(t, err)
	assert.Len(t, data, len(content))
	screen, _ = onTerminal(t, p, "get", "--no-progress", "-O", s.URL+"/large.bin")
	assert.Empty(t, screen)
	assert.Equal(t, result{}, p.run(t, "get", "-O", s.URL+"/large.bin"))
	p.env = append(p.env, "TERM=dumb")
	screen, _ = onTerminal(t, p, "get", "-O", s.URL+"/large.bin")
	assert.Empty(t, screen, "the cursor of this terminal cannot go back")
}

func TestPasswordIsAskedForWithoutEcho(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user == "me" && password == "canary" {
			io.WriteString(w, "welcome\n")
		}
	})
	cmd := plyRun{}.command(t.Context(), t, "get", "--user", "me", s.URL)
	terminal, err := pty.Start(cmd)
	require.NoError(t, err)
	defer terminal.Close()
	var screen bytes.Buffer
	b := make([]byte, 256)
	for !bytes.Contains(screen.Bytes(), []byte("password: ")) {
		n, err := terminal.Read(b)
		require.NoError(t, err, screen.String())
		screen.Write(b[:n])
	}
	// The prompt comes before the terminal stops its echo; the process reads what was typed after that.
	require.Eventually(t, func() bool { return !echoes(t, terminal) }, 10*time.Second, time.Millisecond)
	_, err = io.WriteString(terminal, "canary\n")
	require.NoError(t, err)
	io.Copy(&screen, terminal)
	require.NoError(t, cmd.Wait())
	assert.Contains(t, screen.String(), "welcome")
	assert.NotContains(t, screen.String(), "canary")
}

func TestInterruptEndsAQuestionAndLeavesTheEchoOn(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Cache-Control", "max-age=60") })
	p := plyRun{env: plyEnv(t), dir: t.TempDir()}
	require.Zero(t, p.run(t, "get", "--cache", "store", s.URL).code)
	for question, args := range map[string][]string{
		"password: ":                  {"get", "--user", "me", s.URL},
		"Remove all 1 entries? [y/N]": {"cache", "clear", "store"},
	} {
		cmd := p.command(t.Context(), t, args...)
		terminal, err := pty.Start(cmd)
		require.NoError(t, err)
		defer terminal.Close()
		var screen bytes.Buffer
		b := make([]byte, 256)
		for !bytes.Contains(screen.Bytes(), []byte(question)) {
			n, err := terminal.Read(b)
			require.NoError(t, err, screen.String())
			screen.Write(b[:n])
		}
		if question == "password: " {
			require.Eventually(t, func() bool { return !echoes(t, terminal) }, 10*time.Second, time.Millisecond)
		}
		_, err = io.WriteString(terminal, "\x03") // Ctrl-C
		require.NoError(t, err)
		io.Copy(&screen, terminal)
		cmd.Wait()
		assert.Equal(t, exitInterrupted, cmd.ProcessState.ExitCode(), screen.String())
		assert.True(t, echoes(t, terminal), question)
	}
	assert.Contains(t, p.run(t, "cache", "ls", "store").stdout, s.URL, "nothing was removed")
}

func TestInterruptEndsAProgressBarInOrder(t *testing.T) {
	s := &slowServer{content: bytes.Repeat([]byte("x"), 12<<20), hold: true, halfSent: make(chan struct{}, 1)}
	p := plyRun{env: plyEnv(t), dir: t.TempDir()}
	cmd := p.command(t.Context(), t, "get", "-O", serve(t, s.ServeHTTP).URL+"/large.bin")
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 25, Cols: 100})
	require.NoError(t, err)
	defer terminal.Close()
	go func() {
		<-s.halfSent
		io.WriteString(terminal, "\x03") // Ctrl-C
	}()
	var screen bytes.Buffer
	io.Copy(&screen, terminal)
	cmd.Wait()
	assert.Equal(t, exitInterrupted, cmd.ProcessState.ExitCode(), screen.String())
	assert.Contains(t, screen.String(), "interrupted")
}
