// Package invalidation has what stored responses are invalidated by, without a store: tags, groups, and what was invalidated lately (RFC 9111 §4.4, RFC 9875).
//
//	tags.go            the tag of a URI, a group or a principal: a hash
//	response_tags.go   the tags that a program gives to a response
//	groups.go          the cache groups that a field lists
//	history.go         the latest invalidations, which keep out responses that were requested before them
package invalidation
