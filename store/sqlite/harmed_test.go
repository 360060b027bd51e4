//go:build unix

package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/sqlite"
)

// busily calls each method of a store with one of a few keys, and says which record was wrong. Any other error is the file's.
func busily(s *sqlite.Store, r *rand.Rand) error {
	ctx, cancel := context.WithTimeout(background, time.Minute)
	defer cancel()
	key := fmt.Sprint("key-", r.IntN(40))
	right := func(key string, record store.Record, err error) error {
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("a call hangs: %w", err)
		}
		if err != nil || record.Version == "" {
			return nil
		}
		_, err = proven(key, record.Data)
		return err
	}
	switch r.IntN(12) {
	case 0:
		return right(key, store.Record{}, s.Delete(ctx, key, ""))
	case 1:
		var wrong error
		err := s.Range(ctx, 0, func(key string, record store.Record) bool {
			wrong = errors.Join(wrong, right(key, record, nil))
			return true
		})
		return errors.Join(wrong, right(key, store.Record{}, err))
	case 2:
		_, err := s.DeleteExpired(ctx, time.Now())
		return right(key, store.Record{}, err)
	case 3:
		keys := []string{"key-1", "key-2", key}
		records, err := s.GetMulti(ctx, keys)
		for i, record := range records {
			if wrong := right(keys[i], record, nil); wrong != nil {
				return wrong
			}
		}
		return right(key, store.Record{}, err)
	case 4:
		_, _, err := s.Size(ctx)
		return right(key, store.Record{}, err)
	}
	record, err := s.Get(ctx, key)
	if wrong := right(key, record, err); wrong != nil || err != nil {
		return wrong
	}
	return right(key, store.Record{}, s.Put(ctx, key, store.Record{Data: proof(key, r.IntN(1000), 100+r.IntN(20_000)), Version: record.Version}))
}

// copied puts a copy of a file under another name at once, as a program that restores a backup does.
func copied(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to+".copy", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close(), os.Rename(to+".copy", to))
}

// Whatever is done to the files while several goroutines of two stores use them: no record is wrong, no call hangs, and then all works again.
// What SQLite keeps in the memory that processes share (-shm) is not overwritten: SQLite trusts it within a transaction.
func TestHarmWhileBusy(t *testing.T) {
	path := file(t)
	stores := []*sqlite.Store{open(t, path, sqlite.Options{}), open(t, path, sqlite.Options{})}
	for i := range 40 {
		put(t, stores[0], fmt.Sprint("key-", i), store.Record{Data: proof(fmt.Sprint("key-", i), 1, 5000)})
	}
	r := rand.New(rand.NewPCG(11, 2))
	parts := []string{path, path + "-wal", path + "-shm"}
	size := func(p string) int64 {
		info, err := os.Stat(p)
		if err != nil {
			return 0
		}
		return info.Size()
	}
	harms := []func() error{
		func() error { p := parts[r.IntN(3)]; return os.Truncate(p, r.Int64N(size(p)+1)) },
		func() error { return os.Remove(parts[r.IntN(3)]) },
		func() error { p := parts[r.IntN(2)]; return overwrite(p, size(p)) },
		func() error { return os.Chmod(parts[r.IntN(3)], 0o400) },
		func() error { return os.Chmod(parts[r.IntN(3)], 0o600) },
		func() error { return copied(path+".backup", path) },
		func() error { return copied(path+".backup-wal", path+"-wal") },
		func() error {
			return errors.Join(copied(path, path+".backup"), copied(path+"-wal", path+".backup-wal"))
		},
		func() error { return errors.Join(os.Rename(path, path+".away"), os.Rename(path+".away", path)) },
	}
	ctx, stop := context.WithCancel(t.Context())
	calls := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 7))
			for ctx.Err() == nil {
				if err := busily(stores[i%2], r); err != nil {
					t.Error(err)
					stop()
				}
				select {
				case calls <- struct{}{}:
				case <-ctx.Done():
				}
			}
		})
	}
	for range 25 * 20 {
		select {
		case <-calls:
		case <-ctx.Done():
		}
		if r.IntN(20) > 0 {
			continue
		}
		if err := harms[r.IntN(len(harms))](); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			t.Error(err)
		}
	}
	stop()
	wg.Wait()
	for _, p := range parts {
		if err := os.Chmod(p, 0o600); !errors.Is(err, fs.ErrNotExist) {
			require.NoError(t, err)
		}
	}
	for _, s := range stores {
		var failed error
		testutil.Eventually(t, "the store works again", func() bool {
			for i := range 40 {
				if failed = usesKey(s, fmt.Sprint("key-", i)); failed != nil {
					require.NotContains(t, failed.Error(), "a wrong record")
					return false
				}
			}
			return true
		})
	}
}
