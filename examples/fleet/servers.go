package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/plyhttp/ply/store"
)

// startRedis starts a redis-server that listens on a socket in a directory of its own. The error is exec.ErrNotFound if there is none on this machine.
func startRedis(ctx context.Context) (url string, stop func() error, err error) {
	dir, err := os.MkdirTemp("", "ply-fleet-")
	if err != nil {
		return "", nil, err
	}
	socket := filepath.Join(dir, "redis.sock")
	cmd := exec.CommandContext(ctx, "redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--dir", dir)
	return started(ctx, cmd, dir, "unix://"+socket)
}

// startPostgres makes a database in a directory of its own, and starts a server for it that listens on a socket there.
func startPostgres(ctx context.Context) (url string, stop func() error, err error) {
	bin := "" // of PATH, unless it is where Debian has it
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin"); len(found) > 0 {
		bin = slices.Max(found)
	}
	dir, err := os.MkdirTemp("", "ply-fleet-")
	if err != nil {
		return "", nil, err
	}
	initdb, err := unprivileged(ctx, dir, filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "data"), "-A", "trust", "-U", "postgres", "--no-sync")
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	if text, err := initdb.CombinedOutput(); err != nil {
		return "", nil, errors.Join(fmt.Errorf("initdb: %w: %s", err, text), os.RemoveAll(dir))
	}
	cmd, err := unprivileged(ctx, dir, filepath.Join(bin, "postgres"), "-D", filepath.Join(dir, "data"), "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off")
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	return started(ctx, cmd, dir, "postgres:///postgres?user=postgres&host="+dir)
}

// unprivileged is a command of PostgreSQL, which does not run as root: then it runs as the user postgres, who gets the directory.
func unprivileged(ctx context.Context, dir, program string, args ...string) (*exec.Cmd, error) {
	if os.Getuid() != 0 {
		return exec.CommandContext(ctx, program, args...), nil
	}
	if _, err := exec.LookPath(program); err != nil {
		return nil, err
	}
	postgres, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.Atoi(postgres.Uid)
	if err != nil {
		return nil, err
	}
	if err := os.Chown(dir, uid, -1); err != nil {
		return nil, err
	}
	args = append([]string{"--reuid=postgres", "--regid=postgres", "--clear-groups", program}, args...)
	return exec.CommandContext(ctx, "setpriv", args...), nil
}

// started starts a server and waits until it answers. stop ends it and removes its directory; a second time it does nothing.
func started(ctx context.Context, cmd *exec.Cmd, dir, url string) (_ string, stop func() error, err error) {
	cmd.Dir = dir
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // both end in order
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait() // how it ended makes no difference
		close(ended)
	}()
	stop = func() error {
		cmd.Cancel() // fails if it has ended
		<-ended
		return os.RemoveAll(dir)
	}
	if err := answers(ctx, ended, url); err != nil {
		return "", nil, errors.Join(fmt.Errorf("%s: %w", filepath.Base(cmd.Path), err), stop())
	}
	return url, stop, nil
}

// answers waits until the store at a URL answers.
func answers(ctx context.Context, ended <-chan struct{}, url string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	s, err := store.OpenURL(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for {
		err := s.(interface{ Ping(context.Context) error }).Ping(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ended:
			return fmt.Errorf("it has ended: %w", err)
		case <-ctx.Done():
			return err
		}
	}
}
