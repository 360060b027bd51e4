package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/file"
	"github.com/plyhttp/ply/store/redis"
	"github.com/plyhttp/ply/store/sqlite"
)

// room is what each store may hold.
const room = 256 << 20

// kind is a way to keep responses.
type kind struct {
	name string
	open func() (opened, error)
}

// opened is an empty store.
type opened struct {
	store store.Store
	close func() error
}

// kinds is all ways that there are on this machine.
type kinds struct {
	all    []kind
	absent map[string]string // why a kind is not among them
	dir    string
	server *server
	made   int
}

// durable is what opens an empty store that is not in this process's memory.
type durable func() (store.Store, func() error, error)

// newKinds readies stores whose files are in dir.
func newKinds(ctx context.Context, dir string) (*kinds, error) {
	k := &kinds{dir: dir, absent: make(map[string]string)}
	k.all = []kind{{"memory", openMemory}}
	k.add("file", k.openFile)
	k.add("sqlite", k.openSQLite)
	var err error
	switch k.server, err = startServer(ctx, dir); {
	case errors.Is(err, errNoServer):
		k.absent["redis"] = err.Error()
	case err != nil:
		return nil, err
	default:
		k.add("redis", k.openRedis)
	}
	return k, nil
}

// add adds a store by itself, and behind copies in memory.
func (k *kinds) add(name string, open durable) {
	k.all = append(k.all,
		kind{name, func() (opened, error) {
			s, closes, err := open()
			return opened{s, closes}, err
		}},
		kind{"memory before " + name, func() (opened, error) {
			s, closes, err := open()
			if err != nil {
				return opened{}, err
			}
			return opened{cache.Tiered(newMemory(), s), closes}, nil
		}})
}

func (k *kinds) names() []string {
	var names []string
	for _, kind := range k.all {
		names = append(names, kind.name)
	}
	return names
}

func (k *kinds) stop() {
	if k.server != nil {
		k.server.stop()
	}
}

func newMemory() *cache.Memory { return cache.NewMemory(cache.MemoryOptions{MaxBytes: room}) }

func openMemory() (opened, error) { return opened{newMemory(), func() error { return nil }}, nil }

// fresh returns a name in the directory that has not been there before.
func (k *kinds) fresh() string {
	k.made++
	return filepath.Join(k.dir, fmt.Sprint("store-", k.made))
}

func (k *kinds) openFile() (store.Store, func() error, error) {
	dir := k.fresh()
	s, err := file.Open(dir, file.Options{MaxBytes: room})
	if err != nil {
		return nil, nil, err
	}
	// Size waits for the count behind Open, which is not to be measured with what comes then.
	if _, _, err := s.Size(context.Background()); err != nil {
		return nil, nil, errors.Join(err, s.Close())
	}
	return s, func() error { return errors.Join(s.Close(), os.RemoveAll(dir)) }, nil
}

func (k *kinds) openSQLite() (store.Store, func() error, error) {
	dir := k.fresh()
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, nil, err
	}
	s, err := sqlite.Open(filepath.Join(dir, "cache.db"), sqlite.Options{MaxBytes: room})
	if err != nil {
		return nil, nil, err
	}
	return s, func() error { return errors.Join(s.Close(), os.RemoveAll(dir)) }, nil
}

func (k *kinds) openRedis() (store.Store, func() error, error) {
	s, err := redis.Open(k.server.url, redis.Options{})
	if err != nil {
		return nil, nil, err
	}
	return s, func() error { return errors.Join(s.Clear(context.Background()), s.Close()) }, nil
}
