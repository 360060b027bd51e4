package cache_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// What the three conditions choose is what the three removals remove, over memory and over a byte store, which holds no values of a query.
func TestEntryIsChosenByWhatDeleteWouldRemoveItBy(t *testing.T) {
	const a1, a2, b = "http://origin.test/a?id=1", "http://origin.test/a?id=2", "http://origin.test/b"
	memory := func() store.Store { return cache.NewMemory(cache.MemoryOptions{}) }
	bytes := func() store.Store { return storetest.NewMap(1 << 20) }
	tests := []struct {
		name   string
		choose func(*cache.Cache) func(*cache.Entry) bool
		remove func(*testing.T, *cache.Cache) error
		want   []string // paths and values of id that are chosen
	}{
		{"a URL with a query", func(*cache.Cache) func(*cache.Entry) bool {
			return func(e *cache.Entry) bool { return e.URLIs(a1) }
		}, func(t *testing.T, c *cache.Cache) error { return c.DeleteURL(t.Context(), a1) }, []string{a1}},
		{"no whole URL", func(*cache.Cache) func(*cache.Entry) bool {
			return func(e *cache.Entry) bool { return e.URLIs("/b") }
		}, nil, nil},
		{"a tag, in another case", func(*cache.Cache) func(*cache.Entry) bool {
			return func(e *cache.Entry) bool { return e.HasTag("TAG/B") }
		}, func(t *testing.T, c *cache.Cache) error { return c.DeleteTag(t.Context(), "TAG/B") }, []string{b}},
		{"no tag", func(*cache.Cache) func(*cache.Entry) bool { return func(e *cache.Entry) bool { return e.HasTag("") } }, nil, nil},
		{"a pattern", func(c *cache.Cache) func(*cache.Entry) bool {
			fits, err := c.MatchURL("origin.test/a")
			require.NoError(t, err)
			return fits
		}, func(t *testing.T, c *cache.Cache) error {
			_, err := c.DeletePattern(t.Context(), "origin.test/a")
			return err
		}, []string{a1, a2}},
	}
	for _, tt := range tests {
		for kind, s := range map[string]func() store.Store{"memory": memory, "byte store": bytes} {
			t.Run(tt.name+"/"+kind, func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					tags := func(r *http.Response) []string { return []string{"tag" + r.Request.URL.Path} }
					g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Store: s(), Tags: tags})
					all := []string{a1, a2, b}
					for _, u := range all {
						g.get(u)
					}
					choose := tt.choose(g.Cache)
					chosen := 0
					for e := range g.Entries(t.Context()) {
						if choose(e) {
							chosen++
						}
					}
					if chosen != len(tt.want) {
						t.Errorf("%d chosen, want %d", chosen, len(tt.want))
					}
					if tt.remove == nil {
						return
					}
					require.NoError(t, tt.remove(t, g.Cache))
					var gone []string
					for _, u := range all {
						r, err := http.NewRequest(http.MethodGet, u, nil)
						require.NoError(t, err)
						if !g.Contains(r) {
							gone = append(gone, u)
						}
					}
					slices.Sort(gone)
					if diff := cmp.Diff(tt.want, gone); diff != "" {
						t.Error(diff)
					}
				})
			})
		}
	}
}

func TestMatchURLRefusesAPatternThatIsNone(t *testing.T) {
	c, err := cache.New(cache.Options{})
	require.NoError(t, err)
	if _, err := c.MatchURL("~("); err == nil {
		t.Error("no error")
	}
}
