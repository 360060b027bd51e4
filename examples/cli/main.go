// Command cli walks through ply cache, ply proxy and ply replay at a server of its own, and prints what a terminal would show.
//
//	go install ./cmd/ply && go run ./examples/cli
//
// It needs ply and curl in PATH, and runs them in a temporary directory. docs/cli.md shows its output.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/plyhttp/ply/har"
	"github.com/plyhttp/ply/plytest/tape"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, "ply"); err != nil {
		fmt.Fprintln(os.Stderr, "cli:", err)
		os.Exit(1)
	}
}

// run walks with a program, in a directory that is there for as long.
func run(ctx context.Context, out io.Writer, program string) error {
	if _, err := exec.LookPath(program); err != nil {
		return fmt.Errorf("%w; go install ./cmd/ply builds it", err)
	}
	dir, err := os.MkdirTemp("", "ply-walk-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return (&walk{ply: program, dir: dir, out: out}).all(ctx)
}

// A walk runs commands in a directory and writes each with its output.
type walk struct {
	ply string // the program
	dir string
	out io.Writer
}

func (w *walk) all(ctx context.Context) error {
	origin := httptest.NewServer(http.HandlerFunc(shop))
	defer origin.Close()
	if err := w.cache(ctx, origin.URL); err != nil {
		return err
	}
	if err := w.proxy(ctx, origin.URL); err != nil {
		return err
	}
	return w.replay(ctx)
}

// shop is an origin with a catalogue for all and a basket for each.
func shop(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/basket":
		w.Header().Set("Cache-Control", "private, max-age=60")
		fmt.Fprintf(w, "the basket of %s\n", r.Header.Get("Authorization"))
	case strings.HasPrefix(r.URL.Path, "/news"):
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("ETag", `"n1"`)
		io.WriteString(w, "news\n")
	default:
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, "{\"item\": %q}\n", r.URL.Path)
	}
}

func (w *walk) cache(ctx context.Context, origin string) error {
	for _, path := range []string{"/items/1", "/items/2", "/search?q=tea&key=s3cret", "/news"} {
		if out, err := w.command(ctx, "get", "--cache", "./http", origin+path).CombinedOutput(); err != nil {
			return fmt.Errorf("ply get %s: %w: %s", path, err, out)
		}
	}
	host := strings.TrimPrefix(origin, "http://")
	for _, args := range [][]string{
		{"cache", "ls", "./http"},
		{"cache", "ls", "./http", host + "/items/*", "--long"},
		{"cache", "show", "./http", origin + "/items/1"},
		{"cache", "stats", "./http"},
		{"cache", "export", "./http", "backup.plycache"},
		{"cache", "import", "sqlite:cache.db", "backup.plycache"},
		{"cache", "verify", "sqlite:cache.db"},
		{"cache", "rm", "sqlite:cache.db", origin + "/search?q=tea&key=s3cret", "--dry-run"},
		{"cache", "rm", "sqlite:cache.db", "--stale"},
		{"cache", "copy", "sqlite:cache.db", "./copy"},
		{"cache", "export", "./copy", "copy.har", "--har"},
		{"cache", "clear", "./http", "--yes"},
	} {
		if err := w.run(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// proxy starts a proxy, has curl ask it as two persons and as none, and ends it.
func (w *walk) proxy(ctx context.Context, origin string) error {
	ctx, kill := context.WithCancel(ctx)
	defer kill()
	cmd := w.command(ctx, "proxy", origin, "--cache", "./proxied")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() { // whatever fails, the proxy does not outlive the walk
		kill()
		cmd.Wait() // waited for already, if all went well
	}()
	first, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return fmt.Errorf("the proxy does not listen: %w", err)
	}
	fmt.Fprintf(w.out, "$ ply proxy %s --cache ./proxied &\n%s", origin, first)
	at := strings.TrimSuffix(strings.Fields(first)[1], "/")
	lines, accessLog := bufio.NewReader(stderr), ""
	for _, args := range [][]string{
		{"-s", "-o", "/dev/null", "-D", "-", at + "/items/1"},
		{"-s", "-o", "/dev/null", "-D", "-", at + "/items/1"},
		{"-s", at + "/basket", "-H", "Authorization: Basic alice"},
		{"-s", at + "/basket", "-H", "Authorization: Basic bob"},
	} {
		shown := "curl"
		for _, a := range args {
			shown += " " + quoted(a)
		}
		curl := exec.CommandContext(ctx, "curl", args...)
		out, err := curl.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", shown, err, out)
		}
		fmt.Fprintf(w.out, "$ %s\n%s", shown, bytes.ReplaceAll(out, []byte("\r"), nil))
		line, err := lines.ReadString('\n')
		if err != nil {
			return fmt.Errorf("the proxy's log: %w", err)
		}
		accessLog += line
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	fmt.Fprintf(w.out, "$ kill -INT %%1\n%s\n", accessLog)
	return cmd.Wait()
}

// replay runs a week of traffic, which it makes up, through four policies.
func (w *walk) replay(ctx context.Context) error {
	f, err := os.Create(filepath.Join(w.dir, "week.har"))
	if err != nil {
		return err
	}
	if err := errors.Join(week().WriteHAR(f, har.Options{}), f.Close()); err != nil {
		return err
	}
	return w.run(ctx, "replay", "week.har", "-p", "none", "-p", "cache", "-p", "cache,retry=3", "-p", "cache,stale-if-error=1h,retry=3,hedge=300ms")
}

// week is the traffic of a week: a request in five minutes for one of eight items, which are fresh for an hour. One answer in 50 is a 503, one in 20 is slow.
func week() *tape.Tape {
	t := &tape.Tape{Start: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)}
	for i := range 7 * 24 * 12 {
		at := time.Duration(i) * 5 * time.Minute
		resp := &tape.Response{
			Status: http.StatusOK, Proto: "HTTP/1.1", Wait: 80 * time.Millisecond, Length: 2000, Chunks: []tape.Chunk{{Data: bytes.Repeat([]byte("x"), 2000)}},
			Header: http.Header{"Cache-Control": {"max-age=3600"}, "Date": {t.Start.Add(at).Format(http.TimeFormat)}, "Content-Type": {"text/plain"}},
		}
		switch {
		case i%50 == 49:
			resp.Status, resp.Header = http.StatusServiceUnavailable, http.Header{"Date": resp.Header["Date"]}
			resp.Length, resp.Chunks = 0, nil
		case i%20 == 19:
			resp.Wait = 2 * time.Second
		}
		t.Exchanges = append(t.Exchanges, &tape.Exchange{
			At:       at,
			Request:  tape.Request{Method: http.MethodGet, URL: fmt.Sprintf("https://shop.example/items/%d", i*i%13%8), Header: http.Header{}},
			Response: resp,
		})
	}
	return t
}

// command returns a ply command in the walk's directory.
func (w *walk) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, w.ply, args...)
	cmd.Dir = w.dir
	return cmd
}

// run runs a ply command and writes it with its output.
func (w *walk) run(ctx context.Context, args ...string) error {
	shown := "ply"
	for _, a := range args {
		shown += " " + quoted(a)
	}
	out, err := w.command(ctx, args...).CombinedOutput()
	fmt.Fprintf(w.out, "$ %s\n%s\n", shown, out)
	if err != nil {
		return fmt.Errorf("%s: %w", shown, err)
	}
	return nil
}

// quoted is an argument as a shell reads it.
func quoted(arg string) string {
	if strings.ContainsAny(arg, " *?&'\"$") {
		return "'" + arg + "'"
	}
	return arg
}
