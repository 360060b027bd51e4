package browsertest

import (
	"testing"
	"time"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/resilience/breaker"
	"github.com/plyhttp/ply/resilience/hedge"
)

// A refused call says that the breaker is open, and names it; the probe that tries the server again says so as well.
func TestBreakerThatIsOpenIsTheReason(t *testing.T) {
	b, err := breaker.New(breaker.Options{MinRequests: 3, OpenFor: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	s := newChain(t, 100, b.Middleware)
	p := open(t, s.inspector)
	get := func(path string) { s.do(s.client.Get(t.Context(), "http://down.example"+path)) }
	get("/first") // three attempts, which open the breaker
	get("/second")
	p.Has("#filter-count", "2 calls")
	p.openCall("/second")
	p.Has("#detail .why", "The circuit breaker is open for")
	p.Has("#detail", "down.example has failed too often: open until")
	p.Has("#detail .waterfall", "breaker refused")
	p.filter("layer:breaker")
	p.Has("#filter-count", "1 of 2")
	p.shoot("breaker-open")
	p.filter("")
	testutil.Eventually(t, "the breaker is half-open", func() bool { return b.State("down.example") == breaker.HalfOpen })
	get("/third")
	p.Has("#filter-count", "3 calls")
	p.openCall("/third")
	p.Has("#detail .why", "let this request through to try the server")
}

// The copy of a late request is a row of the waterfall beside the request that it was sent for, and a reason.
func TestHedgeIsShownBesideItsRequest(t *testing.T) {
	// The server leaves the first request that it gets unanswered: the delay is long enough that this is never the copy, on a busy machine either.
	hedger, err := hedge.New(hedge.Options{Delay: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	s := newChain(t, 100, hedger.Middleware)
	p := open(t, s.inspector)
	s.get("/late/1")
	p.Has("#filter-count", "1 call")
	p.openCall("/late")
	p.Has("#detail .why", "a copy of the request was sent beside it")
	p.Has("#detail .why", "A copy of the request was answered first")
	p.Has("#detail .waterfall", "hedge 1")
	p.shoot("hedge")
}
