// Package stored has the stored response and its parts: plain data that never changes once it is published.
//
//	entry.go             the stored response, its age now (RFC 9111 §4.2.3) and remaining freshness, and the response that a hit returns
//	variants.go          the responses under one key
//	identity.go          whether two entries are one, or follow one another
//	reuse.go             what a response says about its own use: whether it may be served stale at all (RFC 9111 §4.2.4)
//	selector.go          the request fields that it varies on (RFC 9111 §4.1)
//	no_vary_search.go    the differences between queries that do not count
//	content.go           its body, in memory or in a store
//	pacing.go            when the pieces of an event stream came
//	content_range.go     which bytes of the whole it has (RFC 9110 §14.4)
//	combining.go         when two parts are one, and how they are combined (RFC 9111 §3.4)
//	header.go            its header, in one string, and as it is served
//	status_line.go       status lines, of which the usual ones are one for all entries
//	hit_fields.go        the Age and Cache-Status of hits, made once for many
//	header_fields.go     cookies, which are not served again, and the fields that a 304 leaves out
//	keys.go, source.go   where it stands in a store, and which record a copy was read from
package stored
