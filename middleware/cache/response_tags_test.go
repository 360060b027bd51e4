package cache_test

import (
	"context"
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
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/file"
	"github.com/plyhttp/ply/store/storetest"
)

func TestReadingTagsOfAResponse(t *testing.T) {
	for _, test := range []struct {
		name   string
		read   func(*http.Response) []string
		fields []string
		want   []string
	}{
		{"Surrogate-Key, by spaces", cache.SurrogateKey, []string{"Surrogate-Key: a  b,c", "Surrogate-Key: d"}, []string{"a", "b,c", "d"}},
		{"no Surrogate-Key", cache.SurrogateKey, []string{"Cache-Tag: a"}, nil},
		{"Cache-Tag, by commas", cache.CacheTag, []string{`Cache-Tag: a, b c ,,"d`, `Cache-Tag: e"`}, []string{"a", "b c", `"d`, `e"`}},
		{"no Cache-Tag", cache.CacheTag, []string{"xkey: a"}, nil},
		{"xkey, by either", cache.XKey, []string{"xkey: a b, c", "xkey: d"}, []string{"a", "b", "c", "d"}},
		{"no xkey", cache.XKey, nil, nil},
	} {
		got := test.read(reply(200, "", test.fields...))
		if diff := cmp.Diff(test.want, got); diff != "" && len(got)+len(test.want) > 0 {
			t.Errorf("%s (-want +got)\n%s", test.name, diff)
		}
	}
}

// tagged answers each path with tags of its own.
func tagged(tags map[string]string) *origin {
	return &origin{answer: func(r *http.Request) *http.Response {
		return reply(200, r.URL.Path, "Cache-Control: max-age=60", `Etag: "1"`, "Surrogate-Key: "+tags[r.URL.Path])
	}}
}

// A removal by tag ends what has it, in this process and in others, at whatever origin, and nothing else.
func TestDeleteTagRemovesWhatHasTheTag(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) (one, other store.Store){
		"one cache in memory": func(*testing.T) (one, other store.Store) { return nil, nil },
		"two processes at a byte store": func(*testing.T) (one, other store.Store) {
			m := storetest.NewMap(1 << 24)
			return m.Open(), m.Open()
		},
		"two processes with tiers": func(*testing.T) (one, other store.Store) {
			m := storetest.NewMap(1 << 24)
			near := func() *cache.Memory { return cache.NewMemory(cache.MemoryOptions{}) }
			return cache.Tiered(near(), m.Open()), cache.Tiered(near(), m.Open())
		},
		"two processes at files": func(t *testing.T) (one, other store.Store) {
			dir := t.TempDir()
			at := func() store.Store {
				s, err := file.Open(dir, file.Options{})
				require.NoError(t, err)
				t.Cleanup(func() { s.Close() })
				return s
			}
			return at(), at()
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				o := tagged(map[string]string{"/a": "x all", "/b": "y all", "/c": "x y"})
				one, other := open(t)
				g := newRig(t, o, cache.Options{Store: one, Tags: cache.SurrogateKey})
				purger := g
				if other != nil {
					purger = newRig(t, o, cache.Options{Store: other}) // which reads no tags itself
				}
				urls := []string{"http://h/a", "http://h/b", "http://other/c", "http://h/plain"}
				outcomes := func() (outcomes []string) {
					time.Sleep(2 * time.Second) // copies in memory are looked at again
					for _, url := range urls {
						have, _ := g.get(url)
						outcomes = append(outcomes, have.Outcome)
					}
					return outcomes
				}
				for _, step := range []struct {
					remove []string
					want   string
				}{
					{nil, "[miss miss miss miss]"},
					{[]string{"z", "xy"}, "[hit hit hit hit]"},
					{[]string{"X"}, "[miss hit miss hit]"},
					{[]string{"y"}, "[hit miss miss hit]"},
					{[]string{"x"}, "[miss hit miss hit]"}, // an index that y's removal has taken along would miss /a
					{[]string{"x", "all"}, "[miss miss miss hit]"},
				} {
					if step.remove != nil {
						require.NoError(t, purger.DeleteTag(t.Context(), step.remove...))
					}
					if got := fmt.Sprint(outcomes()); got != step.want {
						t.Errorf("after the removal of %q: %s, want %s", step.remove, got, step.want)
					}
				}
			})
		})
	}
}

// What cannot be removed by all of its tags is not stored, and what a validation gives such tags is stored no longer.
func TestAResponseWithTooManyTagsIsNotStored(t *testing.T) {
	many := "Surrogate-Key: " + manyNames("k%d ", 129)
	inBubble(t, func(t *testing.T) {
		var reasons []string
		trace := &cache.Trace{NotStored: func(_ *http.Request, reason string) { reasons = append(reasons, reason) }}
		fields := "Surrogate-Key: few"
		o := &origin{answer: func(r *http.Request) *http.Response {
			status := 200
			if r.Header.Get("If-None-Match") != "" {
				status = 304
			}
			return reply(status, "x", "Cache-Control: max-age=60", `Etag: "1"`, fields)
		}}
		g := newRig(t, o, cache.Options{Tags: cache.SurrogateKey, Trace: trace})
		for i, step := range []struct{ fields, outcome string }{
			{many, "miss"}, {"Surrogate-Key: " + strings.Repeat("x", 1025), "miss"}, {"Surrogate-Key: few", "miss"}, {many, "revalidated"}, {many, "miss"},
		} {
			fields = step.fields
			have, _ := g.get(url)
			if have.Outcome != step.outcome {
				t.Errorf("%d: %s, want %s", i, have.Outcome, step.outcome)
			}
			time.Sleep(2 * time.Minute)
		}
		if diff := cmp.Diff([]string{"more than 128 tags", "a tag exceeds 1024 bytes", "more than 128 tags", "more than 128 tags"}, reasons); diff != "" {
			t.Errorf("reasons (-want +got)\n%s", diff)
		}
	})
}

// As many groups and tags as there can be still fit a byte store's record, and the last of them removes it.
func TestAResponseWithTheMostTagsIsStored(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("x", "Cache-Control: max-age=60", "Surrogate-Key: "+manyNames("k%d ", 128), "Cache-Groups: "+strings.TrimSuffix(manyNames(`"g%d", `, 128), ", "))
		g := newRig(t, o, cache.Options{Tags: cache.SurrogateKey})
		for i, want := range []string{"miss", "hit"} {
			if have, _ := g.get(url); have.Outcome != want {
				t.Errorf("%d: %s, want %s", i, have.Outcome, want)
			}
		}
		require.NoError(t, g.DeleteTag(t.Context(), "k127"))
		if have, _ := g.get(url); have.Outcome != "miss" {
			t.Errorf("after its removal: %s", have.Outcome)
		}
	})
}

// The tags of a response can come from its request, and follow what a validation says.
func TestTagsFollowRequestAndValidation(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		key := "old"
		o := &origin{answer: func(r *http.Request) *http.Response {
			status := 200
			if r.Header.Get("If-None-Match") != "" {
				status = 304
			}
			return reply(status, "x", "Cache-Control: max-age=60", `Etag: "1"`, "Surrogate-Key: "+key)
		}}
		g := newRig(t, o, cache.Options{Tags: func(resp *http.Response) []string {
			return append(cache.SurrogateKey(resp), "host:"+resp.Request.URL.Host)
		}})
		g.get(url)
		key = "new"
		time.Sleep(2 * time.Minute)
		g.get(url)
		for _, step := range []struct{ tag, outcome string }{{"old", "hit"}, {"new", "miss"}, {"host:h", "hit"}, {"host:example.com", "miss"}} {
			require.NoError(t, g.DeleteTag(t.Context(), step.tag))
			if have, _ := g.get(url); have.Outcome != step.outcome {
				t.Errorf("after the removal of %s: %s, want %s", step.tag, have.Outcome, step.outcome)
			}
		}
	})
}

func TestDeleteTagWantsANameThatCanBe(t *testing.T) {
	g := newRig(t, says("x"), cache.Options{})
	for _, name := range []string{"", strings.Repeat("x", 1025)} {
		if err := g.DeleteTag(context.Background(), "a", name); err == nil {
			t.Errorf("no error for a tag of %d bytes", len(name))
		}
	}
}

// manyNames joins n names of a format with their numbers.
func manyNames(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// An entry knows its tags by their names, whatever their case, in memory and in a byte store.
func TestEntryHasTheTagsThatItsResponseGave(t *testing.T) {
	for name, open := range map[string]func() store.Store{"memory": func() store.Store { return nil }, "byte store": func() store.Store { return storetest.NewMap(1 << 24).Open() }} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				c, err := cache.New(cache.Options{Tags: cache.SurrogateKey, Store: open()})
				require.NoError(t, err)
				defer c.Close()
				client := &http.Client{Transport: c.Middleware(says("hello", "Cache-Control: max-age=60", "Surrogate-Key: x all"))}
				resp, err := client.Get("http://a.test/")
				require.NoError(t, err)
				readAll(resp)
				synctest.Wait() // until it is stored
				n := 0
				for e := range c.Entries(t.Context()) {
					n++
					require.Equal(t, []bool{true, true, false, false}, []bool{e.HasTag("x"), e.HasTag("ALL"), e.HasTag("y"), e.HasTag("")})
				}
				require.Equal(t, 1, n)
			})
		})
	}
}

// Right after a removal by tag, processes that had no part in it share one fetch as before, and store what it brings:
// what they know of the tags is in the record that was invalidated, also after one of them has found it so.
func TestAfterDeleteTagOtherProcessesStoreWhatTheyFetch(t *testing.T) {
	inEachWay(t, func(t *testing.T, m *storetest.Map, open func() store.Store) {
		body := sealed(url, 1, 2000)
		o := &busy{answer: func(r *http.Request, _ int) (*http.Response, error) {
			return slowly(r, body, "Cache-Control: max-age=60", "Surrogate-Key: prices"), nil
		}}
		caches, chains := newFleet(t, 4, o, open, cache.Options{Tags: cache.SurrogateKey})
		together(t, 10, chains, url)
		require.NoError(t, caches[0].DeleteTag(t.Context(), "prices"))
		time.Sleep(2 * time.Second) // copies in memory are looked at again
		if a := fetches(cache.WithMode(t.Context(), cache.ModeOnlyIfCached), chains[1], url); a.err != nil || a.Status != 504 {
			t.Fatalf("%+v", a)
		}
		synctest.Wait()
		outcomes, slowest := together(t, 10, chains[1:], url)
		if diff := cmp.Diff(map[string]int{"miss": 1, "collapsed": 29}, outcomes); diff != "" || o.asked.Load() != 2 {
			t.Errorf("the origin was asked %d times, the slowest took %v\n%s", o.asked.Load(), slowest, diff)
		}
		noLeases(t, m)
	})
}

// Where the tags of an answer could not be known, no process but the one that has removed can store it for a moment.
// Then each process asks for itself, and none waits for all before it.
func TestAfterDeleteTagProcessesDoNotWaitForWhatCannotBeStored(t *testing.T) {
	inEachWay(t, func(t *testing.T, m *storetest.Map, open func() store.Store) {
		body := sealed(url, 1, 2000)
		o := &busy{answer: func(r *http.Request, _ int) (*http.Response, error) {
			return slowly(r, body, "Cache-Control: max-age=60", "Surrogate-Key: prices"), nil // it takes a second
		}}
		caches, chains := newFleet(t, 9, o, open, cache.Options{Tags: cache.SurrogateKey})
		require.NoError(t, caches[0].DeleteTag(t.Context(), "prices"))
		outcomes, slowest := together(t, 10, chains[1:], url)
		if diff := cmp.Diff(map[string]int{"miss": 8, "collapsed": 72}, outcomes); diff != "" || slowest > 3*time.Second+contention {
			t.Errorf("the slowest took %v\n%s", slowest, diff)
		}
		time.Sleep(6 * time.Second)
		if outcomes, _ = together(t, 10, chains[1:], url); outcomes["miss"] != 1 {
			t.Errorf("after the moment: %v", outcomes)
		}
		noLeases(t, m)
	})
}

// A request that comes after a removal by tag in another process does not join a fetch that began before it, where what was stored has shown which tags the answer has.
func TestRequestAfterDeleteTagElsewhereDoesNotJoinAnEarlierFetch(t *testing.T) {
	inEachWay(t, func(t *testing.T, _ *storetest.Map, open func() store.Store) {
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			time.Sleep(10 * time.Second)
			return slowly(r, sealed(url, n, 2000), "Cache-Control: max-age=1", "Surrogate-Key: prices"), nil
		}}
		caches, chains := newFleet(t, 2, o, open, cache.Options{Tags: cache.SurrogateKey})
		require.Equal(t, "miss", fetches(t.Context(), chains[1], url).Outcome)
		time.Sleep(5 * time.Second)
		var all sync.WaitGroup
		all.Go(func() { fetches(t.Context(), chains[1], url) })
		time.Sleep(time.Second) // it is under way
		require.NoError(t, caches[0].DeleteTag(t.Context(), "prices"))
		time.Sleep(2 * time.Second) // copies in memory are looked at again
		if a := fetches(t.Context(), chains[1], url); a.err != nil || a.Outcome != "miss" || o.asked.Load() != 3 {
			t.Errorf("%s, %v after %d requests to the origin", a.Outcome, a.err, o.asked.Load())
		}
		all.Wait()
	})
}
