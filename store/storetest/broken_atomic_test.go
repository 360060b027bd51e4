package storetest

import (
	"runtime"

	"github.com/plyhttp/ply/store"
)

// atomicFaults are those that show when several callers use a store at once, for the rules of atomic.go.
var atomicFaults = []fault{
	{"creation is not atomic", "one creation succeeds", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			old, _ := m.Get(bg, key)
			if old.Version != r.Version {
				return store.ErrConflict
			}
			runtime.Gosched()
			old, _ = m.Get(bg, key)
			r.Version = old.Version
			m.Put(bg, key, r)
			return nil
		}}
	}},
	{"updates are not atomic", "no lost update", func() *broken { return &broken{put: putAfterCheck} }},
	{"Delete is not atomic", "put or delete", func() *broken { return &broken{delete: deleteAfterCheck} }},
	{"the version is read after the data", "reads are whole", func() *broken {
		return &broken{get: func(m *Map, key string) (store.Record, error) {
			r, err := m.Get(bg, key)
			for range 10 {
				runtime.Gosched()
			}
			if now, _ := m.Get(bg, key); r.Version != "" && now.Version != "" {
				r.Version = now.Version
			}
			return r, err
		}}
	}},
	{"reads are torn", "reads are whole", func() *broken { return &broken{get: tornGet} }},
}

// putAfterCheck compares versions first and puts afterwards, whatever has come in between.
func putAfterCheck(m *Map, key string, r store.Record) error {
	old, _ := m.Get(bg, key)
	if old.Version != r.Version {
		return store.ErrConflict
	}
	runtime.Gosched()
	for {
		old, _ = m.Get(bg, key)
		r.Version = old.Version
		if m.Put(bg, key, r) == nil {
			return nil
		}
	}
}

// deleteAfterCheck compares versions first and deletes afterwards, whatever has come in between.
func deleteAfterCheck(m *Map, key, version string) error {
	if old, _ := m.Get(bg, key); old.Version != version {
		return store.ErrConflict
	}
	for range 20 {
		runtime.Gosched()
	}
	return m.Delete(bg, key, "")
}

// tornGet returns the beginning of one record and the rest of a later one.
func tornGet(m *Map, key string) (store.Record, error) {
	r, err := m.Get(bg, key)
	runtime.Gosched()
	if now, _ := m.Get(bg, key); len(now.Data) > 100 && len(r.Data) > 100 {
		r.Data = append(r.Data[:100:100], now.Data[100:]...)
	}
	return r, err
}
