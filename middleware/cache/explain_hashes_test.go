package cache_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// A store's key of the hashes of credentials is made by the first request. What a response varies on is explained as that request will find it,
// in a process that has sent none, over a store that is new or that others have filled.
func TestExplainOfWhatVariesOnCredentialsAgreesInAFreshProcess(t *testing.T) {
	const fields = "Cookie: sid=1"
	for name, s := range map[string]func() (first, then store.Store){
		"memory":       func() (_, _ store.Store) { return nil, nil },
		"a byte store": func() (first, then store.Store) { m := storetest.NewMap(1 << 20); return m, m.Open() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				first, then := s()
				o := says("x", "Cache-Control: max-age=60", "Vary: Cookie")
				g := newRig(t, o, cache.Options{Store: first})
				r := must(http.NewRequest("GET", url, nil))
				r.Header.Set("Cookie", "sid=1")
				fresh, err := g.ExplainResponse(t.Context(), r, reply(200, "x", "Cache-Control: max-age=60", "Vary: Cookie"))
				require.NoError(t, err)
				assert.Equal(t, []any{true, "", []string{"Cookie"}}, []any{fresh.Stored, fresh.Reason, fresh.Varies})
				assert.Equal(t, cache.ActionFetch, g.explained(r).Action)
				have, _ := g.get(url, fields)
				g.want(have, 200, "x", "miss", 1)

				if then != nil { // another process
					g = newRig(t, o, cache.Options{Store: then})
				}
				x := g.explained(r)
				require.Len(t, x.Stored, 1)
				assert.Equal(t, cache.ActionServe, x.Action)
				assert.True(t, x.Stored[0].Varies[0].Matches)
				assert.Equal(t, x.Stored[0].Varies[0].Stored, x.Stored[0].Varies[0].Request)
				entry, err := g.Entry(t.Context(), r)
				require.NoError(t, err)
				assert.Equal(t, 200, entry.StatusCode())
				r.Header.Set("Cookie", "sid=2")
				assert.Equal(t, cache.ActionFetch, g.explained(r).Action)
				have, _ = g.get(url, fields)
				g.want(have, 200, "x", "hit", 1)
			})
		})
	}
}

// Explaining leaves it to the first request to put the key into the store.
func TestExplainPutsNoKeyOfHashesIntoTheStore(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := storetest.NewMap(1 << 20)
		g := newRig(t, says("x"), cache.Options{Store: m})
		before := all(t, m)
		r := must(http.NewRequest("GET", url, nil))
		r.Header.Set("Cookie", "sid=1")
		g.explained(r)
		_, err := g.ExplainResponse(t.Context(), r, reply(200, "x", "Cache-Control: max-age=60", "Vary: Cookie"))
		require.NoError(t, err)
		assert.Empty(t, cmp.Diff(before, all(t, m)))
	})
}

// A store that does not return its key has what varies on credentials neither found nor stored, and that is what is explained.
func TestExplainOfAStoreThatDoesNotReturnItsKeyAgrees(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTroubled()
		s.trouble(func(_ context.Context, op, key string) error {
			if key == "s1.secret" {
				return errors.New("down")
			}
			return nil
		})
		g := newRig(t, says("x", "Cache-Control: max-age=60", "Vary: Cookie"), cache.Options{Store: s})
		r := must(http.NewRequest("GET", url, nil))
		r.Header.Set("Cookie", "sid=1")
		x := g.explained(r)
		assert.Contains(t, x.Fault, "down")
		would, err := g.ExplainResponse(t.Context(), r, reply(200, "x", "Cache-Control: max-age=60", "Vary: Cookie"))
		require.NoError(t, err)
		assert.Equal(t, []any{false, "varies on credentials, and the store has given no secret for their hashes"}, []any{would.Stored, would.Reason})
		for range 2 {
			_, resp := g.get(url, "Cookie: sid=1")
			status, _ := cache.StatusOf(resp)
			assert.False(t, status.Hit || status.Stored)
		}
	})
}
