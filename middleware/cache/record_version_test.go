package cache_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
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
func TestRecordOfLaterVersionIsLeftAlone(t *testing.T) {
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
							t.Errorf("%s is the generation of before", key)
						}
					}
				})
			})
		}
	}
}
