//go:build unix

package cli

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// slowServer serves content, and holds each body back after half of it until the test says so.
type slowServer struct {
	mu       sync.Mutex
	content  []byte
	hold     bool
	ranges   []string
	halfSent chan struct{} // a body has been held back
}

func (s *slowServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	content, hold := s.content, s.hold
	s.ranges = append(s.ranges, r.Header.Get("Range"))
	s.mu.Unlock()
	w.Header().Set("Etag", fmt.Sprintf(`"%x"`, sha256.Sum256(content)))
	if hold {
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		w.Write(content[:len(content)/2])
		w.(http.Flusher).Flush()
		s.halfSent <- struct{}{}
		<-r.Context().Done()
		return
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// partOf waits until the part in dir has n bytes.
func partOf(t *testing.T, dir string, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		parts, _ := filepath.Glob(filepath.Join(dir, ".ply-*.part"))
		if len(parts) != 1 {
			return false
		}
		info, err := os.Stat(parts[0])
		return err == nil && info.Size() == int64(n)
	}, 30*time.Second, 5*time.Millisecond)
}

func TestDownloadThatASignalEndedIsContinuedByTheSameCommand(t *testing.T) {
	for _, c := range []struct {
		name   string
		signal syscall.Signal
		code   int
		change bool
	}{
		{"kill -9", syscall.SIGKILL, -1, false},
		{"SIGINT", syscall.SIGINT, exitInterrupted, false},
		{"SIGTERM", syscall.SIGTERM, exitInterrupted, false},
		{"kill -9, and the content changes", syscall.SIGKILL, -1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			const size = 12 << 20 // more than the cache keeps
			s := &slowServer{content: bytes.Repeat([]byte("0123456789abcdef"), size/16), hold: true, halfSent: make(chan struct{}, 10)}
			url := serve(t, s.ServeHTTP).URL + "/image.iso"
			p := plyRun{env: plyEnv(t), dir: t.TempDir()}

			var stderr bytes.Buffer
			cmd := p.command(t.Context(), t, "get", "-O", url)
			cmd.Stderr = &stderr
			require.NoError(t, cmd.Start())
			<-s.halfSent
			partOf(t, p.dir, size/2)
			require.NoError(t, cmd.Process.Signal(c.signal))
			cmd.Wait()
			assert.Equal(t, c.code, cmd.ProcessState.ExitCode())
			if c.signal != syscall.SIGKILL {
				assert.Equal(t, "ply: interrupted\n", stderr.String())
			}
			require.NoFileExists(t, filepath.Join(p.dir, "image.iso"))

			s.mu.Lock()
			s.hold = false
			if c.change {
				s.content = bytes.Repeat([]byte("fedcba9876543210"), size/16)
			}
			s.mu.Unlock()
			assert.Equal(t, result{}, p.run(t, "get", "-O", url))
			s.mu.Lock()
			assert.Equal(t, []string{"", fmt.Sprintf("bytes=%d-", size/2-4096)}, s.ranges)
			s.mu.Unlock()
			data, err := os.ReadFile(filepath.Join(p.dir, "image.iso"))
			require.NoError(t, err)
			assert.True(t, bytes.Equal(s.content, data))
			left, err := os.ReadDir(p.dir)
			require.NoError(t, err)
			assert.Len(t, left, 1, "%v", left)
		})
	}
}

func TestGetIsQuietWhenTheReaderOfAPipeHasGone(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for range 4096 {
			w.Write(bytes.Repeat([]byte("line\n"), 1000))
		}
	})
	r, w, err := os.Pipe()
	require.NoError(t, err)
	var stderr bytes.Buffer
	cmd := plyRun{}.command(t.Context(), t, "get", s.URL)
	cmd.Stdout, cmd.Stderr = w, &stderr
	require.NoError(t, cmd.Start())
	w.Close()
	_, err = r.Read(make([]byte, 10))
	require.NoError(t, err)
	r.Close()
	require.NoError(t, cmd.Wait())
	assert.Empty(t, stderr.String())
}

func TestGetReportsAnOutputThatFails(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no /dev/full")
	}
	defer full.Close()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(strings.Repeat("x", 100_000))) })
	var stderr bytes.Buffer
	cmd := plyRun{}.command(t.Context(), t, "get", s.URL)
	cmd.Stdout, cmd.Stderr = full, &stderr
	cmd.Run()
	assert.Equal(t, exitError, cmd.ProcessState.ExitCode())
	assert.Equal(t, "ply: the output cannot be written: write /dev/stdout: no space left on device\n", stderr.String())
}

func TestGetWritesToADeviceOrAPipeAsTheBodyComes(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("hello\n")) })
	p := plyRun{env: plyEnv(t), dir: t.TempDir()}
	assert.Equal(t, result{}, p.run(t, "get", "-o", os.DevNull, s.URL))
	pipe := filepath.Join(p.dir, "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	read := make(chan string, 1)
	go func() {
		data, _ := os.ReadFile(pipe)
		read <- string(data)
	}()
	assert.Equal(t, result{}, p.run(t, "get", "-o", pipe, s.URL))
	assert.Equal(t, "hello\n", <-read)
	info, err := os.Lstat(pipe)
	require.NoError(t, err)
	assert.NotZero(t, info.Mode()&os.ModeNamedPipe, "the pipe stays")
	assert.Equal(t, exitError, p.run(t, "get", "-o", p.dir, s.URL).code)
}
