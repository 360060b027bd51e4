package storetest

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/plyhttp/ply/store"
)

// extrasFaults are those of the optional interfaces, for the rules of extras.go.
var extrasFaults = []fault{
	{"GetMulti leaves out what is absent", "get multi", func() *broken {
		return &broken{multi: func(m *Map, keys []string) ([]store.Record, error) {
			records, err := m.GetMulti(bg, keys)
			return slices.DeleteFunc(records, func(r store.Record) bool { return r.Version == "" }), err
		}}
	}},
	{"GetMulti sorts", "get multi", func() *broken {
		return &broken{multi: func(m *Map, keys []string) ([]store.Record, error) {
			return m.GetMulti(bg, slices.Sorted(slices.Values(keys)))
		}}
	}},
	{"GetMulti finds few", "get multi", func() *broken {
		return &broken{multi: func(m *Map, keys []string) ([]store.Record, error) { return m.GetMulti(bg, keys[:min(len(keys), 100)]) }}
	}},
	{"Range lists every kind", "range", func() *broken {
		return &broken{ranging: func(m *Map, _ store.Kind, f func(string, store.Record) bool) error {
			for kind := range 256 {
				m.Range(bg, store.Kind(kind), f)
			}
			return nil
		}}
	}},
	{"Range does not end", "range", func() *broken {
		return &broken{ranging: func(m *Map, kind store.Kind, f func(string, store.Record) bool) error {
			return m.Range(bg, kind, func(key string, r store.Record) bool { f(key, r); return true })
		}}
	}},
	{"Range sees a page", "range", func() *broken {
		return &broken{ranging: func(m *Map, kind store.Kind, f func(string, store.Record) bool) error {
			n := 0
			return m.Range(bg, kind, func(key string, r store.Record) bool { n++; return n <= 100 && f(key, r) })
		}}
	}},
	{"Range lists what is over", "range", func() *broken {
		b := &broken{}
		b.put = func(m *Map, key string, r store.Record) error {
			if key == "expired" {
				m.records[key] = m.used.PushFront(&kept{key: key, record: r})
				return nil
			}
			return m.Put(bg, key, r)
		}
		b.ranging = func(m *Map, kind store.Kind, f func(string, store.Record) bool) error {
			if e := m.records["expired"]; e != nil && kind == store.KindEntry {
				f("expired", e.Value.(*kept).record)
			}
			return m.Range(bg, kind, f)
		}
		return b
	}},
	{"Range holds a lock", "range", func() *broken {
		var mu sync.Mutex
		return &broken{
			get: func(m *Map, key string) (store.Record, error) {
				mu.Lock()
				defer mu.Unlock()
				return m.Get(bg, key)
			},
			ranging: func(m *Map, kind store.Kind, f func(string, store.Record) bool) error {
				for _, k := range m.list(kind) {
					mu.Lock()
					more := f(k.key, private(k.record))
					mu.Unlock()
					if !more {
						break
					}
				}
				return nil
			},
		}
	}},
	{"Range mixes records up", "range while others write", func() *broken {
		return &broken{ranging: func(m *Map, kind store.Kind, f func(string, store.Record) bool) error {
			var last store.Record
			return m.Range(bg, kind, func(key string, r store.Record) bool {
				if strings.HasPrefix(key, "moving") && last.Data != nil {
					r.Data = last.Data
				}
				last = r
				return f(key, r)
			})
		}}
	}},
	{"Range ends at a change", "range while others write", func() *broken {
		return &broken{ranging: func(m *Map, kind store.Kind, f func(string, store.Record) bool) error {
			m.mu.Lock()
			before := m.versions
			m.mu.Unlock()
			return m.Range(bg, kind, func(key string, r store.Record) bool {
				<-time.After(time.Microsecond)
				m.mu.Lock()
				now := m.versions
				m.mu.Unlock()
				return now == before && f(key, r)
			})
		}}
	}},
	{"Clear leaves what has an owner", "clear", func() *broken {
		return &broken{clear: func(m *Map) error {
			for _, e := range m.records {
				if e.Value.(*kept).record.Owner == "" {
					m.drop(e)
				}
			}
			return nil
		}}
	}},
	{"DeleteExpired has its own clock", "delete expired", func() *broken {
		return &broken{expire: func(m *Map, _ time.Time) (int, error) { return m.DeleteExpired(bg, time.Now()) }}
	}},
	{"DeleteExpired counts nothing", "delete expired", func() *broken {
		return &broken{expire: func(m *Map, now time.Time) (int, error) { m.DeleteExpired(bg, now); return 0, nil }}
	}},
	{"DeleteExpired removes everything", "delete expired", func() *broken {
		return &broken{expire: func(m *Map, now time.Time) (int, error) {
			n, err := m.DeleteExpired(bg, now)
			if n > 0 {
				m.Clear(bg)
			}
			return n, err
		}}
	}},
	{"Size never shrinks", "size", func() *broken {
		var most int64
		return &broken{size: func(m *Map) (int64, int64, error) {
			records, bytes, err := m.Size(bg)
			most = max(most, bytes)
			return records, most, err
		}}
	}},
	{"Size counts the old record, too", "size", func() *broken {
		b := &broken{}
		var leak int64
		b.put = func(m *Map, key string, r store.Record) error {
			old, _ := m.Get(bg, key)
			leak += int64(len(old.Data))
			return m.Put(bg, key, r)
		}
		b.size = func(m *Map) (int64, int64, error) {
			records, bytes, err := m.Size(bg)
			return records, bytes + leak, err
		}
		return b
	}},
	{"Notify does not stop", "notify", func() *broken {
		return &broken{
			put: func(m *Map, key string, r store.Record) error {
				for _, f := range m.listeners {
					f(key)
				}
				return m.Put(bg, key, r)
			},
			notify: func(m *Map, f func(string)) func() { m.Notify(f); return func() {} },
		}
	}},
}
