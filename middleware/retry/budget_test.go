package retry_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

func TestEmptyBudgetStopsRetriesNotCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := retry.Options{Budget: &retry.TokenBucket{Capacity: 10, Floor: -1}, Backoff: retry.Constant(0)}
		for i, want := range []result{{3, 503, retry.StopAttempts}, {1, 503, retry.StopBudget}, {1, 503, retry.StopBudget}} {
			if got, _ := call(t, o, newRequest(t, "GET"), plytest.Status(503)); got != want {
				t.Errorf("call %d: %+v, want %+v", i, got, want)
			}
		}
		_, err := call(t, o, newRequest(t, "GET"), plytest.ResetConnection())
		if stopOf(t, err) != retry.StopBudget {
			t.Error(err)
		}
	})
}

func TestBudgetStats(t *testing.T) {
	b := &retry.TokenBucket{Capacity: 10, RetryCost: 5, Floor: 1}
	failed := retry.Outcome{Status: 503}
	for range 5 { // two are paid for, one comes from the floor, two are refused
		b.Allow("a", failed)
	}
	b.Allow("b", failed)
	if diff := cmp.Diff(retry.BudgetStats{Granted: 4, Refused: 2, InTrouble: 2, Empty: 1}, b.Stats()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for range 10 {
		b.Success("a")
	}
	if s := b.Stats(); s.InTrouble != 1 || s.Empty != 0 {
		t.Errorf("after recovery %+v", s)
	}
	if s := (&retry.TokenBucket{}).Stats(); s != (retry.BudgetStats{}) {
		t.Errorf("without any call %+v", s)
	}
}

// spend leaves a key with the given number of tokens.
func spend(b *retry.TokenBucket, key string, leave int) {
	for b.Tokens(key) > leave {
		b.Allow(key, retry.Outcome{})
	}
}

// The test vectors of the standard retry mode of the AWS SDKs: what each response leads to, the wait before the next attempt,
// and the tokens that are left then. Jitter is off, as it is there.
func TestTokenBucketOfTheAWSStandardMode(t *testing.T) {
	const retried, done, exceeded, exhausted = "retry", retry.StopDone, retry.StopAttempts, retry.StopBudget
	type step struct {
		status  int
		outcome string
		quota   int
		wait    time.Duration // seconds
	}
	for _, tt := range []struct {
		name        string
		maxAttempts int
		maxBackoff  time.Duration
		initial     int
		steps       []step
	}{
		{"retry eventually succeeds", 3, 20, 500, []step{
			{500, retried, 495, 1}, {500, retried, 490, 2}, {200, string(done), 495, 0},
		}},
		{"fail due to max attempts reached", 3, 20, 500, []step{
			{502, retried, 495, 1}, {502, retried, 490, 2}, {502, string(exceeded), 490, 0},
		}},
		{"retry quota reached after a single retry", 3, 20, 5, []step{
			{500, retried, 0, 1}, {502, string(exhausted), 0, 0},
		}},
		{"no retries at all if retry quota is 0", 3, 20, 0, []step{
			{500, string(exhausted), 0, 0},
		}},
		{"exponential backoff timing", 5, 20, 500, []step{
			{500, retried, 495, 1}, {500, retried, 490, 2}, {500, retried, 485, 4}, {500, retried, 480, 8}, {500, string(exceeded), 480, 0},
		}},
		{"max backoff time", 5, 3, 500, []step{
			{500, retried, 495, 1}, {500, retried, 490, 2}, {500, retried, 485, 3}, {500, retried, 480, 3}, {500, string(exceeded), 480, 0},
		}},
		{"retry stops after retry quota exhaustion", 5, 20, 10, []step{
			{500, retried, 5, 1}, {502, retried, 0, 2}, {503, string(exhausted), 0, 0},
		}},
		{"retry quota recovery after successful responses", 5, 20, 15, []step{
			{500, retried, 10, 1}, {502, retried, 5, 2}, {200, string(done), 10, 0},
			{500, retried, 5, 1}, {200, string(done), 10, 0},
		}},
		{"success at once puts one in", 3, 20, 490, []step{
			{200, string(done), 491, 0}, {200, string(done), 492, 0},
		}},
		{"a full bucket takes no more", 3, 20, 500, []step{
			{200, string(done), 500, 0},
		}},
		{"a timeout costs ten", 3, 20, 500, []step{
			{0, retried, 490, 1}, {0, retried, 480, 2}, {200, string(done), 490, 0},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				bucket := &retry.TokenBucket{Capacity: 500, Floor: -1}
				const key = "example.com"
				spend(bucket, key, tt.initial)
				var got []step
				o := retry.Options{
					MaxAttempts: tt.maxAttempts,
					Backoff:     retry.Exponential(time.Second, tt.maxBackoff*time.Second),
					Budget:      bucket,
				}
				var replies []plytest.Reply
				for _, s := range tt.steps {
					if s.status == 0 {
						replies = append(replies, plytest.Fail(timeoutErr{}))
						continue
					}
					replies = append(replies, plytest.Status(s.status))
				}
				origin := plytest.NewOrigin(replies...)
				layer := retry.New(o)(testutil.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
					if info, _ := retry.InfoFromContext(req.Context()); len(info.Attempts) > 0 {
						// The step before led to this attempt.
						s := &got[len(got)-1]
						s.outcome, s.quota = retried, bucket.Tokens(key)
					}
					resp, err := origin.RoundTrip(req)
					s := step{}
					if resp != nil {
						s.status = resp.StatusCode
					}
					got = append(got, s)
					return resp, err
				}))
				for origin.Count() < len(tt.steps) {
					resp, err := layer.RoundTrip(newRequest(t, "GET"))
					if err != nil {
						t.Fatal(err)
					}
					resp.Body.Close()
					info, _ := retry.InfoFrom(resp)
					first := len(got) - len(info.Attempts)
					for i, a := range info.Attempts[1:] {
						got[first+i].wait = a.Wait / time.Second
					}
					last := &got[len(got)-1]
					last.outcome, last.quota = string(info.Stop), bucket.Tokens(key)
				}
				if diff := cmp.Diff(tt.steps, got, cmp.AllowUnexported(step{})); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			})
		})
	}
}

func TestTotalOutageAddsATenthOfTrafficAtMost(t *testing.T) {
	const calls = 10_000
	for _, tt := range []struct {
		name    string
		reply   plytest.Reply
		latency time.Duration
		callers int
	}{
		{"503, one after the other", plytest.Status(503), 0, 1},
		{"503 with Retry-After", plytest.RetryIn(503, 5*time.Second), 10 * time.Millisecond, 8},
		{"lost", plytest.ResetConnection(), 20 * time.Millisecond, 8},
		{"refused", plytest.Refuse(), time.Millisecond, 50},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				origin := plytest.NewOrigin(tt.reply)
				origin.Latency = tt.latency
				layer := retry.New(retry.Options{})(origin)
				start := time.Now()
				var wg sync.WaitGroup
				for range tt.callers {
					wg.Go(func() {
						for range calls / tt.callers {
							if resp, err := layer.RoundTrip(newRequest(t, "GET")); err == nil {
								resp.Body.Close()
							}
						}
					})
				}
				wg.Wait()
				retries := origin.Count() - calls
				floor := 3 * (int(time.Since(start)/(10*time.Second)) + 1)
				if retries > 100/5+floor || origin.Count() > calls+calls/10 {
					t.Errorf("%d retries for %d calls in %s", retries, calls, time.Since(start))
				}
				if retries < 100/5 {
					t.Errorf("only %d retries: the budget is not used", retries)
				}
			})
		})
	}
}

func TestFloorLetsAnIdleClientRetry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		bucket := &retry.TokenBucket{}
		spend(bucket, "a", 0)
		allowed := func() (n int) {
			for range 10 {
				if refund, ok := bucket.Allow("a", retry.Outcome{}); ok {
					n++
					if refund != nil {
						t.Error("what the floor grants was not paid for")
					}
				}
			}
			return n
		}
		time.Sleep(10 * time.Second)
		if n := allowed(); n != 3 {
			t.Errorf("%d retries in the first window", n)
		}
		if n := allowed(); n != 0 {
			t.Errorf("%d more retries in the same window", n)
		}
		time.Sleep(10 * time.Second)
		if n := allowed(); n != 3 {
			t.Errorf("%d retries in the next window", n)
		}
	})
}

// Keys beyond MaxKeys pay from the buckets that there are: to be forgotten fills no bucket, and begins no floor anew.
func TestMoreKeysThanBucketsGetNoMore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		bucket := &retry.TokenBucket{MaxKeys: 10}
		granted := 0
		for range 20 {
			for key := range 30 {
				if _, ok := bucket.Allow(fmt.Sprint(key), retry.Outcome{}); ok {
					granted++
				}
			}
		}
		if most := 10 * (100/5 + 3); granted > most {
			t.Errorf("%d retries of 600 calls that fail, want %d at most", granted, most)
		}
	})
}

func TestEachKeyHasItsOwnBucket(t *testing.T) {
	bubble(t, func(t *testing.T) {
		bucket := &retry.TokenBucket{Floor: -1, MaxKeys: 10}
		spend(bucket, "a", 0)
		if _, ok := bucket.Allow("b", retry.Outcome{}); !ok {
			t.Error("b pays for a")
		}
		for i := range 1000 {
			bucket.Allow(fmt.Sprint(i), retry.Outcome{})
		}
		if got := bucket.Stats().InTrouble; bucket.Tokens("a") != 100 || got != 10 {
			t.Errorf("%d keys are remembered, want 10, and the least recently used one is not among them", got)
		}

		bucket = &retry.TokenBucket{Floor: -1}
		o := retry.Options{Budget: bucket, Key: func(r *http.Request) string { return r.URL.Path }, MaxAttempts: 2}
		call(t, o, newRequest(t, "GET"), plytest.ResetConnection())
		if bucket.Tokens("/path") != 95 {
			t.Error("Options.Key is not asked")
		}
	})
}

func TestRewardFillsTheBucketUpToCapacity(t *testing.T) {
	b := &retry.TokenBucket{}
	refund, _ := b.Allow("a", retry.Outcome{})
	for range 10 {
		b.Success("a")
	}
	refund()
	if got := b.Tokens("a"); got != 100 {
		t.Errorf("%d tokens", got)
	}
	spend(b, "a", 90)
	b.Success("a")
	b.Success("b")
	if a, b := b.Tokens("a"), b.Tokens("b"); a != 91 || b != 100 {
		t.Errorf("%d and %d tokens", a, b)
	}
	if none := (&retry.TokenBucket{Reward: -1}); true {
		none.Allow("a", retry.Outcome{})
		none.Success("a")
		if got := none.Tokens("a"); got != 95 {
			t.Errorf("%d tokens without reward", got)
		}
	}
}

func TestLayersShareABudget(t *testing.T) {
	bubble(t, func(t *testing.T) {
		bucket := &retry.TokenBucket{}
		o := retry.Options{Budget: bucket, MaxAttempts: 2}
		call(t, o, newRequest(t, "GET"), plytest.ResetConnection())
		call(t, o, newRequest(t, "GET"), plytest.ResetConnection())
		if got := bucket.Tokens("example.com"); got != 90 {
			t.Errorf("%d tokens after a retry in each of two layers", got)
		}
	})
}

func TestTokenBucketIsValidated(t *testing.T) {
	for _, tt := range []struct {
		name   string
		bucket *retry.TokenBucket
		valid  bool
	}{
		{"zero", &retry.TokenBucket{}, true},
		{"nil", nil, false},
		{"negative Capacity", &retry.TokenBucket{Capacity: -1}, false},
		{"negative RetryCost", &retry.TokenBucket{RetryCost: -1}, false},
		{"negative TimeoutCost", &retry.TokenBucket{TimeoutCost: -1}, false},
		{"negative FloorWindow", &retry.TokenBucket{FloorWindow: -1}, false},
		{"negative MaxKeys", &retry.TokenBucket{MaxKeys: -1}, false},
		{"negative Reward and Floor", &retry.TokenBucket{Reward: -1, Floor: -1}, true},
		{"a retry costs all", &retry.TokenBucket{Capacity: 5, RetryCost: 5}, true},
		{"a retry costs more than all", &retry.TokenBucket{Capacity: 4, RetryCost: 5}, false},
	} {
		err := (retry.Options{Budget: tt.bucket}).Validate()
		if (err == nil) != tt.valid {
			t.Errorf("%s: %v", tt.name, err)
		}
		if negative := strings.HasPrefix(tt.name, "negative"); err != nil && strings.Contains(err.Error(), "may be negative") != negative {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// Without MaxKeys there are 1024 buckets. The key after them takes over the tokens of the first.
func TestDefaultMaxKeys(t *testing.T) {
	bucket := &retry.TokenBucket{}
	for key := range 1024 {
		bucket.Allow(fmt.Sprint(key), retry.Outcome{})
	}
	if n := bucket.Stats().InTrouble; n != 1024 || bucket.Tokens("0") != 95 {
		t.Errorf("%d keys, %d tokens", n, bucket.Tokens("0"))
	}
	bucket.Allow("one more", retry.Outcome{})
	if n := bucket.Stats().InTrouble; n != 1024 || bucket.Tokens("one more") != 90 || bucket.Tokens("0") != 100 {
		t.Errorf("%d keys, %d and %d tokens", n, bucket.Tokens("one more"), bucket.Tokens("0"))
	}
}

// A retry gives back what it cost if it succeeds: not if the server is still overloaded.
func TestRefundByTheAnswerToARetry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for status, want := range map[int]int{200: 100, 404: 100, 499: 100, 429: 95, 500: 95, 503: 95} {
			bucket := &retry.TokenBucket{}
			call(t, retry.Options{Budget: bucket, MaxAttempts: 2}, newRequest(t, "GET"), plytest.Status(503), plytest.Status(status))
			if got := bucket.Tokens("example.com"); got != want {
				t.Errorf("after a retry answered %d: %d tokens, want %d", status, got, want)
			}
		}
	})
}
