//go:build unix

// Package testserver runs a real server for a test, and does to it what happens to servers.
//
//	testserver.go     the process, its port, and its ends
//	attributes_*.go   that it dies with the test
//	npm.go            packages of npm that a test needs
package testserver

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/plyhttp/ply/internal/testutil"
)

// Server is a server on a port of 127.0.0.1. It ends with its test, and with the test binary.
type Server struct {
	Addr string // host:port

	tb   testing.TB
	path string
	args []string
	cmd  *exec.Cmd
	log  string // the file with what it says
}

// Find returns the path of the first program that is on the machine. Without one the test is skipped, or fails if CI is set.
func Find(tb testing.TB, names ...string) (path string) {
	tb.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	testutil.SkipUnlessCI(tb, fmt.Sprintf("there is no %s; install it with: apt-get install %[1]s", names[0]))
	return ""
}

// New returns a server that does not run yet. args returns its arguments for a port.
func New(tb testing.TB, path string, args func(port int) []string) *Server {
	tb.Helper()
	port := FreePort(tb)
	s := &Server{tb: tb, path: path, Addr: fmt.Sprintf("127.0.0.1:%d", port), args: args(port), log: filepath.Join(tb.TempDir(), "log")}
	tb.Cleanup(s.Kill)
	return s
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
	out, err := os.Create(s.log)
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
			text, _ := os.ReadFile(s.log)
			s.tb.Fatalf("%s does not come up:\n%s", s.path, text)
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
	if s.cmd.ProcessState.ExitCode() > 0 {
		text, _ := os.ReadFile(s.log)
		s.tb.Errorf("%s has ended by itself: %v\n%s", s.path, s.cmd.ProcessState, text)
	}
	s.cmd = nil
}

// Pause stops the server where it is: the kernel accepts connections and bytes for it, and it answers nothing. It returns when all threads have stopped.
func (s *Server) Pause() {
	s.tb.Helper()
	s.signal(syscall.SIGSTOP)
	for {
		var status syscall.WaitStatus
		switch _, err := syscall.Wait4(s.cmd.Process.Pid, &status, syscall.WUNTRACED, nil); {
		case err == syscall.EINTR:
			continue
		case err != nil || !status.Stopped():
			s.tb.Fatalf("%s has not stopped: %v", s.path, err)
		}
		return
	}
}

// Resume lets it go on.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.tb.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.tb.Fatal(err)
	}
}
