// Package expiry decides how long a cached response stays fresh.
//
// A cache asks a [Strategy] when it has received a response, and again when a response has been validated. [Default] follows the server, as RFC 9111 §4.2 defines it.
// Other strategies fill in where the server says nothing, or overrule it:
//
//	cache.Options{Expiry: expiry.First(expiry.Default(), expiry.After(time.Minute))} // where the server is silent, a minute
//	cache.Options{Expiry: expiry.After(time.Hour)}                                   // an hour, whatever the server says
//
// # Choosing
//
// [First] asks strategies in turn, and the first one that has an opinion decides. [ByStatus], [ByType] and [ByURL] have one where a rule fits; put the narrow ones first.
// [Precedence] orders all sources of a lifetime, the request's among them.
//
// # Overruling
//
// [After], [At], [NeverExpires], [AlwaysRevalidate] and [NoStore] replace what the server says, no-store and must-revalidate included. They never keep an error,
// unless ByStatus names its status, and never make a shared cache store what is private.
//
// # Adjusting
//
// [Clamp], [Jitter], [Sliding], [StaleWindows], [Ahead] and [XFetch] change what another strategy says; nil stands for Default.
//
// # Your own
//
// [Func] is a function that returns a [Verdict]: [Lifetime], [Follow], [Refuse], or the zero Verdict for no opinion. Strategies are pure and safe for concurrent use:
// they read their arguments, the time included, and nothing else. Durations count from the receipt of the response.
//
// docs/expiry.md of the repository has the commonest strategies in full, with units and zero values.
//
// # Where to look
//
// expiry.go has Strategy and what it is asked with, verdict.go has its answer; server.go follows the server, fixed.go overrules it;
// compose.go chooses among strategies, by status, media type or URL; adjust.go changes their lifetimes, ahead.go has responses refreshed before these are over; precedence.go orders all sources of a lifetime.
// The rules of RFC 9111 §4.2 themselves are in internal/freshness.
package expiry
