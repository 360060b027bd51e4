package cache_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// calls is how often a store was called: reads are round trips, of one record or of several.
type calls struct{ Reads, Puts, Deletes int }

// metered counts the calls of the store that it wraps.
type metered struct {
	store.Store
	multi  store.MultiGetter
	ranger store.Ranger

	mu   sync.Mutex // guards seen
	seen calls
}

func newMetered() *metered {
	s := storetest.NewMap(1 << 24)
	return &metered{Store: s, multi: s, ranger: s}
}

func (s *metered) count(f func(*calls)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.seen)
}

// taken returns the calls since it was called last.
func (s *metered) taken() calls {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.seen
	s.seen = calls{}
	return taken
}

func (s *metered) Get(ctx context.Context, key string) (store.Record, error) {
	s.count(func(n *calls) { n.Reads++ })
	return s.Store.Get(ctx, key)
}

func (s *metered) GetMulti(ctx context.Context, keys []string) ([]store.Record, error) {
	s.count(func(n *calls) { n.Reads++ })
	return s.multi.GetMulti(ctx, keys)
}

func (s *metered) Put(ctx context.Context, key string, r store.Record) error {
	s.count(func(n *calls) { n.Puts++ })
	return s.Store.Put(ctx, key, r)
}

func (s *metered) Delete(ctx context.Context, key, version string) error {
	s.count(func(n *calls) { n.Deletes++ })
	return s.Store.Delete(ctx, key, version)
}

// What a request costs at a store of bytes is bounded in round trips: a network is between them.
func TestCallsOfAByteStorePerRequest(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newMetered()
		o := &origin{answer: func(r *http.Request) *http.Response {
			switch {
			case r.URL.Path == "/alike":
				return reply(200, "x", "Cache-Control: max-age=60", "No-Vary-Search: params")
			case r.URL.Path == "/none":
				return reply(200, "x", "Cache-Control: no-store")
			case r.URL.Path == "/fresh":
				return reply(200, "x", "Cache-Control: max-age=60")
			case r.Header.Get("If-None-Match") != "":
				return reply(304, "", "Cache-Control: max-age=0", `Etag: "1"`)
			}
			return reply(200, "x", "Cache-Control: max-age=0", `Etag: "1"`)
		}}
		g := newRig(t, o, cache.Options{Store: s})
		g.get("http://h/warm") // the first request of a process also asks for the key of its hashes
		s.taken()
		for _, step := range []struct {
			what, url, outcome string
			want               calls
		}{
			{"a miss", "http://h/fresh", "miss", calls{Reads: 2, Puts: 2}},
			{"the first hit", "http://h/fresh", "hit", calls{Reads: 1}},
			{"another hit", "http://h/fresh", "hit", calls{Reads: 1}},
			{"a miss that will be validated", "http://h/stale", "miss", calls{Reads: 2, Puts: 2}},
			{"a validation", "http://h/stale", "revalidated", calls{Reads: 2, Puts: 1}},
			{"another validation", "http://h/stale", "revalidated", calls{Reads: 2, Puts: 1}},
			{"a miss that varies on no query", "http://h/alike?a=1", "miss", calls{Reads: 3, Puts: 3}}, // it has two tags, and what is under the request's own key goes
			{"a hit of another query", "http://h/alike?a=2", "hit", calls{Reads: 2}},                   // the tag of the URI that was requested first is not known before
			{"the same query again", "http://h/alike?a=2", "hit", calls{Reads: 2}},
			{"an answer that is not stored", "http://h/none", "miss", calls{Reads: 1}},
		} {
			time.Sleep(time.Millisecond) // what was stored at the same moment makes a miss look twice, if its key has the same hash
			got, _ := g.get(step.url)
			if got.Outcome != step.outcome {
				t.Errorf("%s is a %s, not a %s", step.what, got.Outcome, step.outcome)
			}
			if diff := cmp.Diff(step.want, s.taken()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", step.what, diff)
			}
		}
	})
}

// Range lists without being counted: it is one pass, however many records there are.
func (s *metered) Range(ctx context.Context, kind store.Kind, f func(key string, r store.Record) bool) error {
	return s.ranger.Range(ctx, kind, f)
}

// What looks through a whole store works on the records that it has listed: it reads none of them again, and generations only of what it may remove, many in one call.
func TestCallsOfAByteStoreThatIsSearched(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newMetered()
		g := newRig(t, &origin{answer: func(*http.Request) *http.Response { return reply(200, "x", "Cache-Control: max-age=60") }}, cache.Options{Store: s})
		for i := range 100 {
			g.get(fmt.Sprint("http://h/", i))
		}
		s.taken()
		for _, step := range []struct {
			what    string
			search  func() (int, error)
			removed int
			want    calls
		}{
			{"nothing is stale", func() (int, error) { return g.DeleteStale(t.Context()) }, 0, calls{}},
			{"no URL fits", func() (int, error) { return g.DeletePattern(t.Context(), "other/*") }, 0, calls{}},
			{"a function refuses all", func() (int, error) { return g.DeleteFunc(t.Context(), func(*cache.Entry) bool { return false }) }, 0, calls{Reads: 2}},
			{"one URL fits", func() (int, error) { return g.DeletePattern(t.Context(), "h/7") }, 1, calls{Reads: 1, Deletes: 1}},
			{"all is removed", func() (int, error) { return g.DeleteFunc(t.Context(), func(*cache.Entry) bool { return true }) }, 99, calls{Reads: 2, Deletes: 99}},
		} {
			if n, err := step.search(); n != step.removed || err != nil {
				t.Errorf("%s: %d removed, %v, want %d", step.what, n, err, step.removed)
			}
			if diff := cmp.Diff(step.want, s.taken()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", step.what, diff)
			}
		}
	})
}

// A hit of what was found under its key before reads two records: the responses, and the generation of their tag.
func TestRecordsThatAHitReads(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &perRecord{Store: storetest.NewMap(1 << 24)}
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Store: s})
		for _, outcome := range []string{"miss", "hit"} {
			if got, _ := g.get(url); got.Outcome != outcome {
				t.Fatalf("a %s, not a %s", got.Outcome, outcome)
			}
		}
		s.records.Store(0)
		if got, _ := g.get(url); got.Outcome != "hit" || s.records.Load() != 2 {
			t.Errorf("a %s, which has read %d records", got.Outcome, s.records.Load())
		}
	})
}

// perRecord is a store that counts the records it is asked for.
type perRecord struct {
	store.Store
	records atomic.Int32
}

func (s *perRecord) Get(ctx context.Context, key string) (store.Record, error) {
	s.records.Add(1)
	return s.Store.Get(ctx, key)
}
