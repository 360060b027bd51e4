// Package cache is an HTTP cache for clients (RFC 9111), as a layer that mounts in any [net/http.Client].
//
//	c, err := cache.New(cache.Options{})
//	…
//	client := &http.Client{Transport: c.Middleware(nil)}
//
// The zero [Options] make a private cache in memory that follows the servers' word. What the cache did for a response stands in
// its Cache-Status field, which [StatusOf] reads. [Disable] and [WithMode] change the treatment of single requests or of whole scopes.
//
// A request is decided in one place, by pure functions: what the request asks (ask.go), which variant fits (vary.go),
// what is to be done (decide.go), whether an answer may be stored (storable.go), what a 304 confirms (validate.go)
// and what an unsafe request makes invalid (invalidate.go). The effects are in layer.go and exchange.go, in flight.go (one exchange for several requests),
// in spool.go (one body for several readers) and in the stores.
package cache
