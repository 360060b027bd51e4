// Package plytest tests HTTP client layers: functions of the shape func(http.RoundTripper) http.RoundTripper.
//
// [CheckMiddleware] checks any such function against the contract of [http.RoundTripper], rule by rule:
//
//	func TestContract(t *testing.T) {
//		plytest.CheckMiddleware(t, mylayer.New)
//	}
//
// [Origin] is a server in memory, used as the transport below the layer under test.
// It plays a script of replies and faults, or runs an [http.Handler], and records the requests that it got.
// It uses neither sockets nor a clock of its own, so it works in [testing/synctest], where waiting takes no time:
//
//	origin := &plytest.Origin{Script: []plytest.Reply{
//		plytest.Refuse(),
//		plytest.RetryIn(http.StatusTooManyRequests, 2*time.Second),
//		{Body: "0123456789", Fault: plytest.ResetAfter(4)},
//		plytest.Text("hello", "Etag", `"v1"`),
//	}}
//	client := &http.Client{Transport: mylayer.New(origin)}
//
// [NewServer] plays the same script over a real socket, for tests of what [http.Transport] makes of a fault.
//
// [CheckGoroutines] and [VerifyMain] find goroutines that a test leaves behind.
//
// Where to look: check.go runs the rules of CheckMiddleware, which are in rules_*.go by subject, over the requests of situations.go; remedies.go says what to do about a broken rule.
// origin.go, call.go, body.go and serve.go are the Origin, reply.go and failure.go its replies, exchange.go its record; server.go is the Server, goroutines.go the leak check.
package plytest
