package resilience_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/resilience"
	"github.com/plyhttp/ply/resilience/breaker"
	"github.com/plyhttp/ply/resilience/hedge"
	"github.com/plyhttp/ply/resilience/limit"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// What a request that has no trouble allocates in each layer, as docs/resilience.md has it.
func TestAllocations(t *testing.T) {
	next := roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("x")), Request: r}, nil
	})
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	inFlight, err := limit.New(limit.Options{InFlight: 10})
	must(err)
	rate, err := limit.New(limit.Options{Rate: 1e9})
	must(err)
	b, err := breaker.New(breaker.Options{})
	must(err)
	h, err := hedge.New(hedge.Options{Delay: time.Minute})
	must(err)
	req, err := http.NewRequest(http.MethodGet, "http://a.test/", nil)
	must(err)
	measure := func(h http.RoundTripper) int {
		return int(testing.AllocsPerRun(200, func() {
			resp, err := h.RoundTrip(req)
			must(err)
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}))
	}
	bare := measure(next)
	for _, tt := range []struct {
		name string
		h    http.RoundTripper
		most int
	}{
		{"limit in flight", inFlight.Middleware(next), 9},
		{"limit rate", rate.Middleware(next), 2},
		{"breaker", b.Middleware(next), 4},
		{"hedge", h.Middleware(next), 18},
		{"standard", ply.Chain(resilience.Standard(resilience.Options{Hedge: hedge.Options{Delay: time.Minute}})...)(next), 38},
	} {
		if got := measure(tt.h) - bare; got > tt.most {
			t.Errorf("%s: %d allocations, want %d at most", tt.name, got, tt.most)
		}
	}
}
