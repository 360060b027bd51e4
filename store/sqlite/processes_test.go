package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/sqlite"
	"github.com/plyhttp/ply/store/storetest/processtest"
)

const (
	sharers    = 4
	shareBound = 8 << 20
)

// TestProcesses has four processes read and write one file. None may see a wrong record, an error, or more in the file than the bound.
func TestProcesses(t *testing.T) {
	path := file(t)
	var all sync.WaitGroup
	for range sharers {
		all.Go(func() {
			cmd := process(t, "share", path)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Run(); err != nil {
				t.Errorf("%v: %s", err, out.String())
			}
			t.Logf("%s", out.String())
		})
	}
	all.Wait()
	sound(t, path)
	info, err := os.Stat(path)
	require.NoError(t, err)
	if info.Size() > shareBound*5/4 {
		t.Errorf("the file has %d bytes, want about %d", info.Size(), shareBound)
	}
}

// shareForAWhile is one of the processes, with several goroutines.
func shareForAWhile(path string) error {
	s, err := sqlite.Open(path, sqlite.Options{MaxBytes: shareBound, OnReset: func(err error) { panic(err) }})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(background, *soak)
	defer cancel()
	var (
		all               sync.WaitGroup
		mu                sync.Mutex
		hits, misses, put int
		slowest           time.Duration
		first             error
	)
	for range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				began := time.Now()
				hit, stored, err := shareOnce(s)
				mu.Lock()
				slowest = max(slowest, time.Since(began))
				hits, misses, put = hits+hit, misses+1-hit, put+stored
				if err != nil && first == nil {
					first = err
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	all.Wait()
	if first == nil {
		first = s.Close()
	}
	fmt.Printf("%d hits, %d misses, %d puts, slowest %v\n", hits, misses, put, slowest.Round(time.Millisecond))
	return first
}

// shareOnce asks for a record, checks it, and often changes it.
func shareOnce(s *sqlite.Store) (hit, stored int, err error) {
	key := fmt.Sprint("key-", rand.N(400))
	r, err := s.Get(background, key)
	if err != nil {
		return 0, 0, err
	}
	seq := 0
	if r.Version != "" {
		hit = 1
		if seq, err = proven(key, r.Data); err != nil {
			return 0, 0, err
		}
		if rand.N(4) > 0 {
			return hit, 0, nil
		}
	}
	if rand.N(20) == 0 {
		err = s.Delete(background, key, r.Version)
	} else {
		stored = 1
		err = s.Put(background, key, store.Record{Data: proof(key, seq+1, 100+rand.N(80_000)), Kind: store.KindEntry, Version: r.Version, Expires: time.Now().Add(rand.N(5 * time.Second))})
	}
	if errors.Is(err, store.ErrConflict) {
		return hit, 0, nil
	}
	if err == nil {
		if _, held, sizeErr := s.Size(background); sizeErr != nil || held > shareBound {
			err = fmt.Errorf("%d bytes are held, %w", held, sizeErr)
		}
	}
	return hit, stored, err
}

func TestLeases(t *testing.T) {
	processtest.RunLeases(t, func(t *testing.T) string { return "sqlite://" + file(t) })
}
