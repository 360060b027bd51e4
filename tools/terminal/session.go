package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// step is a command and what it printed, on both of its outputs, with the sequences for colours.
type step struct{ command, printed string }

// answer is what the server of the session says: a user, good for a minute. It takes its time, as servers do.
func answer(w http.ResponseWriter, r *http.Request) {
	time.Sleep(40 * time.Millisecond)
	w.Header().Set("Cache-Control", "max-age=60, stale-while-revalidate=30")
	w.Header().Set("ETag", `"7-3"`)
	if r.Header.Get("If-None-Match") != "" {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, `{"id": 7, "name": "Ada"}`+"\n")
}

// record builds the command, and runs the session against a server at addr, with a cache and a home of its own.
func record(ctx context.Context, addr string) ([]step, error) {
	dir, err := os.MkdirTemp("", "terminal-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	root, err := exec.CommandContext(ctx, "git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		return nil, err
	}
	program := filepath.Join(dir, "ply")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, ".")
	build.Dir = filepath.Join(strings.TrimSpace(string(root)), "cmd", "ply") // a module of its own: it builds without the workspace, too
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build in cmd/ply: %w\n%s", err, out)
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: http.HandlerFunc(answer)}
	go server.Serve(listener)
	defer server.Close()
	url := "http://" + listener.Addr().String() + "/users/7"
	var steps []step
	for _, command := range []string{"ply get -v " + url, "ply get -v " + url, "ply explain " + url} {
		words := strings.Fields(command)
		cmd := exec.CommandContext(ctx, program, append(words[1:], "--color", "always")...)
		cmd.Dir = dir
		cmd.Env = []string{"HOME=" + dir, "PLY_CACHE=" + filepath.Join(dir, "cache"), "PATH=" + os.Getenv("PATH")}
		var printed bytes.Buffer
		cmd.Stdout, cmd.Stderr = &printed, &printed
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", command, err, &printed)
		}
		steps = append(steps, step{command, printed.String()})
	}
	return steps, nil
}
