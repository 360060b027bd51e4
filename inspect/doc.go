// Package inspect shows what a program's HTTP clients do, live, in a browser: each call with its layers, attempts and waits, why the cache decided as it did,
// requests and responses side by side, and what the cache holds.
//
//	in, err := inspect.New(inspect.Options{Cache: c})
//	…
//	client, err := ply.New(ply.Options{Use: []ply.Middleware{in.Middleware, c.Middleware, retry.New(retry.Options{})}})
//	…
//	go http.ListenAndServe("127.0.0.1:7117", in)
//
// It is for development and for looking at a program that runs. It keeps the last calls within a number and a number of bytes, hides secrets,
// and answers only this machine unless [Options.AllowRemote] says otherwise.
//
//	options.go            Options and what is wrong with them; New
//	inspector.go          the calls that are kept, and who is told of changes
//	layer.go              the layer
//	call.go, body.go      a call and its hops as they pass; copies of bodies
//	series.go             statistics over time
//	outcome.go, why.go    the one word for a call, and the reasons
//	view.go, detail.go    a call as pages are shown it: in the list, and as a whole
//	text.go               texts, header fields and bodies, without secrets
//	guard.go              who may look
//	server.go, events.go  the handler; the stream of changes
//	cache.go, har.go      the cache's entries; calls as an archive
//	page                  the page
package inspect
