package tape

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/plyhttp/ply/keying"
)

// ErrNotOnTape is in the error of a request that a chain sends to the origin of a replay and that the tape has no answer for. See [Report.Unknown].
var ErrNotOnTape = errors.New("tape: the tape has no answer to this request")

// ReplayOptions say what [Replay] sends recorded traffic through: a policy of caching, retries and hedging, say.
type ReplayOptions struct {
	// Name is how the report calls the policy. Zero means "replay".
	Name string

	// Chain builds the layers over the origin that the tape plays. Replay calls it once, at the start of the tape in virtual time, and closes the result at the end
	// if that is an [io.Closer]. What it returns is called from many goroutines, as any [http.RoundTripper] is. Build everything in here that has timers or goroutines,
	// such as a cache: what is built outside lives in another time. Nil means no layers: requests go straight to the origin.
	//
	// To close a cache at the end, return both:
	//
	//	return struct {
	//		http.RoundTripper
	//		io.Closer
	//	}{c.Middleware(origin), c}, nil
	Chain func(origin http.RoundTripper) (http.RoundTripper, error)

	// Match says which requests are the same to the origin, beside their method and their content. What it leaves out is shared: the origin would answer the request
	// of one principal with what it answered another. Nil means [keying.Default]: the target URI and the credentials of the request.
	Match keying.Strategy
}

// Replay sends the requests of a tape through a chain in virtual time, each at its recorded moment, and reports what came of it:
// a week of traffic takes seconds. The origin below the chain is played from the tape; docs/tape.md has the rules.
//
// Within a bubble of [testing/synctest] Replay runs in that bubble, otherwise in one of its own, which it also gets outside tests; see below for what that takes.
// The clock stands at the recorded time: Replay sleeps until the start of the tape. If the bubble is past it already (a bubble starts in the year 2000),
// it moves the dates in the header fields of requests and responses by the difference. Requests of one instant are sent in the order of the tape, after what else happens
// at that instant: the same tape and chain give the same report, unless a layer uses random numbers. For that Replay calls [synctest.Wait], so nothing else in the bubble may.
//
// A caller that gave up when the tape was recorded ([FailureDeadline], [FailureCanceled]) gives up after the same time again, if it has no answer by then: its context ends.
//
// The error is ctx's if ctx ends: Replay looks at it before each request. It is another one if the chain cannot be built or closed, panics, waits for what never comes,
// or leaves goroutines behind that never end; or the tape has times that a bubble does not: before its start, of more than 50 years, or after 2260. The tape must not change meanwhile. Replays may run at the same time.
//
// Outside tests, a bubble takes a [testing.T], which Replay gets by running [testing.Main] in the background, once per process: nothing is printed and no flag is added,
// but the program must not parse the flags of package flag at the moment of the first Replay, nor have called [testing.Init]. A goroutine stays until the process ends,
// and Go no longer adapts GOMAXPROCS to the limits of a container. In a bubble, sockets and files work, but the clock stands still while a goroutine waits for one.
func Replay(ctx context.Context, t *Tape, o ReplayOptions) (*Report, error) {
	if t == nil {
		return nil, errors.New("tape: Replay needs a tape")
	}
	if o.Name == "" {
		o.Name = "replay"
	}
	if o.Match == nil {
		o.Match = keying.Default()
	}
	var report *Report
	var err error
	if bubbleErr := inBubble(func() { report, err = replay(ctx, t, o) }); bubbleErr != nil {
		return nil, fmt.Errorf("tape: replay %q: %w", o.Name, bubbleErr)
	}
	if err != nil {
		return nil, fmt.Errorf("tape: replay %q: %w", o.Name, err)
	}
	return report, nil
}

// Compare replays a tape once for each policy, one after the other, and returns their reports for a table. It stops at the first error.
func Compare(ctx context.Context, t *Tape, policies ...ReplayOptions) (Comparison, error) {
	var c Comparison
	for _, p := range policies {
		r, err := Replay(ctx, t, p)
		if err != nil {
			return nil, err
		}
		c = append(c, r)
	}
	return c, nil
}
