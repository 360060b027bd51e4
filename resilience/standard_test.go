package resilience_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/resilience"
	"github.com/plyhttp/ply/resilience/breaker"
	"github.com/plyhttp/ply/resilience/budget"
	"github.com/plyhttp/ply/resilience/hedge"
	"github.com/plyhttp/ply/resilience/limit"
)

// The layers keep the contract together, and with a cache above. The breaker stays closed, or each rule would meet it open after the failures of its first calls.
func TestContract(t *testing.T) {
	o := resilience.Options{Hedge: hedge.Options{Delay: time.Millisecond}, Breaker: breaker.Options{MinRequests: 10_000}}
	t.Run("alone", func(t *testing.T) {
		plytest.CheckMiddleware(t, func(next http.RoundTripper) http.RoundTripper {
			return ply.Chain(resilience.Standard(o)...)(next)
		})
	})
	t.Run("below a cache", func(t *testing.T) {
		plytest.CheckMiddleware(t, func(next http.RoundTripper) http.RoundTripper {
			store, err := cache.New(cache.Options{})
			if err != nil {
				t.Fatal(err)
			}
			return &closing{ply.Chain(append([]ply.Middleware{store.Middleware}, resilience.Standard(o)...)...)(next), store}
		})
	})
}

type closing struct {
	http.RoundTripper
	store *cache.Cache
}

func (c *closing) Close() error { return c.store.Close() }

func (c *closing) CloseIdleConnections() {
	c.RoundTripper.(interface{ CloseIdleConnections() }).CloseIdleConnections()
}

func names(c *ply.Client) string {
	var all []string
	for _, l := range ply.Layers(c) {
		all = append(all, l.String())
	}
	return strings.Join(all, " → ")
}

func newClient(t testing.TB, transport http.RoundTripper, layers ...ply.Middleware) *ply.Client {
	t.Helper()
	c, err := ply.New(ply.Options{Use: layers, Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestStandardIsInItsOrder(t *testing.T) {
	origin := plytest.NewOrigin()
	for want, o := range map[string]resilience.Options{
		"redirects and cookies → retry → hedge → breaker → limit → *plytest.Origin": {},
		"redirects and cookies → retry → breaker → *plytest.Origin":                 {NoHedge: true, NoLimit: true},
		"redirects and cookies → retry → hedge → limit → *plytest.Origin":           {NoBreaker: true},
	} {
		if got := names(newClient(t, origin, resilience.Standard(o)...)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestNewRefusesTheLayersInAnotherOrderAndTwice(t *testing.T) {
	layers := resilience.Standard(resilience.Options{})
	for i := range layers {
		for j := range layers[:i] {
			swapped := append([]ply.Middleware(nil), layers...)
			swapped[i], swapped[j] = swapped[j], swapped[i]
			if _, err := ply.New(ply.Options{Use: swapped}); err == nil {
				t.Errorf("layers %d and %d may be swapped", j, i)
			}
		}
		if _, err := ply.New(ply.Options{Use: []ply.Middleware{layers[i], layers[i]}}); err == nil {
			t.Errorf("layer %d may be listed twice", i)
		}
	}
}

func TestBadOptionsAreErrorsOfNew(t *testing.T) {
	for name, o := range map[string]resilience.Options{
		"retry":   {Retry: retry.Options{MaxAttempts: -1}},
		"hedge":   {Hedge: hedge.Options{Delay: -1}},
		"breaker": {Breaker: breaker.Options{FailureRate: 2}},
		"limit":   {Limit: limit.Options{Rate: -1}},
		"budget":  {Budget: &budget.Budget{Ratio: -1}},
	} {
		var refused *ply.OptionError
		if _, err := ply.New(ply.Options{Use: resilience.Standard(o)}); !errors.As(err, &refused) {
			t.Errorf("%s: %v", name, err)
		}
		req, _ := http.NewRequest(http.MethodPost, "http://a.test/", strings.NewReader("x"))
		if _, err := ply.Chain(resilience.Standard(o)...)(plytest.NewOrigin()).RoundTrip(req); err == nil { //nolint:bodyclose
			t.Errorf("%s: a layer with these options sends", name)
		}
	}
}

// One call to a server in trouble, and all layers say in its record, in its log and in the counts what they did.
func TestLayersTellWhatTheyDid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := plytest.Text("slow")
		slow.Wait = time.Minute
		origin := plytest.NewOrigin(slow, plytest.Status(http.StatusServiceUnavailable), plytest.Text("ok"))
		chain, err := resilience.New(resilience.Options{
			Retry:   retry.Options{AttemptTimeout: 5 * time.Second, Backoff: retry.Constant(time.Second)},
			Hedge:   hedge.Options{Delay: 2 * time.Second},
			Breaker: breaker.Options{MinRequests: 100},
			Limit:   limit.Options{Rate: 2.0 / 15, Burst: 2},
		})
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		client := newClient(t, origin, append([]ply.Middleware{logging.New(logging.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})}, chain.Layers()...)...)
		resp, err := client.Get(ply.WithCallInfo(t.Context()), "http://a.test/")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		info, _ := ply.CallInfoFrom(resp)
		hop := info.Hops[0]
		var notes, exchanges []string
		for _, n := range hop.Notes {
			notes = append(notes, n.String()+" at "+n.Span.Start.String())
		}
		for _, x := range hop.Exchanges {
			exchanges = append(exchanges, strings.Repeat("copy of ", x.Hedge)+"attempt "+string(rune('0'+x.Attempt)))
		}
		if diff := cmp.Diff([]string{"hedge sent a copy at 2s", "limit waited at 6s"}, notes); diff != "" {
			t.Errorf("notes: %s", diff)
		}
		if diff := cmp.Diff([]string{"attempt 1", "copy of attempt 1", "attempt 2"}, exchanges); diff != "" {
			t.Errorf("exchanges: %s\n%s", diff, info)
		}
		if info.Amplification != 3 || hop.Requests != 3 {
			t.Errorf("amplification %v of %d requests, want 3", info.Amplification, hop.Requests)
		}
		for _, want := range []string{"retry: 2 attempts, 3 requests", "hedge sent a copy", "limit waited", "attempt 1, copy 1: 503"} {
			if !strings.Contains(info.String(), want) {
				t.Errorf("no %q in\n%s", want, info)
			}
		}
		if want := `notes="[hedge sent a copy limit waited, 1.5s]"`; !strings.Contains(log.String(), want) {
			t.Errorf("no %s in %s", want, &log)
		}
		s := chain.Budget.Stats()
		if s.Calls != 1 || s.Retries != 1 || s.Hedges != 1 || s.Amplification != 3 {
			t.Errorf("%+v", s)
		}
	})
}

// At a server that is down the breaker opens, and the calls fail at once and say so.
func TestOpenBreakerShowsInTheRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		client := newClient(t, plytest.NewOrigin(plytest.ResetConnection()), append(
			[]ply.Middleware{logging.New(logging.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})},
			resilience.Standard(resilience.Options{Breaker: breaker.Options{MinRequests: 2}})...)...)
		var last context.Context
		for range 3 {
			last = ply.WithCallInfo(t.Context())
			client.Get(last, "http://a.test/") //nolint:bodyclose
		}
		info, _ := ply.CallInfoFromContext(last)
		if info.Amplification != 0 || len(info.Hops[0].Notes) != 1 || info.Hops[0].Notes[0].Layer != "breaker" || !errors.As(info.Err, new(*breaker.OpenError)) {
			t.Errorf("%+v\n%s", info.Hops[0].Notes, info)
		}
		if !strings.Contains(info.String(), "breaker refused for ") {
			t.Error(info)
		}
		if lines := strings.Split(log.String(), "\n"); !strings.Contains(lines[2], "error.type=not_sent") || !strings.Contains(lines[2], "breaker refused for ") {
			t.Error(lines[2])
		}
	})
}
