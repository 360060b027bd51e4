package cache_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// What is removed while an answer is under way is not stored when that comes, however it is removed.
func TestPurgeReachesInFlightResponses(t *testing.T) {
	yes := func(*cache.Entry) bool { return true }
	counted := func(_ int, err error) error { return err }
	for _, test := range []struct {
		name    string
		remove  func(ctx context.Context, g *rig) error
		stored  bool // it is none of what is removed
		forgets bool // too much to tell what is removed
	}{
		{name: "Clear", remove: func(ctx context.Context, g *rig) error { return g.Clear(ctx) }},
		{name: "DeleteURL", remove: func(ctx context.Context, g *rig) error { return g.DeleteURL(ctx, url) }},
		{name: "Delete", remove: func(ctx context.Context, g *rig) error { return g.Delete(ctx, must(http.NewRequest("GET", url, nil))) }},
		{name: "DeleteGroup", remove: func(ctx context.Context, g *rig) error { return g.DeleteGroup(ctx, url, "g") }},
		{name: "DeleteTag", remove: func(ctx context.Context, g *rig) error { return g.DeleteTag(ctx, "T1") }},
		{name: "DeletePattern", remove: func(ctx context.Context, g *rig) error { return counted(g.DeletePattern(ctx, "example.com/*")) }},
		{name: "DeletePattern, an expression", remove: func(ctx context.Context, g *rig) error {
			return counted(g.DeletePattern(ctx, "~^http://example.com/a$"))
		}},
		{name: "DeleteFunc", remove: func(ctx context.Context, g *rig) error { return counted(g.DeleteFunc(ctx, yes)) }},
		{name: "DeleteOlderThan", remove: func(ctx context.Context, g *rig) error { return counted(g.DeleteOlderThan(ctx, 0)) }},
		{name: "seventeen patterns", forgets: true, remove: func(ctx context.Context, g *rig) error {
			for range 17 {
				if err := counted(g.DeletePattern(ctx, "other/*")); err != nil {
					return err
				}
			}
			return nil
		}},
		{name: "another pattern", stored: true, remove: func(ctx context.Context, g *rig) error { return counted(g.DeletePattern(ctx, "example.com/b")) }},
		{name: "another group", stored: true, remove: func(ctx context.Context, g *rig) error { return g.DeleteGroup(ctx, url, "h") }},
		{name: "another tag", stored: true, remove: func(ctx context.Context, g *rig) error { return g.DeleteTag(ctx, "t") }},
		{name: "what is older", stored: true, remove: func(ctx context.Context, g *rig) error { return counted(g.DeleteOlderThan(ctx, time.Hour)) }},
		{name: "what is stale", stored: true, remove: func(ctx context.Context, g *rig) error { return counted(g.DeleteStale(ctx)) }},
		{name: "what has expired", stored: true, remove: func(ctx context.Context, g *rig) error { return counted(g.DeleteExpired(ctx)) }},
	} {
		for _, when := range []string{"before the header", "before the end of the body", "of a validation"} {
			t.Run(test.name+", "+when, func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					fields := []string{"Cache-Control: max-age=60", `Cache-Groups: "g"`, `ETag: "1"`, "Surrogate-Key: t1 t2"}
					o := says("x", fields...)
					g := newRig(t, o, cache.Options{Tags: cache.SurrogateKey})
					if when == "of a validation" {
						if test.stored || test.forgets {
							return // what is stored stays
						}
						g.get(url)
						time.Sleep(time.Second)
					}
					removed := false
					remove := func() {
						if removed {
							return
						}
						removed = true
						require.NoError(t, test.remove(t.Context(), g))
					}
					o.answer = func(r *http.Request) *http.Response {
						resp := reply(200, "x", fields...)
						switch {
						case when == "of a validation" && !removed:
							resp = reply(304, "", fields...)
							remove()
						case when == "before the header":
							remove()
						case !removed:
							resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("x"), atEnd(remove)))
							resp.ContentLength = -1
						}
						return resp
					}
					asked := len(o.asked)
					mode := cache.ModeDefault
					if when == "of a validation" {
						mode = cache.ModeNoCache
					}
					r, _ := http.NewRequestWithContext(cache.WithMode(t.Context(), mode), "GET", url, nil)
					g.send(r)
					synctest.Wait()
					have, _ := g.get(url)
					if test.stored {
						g.want(have, 200, "x", "hit", asked+1)
					} else {
						g.want(have, 200, "x", "miss", asked+2)
					}
				})
			})
		}
	}
}

// A pattern for what a byte store shows keeps out what would be shown so.
func TestPurgeByHiddenPatternReachesInFlightResponses(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := &origin{}
		g := newRig(t, o, cache.Options{Store: storetest.NewMap(1 << 20)})
		o.answer = func(*http.Request) *http.Response {
			if len(o.asked) == 1 {
				if _, err := g.DeletePattern(t.Context(), "~[?]page=REDACTED$"); err != nil {
					t.Error(err)
				}
			}
			return reply(200, "x", "Cache-Control: max-age=60")
		}
		for range 2 {
			have, _ := g.get("http://example.com/a?page=5")
			if have.Outcome != "miss" {
				t.Errorf("%v, want what is not stored", have)
			}
		}
	})
}

// A caller who comes after a removal does not share an exchange that began before it.
func TestPurgeEndsJoining(t *testing.T) {
	for name, remove := range map[string]func(g *rig) error{
		"DeletePattern":   func(g *rig) error { _, err := g.DeletePattern(g.Context(), "example.com/**"); return err },
		"DeleteOlderThan": func(g *rig) error { _, err := g.DeleteOlderThan(g.Context(), 0); return err },
		"DeleteFunc": func(g *rig) error {
			_, err := g.DeleteFunc(g.Context(), func(*cache.Entry) bool { return false })
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				o := says("x", "Cache-Control: max-age=60")
				o.delay = time.Second
				g := newRig(t, o, cache.Options{})
				ask := func() {
					r, _ := http.NewRequestWithContext(t.Context(), "GET", url, nil)
					readAll(roundTrip(t, g.rt, r))
				}
				go ask()
				synctest.Wait()
				require.NoError(t, remove(g))
				go ask()
				synctest.Wait()
				time.Sleep(5 * time.Second)
				synctest.Wait()
				require.Len(t, o.asked, 2)
			})
		})
	}
}

// A removal that cannot remove anything says so, and what to do.
func TestPurgeWithoutTargetIsAnError(t *testing.T) {
	g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{})
	relative := must(http.NewRequest("GET", "/me", nil))
	for name, remove := range map[string]func() error{
		"Delete, relative":             func() error { return g.Delete(t.Context(), relative) },
		"Delete, no request":           func() error { return g.Delete(t.Context(), nil) },
		"Delete, no URL":               func() error { return g.Delete(t.Context(), &http.Request{}) },
		"DeleteURL, relative":          func() error { return g.DeleteURL(t.Context(), "/me") },
		"DeleteURL, empty":             func() error { return g.DeleteURL(t.Context(), "") },
		"DeleteURL, no scheme":         func() error { return g.DeleteURL(t.Context(), "//h/me") },
		"DeleteURL, host and path":     func() error { return g.DeleteURL(t.Context(), "h.test/me") },
		"DeleteURL, host and port":     func() error { return g.DeleteURL(t.Context(), "h.test:80/me") },
		"DeleteURL, hidden":            func() error { return g.DeleteURL(t.Context(), "http://h/a?page=REDACTED") },
		"DeleteURL, hidden among more": func() error { return g.DeleteURL(t.Context(), "http://h/a?x&page=REDACTED&b=1") },
		"DeleteURL, a hidden token":    func() error { return g.DeleteURL(t.Context(), "http://h/a?REDACTED") },
		"DeleteURL, hidden in a path":  func() error { return g.DeleteURL(t.Context(), "http://h/a;sid=REDACTED/b") },
		"DeleteGroup, relative":        func() error { return g.DeleteGroup(t.Context(), "/", "g") },
		"DeleteEntry, none":            func() error { return g.DeleteEntry(t.Context(), nil) },
		"DeleteEntry, zero":            func() error { return g.DeleteEntry(t.Context(), new(cache.Entry)) },
		"DeletePrincipal, no name":     func() error { return g.DeletePrincipal(t.Context(), "") },
		"DeletePattern":                func() error { _, err := g.DeletePattern(t.Context(), "/me"); return err },
	} {
		if err := remove(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// An entry is removed by itself: nothing else is, wherever it is stored.
func TestDeleteEntry(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, &origin{answer: func(r *http.Request) *http.Response {
			return reply(200, r.Header.Get("Authorization")+r.Header.Get("A"), "Cache-Control: max-age=60, public", "Vary: A", `ETag: "1"`)
		}}, cache.Options{})
		requests := [][]string{
			{url + "?page=1", "Authorization: Bearer alice", "A: en"}, {url + "?page=1", "Authorization: Bearer alice", "A: de"},
			{url + "?page=1", "Authorization: Bearer bob", "A: en"}, {url + "?page=2", "Authorization: Bearer alice", "A: en"},
		}
		for i, r := range requests {
			time.Sleep(time.Second)
			g.get(r[0], r[1], r[2], "X-Number: "+string(rune('0'+i)))
		}
		require.Equal(t, len(requests), g.entries())
		asked := len(g.origin.asked)
		for e := range g.Entries(t.Context()) {
			require.NoError(t, g.DeleteEntry(t.Context(), e))
			require.NoError(t, g.DeleteEntry(t.Context(), e), "it is gone already")
			break
		}
		require.Equal(t, len(requests)-1, g.entries())
		for _, r := range requests {
			g.get(r[0], r[1], r[2])
		}
		require.Len(t, g.origin.asked, asked+1)
		for e := range g.Entries(t.Context()) {
			require.NoError(t, g.DeleteEntry(t.Context(), e))
		}
		require.Equal(t, 0, g.entries())
	})
}

// What a validation has put in an entry's place is that entry to its user.
func TestDeleteEntryThatWasFreshenedSince(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("x", "Cache-Control: max-age=60", `ETag: "1"`)
		g := newRig(t, o, cache.Options{})
		g.get(url)
		var before *cache.Entry
		for before = range g.Entries(t.Context()) {
		}
		o.answer = func(*http.Request) *http.Response { return reply(304, "", `ETag: "1"`, "Cache-Control: max-age=60") }
		r, _ := http.NewRequestWithContext(cache.WithMode(t.Context(), cache.ModeNoCache), "GET", url, nil)
		g.send(r)
		require.NoError(t, g.DeleteEntry(t.Context(), before))
		require.Equal(t, 0, g.entries())
	})
}

func TestDeleteEntryOfAnotherCacheIsAnError(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		here := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Store: cache.NewMemory(cache.MemoryOptions{})})
		there := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Store: storetest.NewMap(1 << 20)})
		here.get(url)
		there.get(url)
		for e := range here.Entries(t.Context()) {
			require.Error(t, there.DeleteEntry(t.Context(), e))
		}
		for e := range there.Entries(t.Context()) {
			require.Error(t, here.DeleteEntry(t.Context(), e))
		}
	})
}

// An entry says which method it answers, and removing it ends that.
func TestEntryMethod(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Key: keying.New(keying.Body(keying.BodyOptions{}))})
		g.get(url)
		query := must(http.NewRequestWithContext(t.Context(), "QUERY", url, strings.NewReader("q")))
		g.send(query)
		methods := map[string]int{}
		for e := range g.Entries(t.Context()) {
			methods[e.Method()]++
			if e.Method() == "QUERY" {
				require.NoError(t, g.DeleteEntry(t.Context(), e))
			}
		}
		require.Equal(t, map[string]int{"GET": 1, "QUERY": 1}, methods)
		have, _ := g.get(url)
		g.want(have, 200, "x", "hit", 2)
		again := must(http.NewRequestWithContext(t.Context(), "QUERY", url, strings.NewReader("q")))
		have, _ = g.send(again)
		g.want(have, 200, "x", "miss", 3)
	})
}

// A store that cannot list what it holds cannot remove by what it holds, and says so.
func TestPurgeWithoutRangerIsAnError(t *testing.T) {
	g := newRig(t, says("x"), cache.Options{Store: unlisted{storetest.NewMap(1 << 20)}})
	for name, remove := range map[string]func() (int, error){
		"DeletePattern":   func() (int, error) { return g.DeletePattern(t.Context(), "h/*") },
		"DeleteOlderThan": func() (int, error) { return g.DeleteOlderThan(t.Context(), 0) },
		"DeleteFunc":      func() (int, error) { return g.DeleteFunc(t.Context(), func(*cache.Entry) bool { return true }) },
	} {
		if _, err := remove(); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// unlisted is a store with the three methods that each one has.
type unlisted struct{ store.Store }

// All of one principal is one call, in every process, and what is under way for it is not stored.
func TestDeletePrincipal(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("x", "Cache-Control: max-age=60", "No-Vary-Search: params=(\"s\")")
		g := newRig(t, o, cache.Options{})
		as := func(name, url string) got {
			r := must(http.NewRequestWithContext(cache.WithPrincipal(t.Context(), name), "GET", url, nil))
			have, _ := g.send(r)
			return have
		}
		as("alice", url)
		as("alice", url+"/b?q=1&s=1")
		as("bob", url)
		as("", url)
		of := map[string]int{}
		for e := range g.Entries(t.Context()) {
			for _, name := range []string{"alice", "bob", ""} {
				if e.PrincipalIs(name) {
					of[name]++
				}
			}
		}
		require.Equal(t, map[string]int{"alice": 2, "bob": 1}, of)
		require.NoError(t, g.DeletePrincipal(t.Context(), "alice"))
		g.want(as("bob", url), 200, "x", "hit", 4)
		g.want(as("", url), 200, "x", "hit", 4)
		g.want(as("alice", url), 200, "x", "miss", 5)
		g.want(as("alice", url+"/b?q=1&s=2"), 200, "x", "miss", 6)

		removed := false
		answer := o.answer
		o.answer = func(r *http.Request) *http.Response {
			if !removed {
				removed = true
				require.NoError(t, g.DeletePrincipal(t.Context(), "carol"))
			}
			return answer(r)
		}
		g.want(as("carol", url), 200, "x", "miss", 7)
		g.want(as("carol", url), 200, "x", "miss", 8)
		g.want(as("carol", url), 200, "x", "hit", 8)
	})
}

func TestDeletePrincipalIsForAllProcesses(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		shared := storetest.NewMap(1 << 20)
		reader := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Store: shared})
		admin := newRig(t, says("x"), cache.Options{Store: shared})
		ask := func() got {
			have, _ := reader.send(must(http.NewRequestWithContext(cache.WithPrincipal(t.Context(), "alice"), "GET", url, nil)))
			return have
		}
		ask()
		reader.want(ask(), 200, "x", "hit", 1)
		require.NoError(t, admin.DeletePrincipal(t.Context(), "alice"))
		reader.want(ask(), 200, "x", "miss", 2)
	})
}

// What asks for nothing is answered so, and panics nowhere.
func TestMaintenanceWithNilArguments(t *testing.T) {
	g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{})
	g.get(url)
	for _, r := range []*http.Request{nil, {}, must(http.NewRequest("GET", "/a", nil))} {
		if g.Contains(r) {
			t.Errorf("%v is contained", r)
		}
		if err := g.Delete(t.Context(), r); err == nil {
			t.Errorf("%v has been deleted", r)
		}
	}
	if n, err := g.DeleteFunc(t.Context(), nil); n != 0 || err == nil {
		t.Errorf("a nil function: %d, %v", n, err)
	}
	if g.entries() != 1 {
		t.Error("something has been removed")
	}
}
