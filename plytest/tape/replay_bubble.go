package tape

import (
	"errors"
	"flag"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// inBubble runs f in virtual time: in the caller's bubble, or else in one of its own. The only public way to a bubble is synctest.Test, which takes a *testing.T.
// All that depends on how package testing makes one is in this file.
// f must not panic. The error says why f did not run to its end.
func inBubble(f func()) error {
	switch {
	case bubbled():
		f()
		return nil
	case testing.Testing():
		return newBubble(new(testing.T), f) // of no test, so nothing is printed that an example would take for its output; only a data race, found by -race, fails it
	}
	t, err := programT()
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- newBubble(t, f) }() // FailNow ends the goroutine that calls it, so that is not the caller's
	return <-done
}

// bubbled reports whether the caller is in a bubble: Wait panics outside. In a bubble it returns once the other goroutines are blocked,
// or panics because another goroutine waits so.
func bubbled() (is bool) {
	defer func() {
		if p := recover(); p != nil {
			is = !strings.Contains(fmt.Sprint(p), "not in a bubble")
		}
	}()
	synctest.Wait()
	return true
}

// settle returns once all else that happens in the bubble at this instant has happened, so that a replay is the same each time. It does not wait if another goroutine
// of the bubble waits so, a second replay perhaps: that panics.
func settle() {
	defer func() { _ = recover() }()
	synctest.Wait()
}

// newBubble runs f in a bubble. A deadlock of the bubble is a panic of synctest.Test in this goroutine.
func newBubble(t *testing.T, f func()) (err error) {
	err = errors.New("the testing package ended the replay")
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the chain never came to rest (%v): it waits for what never happens, or has goroutines that end when it is closed; see ReplayOptions.Chain", p)
		}
	}()
	synctest.Test(t, func(*testing.T) { f() })
	return nil
}

// programT returns a T for a program that is not a test. testing.Main, which Go keeps for programs that do what "go test" does, runs one test, which never ends:
// if it did, Main would end the process.
var programT = sync.OnceValues(func() (*testing.T, error) {
	if flag.Lookup("test.run") != nil {
		return nil, errors.New("the program has called testing.Init, whose flags would decide what runs: call Replay without it, or within synctest.Test")
	}
	program := flag.CommandLine
	flag.CommandLine = flag.NewFlagSet("tape", flag.ContinueOnError) // Main adds its flags to it, and would parse the program's arguments
	defer func() { flag.CommandLine = program }()
	if err := flag.CommandLine.Parse(nil); err != nil {
		return nil, err
	}
	got := make(chan *testing.T)
	go testing.Main(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{{Name: "tape.Replay", F: func(t *testing.T) {
		got <- t
		select {}
	}}}, nil, nil)
	return <-got, nil
})
