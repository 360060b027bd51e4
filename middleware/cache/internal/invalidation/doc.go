// Package invalidation has the tags and groups by which stored responses are invalidated, and the history of recent invalidations (RFC 9111 §4.4, RFC 9875).
//
//	tags.go            the tag of a URI, a group or a principal: a hash
//	response_tags.go   the tags that a program gives to a response
//	groups.go          the cache groups that a field lists
//	history.go         the latest invalidations: a response that was requested before one is not stored after it
package invalidation
