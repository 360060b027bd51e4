// Package logging writes one record for each HTTP call with log/slog, and no secret in it.
//
// [New] makes a layer of the shape func(http.RoundTripper) http.RoundTripper:
//
//	client := &http.Client{Transport: logging.New(logging.Options{})(http.DefaultTransport)}
//
// A record is written when the body of the response has ended, because the status of a stream is not yet its outcome.
// Its level follows the outcome ([DefaultLevel]); its attributes are named by the semantic conventions of OpenTelemetry where these have a name.
// It is written with the context of the request, so that a handler can add trace ids.
//
// # Placement
//
// Outside a retry layer there is one record per call, with the number of resends and the reason to stop.
// Inside there is one per attempt, at lower levels. The same layer may stand at both places; call.id ties the records together.
//
// # What is not shown
//
// Userinfo, values of query parameters, and values of header fields that no standard says are harmless show as REDACTED,
// in URLs, in Location and Referer, and in the texts of errors. A [redact.Redactor] shows more, or less; names that say "secret" by themselves
// (Authorization, Cookie, anything with token, password, api-key …) stay hidden whatever it allows.
// Header fields and bodies are written only on request.
//
// # What it costs
//
// Nothing, if the logger does not take errors: no allocation, and bodies untouched.
// Bodies are seen as they pass; nothing is read ahead, held back or kept, except for the first Options.BodyBytes.
package logging
