package cache_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// The records of what has been invalidated or replaced go, with the pieces of their bodies.
func TestStoredBodiesOfRemovedResponsesAreRemoved(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := storetest.NewMap(1 << 26)
		n := 0
		o := &origin{answer: func(*http.Request) *http.Response {
			n++
			return reply(200, strings.Repeat("x", 600_000+n), "Cache-Control: max-age=60", fmt.Sprintf(`Etag: "%d"`, n))
		}}
		g := newRig(t, o, cache.Options{Store: m})
		for range 3 {
			g.get(url)
			time.Sleep(2 * time.Minute)
		}
		synctest.Wait()
		if got := keys(t, m, store.KindBody); len(got) != 3 {
			t.Errorf("%d pieces after a body of 3 was replaced twice: %v", len(got), got)
		}
		g.do("POST", url)
		have, _ := g.get(url, "Cache-Control: no-store")
		if have.Status != 200 {
			t.Error(have)
		}
		if ok := g.Contains(must(http.NewRequest("GET", url, nil))); ok {
			t.Error("what was invalidated is there")
		}
		synctest.Wait()
		if got := append(keys(t, m, store.KindBody), keys(t, m, store.KindEntry)...); len(got) != 0 {
			t.Errorf("left behind: %v", got)
		}
		time.Sleep(2 * time.Hour)
		if left := all(t, m); strings.Contains(left, "m1.") {
			t.Errorf("generations of nothing are left: %q", left)
		}
	})
}

// Large bodies are read whole before they are served, up to a bound, so a piece that is missing or damaged is a miss.
func TestStoredBodyWithMissingChunkIsAMiss(t *testing.T) {
	for _, size := range []int{100_000, 1 << 20} {
		for _, harm := range []string{"gone", "damaged", "another's"} {
			t.Run(fmt.Sprint(size, " ", harm), func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					m := storetest.NewMap(1 << 26)
					text := numbers(size)
					o := &origin{answer: func(*http.Request) *http.Response { return reply(200, text, "Cache-Control: max-age=60") }}
					g := newRig(t, o, cache.Options{Store: m})
					g.get(url)
					have, _ := g.get(url)
					g.want(have, 200, text, "hit", 1)
					g.get(url + "/other")
					pieces := keys(t, m, store.KindBody)
					slices.Sort(pieces)
					r := must(m.Get(t.Context(), pieces[0]))
					switch harm {
					case "gone":
						require.NoError(t, m.Delete(t.Context(), pieces[0], ""))
					case "damaged":
						r.Data[len(r.Data)/2] ^= 1
						require.NoError(t, m.Put(t.Context(), pieces[0], r))
					case "another's":
						other := must(m.Get(t.Context(), pieces[len(pieces)-1]))
						r.Data = other.Data
						require.NoError(t, m.Put(t.Context(), pieces[0], r))
					}
					for _, u := range []string{url, url + "/other"} {
						if have, _ := g.get(u); have.Body != text {
							t.Errorf("a body of %d bytes", len(have.Body))
						}
					}
					if fault := g.Stats().StoreErrors > 0; fault != (harm != "gone") {
						t.Errorf("a fault: %t; a store may drop what it likes, and nothing else", fault)
					}
					synctest.Wait()
					have, _ = g.get(url)
					g.want(have, 200, text, "hit", 3)
				})
			})
		}
	}
}

// That a body is gone is no fault of the store's if its response has gone, too, since it was read: another process has replaced or removed it.
func TestStoredBodyOfReplacedResponseIsNoFault(t *testing.T) {
	for name, change := range map[string]func(other *rig){
		"replaced": func(other *rig) { other.get(url, "Cache-Control: no-cache") },
		"deleted":  func(other *rig) { other.Delete(other.Context(), must(http.NewRequest("GET", url, nil))) },
		"invalidated, and replaced": func(other *rig) {
			other.do("POST", url)
			other.get(url)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				text := numbers(100_000)
				o := &origin{answer: func(*http.Request) *http.Response { return reply(200, text, "Cache-Control: max-age=60") }}
				m := storetest.NewMap(1 << 26)
				other := newRig(t, o, cache.Options{Store: m.Open()})
				other.get(url)
				text = numbers(100_001)
				meanwhile := sync.OnceFunc(func() {
					change(other)
					synctest.Wait()
				})
				g := newRig(t, o, cache.Options{Store: &beforePieces{m.Open(), meanwhile}})
				have, _ := g.get(url)
				if have.Outcome != "miss" || have.Body != text {
					t.Errorf("a %s, %d bytes", have.Outcome, len(have.Body))
				}
				if n := g.Stats().StoreErrors; n != 0 {
					t.Errorf("%d faults", n)
				}
				have, _ = g.get(url)
				g.want(have, 200, text, "hit", len(o.asked))
			})
		})
	}
}

// beforePieces is a store in which something happens before pieces of bodies are read.
type beforePieces struct {
	*storetest.Map
	happens func()
}

func (b *beforePieces) GetMulti(ctx context.Context, keys []string) ([]store.Record, error) {
	if strings.HasPrefix(keys[0], "b1.") {
		b.happens()
	}
	return b.Map.GetMulti(ctx, keys)
}

func (b *beforePieces) Get(ctx context.Context, key string) (store.Record, error) {
	records, err := b.GetMulti(ctx, []string{key})
	if err != nil {
		return store.Record{}, err
	}
	return records[0], nil
}
