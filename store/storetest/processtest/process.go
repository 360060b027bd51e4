package processtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

const patience = time.Minute // for a process to say what it is expected to

// process is another process with a part to play. It ends with the test.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines chan string // of its output; closed when it ends
	said  bytes.Buffer
}

// startProcess starts the test binary with only this test to run. The goroutine that reads its output ends when the process does, which is by the end of the test.
func startProcess(t *testing.T, test string, p part) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	c := &process{cmd: exec.Command(self, "-test.run="+only(test), "-test.count=1", "-test.timeout=5m"), lines: make(chan string)}
	c.cmd.Env = append(os.Environ(), partVariable+"="+string(text))
	out, w := io.Pipe()
	c.cmd.Stdout, c.cmd.Stderr = w, w
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		_ = c.cmd.Wait()
		w.Close()
	}()
	go func() {
		defer close(c.lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			select {
			case c.lines <- scanner.Text():
			case <-ended: // nothing reads them any more, and the process must not wait for that
			}
		}
		_, _ = io.Copy(io.Discard, out) // a line that is too long
	}()
	t.Cleanup(func() {
		close(ended)
		c.stdin.Close()
		_ = c.cmd.Process.Kill()
		<-gone
	})
	return c
}

// only returns the pattern of -test.run that selects one test, or one subtest.
func only(test string) string {
	var parts []string
	for name := range strings.SplitSeq(test, "/") {
		parts = append(parts, "^"+regexp.QuoteMeta(name)+"$")
	}
	return strings.Join(parts, "/")
}

// begin lets the process go on after it is ready.
func (c *process) begin(t *testing.T) {
	t.Helper()
	if _, err := io.WriteString(c.stdin, "\n"); err != nil {
		t.Fatal(err)
	}
}

// expect waits for a line.
func (c *process) expect(t *testing.T, want string) {
	t.Helper()
	over := time.After(patience)
	for {
		select {
		case line, ok := <-c.lines:
			if !ok {
				t.Fatalf("a process has ended before %q:\n%s", want, c.said.String())
			}
			if line == want {
				return
			}
			c.said.WriteString(line + "\n")
		case <-over:
			t.Fatalf("a process has not said %q after %v:\n%s", want, patience, c.said.String())
		}
	}
}

// kill ends the process as the kernel does when memory runs out.
func (c *process) kill(t *testing.T) {
	t.Helper()
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
}
