package tape_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/internal/traffic"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest/tape"
)

func TestSameTapeAndChainGiveTheSameReport(t *testing.T) {
	recorded := traffic.Week(1, 3000)
	for _, e := range recorded.Exchanges {
		if e.Response != nil {
			e.Response.Header.Del("Retry-After") // retry adds a random part to it
		}
	}
	chain := func(origin http.RoundTripper) (http.RoundTripper, error) {
		copies, err := layer(hedged)(origin)
		if err != nil {
			return nil, err
		}
		again := retry.New(retry.Options{Backoff: retry.Exponential(100*time.Millisecond, 2*time.Second)})
		return cached(cache.Options{StaleIfError: 24 * time.Hour})(again(copies))
	}
	want := replay(t, recorded, chain)
	for range 3 {
		if d := cmp.Diff(want, replay(t, recorded, chain)); d != "" {
			t.Fatal(d)
		}
	}
}

// The requests of one instant are sent in the order of the tape, once all that comes at that instant has come.
func TestRequestsOfOneInstantHaveTheOrderOfTheTape(t *testing.T) {
	recorded := &tape.Tape{Start: traffic.Start}
	for i := range 40 {
		recorded.Exchanges = append(recorded.Exchanges, okay(time.Duration(i/20)*time.Second, page, "one", time.Second))
	}
	numbered(recorded)
	var mu sync.Mutex
	var got, want []string
	note := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, what)
	}
	replay(t, recorded, layer(func(origin http.RoundTripper, r *http.Request) (*http.Response, error) {
		note(r.Header.Get("Id"))
		resp, err := origin.RoundTrip(r)
		note("answer")
		return resp, err
	}))
	for i, e := range recorded.Exchanges {
		if i == 20 {
			for range 20 {
				want = append(want, "answer")
			}
		}
		want = append(want, e.Request.Header.Get("Id"))
	}
	if d := cmp.Diff(want, got[:len(want)]); d != "" {
		t.Error(d)
	}
}
