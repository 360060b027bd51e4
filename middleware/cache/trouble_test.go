package cache_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// troubled is a store with a fault for some of its calls: op is "get", "put" or "delete".
type troubled struct {
	*storetest.Map
	fault atomic.Pointer[func(ctx context.Context, op, key string) error]
}

func newTroubled() *troubled { return &troubled{Map: storetest.NewMap(1 << 26)} }

// trouble sets the fault; nil ends it.
func (s *troubled) trouble(fault func(ctx context.Context, op, key string) error) {
	if fault == nil {
		s.fault.Store(nil)
		return
	}
	s.fault.Store(&fault)
}

func (s *troubled) check(ctx context.Context, op, key string) error {
	if fault := s.fault.Load(); fault != nil {
		return (*fault)(ctx, op, key)
	}
	return nil
}

func (s *troubled) Get(ctx context.Context, key string) (store.Record, error) {
	if err := s.check(ctx, "get", key); err != nil {
		return store.Record{}, err
	}
	return s.Map.Get(ctx, key)
}

func (s *troubled) GetMulti(ctx context.Context, keys []string) ([]store.Record, error) {
	records := make([]store.Record, len(keys))
	for i, key := range keys {
		var err error
		if records[i], err = s.Get(ctx, key); err != nil {
			return nil, err
		}
	}
	return records, nil
}

func (s *troubled) Put(ctx context.Context, key string, r store.Record) error {
	if err := s.check(ctx, "put", key); err != nil {
		return err
	}
	return s.Map.Put(ctx, key, r)
}

func (s *troubled) Delete(ctx context.Context, key, version string) error {
	if err := s.check(ctx, "delete", key); err != nil {
		return err
	}
	return s.Map.Delete(ctx, key, version)
}

func hangs(ctx context.Context, _, _ string) error { <-ctx.Done(); return ctx.Err() }

func refuses(context.Context, string, string) error { return errors.New("refused") }

func refusesChanges(_ context.Context, op, _ string) error {
	if op != "get" {
		return errors.New("read-only")
	}
	return nil
}

func changesHang(ctx context.Context, op, key string) error {
	if op != "get" {
		return hangs(ctx, op, key)
	}
	return nil
}

// stateful is an origin whose answers say how many unsafe requests came before.
func stateful(fields ...string) *origin {
	var state atomic.Int64
	return &origin{answer: func(r *http.Request) *http.Response {
		if r.Method != "GET" {
			state.Add(1)
			return reply(200, "")
		}
		return reply(200, fmt.Sprint(state.Load()), append([]string{"Cache-Control: max-age=3600"}, fields...)...)
	}}
}

// An invalidation that the store did not take is told again by a process that does nothing else, soon after the store is there again.
func TestAnInvalidationIsToldAgain(t *testing.T) {
	once := func(fault func(context.Context, string, string) error) func(context.Context, string, string) error {
		var done atomic.Bool
		return func(ctx context.Context, op, key string) error {
			if op == "put" && !done.Swap(true) {
				return fault(ctx, op, key)
			}
			return nil
		}
	}
	takes := func(d time.Duration) func(context.Context, string, string) error {
		return func(ctx context.Context, op, key string) error {
			select {
			case <-time.After(d):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	for name, test := range map[string]struct {
		fault  func(context.Context, string, string) error
		lasts  time.Duration // the trouble
		behind time.Duration // others are, at most, after its end
	}{
		"one change hangs":          {once(hangs), 0, 200 * time.Millisecond},
		"one change is slow":        {once(takes(150 * time.Millisecond)), 0, 200 * time.Millisecond},
		"one call fails":            {once(refuses), 0, 200 * time.Millisecond},
		"locked for 150 ms":         {hangs, 150 * time.Millisecond, 1100 * time.Millisecond},
		"slower than StoreTimeout":  {takes(300 * time.Millisecond), time.Minute, -50 * time.Second},
		"refuses for ten seconds":   {refuses, 10 * time.Second, 3 * time.Second},
		"hangs for ten seconds":     {hangs, 10 * time.Second, 3500 * time.Millisecond},
		"takes no changes at first": {refusesChanges, 10 * time.Second, 3 * time.Second},
	} {
		for how, invalidate := range map[string]func(g *rig){
			"POST":        func(g *rig) { g.do("POST", url) },
			"PUT":         func(g *rig) { g.do("PUT", url) },
			"DeleteURL":   func(g *rig) { g.do("POST", "http://h/other"); g.DeleteURL(g.Context(), url) },
			"DeleteGroup": func(g *rig) { g.do("POST", "http://h/other"); g.DeleteGroup(g.Context(), url, "g") },
		} {
			t.Run(name+"/"+how, func(t *testing.T) {
				inFreshBubble(t, func(t *testing.T) {
					s := newTroubled()
					o := stateful(`Cache-Groups: "g"`)
					writer, reader := newRig(t, o, cache.Options{Store: s}), newRig(t, o, cache.Options{Store: s.Map.Open()})
					reader.get(url)
					s.trouble(test.fault)
					invalidate(writer)
					if n := writer.Stats().Owed; n == 0 && test.lasts > 0 {
						t.Error("nothing is owed")
					}
					if test.lasts > 0 {
						time.AfterFunc(test.lasts, func() { s.trouble(nil) })
					}
					time.Sleep(test.lasts + test.behind)
					if have, _ := reader.get(url); have.Body != "1" {
						t.Errorf("the other process has %q", have.Body)
					}
					if n := writer.Stats().Owed; n != 0 {
						t.Errorf("%d are owed", n)
					}
				})
			})
		}
	}
}

// What is owed costs a store that is away a call now and then, and no memory without end; once it is there it forgets what nobody knows to name.
func TestMoreInvalidationsThanAreRemembered(t *testing.T) {
	inFreshBubble(t, func(t *testing.T) {
		s := newTroubled()
		o := stateful()
		writer, reader := newRig(t, o, cache.Options{Store: s}), newRig(t, o, cache.Options{Store: s.Map.Open()})
		reader.get("http://h/0")
		reader.get("http://h/3000")
		var calls atomic.Int64
		s.trouble(func(context.Context, string, string) error { calls.Add(1); return errors.New("refused") })
		for range 10 {
			writer.do("POST", "http://h/0")
		}
		if n := writer.Stats().Owed; n != 1 {
			t.Errorf("one invalidation that comes ten times is owed %d times", n)
		}
		for i := range 3001 {
			writer.do("POST", fmt.Sprint("http://h/", i))
		}
		if n := writer.Stats().Owed; n == 0 || n > 1025 {
			t.Errorf("%d are owed", n)
		}
		calls.Store(0)
		time.Sleep(time.Minute)
		if n := calls.Load(); n > 60*3*10 {
			t.Errorf("%d calls in a minute", n)
		}
		s.trouble(nil)
		time.Sleep(3 * time.Second)
		for _, u := range []string{"http://h/0", "http://h/3000"} {
			if have, _ := reader.get(u); have.Outcome == "hit" {
				t.Errorf("%s: %v", u, have)
			}
		}
		if n := writer.Stats().Owed; n != 0 {
			t.Errorf("%d are owed", n)
		}
	})
}

// A cache that is closed tries once more, not for long, and says what stays owed.
func TestClosingWhatOwes(t *testing.T) {
	for name, test := range map[string]struct {
		at    func(context.Context, string, string) error
		fails bool
	}{"there again": {nil, false}, "refuses": {refuses, true}, "hangs": {hangs, true}} {
		t.Run(name, func(t *testing.T) {
			inFreshBubble(t, func(t *testing.T) {
				s := newTroubled()
				o := stateful()
				writer, reader := newRig(t, o, cache.Options{Store: s}), newRig(t, o, cache.Options{Store: s.Map.Open()})
				reader.get(url)
				s.trouble(hangs)
				writer.do("POST", url)
				s.trouble(test.at)
				begun := time.Now()
				err := writer.Close()
				if (err != nil) != test.fails || test.fails && !strings.Contains(err.Error(), "1 invalidation") {
					t.Errorf("Close: %v", err)
				}
				if took := time.Since(begun); took > 250*time.Millisecond {
					t.Errorf("Close took %v", took)
				}
				if have, _ := reader.get(url); (have.Body == "0") != test.fails {
					t.Errorf("the other process has %v", have)
				}
				require.NoError(t, writer.Close())
			})
		})
	}
}

// Whoever asks for an invalidation, a store that does not take it has failed, and says so in the same words.
func TestInvalidationsReportAlike(t *testing.T) {
	for name, fault := range map[string]func(context.Context, string, string) error{"hangs": hangs, "refuses": refuses} {
		var told []string
		for how, invalidate := range map[string]func(g *rig) error{
			"POST":        func(g *rig) error { g.do("POST", url); return nil },
			"DeleteURL":   func(g *rig) error { return g.DeleteURL(g.Context(), url) },
			"DeleteGroup": func(g *rig) error { return g.DeleteGroup(g.Context(), url, "g") },
		} {
			inFreshBubble(t, func(t *testing.T) {
				s := newTroubled()
				g := newRig(t, stateful(), cache.Options{Store: s, Trace: &cache.Trace{Fault: func(operation string, err error) {
					told = append(told, operation+": "+err.Error())
				}}})
				s.trouble(fault)
				err := invalidate(g)
				if n := g.Stats().StoreErrors; n != 1 {
					t.Errorf("%s, %s: %d store errors", name, how, n)
				}
				if how != "POST" && (err == nil || err.Error() != "cache: "+told[len(told)-1]) {
					t.Errorf("%s, %s: %v, told %q", name, how, err, told)
				}
			})
		}
		if len(told) != 3 || told[0] != told[1] || told[1] != told[2] {
			t.Errorf("%s: %q", name, told)
		}
	}
}

// A store that takes no changes serves what it holds.
func TestAStoreThatTakesNoChangesKeepsItsHits(t *testing.T) {
	slow := func(ctx context.Context, op, key string) error {
		if op == "put" {
			time.Sleep(3 * time.Second) // whatever its context says
		}
		return nil
	}
	full := func(_ context.Context, op, _ string) error {
		if op == "put" {
			return errors.New("OOM")
		}
		return nil
	}
	for name, test := range map[string]struct {
		fault    func(context.Context, string, string) error
		readOnly bool
	}{"full": {full, false}, "read-only": {refusesChanges, false}, "changes hang": {changesHang, true}, "changes hang, deaf": {slow, true}} {
		for _, body := range []int{100, 1_200_000} {
			t.Run(fmt.Sprint(name, " ", body), func(t *testing.T) {
				inFreshBubble(t, func(t *testing.T) {
					s := newTroubled()
					c, rt := newBusy(t, &busy{answer: func(*http.Request, int) (*http.Response, error) {
						return sends(strings.Repeat("x", body), "Cache-Control: max-age=3600"), nil
					}}, cache.Options{Store: s})
					get := func(u string) string {
						resp, err := rt.RoundTrip(must(http.NewRequest("GET", u, nil)))
						if err != nil {
							t.Error(err)
							return err.Error()
						}
						readAll(resp)
						status, _ := cache.StatusOf(resp)
						return status.Outcome()
					}
					get("http://h/hot")
					synctest.Wait()
					s.trouble(test.fault)
					for i := range 10 {
						var wg sync.WaitGroup
						for j := range 16 {
							wg.Go(func() { get(fmt.Sprint("http://h/cold", i, "-", j)) })
						}
						begun := time.Now()
						outcome := get("http://h/hot")
						if took := time.Since(begun); outcome != "hit" || took > 0 {
							t.Fatalf("round %d: %s after %v", i, outcome, took)
						}
						wg.Wait()
						time.Sleep(50 * time.Millisecond)
					}
					if stats := c.Stats(); stats.StoreDown || stats.StoreReadOnly != test.readOnly {
						t.Errorf("%+v", stats)
					}
					s.trouble(nil)
					time.Sleep(10 * time.Second)
					get("http://h/again")
					time.Sleep(time.Second)
					get("http://h/again")
					time.Sleep(time.Second)
					if outcome := get("http://h/again"); outcome != "hit" || c.Stats().StoreReadOnly {
						t.Errorf("once it takes changes again: %s, %+v", outcome, c.Stats())
					}
				})
			})
		}
	}
}

// A process that starts on a store that takes no changes finds what is there, too.
func TestAColdStartOnAStoreThatTakesNoChanges(t *testing.T) {
	for name, fault := range map[string]func(context.Context, string, string) error{"refused": refusesChanges, "hang": changesHang} {
		for _, secret := range []bool{true, false} {
			inFreshBubble(t, func(t *testing.T) {
				s := newTroubled()
				o := says("x", "Cache-Control: max-age=3600")
				newRig(t, o, cache.Options{Store: s}).get(url)
				synctest.Wait()
				if !secret {
					require.NoError(t, s.Map.Delete(t.Context(), "s1.secret", ""))
				}
				s.trouble(fault)
				g := newRig(t, o, cache.Options{Store: s})
				for range 10 {
					if have, _ := g.get(url); have.Outcome != "hit" {
						t.Errorf("%s, secret there: %t: %s", name, secret, have.Outcome)
					}
					time.Sleep(300 * time.Millisecond)
				}
			})
		}
	}
}

// A store that fails at once with everything is left alone; one that fails with a single record costs nobody else anything.
func TestPromptFailures(t *testing.T) {
	inFreshBubble(t, func(t *testing.T) {
		s := newTroubled()
		g := newRig(t, says("x", "Cache-Control: max-age=3600"), cache.Options{Store: s})
		g.get("http://h/good")
		g.get("http://h/bad")
		synctest.Wait()
		bad := keys(t, s.Map, store.KindEntry)
		s.trouble(func(_ context.Context, op, key string) error {
			if key == bad[0] {
				return errors.New("this record cannot be read")
			}
			return nil
		})
		hits := 0
		for range 100 {
			for _, u := range []string{"http://h/good", "http://h/bad"} {
				for range 5 {
					if have, _ := g.get(u); have.Outcome == "hit" {
						hits++
					}
				}
			}
			time.Sleep(20 * time.Millisecond)
		}
		if hits != 500 || g.Stats().StoreDown {
			t.Errorf("%d hits of 500 for another record: %+v", hits, g.Stats())
		}
		var calls atomic.Int64
		s.trouble(func(context.Context, string, string) error { calls.Add(1); return errors.New("connection refused") })
		for range 1000 {
			g.get("http://h/good")
			time.Sleep(10 * time.Millisecond)
		}
		if n := calls.Load(); n > 60 || !g.Stats().StoreDown {
			t.Errorf("%d calls of a store that is away: %+v", n, g.Stats())
		}
		s.trouble(nil)
		g.get("http://h/good")
		time.Sleep(time.Second)
		g.get("http://h/good")
		synctest.Wait()
		if have, _ := g.get("http://h/good"); have.Outcome != "hit" {
			t.Errorf("%s once it is back", have.Outcome)
		}
	})
}

// newer makes a record one of a later version.
func newer(r store.Record) store.Record {
	r.Data = append([]byte(nil), r.Data...)
	r.Data[4]++
	sum := crc32.Update(crc32.Checksum(r.Data[:5], crc32.MakeTable(crc32.Castagnoli)), crc32.MakeTable(crc32.Castagnoli), r.Data[9:])
	binary.LittleEndian.PutUint32(r.Data[5:], sum)
	return r
}

// unreadable is a store that says itself which records a later version of it has written.
type unreadable struct {
	*storetest.Map
	keys *sync.Map
}

func (u unreadable) Get(ctx context.Context, key string) (store.Record, error) {
	if _, is := u.keys.Load(key); is {
		return store.Record{}, fmt.Errorf("get: %w", store.ErrNewer)
	}
	return u.Map.Get(ctx, key)
}

func (u unreadable) GetMulti(ctx context.Context, keys []string) ([]store.Record, error) {
	for _, key := range keys {
		if _, is := u.keys.Load(key); is {
			return nil, fmt.Errorf("get: %w", store.ErrNewer)
		}
	}
	return u.Map.GetMulti(ctx, keys)
}

func (u unreadable) Put(ctx context.Context, key string, r store.Record) error {
	if _, is := u.keys.Load(key); is {
		return store.ErrConflict
	}
	return u.Map.Put(ctx, key, r)
}

func (u unreadable) Delete(ctx context.Context, key, version string) error {
	if _, is := u.keys.Load(key); is && version != "" {
		return store.ErrConflict
	}
	u.keys.Delete(key)
	return u.Map.Delete(ctx, key, version)
}

// A record of a later version costs its own key, and stays. An invalidation gets through all the same.
func TestARecordOfALaterVersion(t *testing.T) {
	kinds := map[string]store.Kind{"entry": store.KindEntry, "mark": store.KindGeneration, "body": store.KindBody, "secret": store.KindSetup}
	for name, kind := range kinds {
		for _, byStore := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " told by the store: ", byStore), func(t *testing.T) {
				inFreshBubble(t, func(t *testing.T) {
					m := storetest.NewMap(1 << 26)
					s := unreadable{m, new(sync.Map)}
					o := says(numbers(300_000), "Cache-Control: max-age=3600", "Vary: Cookie")
					newRig(t, o, cache.Options{Store: s}).get("http://h/bad")
					synctest.Wait()
					theirs := make(map[string]store.Record)
					for _, key := range keys(t, m, kind) {
						r := must(m.Get(t.Context(), key))
						if byStore {
							s.keys.Store(key, true)
						} else {
							require.NoError(t, m.Put(t.Context(), key, newer(r)))
							r = must(m.Get(t.Context(), key))
						}
						theirs[key] = r
					}
					if len(theirs) == 0 {
						t.Fatal("no such record")
					}
					g := newRig(t, o, cache.Options{Store: s, VaryHashKey: nil})
					hits := 0
					for range 20 {
						for range 3 {
							g.get("http://h/bad")
						}
						time.Sleep(20 * time.Millisecond)
						if have, _ := g.get("http://h/good"); have.Outcome == "hit" {
							hits++
						}
						time.Sleep(100 * time.Millisecond)
					}
					if want := 19; hits != want && kind != store.KindSetup {
						t.Errorf("%d hits for another key, want %d", hits, want)
					}
					if stats := g.Stats(); stats.StoreDown || kind != store.KindBody && stats.StoreErrors > 0 {
						t.Errorf("%+v", stats)
					}
					if kind == store.KindBody {
						return // it belongs to an entry that may be replaced
					}
					for key, was := range theirs {
						if is := must(m.Get(t.Context(), key)); is.Version != was.Version {
							t.Errorf("%s was changed", key)
						}
					}
					g.do("POST", "http://h/bad")
					require.NoError(t, g.DeleteURL(t.Context(), "http://h/bad"))
					if kind == store.KindGeneration && g.Stats().Owed != 0 {
						t.Error("an invalidation is owed")
					}
					for key, was := range theirs {
						is := must(m.Get(t.Context(), key))
						if changed := is.Version != was.Version; kind == store.KindGeneration && !changed && strings.HasPrefix(key, "m1.") {
							t.Errorf("%s is the mark of before", key)
						}
					}
				})
			})
		}
	}
}

// A store that is 30 ms away serves hits within the default StoreTimeout, and does not count as down, however many ask at once.
func TestAStoreFarAway(t *testing.T) {
	for _, trip := range []time.Duration{30 * time.Millisecond, 45 * time.Millisecond} {
		inFreshBubble(t, func(t *testing.T) {
			s := newTroubled()
			s.trouble(func(ctx context.Context, _, _ string) error {
				select {
				case <-time.After(trip):
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			})
			far := oneTrip{s}
			c, rt := newBusy(t, &busy{answer: func(*http.Request, int) (*http.Response, error) {
				return sends("x", "Cache-Control: max-age=3600"), nil
			}}, cache.Options{Store: far})
			hits := 0
			for round := range 10 {
				for _, g := range storm(100, rt, func(i int) *http.Request { return must(http.NewRequest("GET", fmt.Sprint("http://h/", i%20), nil)) }) {
					if status, _ := cache.StatusOf(&http.Response{Header: g.header}); round > 3 && status.Hit {
						hits++
					}
				}
				if c.Stats().StoreDown {
					t.Fatalf("%v, round %d: the store counts as down: %+v", trip, round, c.Stats())
				}
				time.Sleep(time.Second)
			}
			if hits != 600 {
				t.Errorf("%v: %d hits of 600: %+v", trip, hits, c.Stats())
			}
		})
	}
}

// oneTrip is a store that reads several records in the time of one.
type oneTrip struct{ *troubled }

func (s oneTrip) GetMulti(ctx context.Context, keys []string) ([]store.Record, error) {
	if err := s.check(ctx, "get", keys[0]); err != nil {
		return nil, err
	}
	return s.Map.GetMulti(ctx, keys)
}

// What a program asks for is the store's fault, too, if the store fails at it, and no fault if the store never could.
func TestRemovalsThatFailAreFaults(t *testing.T) {
	for name, remove := range map[string]func(g *rig) error{
		"Delete":        func(g *rig) error { return g.Delete(g.Context(), must(http.NewRequest("GET", url, nil))) },
		"DeleteStale":   func(g *rig) error { _, err := g.DeleteOlderThan(g.Context(), 0); return err },
		"DeletePattern": func(g *rig) error { _, err := g.DeletePattern(g.Context(), "h/*"); return err },
	} {
		inFreshBubble(t, func(t *testing.T) {
			s := newTroubled()
			g := newRig(t, says("x", "Cache-Control: max-age=600"), cache.Options{Store: s})
			g.get(url)
			time.Sleep(time.Second)
			s.trouble(refuses)
			if err := remove(g); err == nil || g.Stats().StoreErrors != 1 {
				t.Errorf("%s: %v, %+v", name, err, g.Stats())
			}
		})
	}
	inFreshBubble(t, func(t *testing.T) {
		g := newRig(t, says("x"), cache.Options{Store: plain{storetest.NewMap(1 << 20)}})
		if _, err := g.DeleteStale(g.Context()); !errors.Is(err, errors.ErrUnsupported) || g.Stats().StoreErrors != 0 {
			t.Errorf("%v, %+v", err, g.Stats())
		}
	})
}
