package retry

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// A Budget limits the retries of many calls together, so that a failing server does not get a multiple of its traffic.
// Its methods are called concurrently and must not block. If it has a method Validate() error too, [Options.Validate] asks that.
//
// A Budget that also has a method Call(key string) is told of each call before its first attempt, so that it can set the retries beside the calls.
// One that has a method NotMade(key string), and whose Allow returned a nil refund for a retry, is told if that is not made.
type Budget interface {
	// Allow pays for one retry after the given outcome. It reports false if the budget does not allow the retry.
	// refund is called at most once, if the retry succeeds or is not made: the caller gave up before, or a layer below did not send it. It may be nil.
	Allow(key string, last Outcome) (refund func(), ok bool)

	// Success is called after each call whose first attempt succeeded. What a cache fetches ahead of time, and has paid for, is no call.
	Success(key string)
}

// Unlimited is a [Budget] without a limit, for a caller that limits retries elsewhere.
var Unlimited Budget = unlimited{}

type unlimited struct{}

func (unlimited) Allow(string, Outcome) (func(), bool) { return nil, true }
func (unlimited) Success(string)                       {}

// TokenBucket is a [Budget] with a bucket of tokens for each key.
// A retry takes tokens, and returns them if it succeeds; a call that succeeds at once adds one.
// The zero value is ready to use. It is safe for concurrent use; its fields must not change once it is in use.
//
// During a total outage a key has Capacity/RetryCost retries in all, and Floor in each FloorWindow after that.
//
// The standard mode of the AWS SDKs is TokenBucket{Capacity: 500, Floor: -1}.
type TokenBucket struct {
	Capacity    int           // tokens in a full bucket. Zero means 100
	RetryCost   int           // price of a retry. Zero means 5
	TimeoutCost int           // price of a retry after a timeout. Zero means 10
	Reward      int           // tokens for a call that succeeds at once. Zero means 1, negative none
	Floor       int           // retries that an empty bucket still allows in each FloorWindow. Zero means 3, negative none
	FloorWindow time.Duration // Zero means 10 s

	// MaxKeys bounds the buckets that are not full. A further key takes over that of the key least recently used, with the tokens that are left in it,
	// so that however many keys there are, they have no more than MaxKeys buckets. Zero means 1024.
	MaxKeys int

	// inTrouble counts the buckets, so that a success without any takes no lock.
	inTrouble atomic.Int64

	granted, refused atomic.Int64

	mu      sync.Mutex // guards the fields below
	buckets *simplelru.LRU[string, *bucket]
}

// bucket holds the tokens of one key. A full bucket is not kept.
type bucket struct {
	tokens  int
	floor   int       // retries granted from the floor in this window
	started time.Time // of the window
}

// validate returns an error for an invalid field.
func (b *TokenBucket) validate() error {
	if b == nil {
		return errors.New("nil *TokenBucket: leave Budget out for the default, or use Unlimited")
	}
	if b.Capacity < 0 || b.RetryCost < 0 || b.TimeoutCost < 0 || b.FloorWindow < 0 || b.MaxKeys < 0 {
		return errors.New("TokenBucket: only Reward and Floor may be negative")
	}
	if b.capacity() < b.retryCost() {
		return errors.New("TokenBucket: Capacity is less than RetryCost, so that no retry is ever allowed")
	}
	return nil
}

// Allow implements [Budget].
func (b *TokenBucket) Allow(key string, last Outcome) (refund func(), ok bool) {
	price := b.retryCost()
	if last.Timeout {
		price = or(b.TimeoutCost, 10)
	}
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.bucket(key)
	switch {
	case k.tokens >= price:
		k.tokens -= price
		refund = func() { b.put(key, price) }
	case !b.allowFloor(k, now):
		b.refused.Add(1)
		return nil, false
	}
	b.granted.Add(1)
	return refund, true
}

// allowFloor lets a client with little traffic retry although its bucket is empty. There is nothing to refund. mu is held.
func (b *TokenBucket) allowFloor(k *bucket, now time.Time) bool {
	if now.Sub(k.started) >= or(b.FloorWindow, 10*time.Second) {
		k.started, k.floor = now, 0
	}
	if k.floor >= or(b.Floor, 3) {
		return false
	}
	k.floor++
	return true
}

// Success implements [Budget].
func (b *TokenBucket) Success(key string) {
	if b.inTrouble.Load() > 0 {
		b.put(key, or(b.Reward, 1))
	}
}

// Tokens returns how many tokens key has.
func (b *TokenBucket) Tokens(key string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buckets != nil {
		if k, ok := b.buckets.Peek(key); ok {
			return k.tokens
		}
	}
	return b.capacity()
}

// BudgetStats counts what a [TokenBucket] did since it was made.
type BudgetStats struct {
	Granted   int64 // retries that were paid for, those from the floor included
	Refused   int64 // retries that were not allowed
	InTrouble int64 // keys that have less than a full bucket now, MaxKeys at most
	Empty     int64 // keys of these that cannot pay for a retry
}

// Stats returns the counts. InTrouble and Empty are those of the moment.
func (b *TokenBucket) Stats() BudgetStats {
	s := BudgetStats{Granted: b.granted.Load(), Refused: b.refused.Load()}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buckets == nil {
		return s
	}
	s.InTrouble = int64(b.buckets.Len())
	for _, k := range b.buckets.Values() {
		if k.tokens < b.retryCost() {
			s.Empty++
		}
	}
	return s
}

// put adds tokens to the bucket of key, and drops the bucket if it is full.
func (b *TokenBucket) put(key string, n int) {
	if n <= 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buckets == nil {
		return
	}
	k, ok := b.buckets.Get(key)
	if !ok {
		return
	}
	if k.tokens += n; k.tokens >= b.capacity() {
		b.buckets.Remove(key)
		b.inTrouble.Store(int64(b.buckets.Len()))
	}
}

// bucket returns the bucket of key: a full one if there is none, and the one least recently used if there may be no further one. mu is held.
func (b *TokenBucket) bucket(key string) *bucket {
	if b.buckets == nil {
		b.buckets, _ = simplelru.NewLRU[string, *bucket](or(b.MaxKeys, 1024), nil)
	}
	k, ok := b.buckets.Get(key)
	if !ok {
		k = &bucket{tokens: b.capacity()}
		if b.buckets.Len() >= or(b.MaxKeys, 1024) {
			if _, old, ok := b.buckets.RemoveOldest(); ok {
				*k = *old
			}
		}
		b.buckets.Add(key, k)
		b.inTrouble.Store(int64(b.buckets.Len()))
	}
	return k
}

func (b *TokenBucket) capacity() int  { return or(b.Capacity, 100) }
func (b *TokenBucket) retryCost() int { return or(b.RetryCost, 5) }

// or returns v, or zeroMeans if v is zero.
func or[T comparable](v, zeroMeans T) T {
	var zero T
	if v == zero {
		return zeroMeans
	}
	return v
}
