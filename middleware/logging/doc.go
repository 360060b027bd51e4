// Package logging writes one log/slog record for each HTTP call, without secrets.
//
// [New] makes a layer of the shape func(http.RoundTripper) http.RoundTripper:
//
//	client := &http.Client{Transport: logging.New(logging.Options{})(http.DefaultTransport)}
//
// A record is written when the body of the response has ended, because a transfer may still fail after the status has come.
// Its level depends on the outcome ([DefaultLevel]). Its attributes have the names of the semantic conventions of OpenTelemetry where there are any.
// The context of the request is passed to the handler, so that it can add trace ids.
//
// # Placement
//
// Outside a retry layer there is one record per call, with the number of resends and the reason to stop.
// Inside there is one per attempt, at lower levels. The same layer may stand at both places; the records of a call have the same call.id.
//
// # What is not shown
//
// Userinfo, values of query parameters, and values of header fields that are not on the list of harmless ones show as REDACTED,
// in URLs, in Location and Referer, and in the texts of errors. A [redact.Redactor] can show more, or less. Values with the name of a secret
// (Authorization, Cookie, anything with token, password, api-key …) stay hidden whatever it allows.
// Header fields and bodies are written only on request.
//
// # What it costs
//
// If the logger is not enabled for errors, a call costs no allocation, and bodies are untouched.
// Otherwise bodies are observed as they pass. Nothing is read ahead, held back or kept, except for the first Options.BodyBytes.
//
// # Where to look
//
// options.go has the options, logging.go the layer, outcome.go what a record says and its level, attrs.go its attributes (clip.go bounds them, connection.go, cachestatus.go and callid.go are some);
// sample.go leaves records out; capture.go takes bodies, mask.go and nested.go hide their secrets; curl.go writes commands; inside.go looks at the layers below.
package logging
