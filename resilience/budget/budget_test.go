package budget_test

import (
	"fmt"
	"math"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/resilience/budget"
)

// allowed counts how many of n extra requests are paid for.
func allowed(b retry.Budget, key string, n int) (granted int) {
	for range n {
		if _, ok := b.Allow(key, retry.Outcome{}); ok {
			granted++
		}
	}
	return granted
}

// A cache need not know of this package, nor of retry, to pay from the account; what it did not send is refunded.
func TestACacheCanPayFromTheAccount(t *testing.T) {
	b := &budget.Budget{Reserve: 3, Floor: -1}
	pay := cache.FromBudget(b.For(budget.Refresh))
	refund, ok := pay("a")
	if !ok || refund == nil || b.Tokens("a") != 2 {
		t.Fatalf("paid %t, refundable %t, %v tokens are left; want 2", ok, refund != nil, b.Tokens("a"))
	}
	if refund(); b.Tokens("a") != 3 {
		t.Errorf("%v tokens after the refund, want 3", b.Tokens("a"))
	}
	if n := allowed(b, "a", 3); n != 3 {
		t.Errorf("%d retries were paid for, want 3", n)
	}
	if _, ok := pay("a"); ok {
		t.Error("a refresh was paid for from an account that retries have emptied")
	}
}

// A retry that is given up after a long wait was counted in a minute that is over.
func TestLateRefundMakesNoLessThanTheCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &budget.Budget{}
		allowed(b, "a", 1)
		time.Sleep(2 * time.Minute)
		b.Call("a")
		b.NotMade("a")
		want := budget.Stats{Calls: 1, Amplification: 1}
		if diff := cmp.Diff(want, b.Stats()) + cmp.Diff(want, b.StatsFor("a")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAllKindsPayFromOneAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &budget.Budget{Ratio: 0.5, Reserve: 10, Floor: -1}
		hedges, refreshes := b.For(budget.Hedge), b.For(budget.Refresh)
		if n := allowed(b, "a", 4) + allowed(hedges, "a", 4) + allowed(refreshes, "a", 4); n != 10 {
			t.Errorf("%d of 12 extra requests were paid for, want what was in the account: 10", n)
		}
		if n := allowed(hedges, "b", 1); n != 1 {
			t.Error("another key pays for it")
		}
		for range 8 {
			b.Call("a")
			hedges.Success("a")
		}
		if got := b.Tokens("a"); got != 4 {
			t.Errorf("%v tokens after 8 successful calls, want 4", got)
		}
		want := budget.Stats{Calls: 8, Retries: 4, Hedges: 5, Refreshes: 2, Refused: 2, Amplification: 1 + 11.0/8}
		if diff := cmp.Diff(want, b.Stats()); diff != "" {
			t.Error(diff)
		}
		want = budget.Stats{Calls: 8, Retries: 4, Hedges: 4, Refreshes: 2, Refused: 2, Amplification: 1 + 10.0/8}
		if diff := cmp.Diff(want, b.StatsFor("a")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestOnlyWhatWasNotSentIsRefunded(t *testing.T) {
	b := &budget.Budget{Reserve: 3, Floor: -1}
	if refund, ok := b.Allow("a", retry.Outcome{}); !ok || refund != nil {
		t.Error("retry could have a retry refunded that was sent")
	}
	b.Call("a")
	for range 10 {
		refund, ok := b.For(budget.Hedge).Allow("a", retry.Outcome{})
		if !ok || refund == nil {
			t.Fatal("a copy that was not sent has cost something")
		}
		refund()
	}
	if s := b.Stats(); s.Hedges != 0 || s.Retries != 1 || s.Amplification != 2 || b.Tokens("a") != 2 {
		t.Errorf("%+v, and %v tokens", s, b.Tokens("a"))
	}
}

func TestAccountHoldsNoMoreThanItsReserve(t *testing.T) {
	b := &budget.Budget{Reserve: 3, Floor: -1}
	for range 1000 {
		b.Success("a")
	}
	if n := allowed(b, "a", 10); n != 3 {
		t.Errorf("%d extra requests were paid for, want 3", n)
	}
}

func TestFloorLetsAnIdleClientRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &budget.Budget{Reserve: 1, Floor: 2}
		var got []int
		for range 3 {
			got = append(got, allowed(b, "a", 10))
			time.Sleep(10 * time.Second)
		}
		if diff := cmp.Diff([]int{3, 2, 2}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAmplificationIsThatOfTheLastMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &budget.Budget{}
		call := func(calls, extra int) {
			for range calls {
				b.Call("a")
			}
			allowed(b, "a", extra)
		}
		var got []string
		note := func() { got = append(got, fmt.Sprintf("%.2f", b.Stats().Amplification)) }
		note()
		call(10, 5)
		note()
		time.Sleep(30 * time.Second)
		call(10, 0)
		note()
		time.Sleep(35 * time.Second)
		note()
		time.Sleep(time.Hour)
		note()
		if diff := cmp.Diff([]string{"1.00", "1.50", "1.25", "1.00", "1.00"}, got); diff != "" {
			t.Error(diff)
		}
	})
}

// Whatever the outcomes are, extra requests are at most Ratio of the calls, and what the account and the floor had.
func TestExtraRequestsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &budget.Budget{}
		const calls = 10_000
		extra := 0
		for range calls {
			b.Call("a")
			b.Success("a")
			extra += allowed(b, "a", 2)
			time.Sleep(6 * time.Millisecond)
		}
		if most := 0.09*calls + 20 + 7*3; float64(extra) > most || float64(extra) < 0.09*calls {
			t.Errorf("%d extra requests for %d calls in a minute, want up to %v", extra, calls, most)
		}
		if s := b.Stats(); math.Abs(s.Amplification-1.09) > 0.01 {
			t.Errorf("%+v", s)
		}
	})
}

func TestKeysAreBounded(t *testing.T) {
	b := &budget.Budget{MaxKeys: 2, Reserve: 1, Floor: -1}
	for _, key := range []string{"a", "b", "c"} {
		allowed(b, key, 1)
	}
	if got := []float64{b.Tokens("a"), b.Tokens("b"), b.Tokens("c")}; !cmp.Equal(got, []float64{1, 0, 0}) {
		t.Errorf("tokens %v: the key unused the longest should be forgotten", got)
	}
}

// Keys beyond MaxKeys pay from the accounts that there are: to be forgotten fills no account, and begins no floor anew.
func TestMoreKeysThanAccountsGetNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &budget.Budget{MaxKeys: 10, Reserve: 5}
		extra := 0
		for range 20 {
			for key := range 30 {
				name := strconv.Itoa(key)
				b.Call(name)
				extra += allowed(b, name, 2)
			}
		}
		if most := 10 * (5 + 3); extra > most {
			t.Errorf("%d extra requests for 600 calls that fail, want %d at most", extra, most)
		}
		time.Sleep(10 * time.Second)
		if got := allowed(b, "new", 5); got != 3 {
			t.Errorf("a new key got %d from the floor, want 3", got)
		}
	})
}

func TestBadBudgetsAreRefused(t *testing.T) {
	for _, b := range []*budget.Budget{nil, {Ratio: -1}, {Ratio: math.NaN()}, {Reserve: -1}, {MaxKeys: -1}} {
		if b.Validate() == nil {
			t.Errorf("%+v is accepted", b)
		}
	}
	for _, b := range []retry.Budget{&budget.Budget{Ratio: -1}, (&budget.Budget{Ratio: -1}).For(budget.Hedge)} {
		if err := (retry.Options{Budget: b}).Validate(); err == nil {
			t.Errorf("retry accepts %+v", b)
		}
	}
}
