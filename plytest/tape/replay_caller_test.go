package tape_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plyhttp/ply/internal/traffic"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest/tape"
)

// A caller that gave up after two seconds is not there any longer for what a layer would have for it later.
func TestCallersGiveUpWhenTheyDid(t *testing.T) {
	again := func(origin http.RoundTripper) (http.RoundTripper, error) {
		return retry.New(retry.Options{MaxAttempts: 3, Backoff: retry.Constant(0)})(origin), nil
	}
	slow := func(origin http.RoundTripper, r *http.Request) (*http.Response, error) {
		time.Sleep(5 * time.Second) // asks late, whatever the caller does
		return origin.RoundTrip(r)
	}
	for name, c := range map[string]struct {
		chain func(http.RoundTripper) (http.RoundTripper, error)
		want  tape.Report
	}{
		"without layers":                       {nil, tape.Report{Requests: 2, OriginRequests: 2, Errors: 1, Wait: 2 * time.Second, Max: 2 * time.Second}},
		"its context ends a retry":             {again, tape.Report{Requests: 2, OriginRequests: 2, Errors: 1, Wait: 2 * time.Second, Max: 2 * time.Second}},
		"an answer from a cache comes in time": {cached(cache.Options{}), tape.Report{Requests: 2, OriginRequests: 1, Hits: 1}},
		"a faster copy comes in time":          {layer(hedged), tape.Report{Requests: 2, OriginRequests: 3, Hedges: 1, Wait: time.Second, Max: time.Second}},
		"a layer that asks too late":           {layer(slow), tape.Report{Requests: 2, OriginRequests: 2, Errors: 1, Wait: 10 * time.Second, Max: 5 * time.Second}},
	} {
		for _, kind := range []tape.FailureKind{tape.FailureDeadline, tape.FailureCanceled} {
			left := pageFails(9, kind)
			left.Failure.At = 2 * time.Second
			got := replay(t, &tape.Tape{Start: traffic.Start, Exchanges: []*tape.Exchange{page200(0, "one"), left}}, c.chain)
			figures := cmpopts.IgnoreFields(tape.Report{}, "Name", "Start", "Span", "BytesOrigin", "BytesToCallers", "P50", "P90", "P99")
			if d := cmp.Diff(&c.want, got, figures); d != "" {
				t.Errorf("%s, %s: %s", name, kind, d)
			}
		}
	}
}

// What others wait for goes on without the caller that left, if the chain lets it: the tape has no answer of its own to that.
func TestCallersThatLeaveDoNotTakeTheAnswerOfOthersAlong(t *testing.T) {
	left := pageFails(9, tape.FailureCanceled)
	left.Failure.At = 2 * time.Second
	recorded := &tape.Tape{Start: traffic.Start, Exchanges: []*tape.Exchange{left, okay(10*time.Second, page, "one", 3*time.Second)}}
	r := replay(t, recorded, cached(cache.Options{}))
	if r.Errors != 1 || r.Collapsed != 1 || r.OriginRequests != 1 || r.BytesToCallers != 3 || r.Wait != 4*time.Second {
		t.Errorf("one leaves after 2s; the other gets the answer of the shared request, 3s after that began:\n%s", r)
	}
}

// One that left while the body came leaves at that time, with what it has by then.
func TestCallersLeaveABodyWhenTheyDid(t *testing.T) {
	left := page200(0, "one")
	left.Response.Wait = time.Second
	left.Failure = &tape.Failure{At: 2 * time.Second, Kind: tape.FailureCanceled, Text: "context canceled"}
	late := func(origin http.RoundTripper, r *http.Request) (*http.Response, error) {
		resp, err := origin.RoundTrip(r)
		if err == nil {
			resp.Body = io.NopCloser(io.MultiReader(resp.Body, pauses{}))
		}
		return resp, err
	}
	for name, chain := range map[string]func(http.RoundTripper) (http.RoundTripper, error){"without layers": nil, "with a layer": layer(late)} {
		r := replay(t, &tape.Tape{Start: traffic.Start, Exchanges: []*tape.Exchange{left}}, chain)
		if r.Errors != 1 || r.BytesToCallers != 3 || r.Max != 3*time.Second {
			t.Errorf("%s:\n%s", name, r)
		}
	}
}

type pauses struct{}

func (pauses) Read([]byte) (int, error) {
	time.Sleep(time.Minute)
	return 0, io.EOF
}

func TestReplayRefusesTimesThatItsClockDoesNotHave(t *testing.T) {
	const years = 365 * 24 * time.Hour
	year := func(y int) time.Time { return time.Date(y, 3, 2, 0, 0, 0, 0, time.UTC) }
	for name, c := range map[string]struct {
		start  time.Time
		change func(*tape.Exchange)
		want   string
	}{
		"a start far in the past":        {start: year(1500), want: `tape: replay "replay": the tape begins in the year 1500, too far from the clock of the replay, 2000: correct Tape.Start`},
		"and far in the future":          {start: year(9000), want: `tape: replay "replay": the tape begins in the year 9000, too far from the clock of the replay, 2000: correct Tape.Start`},
		"before the start":               {change: func(e *tape.Exchange) { e.At = -1 }, want: `tape: replay "replay": exchange at -1ns: a time of -1ns, not between 0 and 50 years`},
		"a header that takes forever":    {change: func(e *tape.Exchange) { e.Response.Wait = 1<<63 - 1 }, want: `tape: replay "replay": exchange at 0s: a time of 2562047h47m16.854775807s, not between 0 and 50 years`},
		"a body that does":               {change: func(e *tape.Exchange) { e.Response.Chunks[0].At = 1<<63 - 1 }, want: `tape: replay "replay": exchange at 0s: a time of 2562047h47m16.854775807s, not between 0 and 50 years`},
		"a failure that does":            {change: func(e *tape.Exchange) { e.Failure = &tape.Failure{At: 60 * years} }, want: `tape: replay "replay": exchange at 0s: a time of 525600h0m0s, not between 0 and 50 years`},
		"an end after the end of clocks": {start: year(2240), change: func(e *tape.Exchange) { e.At = 30 * years }, want: `tape: replay "replay": exchange at 262800h0m0s: it would end after the year 2260, when virtual time does`},
	} {
		e := page200(0, "one")
		if c.change != nil {
			c.change(e)
		}
		r, err := tape.Replay(t.Context(), &tape.Tape{Start: c.start, Exchanges: []*tape.Exchange{e}}, tape.ReplayOptions{})
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
}
