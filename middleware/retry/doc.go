// Package retry sends HTTP requests again when that is safe and may help.
//
// [New] makes a layer of the shape func(http.RoundTripper) http.RoundTripper:
//
//	client := &http.Client{Transport: retry.New(retry.Options{})(http.DefaultTransport)}
//
// # What is retried
//
// A request that is idempotent, by its method (GET, HEAD, OPTIONS, TRACE, PUT, DELETE, QUERY), by an Idempotency-Key field
// or by [WithIdempotent], is sent again after 408, 425, 429, 500, 502, 503 and 504, after a lost connection and after a timeout.
// Any request is sent again when it provably never left, and after 429 and 421.
// Certificates that do not verify, names that do not exist and errors that nobody knows end the call at once.
// The body must be absent or come from GetBody; [Options.BufferBody] makes up for a missing GetBody.
// [Options.Rules] come before all that; [DefaultRule] is the whole of it.
//
// # When, and how often
//
// Waits are random up to a bound that doubles ([FullJitter]), or what Retry-After asks, but never beyond the caller's deadline:
// if a wait does not fit, the call ends at once. A call has two retries at most, those of all its redirects included, and all calls to a host together
// have a budget ([TokenBucket]), so that an outage is not made worse. A retry layer below another one does nothing.
//
// # What comes back
//
// The last response, with its body, and a nil error, whatever its status; or an [*Error] if there is none.
// [InfoFrom] tells how a response came about. [WithInfo] does so for a call, also for one that failed or that a cache outside the layer answered.
//
// # Downloads
//
// With [Options.Resume], the body of a 200 to a GET goes on where it broke: the rest is asked for with Range and If-Range
// (RFC 9110 §14.2, §13.1.5) and checked against what came before. It takes a strong validator, Accept-Ranges: bytes and content
// that [http.Transport] has not decompressed. Trailers of a resumed response are lost. What cannot be continued ends with the error it broke with.
package retry
