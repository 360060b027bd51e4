// Package plyotel traces and measures HTTP calls with OpenTelemetry: a span and a duration for each call and for each attempt of it,
// what the cache and the retry layer did, and the counts of caches and retry budgets.
//
//	import plyotel "github.com/plyhttp/ply/telemetry/otel"
//
//	telemetry, err := plyotel.New(plyotel.Options{})
//	…
//	client, err := ply.New(ply.Options{
//		UseCall: []ply.Middleware{telemetry.Call},
//		Use:     []ply.Middleware{c.Middleware, retry.New(retry.Options{}), telemetry.Attempt},
//	})
//
// Both layers are plain func(http.RoundTripper) http.RoundTripper and work in any *http.Client, alone or together.
//
// # Spans
//
// [Telemetry.Attempt] makes what the semantic conventions ask of an HTTP client: a span of kind client for each request that is sent, with url.full, server.address,
// http.response.status_code, error.type, http.request.resend_count and so on, and the trace context in the fields of that very request. It belongs innermost.
//
// [Telemetry.Call] makes a span of kind internal around all of it, redirects, hits of the cache and waits included, with ply.cache.status and ply.cache.reason,
// ply.retry.attempts and ply.retry.stop, and, if it was not redirected, an event for each retry. It belongs outermost, in UseCall or first in Use.
//
// A span ends when the body of the response has ended or was closed; or when its context ends, or when the garbage collector finds that nobody has the body any more.
// It ends once. Options.AtHeaders ends it when the header has come. A panic of the layers inside ends it too, and goes on its way.
//
// # Metrics
//
// http.client.request.duration, http.client.request.body.size, http.client.response.body.size and http.client.active_requests come from Attempt,
// ply.client.call.duration from Call, ply.cache.* from [Telemetry.ObserveCache], ply.retry.retries and ply.retry.stops from Call, and ply.retry.budget.* from [Telemetry.ObserveBudget].
// The number of their series is bounded: methods, types of errors and statuses are few, servers and templates beyond Options.MaxServers and 100 count as one.
//
// # Secrets
//
// URLs and errors are shown as a [redact.Redactor] shows them. No header field and no body gets into a span, no URL into a metric.
// What the propagator writes goes to every server that is asked: one that carries baggage is for servers that may see it, see Options.Propagator.
//
// # Why this is not otelhttp
//
// It stands beside otelhttp, on the same API and conventions. A wrapped otelhttp.Transport would do half of it: its span has the text of the error as it came, with the URL's secrets,
// and the values of the query; it stays open if the body is never closed or the transport panics; it knows nothing of resends, and metrics are taken at the header while
// the conventions want the duration of the span. Below a ply cache or retry layer it would still be a client span per attempt, so whoever has otelhttp already can keep it
// in the place of Attempt, with Call around it.
//
// # What it costs
//
// Nothing, if no provider records: no allocation, and bodies untouched. What a global provider that is set later records is seen from then on.
package plyotel
