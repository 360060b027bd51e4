package cache

import (
	"hash/maphash"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
)

// FromBudget returns a budget for [Options.RefreshBudget] out of one that has the methods of a retry.Budget: a *retry.TokenBucket, or what a *budget.Budget
// of the module resilience returns for budget.Refresh, so that retries, hedges and refreshes pay from one account for each host.
// It is asked about the outcome zero: nothing has been tried before.
func FromBudget[Outcome any](b interface {
	Allow(key string, last Outcome) (refund func(), ok bool)
}) func(host string) (refund func(), ok bool) {
	return func(host string) (refund func(), ok bool) {
		var none Outcome
		return b.Allow(host, none)
	}
}

// aheadRefresh is the refresh of a response that is still fresh.
// refreshAhead makes it. The refresh ends it with notSent, or refreshAhead does if no refresh starts.
type aheadRefresh struct {
	sent   atomic.Bool // the origin has been asked
	refund func()      // or nil; it is called once, by who ends the refresh
}

// notSent gives back what was paid for, if nothing was sent: the response has been refreshed by another process meanwhile, say.
// It is called once, by the one goroutine that ends the refresh. sent is atomic, for the fetch that asks the origin has a goroutine of its own.
func (h *aheadRefresh) notSent() {
	if h.refund != nil && !h.sent.Load() {
		h.refund()
	}
}

// noteSent notes that the origin is asked.
// The swap counts a refresh once, even if it is sent again.
func (x *exchange) noteSent() {
	if x.ahead != nil && !x.ahead.sent.Swap(true) {
		x.cache.stats.ahead.Add(1)
	}
}

// refreshAhead has a fresh response refreshed in the background if it is time for that and nothing else has seen to it. The request has its answer for certain.
// It runs on the caller's goroutine, with the budget and the hook, and starts the refresh without waiting for it.
func (l *layer) refreshAhead(r *http.Request, a *rfc9111.Request, key []byte, f lookup, now time.Time) {
	c, e := l.cache, f.Entry
	if !rfc9111.DueAhead(a, e, rand.ExpFloat64(), now) {
		return
	}
	// A variant is known by when it was received, so what a refresh has brought is free to be refreshed itself.
	variant := maphash.Bytes(c.fetches.seed, key) ^ uint64(e.Received.UnixNano())
	if !c.ahead.claim(variant, now, max(e.FreshFor(now)/4, refreshPause)) {
		return
	}
	h := &aheadRefresh{}
	paid := true
	if c.refreshBudget != nil {
		h.refund, paid = c.refreshBudget(r.URL.Host)
	}
	c.traces(r.Context(), func(t *Trace) {
		if t.RefreshAhead != nil {
			t.RefreshAhead(r, paid)
		}
	})
	if !paid {
		c.stats.aheadRefused.Add(1)
		return
	}
	x := l.newExchange(r, a, key, f, now)
	if x.ahead = h; !x.refreshInBackground() {
		c.ahead.postpone(variant, now.Add(refreshPause))
		h.notSent()
	}
}

// refreshDecision is what a refresh in the background does first.
func (x *exchange) refreshDecision() rfc9111.Decision {
	d := rfc9111.Decision{Action: rfc9111.Validate, Fwd: cachestatus.FwdStale}
	if x.ahead != nil {
		d.Fwd, d.Detail = cachestatus.FwdRequest, "refresh ahead"
	}
	if !x.selected.HasValidator() {
		d.Action = rfc9111.Fetch
	}
	return d
}

// aheadTries remembers until when hits on a response leave it alone, because one of them has had it refreshed, or has tried: a quarter of the time that it is still fresh.
// So an origin that fails, or whose answer is not stored, is asked a few times more until the response has expired. What loses its place is tried once more.
type aheadTries struct {
	mu    sync.Mutex // guards slots; only hits on responses that are due take it
	slots *[1024]aheadTry
}

type aheadTry struct {
	variant uint64
	until   time.Time
}

// claim reports whether it is the caller's turn to refresh a response. Then it is no one else's for a while:
//
//	hit A: claims   hit B: finds the claim, goes on   A: pays, starts the refresh, or postpones the claim
//
// It takes mu for moments, and starts nothing itself.
func (t *aheadTries) claim(variant uint64, now time.Time, pause time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.slots == nil {
		t.slots = new([1024]aheadTry)
	}
	slot := &t.slots[variant%uint64(len(t.slots))]
	if slot.variant == variant && now.Before(slot.until) {
		return false
	}
	*slot = aheadTry{variant, now.Add(pause)}
	return true
}

// postpone lets the next one try at a time, for the claim came to nothing.
// Another response may have taken the place since; then there is nothing to change.
func (t *aheadTries) postpone(variant uint64, until time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if slot := &t.slots[variant%uint64(len(t.slots))]; slot.variant == variant && until.Before(slot.until) {
		slot.until = until
	}
}
