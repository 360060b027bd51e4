package cache_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// A cache in front of the default transport serves all that use it, until the transport is put back.
func TestCacheOfTheDefaultTransport(t *testing.T) {
	before := http.DefaultTransport
	defer func() { http.DefaultTransport = before }()
	o := says("x", "Cache-Control: max-age=60")
	http.DefaultTransport = o
	c, err := cache.New(cache.Options{})
	require.NoError(t, err)
	defer c.Close()
	http.DefaultTransport = c.Middleware(http.DefaultTransport)
	get := func() cache.Status {
		resp, err := http.Get(url) // a client that has heard nothing of the cache
		require.NoError(t, err)
		readAll(resp)
		s, _ := cache.StatusOf(resp)
		return s
	}
	get()
	if s := get(); !s.Hit || len(o.asked) != 1 {
		t.Errorf("%+v, the origin saw %d requests", s, len(o.asked))
	}
	http.DefaultTransport = o
	if s := get(); s.Hit || len(o.asked) != 2 {
		t.Errorf("after it was put back: %+v, the origin saw %d requests", s, len(o.asked))
	}
}

// A key cannot be made anew without its request, which is not stored. What another strategy has stored is not found, and does no harm.
func TestAnotherKeyStrategyFindsNothingOfTheFormer(t *testing.T) {
	for name, s := range map[string]store.Store{"memory": cache.NewMemory(cache.MemoryOptions{}), "store": storetest.NewMap(0)} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				former := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Store: s})
				former.get(url)
				former.Close()
				g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Store: s, Key: keying.New(keying.Prefix("v2"))})
				defer g.Close()
				have, _ := g.get(url)
				g.want(have, 200, "x", "miss", 1)
				have, _ = g.get(url)
				g.want(have, 200, "x", "hit", 1)
			})
		})
	}
}

// Options are fixed, and a function among them may read what the program changes.
func TestOptionsThatReadSettingsFollowThem(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		wanted := true
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Filter: func(*http.Request, *http.Response) bool { return wanted }})
		defer g.Close()
		g.get(url)
		have, _ := g.get(url)
		g.want(have, 200, "x", "hit", 1)
		wanted = false
		have, _ = g.get(url)
		if have.Outcome == "hit" || len(g.origin.asked) != 2 {
			t.Errorf("%v: the filter has been changed", have)
		}
	})
}

// Of several that take one record out of a store, one gets it: the version that was read must be there still.
func TestAStoreGivesARecordToOneOfTwo(t *testing.T) {
	s := storetest.NewMap(0)
	require.NoError(t, s.Put(t.Context(), "k", store.Record{Data: []byte("v")}))
	one, err := s.Get(t.Context(), "k")
	require.NoError(t, err)
	other, err := s.Get(t.Context(), "k")
	require.NoError(t, err)
	require.NoError(t, s.Delete(t.Context(), "k", one.Version))
	require.NoError(t, s.Put(t.Context(), "k", store.Record{Data: []byte("another")}))
	require.ErrorIs(t, s.Delete(t.Context(), "k", other.Version), store.ErrConflict)
}
