package fleet

import "time"

// Base is the fleet of the tables: each process has five requests a second for a thousand keys.
func Base() Scenario {
	return Scenario{
		Keys: 1000, Skew: 1, Rate: 5, Duration: 2 * time.Minute, TTL: time.Minute, Origin: 100 * time.Millisecond, Seed: 1,
		Call: time.Millisecond, L1TTL: time.Second, Delay: 2 * time.Millisecond, Invalidations: 60,
	}
}

// A Way is a way to set a fleet's caches up.
type Way struct {
	Name string
	Set  func(*Scenario)
}

const lease = 10 * time.Second

// Ways go from a cache in each process to all that there is.
var Ways = []Way{
	{"memory in each process", func(*Scenario) {}},
	{"a shared store", func(s *Scenario) { s.Shared = true }},
	{"a shared store, leases", func(s *Scenario) { s.Shared, s.Lease = true, lease }},
	{"memory before it", func(s *Scenario) { s.Shared, s.Tiered = true, true }},
	{"memory before it, leases", func(s *Scenario) { s.Shared, s.Tiered, s.Lease = true, true, lease }},
	{"the same with notifications", func(s *Scenario) { s.Shared, s.Tiered, s.Notify, s.Lease = true, true, true, lease }},
}
