// Package cache is an HTTP cache for clients (RFC 9111), as a layer that mounts in any [net/http.Client].
//
//	c, err := cache.New(cache.Options{})
//	…
//	client := &http.Client{Transport: c.Middleware(nil)}
//
// The zero [Options] make a private cache in memory that follows the servers' word. What the cache did for a response stands in
// its Cache-Status field, which [StatusOf] reads. [Disable] and [WithMode] change the treatment of single requests or of whole scopes.
//
// The rules are in internal/rfc9111, pure functions in files named for the sections of the RFC; stored responses in internal/stored, the stores in internal/memory
// and internal/durable, bodies in internal/stream. Here are the effects:
//
//	options.go, cache.go, mount.go   what a cache is made of, and its place in a chain
//	roundtrip.go                     a request: key, look up, decide, serve or exchange
//	key.go, lookup.go, lookup_durable.go, serve.go   these steps; looking into a byte store
//	exchange.go                      one exchange: who makes it, who ends it
//	origin_response.go               what becomes of the origin's answer:
//	origin_entry.go, origin_body.go, origin_validation.go, partial_content.go, judge.go, filter.go
//	collapse.go, collapse_wait.go    one fetch for several requests (RFC 9111 §4): who may lead or share; waiting for it
//	inflight.go, inflight_table.go, hit_for_miss.go   that fetch, all of them, and what cannot be shared
//	lease_wait.go                    one fetch for several processes
//	refresh.go, refresh_ahead.go, trouble.go   refreshes in the background; an origin in trouble
//	event_streams.go                 event streams that are stored: which, and how they are replayed
//	storage.go                       putting an entry into the store
//	invalidate.go, tags.go, response_tags.go, resource.go, unsafe.go   what ends stored responses
//	watch.go, principal.go, connection.go   who asks, and over which connection
//	maintenance.go, purge.go, warm.go, explain.go, explain_text.go, explain_response.go, explain_storing.go, memory.go, memory_url.go, tiered.go   looking after what is stored
//	entries.go, entry_match.go, entry_open.go, by_key.go, save.go   one stored response, as programs see it
//	export.go, import.go             moving entries to another cache; the stream is in internal/transfer
//	verify.go, entry_json.go, har.go   every record read and checked; an entry in JSON, and as one of an HTTP Archive
//	mode.go, status.go, reasons.go, stats.go, tally.go, trace.go   what requests choose, and what the cache says
package cache
