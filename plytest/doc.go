// Package plytest tests HTTP client layers: functions of the shape func(http.RoundTripper) http.RoundTripper.
//
// [CheckMiddleware] holds any such function to the contract of [http.RoundTripper], rule by rule:
//
//	func TestContract(t *testing.T) {
//		plytest.CheckMiddleware(t, mylayer.New)
//	}
//
// [Origin] is a server in memory, used as the transport below the layer under test.
// It plays a script of replies, faults among them, or runs an [http.Handler], and keeps a log of what it saw.
// It uses no sockets and no clock of its own, so it is at home in [testing/synctest], where waiting takes no time:
//
//	origin := &plytest.Origin{Script: []plytest.Reply{
//		plytest.Refuse(),
//		plytest.RetryIn(http.StatusTooManyRequests, 2*time.Second),
//		{Body: "0123456789", Fault: plytest.ResetAfter(4)},
//		plytest.Text("hello", "Etag", `"v1"`),
//	}}
//	client := &http.Client{Transport: mylayer.New(origin)}
//
// [NewServer] plays the same script over a real socket, for tests that want [http.Transport]'s own view of a fault.
//
// [CheckGoroutines] and [VerifyMain] find the goroutines that a test left behind.
package plytest
