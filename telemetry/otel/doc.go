// Package plyotel traces and measures HTTP calls with OpenTelemetry: spans and durations of calls and of their attempts,
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
// [Telemetry.Attempt] makes a span of kind client for each request that is sent, as the semantic conventions require: with url.full, server.address,
// http.response.status_code, error.type, http.request.resend_count and so on, and with the trace context in the fields of that request. It belongs innermost.
//
// [Telemetry.Call] makes a span of kind internal around the whole call, redirects, cache hits and waits included, with ply.cache.status and ply.cache.reason,
// ply.retry.attempts and ply.retry.stop, and, if it was not redirected, an event for each retry. It belongs outermost, in UseCall or first in Use.
//
// A span ends once: when the body of the response has ended or was closed, when its context ends, or when the garbage collector finds an abandoned body.
// Options.AtHeaders ends it when the header has arrived. A panic of the layers inside ends it, too, and goes on.
//
// # Metrics
//
// http.client.request.duration, http.client.request.body.size, http.client.response.body.size and http.client.active_requests come from Attempt,
// ply.client.call.duration from Call, ply.cache.* from [Telemetry.ObserveCache], ply.retry.retries and ply.retry.stops from Call, and ply.retry.budget.* from [Telemetry.ObserveBudget].
// The number of their series is bounded: methods, types of errors and statuses are few; servers beyond Options.MaxServers and templates beyond 100 count as one.
//
// # Secrets
//
// URLs and errors are shown as a [redact.Redactor] shows them. No header field and no body appears in a span, no URL in a metric.
// What the propagator writes goes to every server: use one that carries baggage only for servers that may see it; see Options.Propagator.
//
// # Why this is not otelhttp
//
// The package uses the same API and conventions as otelhttp. A wrapped otelhttp.Transport would not do: its span has the unredacted text of errors, with the secrets of the URL,
// and the values of the query. The span stays open if the body is never closed or the transport panics. It has no resends, and metrics are taken at the header, while
// the conventions want the duration of the span. Below a ply cache or retry layer otelhttp still makes a client span per attempt, so a program that has it can keep it
// in place of Attempt, with Call around it.
//
// # What it costs
//
// If no provider records, a call costs no allocation, and bodies are untouched. A global provider that is set later is used from then on.
//
// # Where to look
//
// telemetry.go has New and Options, operation.go what both layers share; call.go and attempt.go are the layers; attributes.go, text.go and bounded.go bound what they report;
// body.go observes bodies, metrics.go has the instruments.
package plyotel
