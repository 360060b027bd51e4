package fleet

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

// small is a fleet that real caches can be, too.
func small(processes int) Scenario {
	s := Base()
	s.Processes, s.Keys, s.Rate, s.Duration, s.TTL, s.Invalidations = processes, 50, 5, 40*time.Second, 15*time.Second, 30
	return s
}

// What happens to a fleet beside its traffic.
var happenings = []Way{
	{"nothing", func(*Scenario) {}},
	{"all are replaced at once", func(s *Scenario) { s.Deploy = 20 * time.Second }},
	{"they are replaced one after the other", func(s *Scenario) { s.Deploy, s.DeployTakes = 10*time.Second, 20*time.Second }},
	{"the store is away", func(s *Scenario) { s.Down, s.Up, s.Invalidations = 10*time.Second, 25*time.Second, 0 }},
	{"the store comes back empty", func(s *Scenario) { s.Down, s.Up, s.Emptied, s.Invalidations = 10*time.Second, 25*time.Second, true, 0 }},
}

// The model and real caches, with the same traffic in virtual time, agree: in the requests to the origin within 2 % and three requests,
// in the calls of the store within 3 % and ten calls, and in the staleness after an invalidation within 10 ms.
func TestModelAgreesWithRealCaches(t *testing.T) {
	for _, n := range []int{1, 4, 16, 64} {
		for _, way := range Ways {
			for _, happens := range happenings {
				if n > 4 && happens.Name != "nothing" {
					continue // real caches take their time
				}
				s := small(n)
				way.Set(&s)
				if n == 64 {
					s.Duration = 20 * time.Second
				}
				if happens.Set(&s); !s.Shared && s.Down > 0 {
					continue // there is no store that could be down
				}
				t.Run(fmt.Sprintf("%d/%s/%s", n, way.Name, happens.Name), func(t *testing.T) { compare(t, s) })
			}
		}
	}
}

func compare(t *testing.T, s Scenario) {
	t.Helper()
	model, real := Simulate(s), Result{}
	synctest.Test(t, func(t *testing.T) { real = run(t, s) })
	if model.Requests != real.Requests {
		t.Errorf("%d requests in the model, %d in reality: want the same traffic", model.Requests, real.Requests)
	}
	near(t, "requests to the origin", float64(model.Fetches), float64(real.Fetches), 0.02, 3)
	near(t, "calls of the store", float64(model.Calls), float64(real.Calls), 0.03, 10)
	for _, quantile := range []float64{.5, .99} {
		near(t, fmt.Sprint("seconds of staleness at ", quantile), model.StaleFor(quantile).Seconds(), real.StaleFor(quantile).Seconds(), 0, 0.01)
	}
}

// near checks that two figures differ by a share and a little at most.
func near(t *testing.T, what string, model, real, share, little float64) {
	t.Helper()
	if math.Abs(model-real) > share*real+little {
		t.Errorf("%s: %v in the model, %v in reality", what, model, real)
	}
}

func TestSameSeedGivesTheSame(t *testing.T) {
	s := small(8)
	Ways[len(Ways)-1].Set(&s)
	first, second := Simulate(s), Simulate(s)
	if fmt.Sprint(first) != fmt.Sprint(second) {
		t.Errorf("%+v, and then %+v", first, second)
	}
	s.Seed++
	if other := Simulate(s); fmt.Sprint(first) == fmt.Sprint(other) {
		t.Error("another seed gives the same")
	}
}

// What the tables are to show.
func TestWhatLeasesAndTiersSave(t *testing.T) {
	fleet := func(way int) Result {
		s := Base()
		s.Processes, s.Duration = 100, time.Minute
		Ways[way].Set(&s)
		return Simulate(s)
	}
	alone, shared, leases, tiers, notified := fleet(0), fleet(1), fleet(2), fleet(4), fleet(5)
	if alone.Fetches < 5*shared.Fetches {
		t.Errorf("%d requests to the origin without a shared store, %d with one", alone.Fetches, shared.Fetches)
	}
	if shared.Fetches < leases.Fetches*11/10 {
		t.Errorf("%d requests to the origin without leases, %d with them", shared.Fetches, leases.Fetches)
	}
	if leases.Calls < tiers.Calls || tiers.Calls < notified.Calls {
		t.Errorf("%d calls of the store, %d with copies in memory, %d with notifications", leases.Calls, tiers.Calls, notified.Calls)
	}
	if alone.StaleFor(.99) < 10*time.Second || tiers.StaleFor(.99) > time.Second || notified.StaleFor(.99) > 10*time.Millisecond {
		t.Errorf("stale for %v, %v, %v", alone.StaleFor(.99), tiers.StaleFor(.99), notified.StaleFor(.99))
	}
}
