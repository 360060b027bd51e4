// Package budget has one account for all that a client sends beside its calls: retries, hedges, and what a cache fetches ahead of time.
//
// The layers know nothing of each other's load. With a budget for each, a server in trouble gets the sum; with one for all, it gets no more
// than the calls and a tenth:
//
//	b := &budget.Budget{}
//	retry.New(retry.Options{Budget: b})
//	hedge.New(hedge.Options{Budget: b.For(budget.Hedge)})
//
// resilience.Standard does that.
package budget

import (
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/plyhttp/ply/middleware/retry"
)

// Kind is what an extra request is sent for.
type Kind int

// The kinds.
const (
	Retry   Kind = iota // sent again, because an attempt failed
	Hedge               // sent beside a request that is slow
	Refresh             // sent by a cache before what it has becomes stale
	kinds
)

// Budget is an account for each key, out of which each extra request takes a token, and into which each call that succeeds at once pays a part of one.
// So a server that answers gets at most Ratio more than the calls, and one that does not gets what is left in the account, and Floor in each FloorWindow after that.
//
// It is a [retry.Budget], that of retries; [Budget.For] gives those of the other kinds, which pay from the same accounts. A retry that succeeds is not refunded: it has been sent all the same.
// What was paid for and not sent is: a copy that a limit or breaker refused, a retry that they refused or whose caller gave up before it.
// The zero value is ready to use. It is safe for concurrent use; its fields must not change once it is in use.
type Budget struct {
	// Ratio is what a call that succeeds pays in. Zero means 0.09: nine extra requests for a hundred calls, so that Reserve and Floor have room below 1.1 times the calls.
	Ratio float64

	// Reserve is how many tokens an account has at first, and at most. Zero means 20.
	Reserve int

	// Floor is how many extra requests an empty account still allows in each FloorWindow, so that a client with little to do can retry.
	// Zero means 3, negative none.
	Floor       int
	FloorWindow time.Duration // Zero means 10 s

	// MaxKeys bounds the accounts. A further key takes over the account of the key that was unused the longest, with the tokens that are left in it,
	// so that however many keys there are, they pay from no more than MaxKeys accounts. Zero means 1024.
	MaxKeys int

	mu       sync.Mutex // guards the fields below
	accounts *simplelru.LRU[string, *account]
	totals   totals
}

// totals are the counts of a Budget, or of one account.
type totals struct {
	calls   int64
	granted [kinds]int64
	refused int64
	recent  window
}

type account struct {
	totals
	tokens  float64
	floor   int       // extra requests granted from the floor in this window
	started time.Time // of the window
}

// Validate reports a field that cannot mean anything. Layers ask when they are made.
func (b *Budget) Validate() error {
	switch {
	case b == nil:
		return errors.New("nil *budget.Budget: leave it out for the default")
	case b.Ratio < 0 || b.Ratio > 10 || b.Ratio != b.Ratio:
		return errors.New("budget: Ratio must be between 0 and 10 extra requests per call")
	case b.Reserve < 0 || b.FloorWindow < 0 || b.MaxKeys < 0:
		return errors.New("budget: only Floor may be negative")
	}
	return nil
}

// Allow implements [retry.Budget] for retries. refund is always nil.
func (b *Budget) Allow(key string, last retry.Outcome) (refund func(), ok bool) {
	return nil, b.allow(key, Retry)
}

// NotMade gives back what was paid for a retry that was not sent. The retry layer calls it.
func (b *Budget) NotMade(key string) { b.refund(key, Retry) }

// Call counts a call, before its first attempt. The retry layer does it, and the hedge layer where there is none.
func (b *Budget) Call(key string) {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.account(key)
	for _, t := range []*totals{&b.totals, &a.totals} {
		t.calls++
		t.recent.add(now, 1, 0)
	}
}

// Success implements [retry.Budget].
func (b *Budget) Success(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.account(key)
	a.tokens = min(a.tokens+b.ratio(), b.reserve())
}

// For returns the budget for extra requests of a kind. All of them pay from the accounts of b.
// It has the methods of a [retry.Budget], Call and NotMade, so that a layer that takes such an interface need not import this module.
func (b *Budget) For(k Kind) retry.Budget {
	if k < 0 || k >= kinds {
		k = Retry
	}
	return &view{b, k}
}

type view struct {
	*Budget
	kind Kind
}

func (v *view) Allow(key string, _ retry.Outcome) (refund func(), ok bool) {
	if ok = v.allow(key, v.kind); ok && v.kind != Retry {
		refund = func() { v.refund(key, v.kind) }
	}
	return refund, ok
}

// refund gives back what was paid for a request that was not sent.
func (b *Budget) refund(key string, k Kind) {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.account(key)
	a.tokens = min(a.tokens+1, b.reserve())
	for _, t := range []*totals{&b.totals, &a.totals} {
		t.granted[k] = max(0, t.granted[k]-1)
		t.recent.add(now, 0, -1)
	}
}

func (b *Budget) allow(key string, k Kind) bool {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.account(key)
	if !a.pay(now, b.floor(), b.floorWindow()) {
		b.totals.refused++
		a.refused++
		return false
	}
	for _, t := range []*totals{&b.totals, &a.totals} {
		t.granted[k]++
		t.recent.add(now, 0, 1)
	}
	return true
}

// pay takes a token, or one from the floor.
func (a *account) pay(now time.Time, floor int, window time.Duration) bool {
	if a.tokens >= 1 {
		a.tokens--
		return true
	}
	if now.Sub(a.started) >= window {
		a.started, a.floor = now, 0
	}
	if a.floor >= floor {
		return false
	}
	a.floor++
	return true
}

// Tokens returns what is in the account of key: the Reserve if it has none.
func (b *Budget) Tokens(key string) float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.accounts != nil {
		if a, ok := b.accounts.Peek(key); ok {
			return a.tokens
		}
	}
	return b.reserve()
}

// account returns the account of key: a full one if there is none, and the one unused the longest if there may be no further one. mu is held.
func (b *Budget) account(key string) *account {
	if b.accounts == nil {
		b.accounts, _ = simplelru.NewLRU[string, *account](or(b.MaxKeys, 1024), nil)
	}
	a, ok := b.accounts.Get(key)
	if !ok {
		a = &account{tokens: b.reserve()}
		if b.accounts.Len() >= or(b.MaxKeys, 1024) {
			if _, old, ok := b.accounts.RemoveOldest(); ok {
				a.tokens, a.floor, a.started = old.tokens, old.floor, old.started
			}
		}
		b.accounts.Add(key, a)
	}
	return a
}

func (b *Budget) ratio() float64             { return or(b.Ratio, 0.09) }
func (b *Budget) reserve() float64           { return float64(or(b.Reserve, 20)) }
func (b *Budget) floor() int                 { return or(b.Floor, 3) }
func (b *Budget) floorWindow() time.Duration { return or(b.FloorWindow, 10*time.Second) }

// or returns v, or what zero means.
func or[T comparable](v, zeroMeans T) T {
	var zero T
	if v == zero {
		return zeroMeans
	}
	return v
}
