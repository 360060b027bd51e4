package resilience_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
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
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/resilience"
	"github.com/plyhttp/ply/resilience/breaker"
	"github.com/plyhttp/ply/resilience/budget"
	"github.com/plyhttp/ply/resilience/hedge"
	"github.com/plyhttp/ply/resilience/limit"
)

// proof is a body that shows what it is the answer to: every part of it follows from the path and from what was sent.
func proof(path string, sent []byte) []byte {
	sum := sha256.Sum256(append([]byte(path+"\n"), sent...))
	return bytes.Repeat(sum[:], 64)
}

// troubled answers with the proof, after a while, in parts; or does one of the things that a server in trouble does.
func troubled(w http.ResponseWriter, r *http.Request) {
	sent, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	time.Sleep(rand.N(50 * time.Millisecond))
	switch rand.IntN(20) {
	case 0:
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		return
	case 1:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case 2:
		panic(http.ErrAbortHandler)
	case 3:
		time.Sleep(2 * time.Second)
	}
	body := proof(r.URL.Path, sent)
	w.Write(body[:len(body)/2])
	w.(http.Flusher).Flush()
	time.Sleep(rand.N(10 * time.Millisecond))
	w.Write(body[len(body)/2:])
}

// Under load, with all that goes wrong, no call gets the answer of another or a part of one, no slot is lost, and the server gets no more than it may.
func TestLoad(t *testing.T) {
	t.Run("with room", func(t *testing.T) {
		s := load(t, limit.Options{InFlight: 100})
		if s.Hedges == 0 || s.Retries == 0 {
			t.Errorf("a layer had nothing to do: %+v", s)
		}
	})
	t.Run("without room", func(t *testing.T) { load(t, limit.Options{InFlight: 20, Adaptive: &limit.Adaptive{Initial: 3}}) })
}

func load(t *testing.T, o limit.Options) (paid budget.Stats) {
	synctest.Test(t, func(t *testing.T) {
		const workers, each = 64, 30
		origin := plytest.NewHandlerOrigin(http.HandlerFunc(troubled))
		chain, err := resilience.New(resilience.Options{
			Retry:   retry.Options{MaxAttempts: 5},
			Hedge:   hedge.Options{Delay: 100 * time.Millisecond, MaxHedges: 2},
			Breaker: breaker.Options{FailureRate: 0.9},
			Limit:   o,
		})
		if err != nil {
			t.Fatal(err)
		}
		h := ply.Chain(chain.Layers()...)(origin)
		var good, bad atomic.Int64
		var wg sync.WaitGroup
		for i := range workers {
			wg.Go(func() {
				for n := range each {
					if exchange(t, h, fmt.Sprintf("/%d/%d", i, n), n) {
						good.Add(1)
					} else {
						bad.Add(1)
					}
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Minute) // copies that lost end
		paid = chain.Budget.Stats()
		if paid.Calls != workers*each || good.Load() < workers*each*8/10 {
			t.Errorf("%d calls, %d good and %d not", paid.Calls, good.Load(), bad.Load())
		}
		if seen := int64(origin.Count()); seen > paid.Calls+paid.Retries+paid.Hedges {
			t.Errorf("the server saw %d requests, more than the calls and what was paid for: %+v", seen, paid)
		}
		if s := chain.Limit.Stats(); s.InFlight != 0 || s.Queued != 0 {
			t.Errorf("slots are lost: %+v", s)
		}
	})
	return paid
}

// Each layer alone does the same under load: no answer is another's or a part of one, and nothing is lost.
func TestLoadOfEachLayerAlone(t *testing.T) {
	for name, alone := range map[string]func(c *resilience.Chain) ply.Middleware{
		"hedge":   func(c *resilience.Chain) ply.Middleware { return c.Hedge.Middleware },
		"breaker": func(c *resilience.Chain) ply.Middleware { return c.Breaker.Middleware },
		"limit":   func(c *resilience.Chain) ply.Middleware { return c.Limit.Middleware },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const workers, each = 64, 30
				origin := plytest.NewHandlerOrigin(http.HandlerFunc(troubled))
				chain, err := resilience.New(resilience.Options{
					Hedge:   hedge.Options{Delay: 100 * time.Millisecond, MaxHedges: 2},
					Breaker: breaker.Options{FailureRate: 0.9},
					Limit:   limit.Options{InFlight: 40},
				})
				if err != nil {
					t.Fatal(err)
				}
				h := alone(chain)(origin)
				var good atomic.Int64
				var wg sync.WaitGroup
				for i := range workers {
					wg.Go(func() {
						for n := range each {
							if exchange(t, h, fmt.Sprintf("/%d/%d", i, n), n) {
								good.Add(1)
							}
						}
					})
				}
				wg.Wait()
				time.Sleep(time.Minute) // copies that lost end
				paid := chain.Budget.Stats()
				// Three of twenty answers are no pages, and nothing tries again but a copy.
				if n := good.Load(); n < workers*each*7/10 {
					t.Errorf("%d of %d calls were good", n, workers*each)
				}
				if seen := int64(origin.Count()); seen > workers*each+paid.Hedges {
					t.Errorf("the server saw %d requests of %d calls: %+v", seen, workers*each, paid)
				}
				if name == "hedge" && paid.Hedges == 0 {
					t.Error("hedge sent no copy")
				}
				if s := chain.Limit.Stats(); s.InFlight != 0 || s.Queued != 0 {
					t.Errorf("slots are lost: %+v", s)
				}
			})
		})
	}
}

// exchange makes one call, of one kind or another, and checks what it gets to the last byte.
func exchange(t *testing.T, h http.RoundTripper, path string, n int) bool {
	method, content := http.MethodGet, ""
	if n%3 == 0 {
		method, content = http.MethodPut, strings.Repeat(path, 50)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://origin.test"+path, strings.NewReader(content))
	if err != nil {
		t.Error(err)
		return false
	}
	resp, err := h.RoundTrip(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return false
	}
	if n%7 == 0 { // some leave early
		io.CopyN(io.Discard, resp.Body, 10)
		return true
	}
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return false
	}
	if want := proof(path, []byte(content)); !bytes.Equal(got, want) {
		t.Errorf("%s %s: %d bytes that are not its answer", method, path, len(got))
	}
	return true
}
