package cli

import (
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestExitCodesSayWhatWentWrong(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		status, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		if err != nil { // a body that breaks off
			w.Header().Set("Content-Length", "10")
			status = http.StatusOK
		}
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
		{"no URL", []string{"get"}, exitUsage},
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
