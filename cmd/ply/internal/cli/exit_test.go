package cli

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestExitCodesSayWhatWentWrong(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		status, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		if r.URL.Path == "/reset" {
			w.Header().Set("Content-Length", "10")
			w.(http.Flusher).Flush()
			conn, _, err := w.(http.Hijacker).Hijack()
			assert.NoError(t, err)
			conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
			return
		}
		if err != nil { // a body that breaks off
			w.Header().Set("Content-Length", "10")
			status = http.StatusOK
		}
		w.Header().Set("Location", "/204")
		w.WriteHeader(status)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := "http://" + l.Addr().String()
	l.Close()
	for _, c := range []struct {
		name string
		args []string
		want int
	}{
		{"a 204", []string{"get", s.URL + "/204"}, exitOK},
		{"a 404", []string{"get", s.URL + "/404"}, exitStatus4xx},
		{"a 501", []string{"get", s.URL + "/501"}, exitStatus5xx},
		{"a body that breaks off", []string{"get", "--retries", "0", s.URL + "/cut"}, exitNetwork},
		{"no server", []string{"get", "--retries", "0", closed}, exitNetwork},
		{"no such name", []string{"get", "--retries", "0", "http://name.invalid"}, exitNetwork},
		{"nothing in the cache", []string{"get", "--offline", s.URL + "/200"}, exitNotCached},
		{"explain without a server", []string{"explain", closed}, exitNetwork},
		{"lint without a server", []string{"lint", closed}, exitNetwork},
		{"a redirect for a file", []string{"get", "--max-redirects", "0", "-o", filepath.Join(t.TempDir(), "file"), s.URL + "/302"}, exitError},
		{"a part of a file, unasked", []string{"get", "-o", filepath.Join(t.TempDir(), "file"), s.URL + "/206"}, exitError},
		{"a redirect that is shown", []string{"get", "--max-redirects", "0", s.URL + "/302"}, exitOK},
		{"a download that breaks off", []string{"get", "--retries", "0", "-o", filepath.Join(t.TempDir(), "file"), s.URL + "/cut"}, exitNetwork},
		{"a download that the server resets", []string{"get", "--retries", "0", "-o", filepath.Join(t.TempDir(), "file"), s.URL + "/reset"}, exitNetwork},
		{"a download into a directory that is not there", []string{"get", "-o", "/no/such/dir/file", s.URL + "/200"}, exitError},
		{"an archive that cannot be written", []string{"get", "--har", "/no/such/dir/file", s.URL + "/reset"}, exitError},
		{"no URL", []string{"get"}, exitUsage},
		{"flags that exclude each other", []string{"get", "-O", "-o", "file", s.URL}, exitUsage},
		{"a header field with a line break", []string{"get", "-H", "A: b\nC: d", s.URL}, exitUsage},
		{"a header field with a space in its name", []string{"get", "-H", "A B: c", s.URL}, exitUsage},
		{"a method that is none", []string{"get", "-X", "A B", s.URL}, exitUsage},
		{"stdin twice", []string{"get", "-d", "-", "-d", "@-", s.URL}, exitUsage},
		{"help about nothing that there is", []string{"help", "git"}, exitUsage},
		{"help about no command below one", []string{"help", "cache", "git"}, exitUsage},
		{"help about a command below one", []string{"help", "cache", "ls"}, exitOK},
		{"completion for no shell that there is", []string{"completion", "dosh"}, exitUsage},
		{"an unknown flag", []string{"get", "--wrong", s.URL}, exitUsage},
		{"an unknown command", []string{"git", s.URL}, exitUsage},
		{"a bad value of a shared flag", []string{"get", "--format", "xml", s.URL}, exitUsage},
		{"a store that cannot be opened", []string{"get", "--cache", "/dev/null/x", s.URL}, exitError},
		{"help", []string{"get", "--help"}, exitOK},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := runPly(t, c.args...)
			assert.Equal(t, c.want, got.code, got.stderr)
		})
	}
}

// A server that closes its connection under an upload is no reader of the output that has gone.
func TestBrokenPipeOfAConnectionIsAnErrorOfTheNetwork(t *testing.T) {
	closed := &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.EPIPE)}
	err := fmt.Errorf("ply: %w", &url.Error{Op: "Post", URL: "http://example.com", Err: closed})
	assert.False(t, isBrokenPipe(err))
	assert.Equal(t, exitNetwork, exitCode(err))
	assert.True(t, isBrokenPipe(&outputError{&os.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.EPIPE}}))
	assert.Equal(t, exitInterrupted, exitCode(context.Canceled))
}
