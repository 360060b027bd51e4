//go:build unix

// Package server runs a real redis-server for a test, and does to it what happens to servers.
package server

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Server is a redis-server on a port of 127.0.0.1 that ends with its test.
type Server struct {
	Addr string // host:port

	tb   testing.TB
	path string
	args []string
	cmd  *exec.Cmd
}

// Start starts a server that keeps nothing on disk, with further arguments of redis-server. Without one on the machine the test is skipped, or fails if CI is set.
func Start(tb testing.TB, args ...string) *Server {
	tb.Helper()
	s := New(tb, args...)
	s.Start()
	return s
}

// New returns a server that does not run yet.
func New(tb testing.TB, args ...string) *Server {
	tb.Helper()
	path := find(tb)
	port := FreePort(tb)
	s := &Server{tb: tb, path: path, Addr: fmt.Sprintf("127.0.0.1:%d", port)}
	s.args = append([]string{"--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		"--dir", tb.TempDir(), "--maxmemory", "256mb", "--loglevel", "warning"}, args...)
	tb.Cleanup(s.Kill)
	return s
}

func find(tb testing.TB) string {
	tb.Helper()
	for _, name := range []string{"redis-server", "valkey-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const hint = "there is no redis-server; install it with: apt-get install redis-server"
	if os.Getenv("CI") != "" {
		tb.Fatal(hint)
	}
	tb.Skip(hint)
	return ""
}

// FreePort returns a port that was free a moment ago.
func FreePort(tb testing.TB) int {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// Start starts the server, on the same port each time, and returns when it accepts connections.
func (s *Server) Start() {
	s.tb.Helper()
	s.cmd = exec.Command(s.path, s.args...)
	s.cmd.SysProcAttr = attributes()
	log := filepath.Join(s.tb.TempDir(), "log")
	out, err := os.Create(log)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer out.Close()
	s.cmd.Stdout, s.cmd.Stderr = out, out
	if err := s.cmd.Start(); err != nil {
		s.tb.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		if conn, err := net.DialTimeout("tcp", s.Addr, time.Second); err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(log)
			s.tb.Fatalf("redis-server does not come up:\n%s", text)
		}
		wait(2 * time.Millisecond)
	}
}

// wait waits for another process, which nothing announces.
func wait(d time.Duration) { <-time.After(d) }

// Kill ends the server at once. It can be started again.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Kill()
	s.cmd.Wait()
	s.cmd = nil
}

// Pause stops the server where it is: it accepts connections and bytes, and answers nothing.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume lets it go on.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.tb.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.tb.Fatal(err)
	}
}

// Sentinel starts a sentinel with a configuration file, which it will rewrite.
func Sentinel(tb testing.TB, config string) *Server {
	tb.Helper()
	s := &Server{tb: tb, path: find(tb)}
	port := FreePort(tb)
	s.Addr = fmt.Sprintf("127.0.0.1:%d", port)
	s.args = []string{config, "--sentinel", "--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--dir", tb.TempDir()}
	tb.Cleanup(s.Kill)
	s.Start()
	return s
}
