//go:build unix

package survival

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plyhttp/ply/store"
)

// body returns n bytes or a few more that prove whose they are: a number, the key, filling, and a hash over all of it.
func body(key string, seq uint64, n int) []byte {
	b := append(binary.BigEndian.AppendUint64(nil, seq), key...)
	for len(b) < n-sha256.Size {
		b = append(b, byte(len(b))^byte(seq))
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// proven returns an error unless b is a whole body of key.
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

func (c *tally) read(t *testing.T, key string, r store.Record, err error) {
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

func (c *tally) changed(err error) {
	if err != nil && !errors.Is(err, store.ErrConflict) {
		c.failed.Add(1)
	}
}

// load has workers read and write a few keys until the context is done. Each call has 1 to 50 ms.
func (trial Trial) load(t *testing.T, ctx context.Context, s store.Store) *tally {
	t.Helper()
	var c tally
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			for seq := uint64(0); ctx.Err() == nil; seq++ {
				left := time.Duration(1+rand.IntN(50)) * time.Millisecond
				call, cancel := context.WithTimeout(ctx, left)
				if seq%3 == 0 { // canceled, not late: nothing says when
					call, cancel = context.WithCancel(ctx)
					time.AfterFunc(left, cancel)
				}
				began := time.Now()
				one(t, call, s, &c, seq)
				if took := time.Since(began); took > left+trial.delays.allowed() {
					c.late.Add(1)
				}
				cancel()
			}
		})
	}
	all.Wait()
	return &c
}

// one makes one call.
func one(t *testing.T, ctx context.Context, s store.Store, c *tally, seq uint64) {
	key := fmt.Sprintf("load-%d", rand.IntN(16))
	switch rand.IntN(5) {
	case 0, 1:
		r, err := s.Get(ctx, key)
		c.read(t, key, r, err)
	case 2:
		m, ok := store.As[store.MultiGetter](s)
		if !ok {
			return
		}
		keys := []string{key, "load-1", "load-2", "load-3"}
		records, err := m.GetMulti(ctx, keys)
		for i := range records {
			c.read(t, keys[i], records[i], err)
		}
	case 3:
		c.changed(s.Delete(ctx, key, ""))
	case 4:
		c.changed(s.Put(ctx, key, store.Record{Data: body(key, seq, 100+rand.IntN(30_000)), Expires: time.Now().Add(time.Minute)}))
	}
}
