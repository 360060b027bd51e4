package limit

import (
	"math"
	"testing"
	"time"
)

// answer is one that a size hears of: how long it took, with how many under way, so long after the one before.
type answer struct {
	after    time.Duration
	took     time.Duration
	inFlight int
	overload bool
}

func repeat(n int, s answer) []answer {
	all := make([]answer, n)
	for i := range all {
		all[i] = s
	}
	return all
}

func TestSizeOfTheLimit(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name  string
		steps []answer
		want  float64
	}{
		{"one more for a round of answers while the slots are used", repeat(10, answer{ms, 100 * ms, 6, false}), 10.95},
		{"no more while half of them are free", repeat(10, answer{ms, 100 * ms, 4, false}), 10},
		{"10 % less when the median has doubled", append(repeat(1, answer{ms, 100 * ms, 1, false}), repeat(17, answer{time.Minute, 300 * ms, 1, false})...), 10 * 0.9 * 0.9},
		{"no less for a few that are slow", append(repeat(1, answer{ms, 100 * ms, 1, false}), answer{ms, time.Hour, 1, false}, answer{ms, 100 * ms, 1, false}, answer{ms, time.Hour, 1, false}), 10},
		{"30 % less for overload", []answer{{ms, 100 * ms, 1, false}, {time.Second, 0, 1, true}}, 7},
		{"once for all that were under way together", []answer{{ms, 100 * ms, 1, false}, {time.Second, 0, 1, true}, {99 * ms, 0, 1, true}}, 7},
		{"again in the next round", []answer{{ms, 100 * ms, 1, false}, {time.Second, 0, 1, true}, {100 * ms, 0, 1, true}}, 4.9},
		{"never less than the least", append(repeat(1, answer{ms, 100 * ms, 1, false}), repeat(100, answer{time.Second, 0, 1, true})...), 2},
		{"never more than the most", repeat(10_000, answer{ms, 100 * ms, 20, false}), 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &size{min: 2, max: 20, tolerance: 2, limit: 10}
			now := time.Unix(0, 0)
			for _, step := range tt.steps {
				now = now.Add(step.after)
				if step.overload {
					s.overloaded(now)
				} else {
					s.answered(now, step.took, step.inFlight)
				}
			}
			if math.Abs(s.limit-tt.want) > 0.01 {
				t.Errorf("the limit is %.3f, want %.3f (%+v)", s.limit, tt.want, s)
			}
		})
	}
}

// The best latency follows the server while there is room, slowly, and at once where there is the least.
func TestBestLatencyFollowsTheServer(t *testing.T) {
	now := time.Unix(0, 0)
	free := &size{min: 2, max: 20, tolerance: 10, limit: 10}
	busy := &size{min: 2, max: 20, tolerance: 10, limit: 10}
	least := &size{min: 2, max: 20, tolerance: 10, limit: 2}
	for i := range 300 {
		took := 100 * time.Millisecond
		if i >= 100 {
			took = 200 * time.Millisecond
		}
		now = now.Add(time.Millisecond)
		free.answered(now, took, 1)
		busy.answered(now, took, 20)
		least.answered(now, took, 0)
	}
	if free.best < 0.15 || free.best > 0.2 {
		t.Errorf("with room it is %v after 200 answers of 200ms, want it on its way from 0.1 to 0.2", free.best)
	}
	if busy.best != 0.1 {
		t.Errorf("without room it is %v, want what it was: 0.1", busy.best)
	}
	if least.best < 0.19 {
		t.Errorf("with the least it is %v, want 0.2", least.best)
	}
}

func TestLeastWaitOfTheNthInTheQueue(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, tt := range []struct {
		name  string
		taken int // of a burst of 3, at 10 per second
		pause time.Duration
		n     int
		want  time.Duration
	}{
		{"a token is there", 2, 0, 1, 0},
		{"the next one", 3, 0, 1, 100 * time.Millisecond},
		{"behind two others", 3, 0, 3, 300 * time.Millisecond},
		{"some are there", 1, 0, 4, 200 * time.Millisecond},
		{"a pause", 0, time.Second, 1, time.Second},
		{"a pause that is over first", 3, 50 * time.Millisecond, 2, 200 * time.Millisecond},
	} {
		g := newGate(&Options{Rate: 10, Burst: 3})
		g.bucket.AllowN(now, tt.taken)
		g.paused = now.Add(tt.pause)
		if got := g.least(now, tt.n); got.Round(time.Microsecond) != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
