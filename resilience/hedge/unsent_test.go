package hedge_test

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/note"
	"github.com/plyhttp/ply/resilience/budget"
	"github.com/plyhttp/ply/resilience/hedge"
)

// keeper refuses the first copies, and lets the request itself have no answer at all. It notes when a copy came, and its number.
type keeper struct {
	refuse int
	stall  int // copies after those that have no answer either
	start  time.Time

	mu     sync.Mutex // guards the fields below
	came   []time.Duration
	copies []int
}

func (k *keeper) RoundTrip(req *http.Request) (*http.Response, error) {
	if number := note.Hedge(req.Context()); number > 0 {
		switch n := k.copied(number); {
		case n <= k.refuse:
			return nil, &kept{}
		case n > k.refuse+k.stall:
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: req}, nil
		}
	}
	<-req.Context().Done()
	return nil, req.Context().Err()
}

// copied returns how many copies came so far, with the one of this number.
func (k *keeper) copied(number int) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.came, k.copies = append(k.came, time.Since(k.start)), append(k.copies, number)
	return len(k.came)
}

// A copy that a layer below has kept is tried again: after the delay, and then after twice the time each. It is none of MaxHedges.
func TestCopyThatWasNotSentIsTriedAgain(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct {
		name   string
		next   *keeper
		max    int
		came   []time.Duration
		copies []int
	}{
		{"once", &keeper{refuse: 1}, 1, []time.Duration{s, 2 * s}, []int{1, 1}},
		{"often", &keeper{refuse: 4}, 1, []time.Duration{s, 2 * s, 4 * s, 8 * s, 16 * s}, []int{1, 1, 1, 1, 1}},
		{"and then a second copy is sent", &keeper{refuse: 2, stall: 1}, 2, []time.Duration{s, 2 * s, 4 * s, 5 * s}, []int{1, 1, 1, 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &budget.Budget{Floor: -1}
				tt.next.start = time.Now()
				g := newHedger(t, hedge.Options{Delay: s, MaxHedges: tt.max, Budget: b.For(budget.Hedge)})
				if _, status, err := send(t.Context(), g.Middleware(tt.next), http.MethodGet, ""); status != http.StatusOK {
					t.Errorf("%d, %v", status, err)
				}
				if diff := cmp.Diff(tt.came, tt.next.came) + cmp.Diff(tt.copies, tt.next.copies); diff != "" {
					t.Error(diff)
				}
				synctest.Wait()
				sent := int64(tt.max)
				if s := b.Stats(); s.Hedges != sent || b.Tokens("a.test") != float64(20-sent) || g.Stats() != (hedge.Stats{Hedges: sent, Won: 1}) {
					t.Errorf("%+v, %v tokens, %+v", s, b.Tokens("a.test"), g.Stats())
				}
			})
		})
	}
}

// A call whose copy was not sent has needed none, and pays into the budget.
func TestCallWhoseCopyWasNotSentPaysForCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &budget.Budget{Ratio: 0.5, Reserve: 10, Floor: -1}
		copies := b.For(budget.Hedge)
		copies.Allow("a.test", retry.Outcome{})
		next := roundTripper(func(req *http.Request) (*http.Response, error) {
			if note.Hedge(req.Context()) > 0 {
				return nil, &kept{}
			}
			time.Sleep(2 * time.Second)
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: req}, nil
		})
		send(t.Context(), newHedger(t, hedge.Options{Delay: time.Second, Budget: copies}).Middleware(next), http.MethodGet, "")
		synctest.Wait()
		if got := b.Tokens("a.test"); got != 9.5 {
			t.Errorf("%v tokens, want 9.5", got)
		}
	})
}

// The notes of a call say of each copy whether it has left. What a copy is told to have been, it was when it began.
func TestNotesSayThatACopyWasNotSentAfterAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, notes := note.Collect(t.Context())
		next := &keeper{refuse: 2, start: time.Now()}
		send(ctx, newHedger(t, hedge.Options{Delay: time.Second, MaxHedges: 1}).Middleware(next), http.MethodGet, "")
		synctest.Wait()
		var told []string
		for _, n := range notes() {
			told = append(told, n.String())
		}
		want := []string{"hedge sent a copy", "hedge withdrew a copy", "hedge sent a copy", "hedge withdrew a copy", "hedge sent a copy", "hedge won with a copy"}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Error(diff)
		}
	})
}
