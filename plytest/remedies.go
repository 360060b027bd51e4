package plytest

// remedies say what to do about a broken rule. Each failure ends with one.
var remedies = map[Rule]string{
	RequestUnmodified:     "Send a copy: r := req.Clone(ctx), or r := *req with r.Header = req.Header.Clone() before a field is set",
	RequestBodyClosed:     "Close req.Body on each path that does not hand it to next, and on no other: next closes what it is given",
	ResponseOrError:       "Return a response or an error: close the response where an error takes its place",
	ResponseBodySet:       "Set Body to http.NoBody where there is none",
	ResponseRequestSet:    "Set Response.Request to the request of this call, also for an answer that was stored",
	ResponsesClosed:       "Call resp.Body.Close() where the layer decides to try again or to return an error",
	BytesUnchanged:        "Wrap the body and look at what passes; hand on every byte, and every error but io.EOF as it is",
	BodyStreamed:          "Wrap the body instead of reading it to its end; if that is the purpose, say so with plytest.Except",
	HeadersNotShared:      "Clone the header and the trailer of what is kept, and again for each response that is made of it",
	UpgradeKept:           "Return a response with status 101 (Switching Protocols) untouched",
	ContextAlive:          "Call cancel when the body ends or is closed, instead of with defer",
	CancellationHonored:   "Derive contexts from req.Context(), and watch it wherever the layer waits",
	ErrorKept:             "Wrap the error of next with %w, or return it as it is",
	PanicPassed:           "Release locks and slots with defer, and carry a panic over from another goroutine",
	NilNext:               "Wrap the layer in ply.Chain, or begin it with: if next == nil { next = http.DefaultTransport }",
	IdleConnectionsClosed: "Wrap the layer in ply.Chain, or give its handler a method CloseIdleConnections that calls the one of next",
	ConcurrentUse:         "Keep what concerns one request out of the fields of the handler, or guard it",
	NoGoroutineLeft:       "End each goroutine of a call with the body of its response, or with the error",
}
