package retry_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

// told counts what a budget without refunds is told.
type told struct{ allowed, notMade int }

func (b *told) Allow(string, retry.Outcome) (func(), bool) { b.allowed++; return nil, true }
func (b *told) Success(string)                             {}
func (b *told) NotMade(string)                             { b.notMade++ }

// keptBelow is the error of a layer that did not send a request.
type keptBelow struct{}

func (keptBelow) Error() string        { return "no room" }
func (keptBelow) Unsent() bool         { return true }
func (keptBelow) RetryableError() bool { return false }

// What was paid for a retry comes back if no server has been asked for it.
func TestRetryThatIsNotMadeIsRefunded(t *testing.T) {
	cut := broken(4, "Accept-Ranges", "bytes", "Etag", `"v1"`)
	for _, tt := range []struct {
		name   string
		o      retry.Options
		first  plytest.Reply
		second error // of the layer below, in place of what the origin says
		giveUp time.Duration
		kept   bool // the retry is not made
	}{
		{name: "the caller gives up during the wait", first: plytest.Status(503), giveUp: time.Second / 2, kept: true},
		{name: "Prepare fails", first: plytest.Status(503), o: retry.Options{Prepare: func(*http.Request) error { return errors.New("no key") }}, kept: true},
		{name: "a layer below keeps it", first: plytest.Status(503), second: keptBelow{}, kept: true},
		{name: "the caller gives up before the rest of a body", first: cut, o: retry.Options{Resume: 1}, giveUp: time.Second / 2, kept: true},
		{name: "Prepare fails for the rest of a body", first: cut, o: retry.Options{Resume: 1, Prepare: func(*http.Request) error { return errors.New("no key") }}, kept: true},
		{name: "the server is asked and breaks", first: plytest.Status(503), second: io.ErrUnexpectedEOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				bucket, counts := &retry.TokenBucket{Floor: -1}, &told{}
				for _, b := range []retry.Budget{bucket, counts} {
					origin := plytest.NewOrigin(tt.first, plytest.Status(503))
					o := tt.o
					o.Budget, o.MaxAttempts, o.Backoff = b, 2, retry.Constant(time.Second)
					next := testutil.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
						if tt.second != nil && origin.Count() == 1 {
							return nil, tt.second
						}
						return origin.RoundTrip(req)
					})
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					if tt.giveUp > 0 {
						time.AfterFunc(tt.giveUp, cancel)
					}
					if resp, err := do(t, o, next, newRequest(t, http.MethodGet).WithContext(ctx)); err == nil {
						io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
					}
				}
				want, notMade := 95, 0
				if tt.kept {
					want, notMade = 100, 1
				}
				if got := bucket.Tokens("example.com"); got != want || counts.allowed != 1 || counts.notMade != notMade {
					t.Errorf("%d tokens, want %d; %+v", got, want, *counts)
				}
			})
		})
	}
}
