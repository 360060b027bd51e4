package cache_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// A store that hangs while an unsafe request invalidates has failed: it is counted and told.
func TestAStoreThatHangsWithAnInvalidationHasFailed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &faulty{Map: storetest.NewMap(1 << 24)}
		s.fault = func(ctx context.Context, n int64) error {
			if n%3 != 0 { // two marks are read, quickly enough, and then one is to be put
				time.Sleep(time.Millisecond)
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}
		told := 0
		g := newRig(t, says("x"), cache.Options{Store: s, Trace: &cache.Trace{Fault: func(string, error) { told++ }}})
		begun := time.Now()
		g.do("POST", url)
		if waited := time.Since(begun); waited > 100*time.Millisecond {
			t.Errorf("the request waited %v", waited)
		}
		if s := g.Stats(); s.StoreErrors != 1 || told != 1 {
			t.Errorf("%+v, and %d faults told", s, told)
		}
	})
}

// slow is a store that takes its time for the changes of some keys.
type slow struct {
	*storetest.Map
	takes func(key string) time.Duration
}

func (s *slow) Put(ctx context.Context, key string, r store.Record) error {
	select {
	case <-time.After(s.takes(key)):
		return s.Map.Put(ctx, key, r)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A store that does not get done with many groups in time goes on where it was, and does not count as down.
func TestManyGroupsInASlowStore(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &slow{storetest.NewMap(1 << 24), func(string) time.Duration { return 0 }}
		o := says("x", "Cache-Control: max-age=3600", `Cache-Groups: "g119"`)
		g, other := newRig(t, o, cache.Options{Store: s}), newRig(t, o, cache.Options{Store: s.Map.Open()})
		other.get("http://h/in-the-group")
		s.takes = func(key string) time.Duration {
			if strings.HasPrefix(key, "m1.") {
				return 30 * time.Millisecond
			}
			return 0
		}
		var groups []string
		for i := range 120 {
			groups = append(groups, fmt.Sprintf(`"g%d"`, i))
		}
		g.origin.answer = func(*http.Request) *http.Response {
			return reply(200, "", "Cache-Group-Invalidation: "+strings.Join(groups, ", "))
		}
		g.do("POST", "http://h/")
		for range 10 {
			time.Sleep(2 * time.Second)
			g.do("GET", "http://h/another")
		}
		if s := g.Stats(); s.StoreDown || s.StoreSkipped > 0 {
			t.Errorf("%+v", s)
		}
		if have, _ := other.get("http://h/in-the-group"); have.Outcome == "hit" {
			t.Error("the last group has not been invalidated")
		}
	})
}

// An invalidation that the store did not take is tried once more before the cache goes.
func TestAnInvalidationThatIsOwedAtTheEnd(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &faulty{Map: storetest.NewMap(1 << 24)}
		o := says("x", "Cache-Control: max-age=600")
		g := newRig(t, o, cache.Options{Store: s})
		g.get(url)
		s.fault = func(context.Context, int64) error { return errors.New("a moment's trouble") }
		g.do("POST", url)
		s.fault = nil
		require.NoError(t, g.Close())
		if have, _ := newRig(t, o, cache.Options{Store: s.Map}).get(url); have.Outcome == "hit" {
			t.Error("another process serves what was invalidated")
		}
	})
}

// returning is a store whose next Put of an entry does not return until it is told.
type returning struct {
	*storetest.Map
	held chan struct{}
	put  chan struct{}
}

func (s *returning) Put(ctx context.Context, key string, r store.Record) error {
	err := s.Map.Put(ctx, key, r)
	if held := s.held; held != nil && r.Kind == store.KindEntry {
		s.held = nil
		close(s.put)
		<-held
	}
	return err
}

// Of two changes in this process, the copy near is never the earlier one, whichever of them hears first that it is done.
func TestACopyOfAnEarlierChangeIsNotKept(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		far := &returning{storetest.NewMap(1 << 24), make(chan struct{}), make(chan struct{})}
		release, put := far.held, far.put
		g := newRig(t, says("x", "Cache-Control: max-age=600"), cache.Options{Store: cache.Tiered(near(), far)})
		g.get(url)
		<-put // stored, and the cache does not know yet
		r := must(http.NewRequest("GET", url, nil))
		require.NoError(t, g.Delete(t.Context(), r))
		close(release)
		synctest.Wait()
		if g.Contains(r) {
			t.Error("what was deleted is there again")
		}
	})
}

// clearing is a store during whose Clear something happens.
type clearing struct {
	*storetest.Map
	meanwhile func()
}

func (s *clearing) Clear(ctx context.Context) error {
	s.meanwhile()
	return s.Map.Clear(ctx)
}

// What is read while everything is being removed leaves no copy near.
func TestNoCopyIsLeftByAClear(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		far := &clearing{Map: storetest.NewMap(1 << 24)}
		g := newRig(t, says("x", "Cache-Control: max-age=600"), cache.Options{Store: cache.Tiered(near(), far)})
		g.get(url)
		synctest.Wait()
		far.meanwhile = func() { g.get(url) }
		require.NoError(t, g.Clear(t.Context()))
		if g.Contains(must(http.NewRequest("GET", url, nil))) {
			t.Error("a copy is left")
		}
	})
}

// A response that does not vary on the whole query is stored without the values of its own.
func TestTheQueryOfASearchIsNoSecretInAStore(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := storetest.NewMap(1 << 24)
		o := says("x", "Cache-Control: max-age=60", `No-Vary-Search: key-order, params=("utm")`)
		g := newRig(t, o, cache.Options{Store: m})
		g.get("http://h/a?token=canary&utm=canary2&b=1")
		if stored := all(t, m); strings.Contains(stored, "canary") {
			t.Errorf("in the store: %q", stored)
		}
		for u, outcome := range map[string]string{
			"http://h/a?b=1&token=canary":             "hit",
			"http://h/a?utm=other&b=1&token=canar%79": "hit",
			"http://h/a?b=1&token=another":            "miss",
			"http://h/a?token=canary&token=&b=1":      "miss",
		} {
			r := must(http.NewRequest("GET", u, nil))
			if got := newRig(t, o, cache.Options{Store: m.Open()}).Contains(r); got != (outcome == "hit") {
				t.Errorf("%s: found %t", u, got)
			}
		}
	})
}

// What must go from the store, because the origin says that it is not to be stored any more, does not hold its request up.
func TestARemovalIsWaitedForNoLongerThanACall(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var delay atomic.Int64
		s := &faulty{Map: storetest.NewMap(1 << 24)}
		s.fault = func(ctx context.Context, _ int64) error {
			select {
			case <-time.After(time.Duration(delay.Load())):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		answer := reply(200, "x", "Cache-Control: max-age=60")
		g := newRig(t, &origin{answer: func(*http.Request) *http.Response { return answer }}, cache.Options{Store: s})
		g.get(url)
		time.Sleep(2 * time.Minute)
		g.origin.answer = func(*http.Request) *http.Response {
			delay.Store(int64(90 * time.Millisecond))
			return reply(200, "y", "Cache-Control: no-store")
		}
		begun := time.Now()
		g.get(url)
		if waited := time.Since(begun); waited > 120*time.Millisecond {
			t.Errorf("the request waited %v", waited)
		}
		delay.Store(0)
		synctest.Wait()
		time.Sleep(time.Second)
		if g.Contains(must(http.NewRequest("GET", url, nil))) {
			t.Error("what is not to be stored is there")
		}
	})
}

// A lifetime that slides goes on as long as the response is used, and so do its marks.
func TestWhatSlidesOutlivesItsMarks(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := storetest.NewMap(1 << 24)
		o := says("x", `Cache-Groups: "g"`)
		options := cache.Options{Store: m, Expiry: expiry.Sliding(expiry.After(10 * time.Minute)), RetainStale: -1}
		g := newRig(t, o, options)
		g.get(url)
		for range 60 {
			time.Sleep(5 * time.Minute)
			have, _ := g.get(url)
			g.want(have, 200, "x", "hit", 1)
			synctest.Wait()
			if t.Failed() {
				return
			}
		}
		require.NoError(t, newRig(t, o, options).DeleteGroup(t.Context(), url, "g"))
		if have, _ := g.get(url); have.Outcome == "hit" {
			t.Error("it was invalidated")
		}
	})
}

// New rules may have responses live longer than their marks were to be kept.
func TestNewRulesProlongMarks(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := storetest.NewMap(1 << 24)
		o := says("x", "Cache-Control: max-age=60")
		newRig(t, o, cache.Options{Store: m}).get(url)
		g := newRig(t, o, cache.Options{Store: m, Expiry: expiry.After(100 * 24 * time.Hour)})
		require.NoError(t, g.RecomputeExpiry(t.Context()))
		time.Sleep(60 * 24 * time.Hour)
		have, _ := g.get(url)
		g.want(have, 200, "x", "hit", 1)
	})
}

// A clock that was set back makes copies near stale, too.
func TestAClockThatWasSetBackUnderCopies(t *testing.T) {
	far, copies := storetest.NewMap(1<<24), near()
	o := says("x", "Cache-Control: max-age=600", `Etag: "a"`)
	inFreshBubble(t, func(t *testing.T) {
		time.Sleep(24 * time.Hour)
		newRig(t, o, cache.Options{Store: plain{far}}).get(url)
		g := newRig(t, o, cache.Options{Store: cache.Tiered(copies, plain{far})})
		have, _ := g.get(url)
		g.want(have, 200, "x", "hit", 1)
	})
	inFreshBubble(t, func(t *testing.T) { // a day earlier
		g := newRig(t, o, cache.Options{Store: cache.Tiered(copies, plain{far})})
		if have, _ := g.get(url); have.Outcome == "hit" {
			t.Error("a response of tomorrow is fresh")
		}
	})
}

// unheard is a store whose Put of an entry does what it is to do, and the reply is lost.
type unheard struct {
	*storetest.Map
	lost bool
}

func (s *unheard) Put(ctx context.Context, key string, r store.Record) error {
	err := s.Map.Put(ctx, key, r)
	if err == nil && s.lost && r.Kind == store.KindEntry {
		return errors.New("connection reset")
	}
	return err
}

func (s *unheard) Delete(ctx context.Context, key, version string) error {
	err := s.Map.Delete(ctx, key, version)
	if err == nil && s.lost && strings.HasPrefix(key, "e1.") {
		return errors.New("connection reset")
	}
	return err
}

// A change of which the store's reply is lost has been made: no body stays that nothing names, and what is stored is whole.
func TestAChangeWhoseReplyIsLost(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &unheard{Map: storetest.NewMap(1 << 26)}
		n := 0
		g := newRig(t, &origin{answer: func(*http.Request) *http.Response {
			n++
			return reply(200, numbers(100_000+n), "Cache-Control: max-age=60")
		}}, cache.Options{Store: s})
		for range 3 {
			g.get(url)
			synctest.Wait()
			time.Sleep(2 * time.Minute)
			s.lost = true
		}
		g.get(url)
		synctest.Wait()
		have, _ := g.get(url)
		g.want(have, 200, numbers(100_004), "hit", 4)
		if pieces := keys(t, s.Map, store.KindBody); len(pieces) != 1 {
			t.Errorf("%d pieces of one body: %v", len(pieces), pieces)
		}
		require.NoError(t, g.Delete(t.Context(), must(http.NewRequest("GET", url, nil))))
		synctest.Wait()
		if left := append(keys(t, s.Map, store.KindBody), keys(t, s.Map, store.KindEntry)...); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
}
