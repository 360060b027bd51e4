package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"time"
)

var errNoServer = errors.New("no redis-server is installed")

// server is a redis-server that keeps nothing.
type server struct {
	url   string
	kill  context.CancelFunc
	ended chan struct{}
}

// startServer starts one behind a socket in dir. It ends with ctx, at the latest.
func startServer(ctx context.Context, dir string) (*server, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		if path, err = exec.LookPath("valkey-server"); err != nil {
			return nil, errNoServer
		}
	}
	socket := filepath.Join(dir, "redis.sock")
	ctx, kill := context.WithCancel(ctx)
	command := exec.CommandContext(ctx, path, "--port", "0", "--unixsocket", socket, "--unixsocketperm", "700", "--dir", dir,
		"--save", "", "--appendonly", "no", "--maxmemory", fmt.Sprint(room), "--maxmemory-policy", "allkeys-lru")
	if err := command.Start(); err != nil {
		kill()
		return nil, err
	}
	s := &server{url: "unix://" + socket, kill: kill, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		command.Wait()
	}()
	return s, s.ready(ctx, socket)
}

// ready waits until the server takes connections.
func (s *server) ready(ctx context.Context, socket string) error {
	for deadline := time.Now().Add(20 * time.Second); ; {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-s.ended:
			return fmt.Errorf("the redis-server has ended at once: %w", err)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			s.stop()
			return fmt.Errorf("the redis-server takes no connections: %w", err)
		}
	}
}

func (s *server) stop() {
	s.kill()
	<-s.ended
}
