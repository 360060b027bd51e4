package cache_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store/storetest"
)

// request is a GET with these fields, as the cache sees it.
func (g *rig) request(url string, fields ...string) *http.Request {
	r := must(http.NewRequestWithContext(g.Context(), "GET", url, nil))
	for _, line := range fields {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	return r
}

func TestEntryOfARequestIsTheSelectedVariant(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, echo("Accept"), cache.Options{})
		g.get(url, "Accept: text/html")
		g.get(url, "Accept: text/plain")
		synctest.Wait()
		time.Sleep(time.Hour) // stale, and selected all the same
		before := g.Stats()
		e, err := g.Entry(t.Context(), g.request(url, "Accept: text/plain"))
		require.NoError(t, err)
		if _, body := opened(t, e); body != "text/plain" {
			t.Errorf("the variant %q", body)
		}
		for what, r := range map[string]*http.Request{
			"no variant of it":     g.request(url, "Accept: image/png"),
			"nothing is stored":    g.request(url + "/other"),
			"it bypasses":          g.request(url, "Accept: text/plain", "Cache-Control: no-store"),
			"it may not be served": must(http.NewRequestWithContext(t.Context(), "DELETE", url, nil)),
		} {
			if e, err := g.Entry(t.Context(), r); e != nil || !errors.Is(err, cache.ErrNoEntry) {
				t.Errorf("%s: %v, %v, want ErrNoEntry", what, e, err)
			}
		}
		if _, err := g.Entry(t.Context(), must(http.NewRequest("GET", "/relative", nil))); err == nil || errors.Is(err, cache.ErrNoEntry) {
			t.Errorf("a URL without a host: %v", err)
		}
		if diff := cmp.Diff(before, g.Stats()); diff != "" {
			t.Errorf("Entry counts (-before +after)\n%s", diff)
		}
	})
}

func TestEntryOfARequestFindsWhatVariesOnLessThanTheQuery(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60", "No-Vary-Search: params=(\"a\")"), cache.Options{})
		g.get(url + "?a=1")
		synctest.Wait()
		e, err := g.Entry(t.Context(), g.request(url+"?a=2"))
		require.NoError(t, err)
		if all, err := g.Get(t.Context(), e.Key()); err != nil || len(all) != 1 {
			t.Errorf("%d entries under its key, %v", len(all), err)
		}
	})
}

func TestFailingStoreIsAnErrorOfGetAndDeleteByKey(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &faulty{Map: storetest.NewMap(0)}
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Store: s})
		defer g.Close()
		g.get(url)
		synctest.Wait()
		key := g.only().Key()
		s.set(func(context.Context, int64) error { return errors.New("down") })
		if _, err := g.Entry(t.Context(), g.request(url)); err == nil || errors.Is(err, cache.ErrNoEntry) {
			t.Errorf("Entry: error %v, want the store's", err)
		}
		if all, err := g.Get(t.Context(), key); err == nil || all != nil {
			t.Errorf("Get: %v, %v, want the store's error", all, err)
		}
		if n, err := g.DeleteKey(t.Context(), key); err == nil || n != 0 {
			t.Errorf("DeleteKey: %d, %v, want the store's error", n, err)
		}
	})
}

func TestGetAndDeleteByKey(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, echo("Accept"), cache.Options{})
		g.get(url, "Accept: a")
		g.get(url, "Accept: b")
		g.get(url+"/other", "Accept: a")
		synctest.Wait()
		e, err := g.Entry(t.Context(), g.request(url, "Accept: a"))
		require.NoError(t, err)
		key := e.Key()
		bodies := func() (bodies []string) {
			all, err := g.Get(t.Context(), key)
			require.NoError(t, err)
			for _, e := range all {
				_, body := opened(t, e)
				bodies = append(bodies, body)
				if e.Key() != key {
					t.Errorf("an entry with the key %s under %s", e.Key(), key)
				}
			}
			slices.Sort(bodies)
			return bodies
		}
		if diff := cmp.Diff([]string{"a", "b"}, bodies()); diff != "" {
			t.Errorf("under the key (-want +got)\n%s", diff)
		}
		absent := strings.Repeat("0", 64)
		if n, err := g.DeleteKey(t.Context(), absent, key, key); n != 2 || err != nil {
			t.Errorf("deleted %d, %v, want both variants", n, err)
		}
		if left := bodies(); left != nil || g.entries() != 1 {
			t.Errorf("%q are left under the key, %d entries in all", left, g.entries())
		}
		if n, err := g.DeleteKey(t.Context(), key); n != 0 || err != nil {
			t.Errorf("again: %d, %v", n, err)
		}
		if n, err := g.DeleteKey(t.Context()); n != 0 || err != nil {
			t.Errorf("no keys: %d, %v", n, err)
		}
	})
}

// One bad key removes nothing, rather than those before it.
func TestWhatIsNoKeyIsAnError(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{})
		g.get(url)
		synctest.Wait()
		key := g.only().Key()
		for _, bad := range []string{"", url, key[1:], key + "0", "x" + key[1:]} {
			if _, err := g.Get(t.Context(), bad); err == nil {
				t.Errorf("Get takes %q", bad)
			}
			if n, err := g.DeleteKey(t.Context(), key, bad); n != 0 || err == nil || g.entries() != 1 {
				t.Errorf("DeleteKey takes %q: %d, %v", bad, n, err)
			}
		}
	})
}

// What is on its way when a key is deleted is not stored: its key may be that one.
func TestDeleteKeyReachesWhatIsUnderWay(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("x", "Cache-Control: max-age=60")
		g := newRig(t, o, cache.Options{})
		g.get(url)
		synctest.Wait()
		key := g.only().Key()
		o.delay = time.Minute
		go func() {
			time.Sleep(30 * time.Second)
			g.DeleteKey(t.Context(), key)
		}()
		g.get(url, "Cache-Control: no-cache")
		synctest.Wait()
		if n := g.entries(); n != 0 {
			t.Errorf("%d entries are stored", n)
		}
	})
}
