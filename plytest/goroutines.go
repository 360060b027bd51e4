package plytest

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// patience is how long goroutines have to end, in real time, outside a synctest bubble.
const patience = 5 * time.Second

// CheckGoroutines fails the test if goroutines that it started are still there when it and its cleanups have ended.
// Call it first thing in the test, on the test's own goroutine.
//
// It recognizes the test's goroutines by a profiler label, which each goroutine passes on to those that it starts.
// So tests may run in parallel, and goroutines that ran before do not count. A goroutine that calls [pprof.SetGoroutineLabels] is not recognized.
//
// Inside a [synctest] bubble it waits until all goroutines are blocked, and takes no time.
// Outside one it yields to the goroutines that are still ending, without sleeping, and gives up after five seconds.
//
// A kept-alive connection has two goroutines in its [http.Transport]: close idle connections before the test ends.
// For [http.DefaultTransport] CheckGoroutines does that itself.
func CheckGoroutines(t testing.TB) {
	t.Helper()
	label := newLabel()
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels(labelKey, label)))
	t.Cleanup(func() {
		t.Helper()
		pprof.SetGoroutineLabels(context.Background())
		if left := leftBehind(label); left != "" {
			t.Errorf("plytest: the test left goroutines behind:\n%s", left)
		}
	})
}

// VerifyMain runs the tests of a package, and fails if they pass but leave goroutines behind, which it prints.
// It returns the exit code:
//
//	func TestMain(m *testing.M) { os.Exit(plytest.VerifyMain(m)) }
//
// It waits as [CheckGoroutines] does.
func VerifyMain(m *testing.M) int {
	label := newLabel()
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels(labelKey, label)))
	code := m.Run()
	pprof.SetGoroutineLabels(context.Background())
	if code != 0 {
		return code
	}
	if left := leftBehind(""); left != "" {
		fmt.Fprintf(os.Stderr, "plytest: the tests left goroutines behind:\n%s", left)
		return 1
	}
	return 0
}

const labelKey = "plytest"

var labels atomic.Int64

func newLabel() string { return strconv.FormatInt(labels.Add(1), 10) }

// leftBehind waits for the goroutines with a label to end and describes those that do not.
// The empty label stands for all labels of this package.
func leftBehind(label string) string {
	http.DefaultClient.CloseIdleConnections()
	if inBubble() { // it has waited for all goroutines to block or end
		return goroutines(label)
	}
	for deadline := time.Now().Add(patience); ; {
		left := goroutines(label)
		if left == "" || time.Now().After(deadline) {
			return left
		}
		for range 100 {
			runtime.Gosched()
		}
	}
}

// goroutines returns the stacks of the goroutines with a label.
func goroutines(label string) string {
	var profile bytes.Buffer
	pprof.Lookup("goroutine").WriteTo(&profile, 1)
	mark := fmt.Sprintf("%q:", labelKey)
	if label != "" {
		mark = fmt.Sprintf("%q:%q", labelKey, label)
	}
	var found strings.Builder
	for stack := range strings.SplitSeq(profile.String(), "\n\n") {
		if strings.Contains(stack, mark) && !permanent(stack) {
			found.WriteString(stack)
			found.WriteString("\n\n")
		}
	}
	return found.String()
}

// permanent recognises goroutines that the standard library starts once and keeps.
func permanent(stack string) bool {
	return strings.Contains(stack, "os/signal.signal_recv") || strings.Contains(stack, "os/signal.loop")
}

// inBubble reports whether the caller runs in a synctest bubble: outside, Wait panics.
func inBubble() (yes bool) {
	defer func() { recover() }()
	synctest.Wait()
	return true
}

// waitParked waits until each other goroutine of the caller's bubble is parked, also by a mutex, for which [synctest.Wait] would wait for ever.
// On a busy machine one that is about to wait for a mutex may not have run yet: the look for it would come too soon, and no timer would end the wait for it, because it stops the clock.
// A goroutine that never parks ends the wait after many looks.
func waitParked() {
	for range 2000 {
		if !othersRun() {
			return
		}
		runtime.Gosched()
	}
}

// othersRun reports whether a goroutine of this bubble, other than the caller, is running or about to.
func othersRun() bool {
	stacks := make([]byte, 64<<10)
	for {
		n := runtime.Stack(stacks, true)
		if n < len(stacks) {
			stacks = stacks[:n]
			break
		}
		stacks = make([]byte, 2*len(stacks))
	}
	own, others, _ := strings.Cut(string(stacks), "\n") // the caller comes first
	_, bubble, ok := strings.Cut(own, "synctest bubble ")
	if !ok {
		return false
	}
	bubble = "synctest bubble " + bubble // with the bracket, so that 1 is not 12
	for line := range strings.Lines(others) {
		if strings.HasPrefix(line, "goroutine ") && strings.Contains(line, bubble) && (strings.Contains(line, "[running") || strings.Contains(line, "[runnable")) {
			return true
		}
	}
	return false
}
