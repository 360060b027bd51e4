// Package resilience puts together the layers that stand between a program and a server in trouble: retry, hedge, breaker and limit, with one budget for all.
//
//	client, err := ply.New(ply.Options{
//		Use:      append([]ply.Middleware{log, c.Middleware}, resilience.Standard(resilience.Options{})...), // c is a *cache.Cache
//		Timeouts: ply.Timeouts{Total: 30 * time.Second},                                                     // the layers have none
//	})
//
// # What each does
//
//   - retry (middleware/retry of the root module) sends a request again where that is safe and may help.
//   - [hedge] sends a copy of a request that is slow, and takes the answer that comes first.
//   - [breaker] keeps requests from a server that fails, so that a cache above answers with what it has.
//   - [limit] bounds the requests per second and under way.
//
// Whatever the server does, it gets no more than the calls and a tenth: what layers send beside the calls, retries and hedges alike, is paid for from one [budget.Budget].
//
// # Where they stand
//
// Logging, auth, decode and a cache go above, telemetry and signatures of attempts below. ply.New knows the order and refuses another.
// Each of the layers can be had by itself, and works in any [http.Client]. [New] gives them with what they share, to look at:
//
//	chain, err := resilience.New(resilience.Options{})
//	…
//	chain.Breaker.State("api.example.com")
//	chain.Budget.Stats().Amplification
//
// # What comes back
//
// The errors of breaker and limit say that nothing was sent, that another attempt would not help, and that the origin is unavailable:
// retry above them stops without a wait, and a cache serves stale responses where it may (RFC 5861 §4).
// docs/resilience.md has the rules, and what a server in trouble gets from each combination.
package resilience
