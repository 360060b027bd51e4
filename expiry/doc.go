// Package expiry decides how long a cached response stays fresh.
//
// A cache asks a [Strategy] when it has received a response, and again when a response has been validated.
// [Default] follows the server, as RFC 9111 §4.2 defines it. Other strategies overrule the server, or fill in where it says nothing.
// Strategies are pure: they read their arguments, the time included, and nothing else.
//
// Where to look: expiry.go has Strategy and what it is asked with, verdict.go has its answer; server.go follows the server, fixed.go overrules it;
// compose.go chooses among strategies, by status, media type or URL; adjust.go changes their lifetimes, ahead.go has responses refreshed before these are over; precedence.go orders all sources of a lifetime.
// The rules of RFC 9111 §4.2 themselves are in internal/freshness.
package expiry
