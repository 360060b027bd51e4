// Package resilience puts together the layers that stand between a program and a server in trouble: retry, hedge, breaker and limit, with one budget for all.
//
//	client, err := ply.New(ply.Options{
//		Use:      append([]ply.Middleware{log, store.Middleware}, resilience.Standard(resilience.Options{})...),
//		Timeouts: ply.Timeouts{Total: 30 * time.Second}, // the layers have none
//	})
//
// Whatever the server does, it gets no more than the calls and a tenth: what layers send beside the calls, retries and hedges alike, is paid for from one [budget.Budget].
// Each of the layers can be had by itself: packages [hedge], [breaker] and [limit], and middleware/retry of the root module.
//
// Logging, auth, decode and a cache go above, telemetry and signatures of attempts below. ply.New knows the order and refuses another.
package resilience
