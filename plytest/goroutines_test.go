package plytest_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/plyhttp/ply/plytest"
)

// scene is a testing.TB whose cleanups run when the test says so.
type scene struct {
	recorder
	cleanups []func()
}

func (s *scene) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

func (s *scene) end() {
	for _, f := range s.cleanups {
		f()
	}
}

func TestCheckGoroutinesInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scene{recorder: recorder{TB: t}}
		plytest.CheckGoroutines(s)
		release := make(chan struct{})
		go leaker(release)
		go func() {}()
		s.end()
		close(release)
		if len(s.errors) != 1 || !strings.Contains(s.errors[0], "leaker") || strings.Count(s.errors[0], " @ ") != 1 {
			t.Errorf("reported %q", s.errors)
		}
	})
}

func leaker(release chan struct{}) { <-release }

func TestCheckGoroutinesWaitsForThoseThatEnd(t *testing.T) {
	s := &scene{recorder: recorder{TB: t}}
	other := make(chan struct{})
	go leaker(other) // was there before
	defer close(other)
	plytest.CheckGoroutines(s)
	release := make(chan struct{})
	for range 10 {
		go leaker(release)
	}
	go close(release)
	s.end()
	if len(s.errors) != 0 {
		t.Errorf("reported %q", s.errors)
	}
}
