//go:build unix

package redis_test

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
	"github.com/plyhttp/ply/store/redis"
)

var (
	long  = flag.Duration("long", 0, "how long each fault lasts, such as 1m, instead of a moment")
	exact = flag.Bool("exact", false, "assert times to the millisecond, which needs a machine with nothing else to do")
)

// moment is for how long a fault lasts.
func moment(short time.Duration) time.Duration {
	if *long > 0 {
		return *long
	}
	return short
}

// body returns bytes that prove whose they are: the key, a number, and a hash over all of it.
func body(key string, seq uint64, n int) []byte {
	b := binary.BigEndian.AppendUint64(nil, seq)
	b = append(b, key...)
	b = append(b, make([]byte, max(n-len(b)-sha256.Size, 0))...)
	for i := 8 + len(key); i < len(b); i++ {
		b[i] = byte(i) ^ byte(seq)
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// proven returns an error unless b is a body of key.
func proven(key string, b []byte) error {
	n := len(b) - sha256.Size
	if n < 8+len(key) || string(b[8:8+len(key)]) != key {
		return fmt.Errorf("%d bytes that are not of %q", len(b), key)
	}
	if sum := sha256.Sum256(b[:n]); string(sum[:]) != string(b[n:]) {
		return fmt.Errorf("%d damaged bytes of %q", len(b), key)
	}
	return nil
}

// tally counts what came of the calls of a load.
type tally struct{ good, empty, failed, wrong, late atomic.Int64 }

func (c *tally) String() string {
	return fmt.Sprintf("%d good, %d empty, %d failed, %d wrong, %d late", c.good.Load(), c.empty.Load(), c.failed.Load(), c.wrong.Load(), c.late.Load())
}

// load has workers read and write a few keys until the context is done. No call has more time than patience.
func load(t *testing.T, ctx context.Context, s *redis.Store, workers int, patience time.Duration) *tally {
	t.Helper()
	var c tally
	var wg sync.WaitGroup
	check := func(key string, r store.Record, err error) {
		switch {
		case err != nil:
			c.failed.Add(1)
		case r.Version == "":
			c.empty.Add(1)
		default:
			if err := proven(key, r.Data); err != nil {
				c.wrong.Add(1)
				t.Errorf("wrong body: %v", err)
				return
			}
			c.good.Add(1)
		}
	}
	for range workers {
		wg.Go(func() {
			for seq := uint64(0); ctx.Err() == nil; seq++ {
				left := time.Duration(1+rand.Int64N(int64(patience/time.Millisecond))) * time.Millisecond
				call, cancel := context.WithTimeout(ctx, left)
				if seq%3 == 0 { // canceled, not late: nothing says when
					call, cancel = context.WithCancel(ctx)
					time.AfterFunc(left, cancel)
				}
				began := time.Now()
				key := fmt.Sprintf("load-%d", rand.IntN(16))
				switch rand.IntN(5) {
				case 0, 1:
					r, err := s.Get(call, key)
					check(key, r, err)
				case 2:
					keys := []string{key, "load-1", "load-2", "load-3"}
					records, err := s.GetMulti(call, keys)
					for i := range records {
						check(keys[i], records[i], err)
					}
				case 3:
					err := s.Delete(call, key, "")
					if err != nil {
						c.failed.Add(1)
					}
				case 4:
					if err := s.Put(call, key, store.Record{Data: body(key, seq, 100+rand.IntN(30_000)), Expires: time.Now().Add(time.Minute)}); err != nil && !errors.Is(err, store.ErrConflict) {
						c.failed.Add(1)
					}
				}
				if took := time.Since(began); took > left+lateness() {
					c.late.Add(1)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	return &c
}

// lateness is what a call may take beyond its time. On a machine with other things to do a goroutine may wait for long.
func lateness() time.Duration {
	if *exact {
		return 20 * time.Millisecond
	}
	return 2 * time.Second
}
