package tape_test

import (
	"os/exec"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply/internal/traffic"
	"github.com/plyhttp/ply/plytest/tape"
)

// The program's flags and output are its own, and Replay can be called several times.
func TestProgramsThatAreNotTestsCanReplay(t *testing.T) {
	out, err := exec.Command("go", "run", "./testdata/program", "-mine", "yes", "-test.v", "arg").CombinedOutput()
	if err == nil {
		t.Fatalf("the flag of package testing is unknown to the program: %s", out)
	}
	out, err = exec.Command("go", "run", "./testdata/program", "-mine", "yes", "--", "-test.v", "arg").CombinedOutput()
	if err != nil || string(out) != "yes [-test.v arg]\n" {
		t.Errorf("%v: %s", err, out)
	}
}

// Two replays in one bubble: the second begins after the end of the tape, so its dates move.
func TestReplaysInOneBubbleAgree(t *testing.T) {
	week := traffic.Week(1, 200)
	synctest.Test(t, func(t *testing.T) {
		c, err := tape.Compare(t.Context(), week, tape.ReplayOptions{Name: "a"}, tape.ReplayOptions{Name: "a"})
		if err != nil || c[0].String() != c[1].String() {
			t.Errorf("%v\n%s", err, c)
		}
		if now := time.Now(); now.Before(traffic.Start.Add(c[0].Span + c[1].Span)) {
			t.Errorf("they are one after the other, but it is %v", now)
		}
	})
}

func TestTenThousandRequestsOfAWeekTakeSeconds(t *testing.T) {
	began := time.Now()
	r, err := tape.Replay(t.Context(), traffic.Week(1, 10_000), tape.ReplayOptions{})
	if err != nil || r.OriginRequests != 10_000 || r.Span < 6*24*time.Hour {
		t.Errorf("%v\n%s", err, r)
	}
	t.Logf("a week took %v", time.Since(began))
}
