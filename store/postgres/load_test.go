//go:build unix

package postgres_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/postgres"
)

var long = flag.Duration("long", 0, "how long each fault lasts, such as 1m, instead of a moment")

// moment is for how long a fault lasts.
func moment() time.Duration { return max(*long, 400*time.Millisecond) }

// lateness is what a call may take beyond its time: on a machine with other things to do a goroutine may wait for long.
const lateness = 2 * time.Second

// body returns bytes that prove whose they are: a number, the key, and a hash over all of it.
func body(key string, seq uint64, n int) []byte {
	b := append(binary.BigEndian.AppendUint64(nil, seq), key...)
	for len(b) < n-sha256.Size {
		b = append(b, byte(len(b))^byte(seq))
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

func proven(key string, b []byte) error {
	n := len(b) - sha256.Size
	if n < 8+len(key) || string(b[8:8+len(key)]) != key || sha256.Sum256(b[:n]) != [sha256.Size]byte(b[n:]) {
		return fmt.Errorf("%d bytes that are not a body of %q", len(b), key)
	}
	return nil
}

// tally counts what came of the calls of a load.
type tally struct{ good, empty, failed atomic.Int64 }

func (c *tally) String() string {
	return fmt.Sprintf("%d good, %d empty, %d failed", c.good.Load(), c.empty.Load(), c.failed.Load())
}

// load has workers read and write a few keys until the context is done. No call has more time than patience. Wrong bodies and late calls are errors of the test.
func load(t *testing.T, ctx context.Context, s *postgres.Store, patience time.Duration) *tally {
	t.Helper()
	var c tally
	var all sync.WaitGroup
	check := func(key string, r store.Record, err error) {
		switch {
		case err != nil:
			c.failed.Add(1)
		case r.Version == "":
			c.empty.Add(1)
		default:
			c.good.Add(1)
			if err := proven(key, r.Data); err != nil {
				t.Errorf("wrong: %v", err)
			}
		}
	}
	for range 8 {
		all.Go(func() {
			for seq := uint64(0); ctx.Err() == nil; seq++ {
				left := 1 + rand.N(patience)
				call, cancel := context.WithTimeout(ctx, left)
				began := time.Now()
				keys := []string{fmt.Sprint("load-", rand.IntN(16)), "load-1", "load-2"}
				key, err := keys[0], error(nil)
				switch rand.IntN(5) {
				case 0, 1:
					var r store.Record
					r, err = s.Get(call, key)
					check(key, r, err)
				case 2:
					var records []store.Record
					records, err = s.GetMulti(call, keys)
					for i, r := range records {
						check(keys[i], r, nil)
					}
				case 3:
					err = s.Delete(call, key, "")
				case 4:
					err = s.Put(call, key, store.Record{Data: body(key, seq, 100+rand.IntN(30_000)), Expires: time.Now().Add(time.Minute)})
				}
				if err != nil && !errors.Is(err, store.ErrConflict) {
					c.failed.Add(1)
				}
				if took := time.Since(began); took > left+lateness {
					t.Errorf("a call that has %v takes %v", left, took)
				}
				cancel()
			}
		})
	}
	all.Wait()
	return &c
}
