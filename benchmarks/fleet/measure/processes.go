package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply/benchmarks/fleet/internal/fleet"
)

// The sorts of jobs.
const (
	get      = "read of one record"
	getMulti = "read of four records"
	put      = "put"
	traffic  = "traffic"
)

const jobVariable = "PLY_FLEET_JOB"

// job is what a process does.
type job struct {
	Sort     string
	URL      string
	Process  int
	Callers  int
	For      time.Duration
	Scenario fleet.Scenario
	Origin   string
}

// report is what a process, or several, have done.
type report struct {
	Calls    int
	Requests int
	Took     []time.Duration // of a sample of the calls
}

func (r *report) quantile(q float64) time.Duration {
	if len(r.Took) == 0 {
		return 0
	}
	slices.Sort(r.Took)
	return r.Took[min(int(q*float64(len(r.Took))), len(r.Took)-1)]
}

func merged(reports []report) (all report) {
	for _, r := range reports {
		all.Calls += r.Calls
		all.Requests += r.Requests
		all.Took = append(all.Took, r.Took...)
	}
	return all
}

// together has so many processes do a job, which they begin at the same time.
func together(processes int, j job) ([]report, error) {
	var all []*worker
	defer func() {
		for _, w := range all {
			w.kill()
		}
	}()
	for i := range processes {
		j.Process = i
		w, err := start(j)
		if err != nil {
			return nil, err
		}
		all = append(all, w)
	}
	for _, w := range all {
		if _, err := w.line(); err != nil {
			return nil, err
		}
	}
	for _, w := range all {
		fmt.Fprintln(w.in)
	}
	reports := make([]report, processes)
	for i, w := range all {
		text, err := w.line()
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(text), &reports[i]); err != nil {
			return nil, err
		}
	}
	return reports, nil
}

// worker is another process.
type worker struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func start(j job) (*worker, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	w := &worker{cmd: exec.Command(self)}
	w.cmd.Env = append(os.Environ(), jobVariable+"="+string(text))
	w.cmd.Stderr = os.Stderr
	if w.in, err = w.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.out = bufio.NewReader(out)
	return w, w.cmd.Start()
}

func (w *worker) line() (string, error) {
	text, err := w.out.ReadString('\n')
	if errors.Is(err, io.EOF) {
		return "", errors.New("a process has ended before its work")
	}
	return text, err
}

func (w *worker) kill() {
	w.in.Close()
	_ = w.cmd.Process.Kill()
	_ = w.cmd.Wait()
}

// origin answers after a while, and counts.
type origin struct {
	*httptest.Server
	asked atomic.Int64
}

func newOrigin(takes time.Duration) *origin {
	o := &origin{}
	body := make([]byte, 1024)
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.asked.Add(1)
		<-time.After(takes)
		w.Header().Set("Cache-Control", r.Header.Get("Want"))
		w.Header()["Date"] = nil // whole seconds, which would make lifetimes shorter than the model's
		_, _ = w.Write(body)
	}))
	return o
}
