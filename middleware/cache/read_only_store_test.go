package cache_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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

// A store that takes no changes serves what it holds.
func TestReadOnlyStoreServesHits(t *testing.T) {
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
		for _, body := range []int{100, 300_000} {
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
func TestReadOnlyStoreServesAfterColdStart(t *testing.T) {
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

// A store that is full, or read-only, is as good as none.
func TestReadOnlyStoreWithoutRecordsIsAMiss(t *testing.T) {
	for _, err := range []error{store.ErrTooLarge, store.ErrConflict, errors.New("read-only")} {
		inFreshBubble(t, func(t *testing.T) {
			s := &refusing{storetest.NewMap(1 << 20), err}
			g := newRig(t, says("x", "Cache-Control: max-age=600"), cache.Options{Store: s})
			for i := range 20 {
				have, _ := g.get(url)
				g.want(have, 200, "x", "miss", i+1)
				time.Sleep(time.Second) // until nothing is on its way into the store
			}
		})
	}
}

type refusing struct {
	*storetest.Map
	err error
}

func (r *refusing) Put(context.Context, string, store.Record) error { return r.err }
