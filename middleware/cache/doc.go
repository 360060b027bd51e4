// Package cache is an HTTP cache for clients (RFC 9111), as a layer that mounts in any [net/http.Client].
//
//	c, err := cache.New(cache.Options{})
//	if err != nil {
//		return err
//	}
//	defer c.Close()
//	client := &http.Client{Transport: c.Middleware(nil)} // or ply.Wrap, or Use of ply.Options
//
// The zero [Options] make a private cache in memory, 64 MiB at most, that follows the servers' word. One [Cache] can stand in several clients.
// A response is stored when its body has been read to its end: read it, then close it.
//
// # What happened
//
// Each response says in its Cache-Status field what the cache did (RFC 9211). [StatusOf] reads it: [Status.Outcome] is one word, such as "hit" or "miss",
// and [Status.Reasons] explains it in sentences. [Cache.Explain] says what would be done with a request, [Cache.ExplainResponse] whether an answer would be stored,
// and [Cache.Stats] counts. A [Trace] hears of events as they happen.
//
// # What is stored, and for how long
//
// Responses that the server gives a lifetime or a validator. [Options].Expiry has strategies for all others, and overrules the server where you know better:
// see package [github.com/plyhttp/ply/expiry]. [WithExpiry] does so for one request. Errors are never kept by a lifetime of your own,
// unless [expiry.ByStatus] names their status.
//
// # Who shares
//
// Requests with equal keys share stored responses. The default key has the URL and a hash of the credentials, so users are kept apart.
// Responses that came over different kinds of connections stay apart, too. [Options].Key says otherwise: see package [github.com/plyhttp/ply/keying].
// [WithPrincipal] names the user. Whatever adds credentials belongs above the cache.
//
// # Scopes
//
// [Disable] keeps the cache out of all requests with a context, [WithMode] treats them in another way: [ModeReload], [ModeOnlyIfCached] for a program without
// a network, [ModeReadOnly] and others. [Cache.SetMode] and [Cache.SetEnabled] do so for all requests. None of it is sent to the server.
//
// # Where it is stored
//
// In a [Memory], or in any [github.com/plyhttp/ply/store.Store]: files, SQLite, Redis and others, which survive a restart or are shared by a fleet.
// [Tiered] puts a memory before one. A store that fails never fails a request.
//
// # Looking after it
//
// [Cache.DeleteURL], [Cache.DeletePattern], [Cache.DeleteTag], [Cache.DeletePrincipal] and [Cache.Clear] remove what is stored, and keep out what is on its way.
// [Cache.Entries] lists it, [Warm] fills it, [Cache.Export] and [Copy] move it, [Cache.Verify] checks it.
//
// The guides are docs/caching.md, keying.md, expiry.md, scopes.md and auth.md of the repository; docs/troubleshooting.md has the twenty commonest surprises,
// and docs/cache-reference.md every detail of Cache-Status.
//
// # Where to look
//
// The rules are in internal/rfc9111, pure functions in files named for the sections of the RFC; stored responses in internal/stored, the stores in internal/memory
// and internal/durable, bodies in internal/stream. Here are the effects:
//
//	options.go, cache.go, mount.go   what a cache is made of, and its place in a chain
//	roundtrip.go, pass.go            a request: key, look up, decide, serve or exchange; or pass it by
//	key.go, lookup.go, lookup_durable.go, serve.go   these steps; looking into a byte store
//	exchange.go                      one exchange: who makes it, who ends it
//	origin_response.go               what becomes of the origin's answer:
//	origin_entry.go, origin_body.go, origin_validation.go, partial_content.go, judge.go, filter.go
//	collapse.go, collapse_wait.go    one fetch for several requests (RFC 9111 §4): who may lead or share; waiting for it
//	inflight.go, shared_body.go, inflight_table.go, hit_for_miss.go   that fetch, its body, all of them, and what cannot be shared
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
//	mode.go, status.go, said.go, reasons.go, stats.go, tally.go, trace.go   what requests choose, and what the cache says
package cache
