package cache_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
)

// site answers each path in its way after a second, and counts.
type site struct {
	mu          sync.Mutex // guards the fields below
	asked       map[string]int
	under, most int // requests under way, and the most there were
	down        bool
}

func (s *site) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Cache-Control") != "" {
		return nil, errors.New("the request has a directive")
	}
	s.mu.Lock()
	if s.asked == nil {
		s.asked = make(map[string]int)
	}
	s.asked[r.URL.Path]++
	s.under++
	s.most = max(s.most, s.under)
	s.mu.Unlock()
	select {
	case <-time.After(time.Second):
	case <-r.Context().Done():
	}
	s.mu.Lock()
	s.under--
	down := s.down
	s.mu.Unlock()
	switch {
	case r.Context().Err() != nil:
		return nil, r.Context().Err()
	case r.URL.Path == "/broken" || down:
		return nil, errors.New("connection lost")
	case r.URL.Path == "/no-store":
		return reply(200, "x", "Cache-Control: no-store"), nil
	case r.URL.Path == "/gone":
		return reply(410, "x", "Cache-Control: max-age=60"), nil
	case r.URL.Path == "/varies":
		return reply(200, r.Header.Get("Accept"), "Cache-Control: max-age=60", "Vary: Accept"), nil
	}
	return reply(200, strings.Repeat("x", 100_000), "Cache-Control: max-age=60, stale-while-revalidate=600, stale-if-error=600"), nil
}

func (s *site) count(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[path]
}

// warmable is a client with a cache before a site.
func warmable(t *testing.T, o cache.Options) (*site, *http.Client) {
	t.Helper()
	c, err := cache.New(backed(t, o))
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	s := &site{}
	return s, &http.Client{Transport: c.Middleware(s)}
}

func outcomeOf(t *testing.T, client *http.Client, url string) string {
	t.Helper()
	resp, err := client.Get(url)
	require.NoError(t, err)
	readAll(resp)
	status, _ := cache.StatusOf(resp)
	return status.Outcome()
}

// Warming fetches what is not fresh, some at a time, and asks nothing of the origin where it is.
func TestWarmFetchesWhatIsNotFresh(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s, client := warmable(t, cache.Options{})
		var urls []string
		for i := range 10 {
			urls = append(urls, fmt.Sprint("http://h/", i))
		}
		begin := time.Now()
		require.NoError(t, cache.Warm(t.Context(), client, urls...))
		if took := time.Since(begin); took != 3*time.Second || s.most != 4 {
			t.Errorf("10 URLs of a second each took %v, with %d at a time; want 3 s, 4 at a time", took, s.most)
		}
		for _, url := range urls {
			if have := outcomeOf(t, client, url); have != "hit" {
				t.Errorf("%s: %s", url, have)
			}
		}
		for range 2 {
			require.NoError(t, cache.Warm(t.Context(), client, urls...))
		}
		if len(s.asked) != 10 || s.count("/3") != 1 {
			t.Errorf("warming what is fresh has asked the origin: %v", s.asked)
		}
		time.Sleep(2 * time.Minute) // stale, though a stale response could be served
		require.NoError(t, cache.Warm(t.Context(), client, urls[3]))
		synctest.Wait()
		if have := outcomeOf(t, client, urls[3]); have != "hit" || s.count("/3") != 2 {
			t.Errorf("after warming what was stale: %s, %d requests", have, s.count("/3"))
		}
	})
}

// Each URL that is not warm has an error of its own, without its secrets, and progress is told of all.
func TestWarmSaysWhatIsNotWarm(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s, client := warmable(t, cache.Options{})
		require.NoError(t, cache.Warm(t.Context(), client, "http://h/old"))
		time.Sleep(2 * time.Minute)
		got := map[string]string{}
		w := &cache.Warmer{Client: client, Concurrency: 1, Progress: func(r cache.WarmResult, done, all int) {
			got[r.URL] = fmt.Sprint(r.StatusCode, " ", r.Status.Stored, " ", r.Err, " ", done, "/", all)
			s.mu.Lock()
			s.down = strings.HasSuffix(r.URL, "/no-store")
			s.mu.Unlock()
		}}
		err := w.Warm(t.Context(), "http://h/a", "http://h/gone", "http://h/broken?token=verysecret", "http://h/no-store", "http://h/old", "http://h/%zz")
		want := map[string]string{
			"http://h/a":                       "200 true <nil> 1/6",
			"http://h/gone":                    "410 true the response is 410 Gone 2/6",
			"http://h/broken?token=verysecret": `0 false Get "http://h/broken?token=REDACTED": connection lost 3/6`,
			"http://h/no-store":                "200 false not stored: no-store 4/6",
			"http://h/old":                     "200 false the origin has failed, and what is stored is stale 5/6",
			"http://h/%zz":                     `0 false parse "REDACTED": invalid URL escape REDACTED 6/6`,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("progress (-want +got)\n%s", diff)
		}
		if err == nil || strings.Contains(err.Error(), "verysecret") || strings.Count(err.Error(), "cache: warm ") != 5 {
			t.Errorf("the error of all: %v", err)
		}
	})
}

// A context that ends leaves the rest untried, and says how many.
func TestWarmEndsWithItsContext(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s, client := warmable(t, cache.Options{})
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		err := (&cache.Warmer{Client: client, Concurrency: 2}).Warm(ctx, "http://h/1", "http://h/2", "http://h/3", "http://h/4", "http://h/5")
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 of 5 URLs were not tried") {
			t.Errorf("%v", err)
		}
		if len(s.asked) != 4 {
			t.Errorf("the origin was asked for %v", s.asked)
		}
	})
}

// Fields that responses vary on are set by Edit.
func TestWarmEditsItsRequests(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s, client := warmable(t, cache.Options{})
		w := &cache.Warmer{Client: client, Edit: func(r *http.Request) { r.Header.Set("Accept", "text/html") }}
		require.NoError(t, w.Warm(t.Context(), "http://h/varies"))
		for accept, want := range map[string]string{"text/html": "hit", "text/plain": "miss"} {
			r := must(http.NewRequest("GET", "http://h/varies", nil))
			r.Header.Set("Accept", accept)
			resp, err := client.Do(r)
			require.NoError(t, err)
			readAll(resp)
			if status, _ := cache.StatusOf(resp); status.Outcome() != want {
				t.Errorf("%s: %s, want %s", accept, status.Outcome(), want)
			}
		}
		if s.count("/varies") != 2 {
			t.Errorf("%d requests", s.count("/varies"))
		}
	})
}

// A panic in Progress reaches who has called Warm, and leaves no goroutine.
func TestWarmPassesAPanicOfProgressOn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		_, client := warmable(t, cache.Options{})
		defer func() {
			if recover() != "progress" {
				t.Error("the panic is lost")
			}
		}()
		(&cache.Warmer{Client: client, Progress: func(cache.WarmResult, int, int) { panic("progress") }}).Warm(t.Context(), "http://h/1", "http://h/2", "http://h/3")
	})
}

func TestWarmNeedsAClientWithACache(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		if err := cache.Warm(t.Context(), nil, "http://h/"); err == nil {
			t.Error("no error without a client")
		}
		if err := (&cache.Warmer{Client: &http.Client{}, Concurrency: -1}).Warm(t.Context()); err == nil {
			t.Error("no error with a negative number of requests")
		}
		if err := cache.Warm(t.Context(), &http.Client{Transport: &site{}}, "http://h/"); err == nil || !strings.Contains(err.Error(), "no ply cache") {
			t.Errorf("without a cache: %v", err)
		}
		if err := cache.Warm(t.Context(), &http.Client{}); err != nil {
			t.Errorf("nothing to warm: %v", err)
		}
	})
}
