package fleet

import (
	"math"
	"math/rand/v2"
	"sort"
	"time"
)

// A Scenario is a fleet of processes that ask one origin for the same keys, and what happens to them. All times are virtual.
type Scenario struct {
	Processes int
	Keys      int
	Skew      float64       // the exponent of Zipf's law: how much more the first keys are asked for than the last
	Rate      float64       // requests per second of each process
	Duration  time.Duration // of the traffic
	TTL       time.Duration // of each response
	Origin    time.Duration // that the origin takes
	Seed      uint64

	Shared bool          // one store for all; else each process has its own memory
	Call   time.Duration // that a call of the store takes
	Lease  time.Duration // cache.Options.Lease
	Tiered bool          // copies in memory before the store
	L1TTL  time.Duration // cache.Options.L1TTL
	Notify bool          // the store notifies of changes
	Delay  time.Duration // of a notification

	Invalidations float64       // per minute, of all processes together
	Deploy        time.Duration // when the processes begin to be replaced, or zero
	DeployTakes   time.Duration // until the last one is; zero: all at once
	Down, Up      time.Duration // when the store fails and when it is back; zero: never
	Emptied       bool          // and whether it has forgotten everything then
}

// An Arrival is a request, or a change that invalidates a key.
type Arrival struct {
	At      time.Duration
	Process int
	Key     int
	Write   bool
}

// Traffic calls f with all arrivals in the order of their times. It depends on the scenario alone.
func (s *Scenario) Traffic(f func(Arrival)) {
	random := rand.New(rand.NewPCG(s.Seed, 1))
	weights := zipf(s.Keys, s.Skew)
	requests, writes := s.Rate*float64(s.Processes), s.Invalidations/60
	for at := 0.0; ; {
		at += random.ExpFloat64() / (requests + writes)
		when := time.Duration(at * float64(time.Second))
		if when >= s.Duration {
			return
		}
		write := random.Float64()*(requests+writes) < writes
		f(Arrival{when, random.IntN(s.Processes), sort.SearchFloat64s(weights, random.Float64()), write})
	}
}

// zipf returns the cumulated shares of n keys, of which the i-th has a share of 1/i^skew.
func zipf(n int, skew float64) []float64 {
	sums := make([]float64, n)
	sum := 0.0
	for i := range sums {
		sum += math.Pow(float64(i+1), -skew)
		sums[i] = sum
	}
	for i := range sums {
		sums[i] /= sum
	}
	sums[n-1] = 1
	return sums
}

// A Result is what a run has come to.
type Result struct {
	Requests  int
	Fetches   int             // requests that the origin has had
	PerSecond []int           // the same, for each second
	Calls     int             // of the store
	Stale     []time.Duration // for each invalidation, for how long after it any process served what it was about
}

// PerKeyMinute is how often the origin was asked for a key in a minute.
func (r *Result) PerKeyMinute(s *Scenario) float64 {
	return float64(r.Fetches) / float64(s.Keys) / s.Duration.Minutes()
}

// CallsPerRequest is how often the store was called for a request.
func (r *Result) CallsPerRequest() float64 { return float64(r.Calls) / float64(max(r.Requests, 1)) }

// InMinuteFrom returns the requests to the origin in the minute from a second on: for each second on average, and the most.
func (r *Result) InMinuteFrom(second int) (mean float64, most int) {
	for i := second; i < min(second+60, len(r.PerSecond)); i++ {
		mean += float64(r.PerSecond[i]) / 60
		most = max(most, r.PerSecond[i])
	}
	return mean, most
}

// StaleFor returns a quantile of Stale.
func (r *Result) StaleFor(quantile float64) time.Duration {
	if len(r.Stale) == 0 {
		return 0
	}
	sorted := append([]time.Duration(nil), r.Stale...)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i] < sorted[j] })
	return sorted[min(int(quantile*float64(len(sorted))), len(sorted)-1)]
}
