package resilience_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/resilience"
	"github.com/plyhttp/ply/resilience/breaker"
	"github.com/plyhttp/ply/resilience/hedge"
	"github.com/plyhttp/ply/resilience/limit"
)

// faulty does at random what a next layer can do: hang, panic, fail, switch protocols, ask for a pause in good words and bad. It counts what it has to do and which bodies are open.
type faulty struct{ running, most, open atomic.Int64 }

var errFault = errors.New("the connection broke")

func (f *faulty) RoundTrip(req *http.Request) (*http.Response, error) {
	f.most.Store(max(f.most.Load(), f.running.Add(1)))
	defer f.running.Add(-1)
	wait := rand.N(20 * time.Millisecond)
	if rand.IntN(10) == 0 {
		wait = time.Hour
	}
	select {
	case <-time.After(wait):
	case <-req.Context().Done():
		return nil, context.Cause(req.Context())
	}
	resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, ContentLength: -1, Request: req}
	switch rand.IntN(12) {
	case 0:
		panic(errFault)
	case 1:
		return nil, errFault
	case 2:
		resp.StatusCode = http.StatusServiceUnavailable
	case 3:
		resp.StatusCode = http.StatusSwitchingProtocols
	case 4:
		pauses := []string{"0", "-5", "99999999999999999999", "1", "Mon, 01 Jan 1990 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"}
		resp.StatusCode = http.StatusTooManyRequests
		resp.Header.Set("Retry-After", pauses[rand.IntN(len(pauses))])
	}
	f.open.Add(1)
	resp.Body = &counted{strings.NewReader("hello"), sync.OnceFunc(func() { f.open.Add(-1) })}
	return resp, nil
}

// counted is a body that tells when it is closed.
type counted struct {
	io.Reader
	closed func()
}

func (c *counted) Close() error {
	c.closed()
	return nil
}

// use makes one call of a caller who may cancel at any moment, and may or may not read. It reports whether that succeeded.
func use(t *testing.T, h http.RoundTripper, patience time.Duration) bool {
	defer func() {
		if p := recover(); p != nil && p != errFault {
			panic(p)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if rand.IntN(5) == 0 {
		time.AfterFunc(rand.N(patience+1), cancel)
	}
	method := []string{http.MethodGet, http.MethodHead, http.MethodPut}[rand.IntN(3)]
	req, err := http.NewRequestWithContext(ctx, method, "http://a.test/", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := h.RoundTrip(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	if rand.IntN(2) == 0 {
		io.Copy(io.Discard, resp.Body)
	}
	time.Sleep(rand.N(10 * time.Millisecond))
	return resp.StatusCode == http.StatusOK
}

// Whatever callers and server do, no slot, body or probe is lost, there are never more requests under way than slots, and in the end the server is asked again.
func TestFaultsLeaveNothingBehind(t *testing.T) {
	for i := range 40 {
		synctest.Test(t, func(t *testing.T) {
			slots := 1 + rand.IntN(4)
			limits := limit.Options{InFlight: slots, Queue: 3, MaxRetryAfter: 30 * time.Millisecond}
			if i%2 == 0 {
				limits.Rate, limits.Burst = 200, 1
			}
			if i%4 < 2 {
				limits.Adaptive = &limit.Adaptive{}
			}
			c, err := resilience.New(resilience.Options{
				Retry:   retry.Options{Budget: retry.Unlimited, Backoff: retry.Constant(time.Millisecond), AttemptTimeout: 15 * time.Millisecond},
				Hedge:   hedge.Options{Budget: retry.Unlimited, Delay: 5 * time.Millisecond, MaxHedges: 2},
				Breaker: breaker.Options{MinRequests: 3, OpenFor: 20 * time.Millisecond, Probes: 1 + i%2, ProbeTimeout: 10 * time.Millisecond},
				Limit:   limits,
			})
			if err != nil {
				t.Fatal(err)
			}
			origin := &faulty{}
			h := ply.Chain(c.Layers()...)(origin)
			var wg sync.WaitGroup
			for range 12 {
				wg.Go(func() {
					for range 15 {
						use(t, h, rand.N(40*time.Millisecond))
						time.Sleep(rand.N(5 * time.Millisecond))
					}
				})
			}
			wg.Wait()
			time.Sleep(2 * time.Hour)
			if s := c.Limit.Stats(); s.InFlight != 0 || s.Queued != 0 || origin.open.Load() != 0 || origin.most.Load() > int64(slots) {
				t.Errorf("%+v, %d bodies are open, %d requests were under way, of %d slots", s, origin.open.Load(), origin.most.Load(), slots)
			}
			for tries := 1; !use(t, h, time.Second); tries++ {
				if tries == 2000 {
					t.Fatalf("no call succeeds any more: the breaker is %v, the limit has %+v", c.Breaker.State("a.test"), c.Limit.Stats())
				}
				time.Sleep(50 * time.Millisecond)
			}
			time.Sleep(2 * time.Hour)
		})
	}
}
