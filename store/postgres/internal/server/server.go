//go:build unix

// Package server runs a real PostgreSQL for a test, and does to it what happens to servers.
package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/plyhttp/ply/internal/testutil"
)

// Server is a PostgreSQL on a port of 127.0.0.1 that ends with its test, or with the test binary.
type Server struct {
	Addr string // host:port

	dir  string
	port int
	args []string
	mu   sync.Mutex // guards cmd
	cmd  *exec.Cmd
}

// URL returns the address of a database.
func (s *Server) URL() string { return URL(s.Addr) }

// URL returns the address of the database of a server that is behind addr.
func URL(addr string) string { return "postgres://postgres@" + addr + "/postgres?sslmode=disable" }

var (
	shared   *Server
	template string // a directory in which initdb has been
	mu       sync.Mutex
)

// Shared returns the server that all tests share which do it no harm.
func Shared(tb testing.TB) *Server {
	tb.Helper()
	find(tb)
	mu.Lock()
	defer mu.Unlock()
	if shared == nil {
		s, err := newServer()
		if err == nil {
			err = s.Run()
		}
		if err != nil {
			tb.Fatal(err)
		}
		shared = s
	}
	return shared
}

// Start starts a server for one test, with further settings such as "max_connections=5".
// Without PostgreSQL on the machine the test is skipped, or fails if CI is set.
func Start(tb testing.TB, settings ...string) *Server {
	tb.Helper()
	find(tb)
	mu.Lock()
	s, err := newServer()
	mu.Unlock()
	if err != nil {
		tb.Fatal(err)
	}
	for _, setting := range settings {
		s.args = append(s.args, "-c", setting)
	}
	tb.Cleanup(s.end)
	if err := s.Run(); err != nil {
		tb.Fatal(err)
	}
	return s
}

// Cleanup ends what the tests have shared. TestMain calls it.
func Cleanup() {
	mu.Lock()
	defer mu.Unlock()
	if shared != nil {
		shared.end()
	}
	if template != "" {
		os.RemoveAll(template)
	}
}

func find(tb testing.TB) {
	tb.Helper()
	if _, err := program("postgres"); err != nil {
		testutil.SkipUnlessCI(tb, err.Error())
	}
}

// program returns the path of one of PostgreSQL's programs. Debian has them outside of PATH.
func program(name string) (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(found) > 0 {
		return slices.Max(found), nil
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", errors.New("there is no PostgreSQL; install it with: apt-get install postgresql")
	}
	return path, nil
}

// command returns a program to be run as an ordinary user: PostgreSQL refuses to run as root.
func command(dir, name string, args ...string) (*exec.Cmd, error) {
	path, err := program(name)
	if name == "cp" {
		path, err = exec.LookPath(name)
	}
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	cmd.SysProcAttr = attributes()
	if os.Getuid() == 0 {
		uid, gid, err := ordinary()
		if err != nil {
			return nil, err
		}
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: gid}
	}
	return cmd, nil
}

func ordinary() (uid, gid uint32, err error) {
	u, err := user.Lookup("postgres")
	if err != nil {
		return 0, 0, err
	}
	id, err := strconv.ParseUint(u.Uid, 10, 32)
	group, err2 := strconv.ParseUint(u.Gid, 10, 32)
	return uint32(id), uint32(group), errors.Join(err, err2)
}

func newDir() (string, error) {
	dir, err := os.MkdirTemp("", "ply-postgres-")
	if err == nil && os.Getuid() == 0 {
		uid, gid, e := ordinary()
		if err = e; err == nil {
			err = os.Chown(dir, int(uid), int(gid))
		}
	}
	return dir, err
}

func run(dir, name string, args ...string) error {
	cmd, err := command(dir, name, args...)
	if err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// newServer returns a server that does not run yet. The caller holds mu.
func newServer() (*Server, error) {
	if template == "" {
		dir, err := newDir()
		if err != nil {
			return nil, err
		}
		template = dir
		if err := run(dir, "initdb", "-D", filepath.Join(dir, "data"), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-locale", "--no-sync", "--wal-segsize=1"); err != nil {
			return nil, err
		}
	}
	dir, err := newDir()
	if err != nil {
		return nil, err
	}
	if err := run(dir, "cp", "-r", filepath.Join(template, "data"), dir); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	s := &Server{dir: dir, port: port, Addr: fmt.Sprintf("127.0.0.1:%d", port)}
	s.args = []string{"-D", filepath.Join(dir, "data")}
	for _, setting := range []string{"port=" + strconv.Itoa(port), "listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "full_page_writes=off",
		"shared_buffers=32MB", "max_connections=150", "min_wal_size=2MB", "max_wal_size=64MB", "restart_after_crash=on"} {
		s.args = append(s.args, "-c", setting)
	}
	return s, nil
}

// Run starts the server, on the same port each time, and returns when it takes connections.
// After a kill the processes of the one before may still be there for a moment, in which a new one refuses to start.
func (s *Server) Run() error {
	for deadline := time.Now().Add(30 * time.Second); ; <-time.After(5 * time.Millisecond) {
		if !s.running() {
			if err := s.start(); err != nil {
				return err
			}
		}
		err := s.answers()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("PostgreSQL does not come up: %w\n%s", err, text)
		}
	}
}

func (s *Server) answers() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL())
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

func (s *Server) start() error {
	cmd, err := command(s.dir, "postgres", s.args...)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cmd = cmd
	go func() {
		_ = cmd.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.cmd == cmd {
			s.cmd = nil
		}
	}()
	return nil
}

func (s *Server) running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cmd != nil
}

// Kill ends the server and all its processes at once. Run starts it again.
func (s *Server) Kill() {
	s.signal(syscall.SIGKILL)
	for deadline := time.Now().Add(10 * time.Second); s.running() && time.Now().Before(deadline); <-time.After(time.Millisecond) {
	}
}

// Pause stops all its processes where they are: connections are accepted by the kernel, and nothing is answered.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume lets them go on.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

// signal sends a signal to the postmaster and to its children. The postmaster is stopped first, so that it starts no others meanwhile:
// a child that is missed would keep the shared memory, and no new server could start.
func (s *Server) signal(sig syscall.Signal) {
	s.mu.Lock()
	cmd := s.cmd
	s.mu.Unlock()
	if cmd == nil {
		return
	}
	if sig != syscall.SIGCONT {
		_ = cmd.Process.Signal(syscall.SIGSTOP)
	}
	told := map[int]bool{}
	for more := true; more; { // a child that was on its way when the postmaster stopped shows in the next look
		more = false
		for _, pid := range childrenOf(cmd.Process.Pid) {
			if !told[pid] {
				told[pid], more = true, true
				_ = syscall.Kill(pid, sig)
			}
		}
	}
	_ = cmd.Process.Signal(sig)
}

// childrenOf returns the children of a process, where there is a /proc.
func childrenOf(parent int) (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		// "pid (name) state ppid …", where the name may have blanks and brackets.
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

func (s *Server) end() {
	s.Resume()
	s.Kill()
	os.RemoveAll(s.dir)
}
