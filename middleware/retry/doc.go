// Package retry sends HTTP requests again where that is safe and may help.
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
// A certificate that does not verify, a name that does not exist and an unknown error end the call at once.
// The body must be absent or come from GetBody; [Options.BufferBody] makes up for a missing GetBody.
// [Options.Rules] come first; [DefaultRule] is all of the above.
//
// # When, and how often
//
// Waits are random up to a bound that doubles ([FullJitter]), or as long as Retry-After asks, but never go beyond the caller's deadline:
// if a wait does not fit, the call ends at once. A call has at most two retries, those of all its redirects included. All calls to a host share
// a budget ([TokenBucket]), so that retries do not make an outage worse. A retry layer below another one does nothing.
//
// # What comes back
//
// A call returns the last response, with its body, and a nil error, whatever its status; or an [*Error] if there is no response.
// [InfoFrom] returns how a response came about. [WithInfo] does so for a call, also for one that failed or that a cache outside the layer answered.
//
// # Downloads
//
// With [Options.Resume], the body of a 200 to a GET continues where it broke: the layer requests the rest with Range and If-Range
// (RFC 9110 §14.2, §13.1.5) and checks it against what came before. That needs a strong validator, Accept-Ranges: bytes, and content
// that [http.Transport] has not decompressed. Trailers of a resumed response are lost. A body that cannot be resumed ends with the error that broke it.
//
// # Where to look
//
// retry.go has the layer and its loop, call.go the state of a call, try.go one attempt; decide.go says what follows an attempt, classify.go and failure.go
// (quic.go for HTTP/3) classify its outcome, trace.go proves that a request was not written; backoff.go, budget.go and cooldown.go bound retries;
// replay.go repeats request bodies, resume.go continues response bodies; key.go makes idempotency keys; outcomes.go reports attempts to the record of a call; options.go, info.go and errors.go are the rest of the API.
package retry
