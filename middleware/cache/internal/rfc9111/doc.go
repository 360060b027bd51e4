// Package rfc9111 has the rules: pure functions of a request, stored responses, a policy and a time. It does no input or output, reads no clock and takes no lock.
//
//	request.go, bypass.go   what a request asks of a cache, and what keeps it away from the store (§4, §5.2.1)
//	mode.go, policy.go      how one request treats the cache, and how the cache was set up
//	selection.go            which stored response a request selects (§4.1)
//	normalisation.go        when two values of a request field mean the same (§4.1)
//	decision.go             what is done with a request (§4), also with a stale response (§4.2.4) and under only-if-cached (§5.2.1.7)
//	freshness.go            what a strategy says of a response, and its age on receipt (§4.2.3). In package stored, entry.go has its age now
//	                        and reuse.go whether it may be served stale at all (§4.2.4).
//	                        The lifetime that the server gives, and the heuristic one, are in the module's internal/freshness (§4.2.1, §4.2.2)
//	explaining.go           what the rules say of one stored response, in words for Explain
//	refreshing_ahead.go     when a fresh response is refreshed before it expires
//	stale_on_error.go       which stale response stands in for an error (§4.2.4, RFC 5861)
//	validation.go           conditional requests, and what a 304 confirms and updates (§3.2, §4.3)
//	ranges.go               range requests; which part completes another one (§3.3, §3.4). Package stored combines the two: the bytes in combining.go,
//	                        the header in variants.go
//	storing.go, candidate.go   whether a response may be stored, and why not: also a part (§3.3), and one for a request with credentials (§3.5)
//	stored_header.go        the header as it is stored (§3.1). The fields that belong to a connection or a proxy are in the module's internal/field, hop.go
//	replacing.go            what an answer that is not stored does to what is (§4.3.3)
//	invalidation.go         which requests and responses invalidate, and what has the same origin (§4.4). The URIs are in package cache, invalidate.go
//	credentials.go          which kinds of credentials a request carries, for storing.go
package rfc9111
