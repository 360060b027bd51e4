package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/plyhttp/ply/store"
)

// basicFaults are those of one caller, for the rules of basic.go.
var basicFaults = []fault{
	{"an error for what is absent", "absent", func() *broken {
		return &broken{get: func(m *Map, key string) (store.Record, error) {
			r, err := m.Get(bg, key)
			if r.Version == "" {
				err = errors.New("not found")
			}
			return r, err
		}}
	}},
	{"Delete of nothing fails", "absent", func() *broken {
		return &broken{delete: func(m *Map, key, version string) error {
			if r, _ := m.Get(bg, key); r.Version == "" {
				return errors.New("not found")
			}
			return m.Delete(bg, key, version)
		}}
	}},
	{"Put creates whatever the version", "absent", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			if old, _ := m.Get(bg, key); old.Version == "" {
				r.Version = ""
			}
			return m.Put(bg, key, r)
		}}
	}},
	{"data is cut at 64 KiB", "exact bytes", func() *broken {
		return &broken{put: orPut(func(r *store.Record) { r.Data = r.Data[:min(len(r.Data), 65536)] })}
	}},
	{"data is trimmed", "exact bytes", func() *broken {
		return &broken{put: orPut(func(r *store.Record) { r.Data = append(bytes.TrimRight(r.Data[1:], "\x00 "), r.Data[0]) })}
	}},
	{"data is text", "exact bytes", func() *broken {
		return &broken{put: orPut(func(r *store.Record) { r.Data = bytes.ToValidUTF8(r.Data, []byte("?")) })}
	}},
	{"a longer record shines through", "exact bytes", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			if old, _ := m.Get(bg, key); len(old.Data) > len(r.Data) {
				r.Data = append(bytes.Clone(r.Data), old.Data[len(r.Data):]...)
			}
			return m.Put(bg, key, r)
		}}
	}},
	{"no kind", "fields come back", func() *broken { return &broken{put: orPut(func(r *store.Record) { r.Kind = 0 })} }},
	{"no owner", "fields come back", func() *broken { return &broken{put: orPut(func(r *store.Record) { r.Owner = "" })} }},
	{"whole seconds", "fields come back", func() *broken {
		return &broken{put: orPut(func(r *store.Record) {
			if !r.Expires.IsZero() {
				r.Expires = r.Expires.Truncate(time.Second)
			}
		})}
	}},
	{"zero is a time", "fields come back", func() *broken {
		return &broken{put: orPut(func(r *store.Record) {
			if r.Expires.IsZero() {
				r.Expires = time.Now().Add(1e6 * time.Hour)
			}
		})}
	}},
	{"unknown kinds are refused", "fields come back", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			if r.Kind > store.KindSetup {
				return errors.New("unknown kind")
			}
			return m.Put(bg, key, r)
		}}
	}},
	{"long labels are refused", "fields come back", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			if len(r.Label) > 1000 {
				return errors.New("label too long")
			}
			return m.Put(bg, key, r)
		}}
	}},
	{"case does not count", "every key is its own", func() *broken { return renamed(strings.ToLower) }},
	{"keys are cut", "every key is its own", func() *broken { return renamed(func(key string) string { return key[:min(len(key), 127)] }) }},
	{"punctuation is one", "every key is its own", func() *broken { return renamed(strings.NewReplacer(":", "_", ".", "_").Replace) }},
	{"dots are cleaned", "every key is its own", func() *broken { return renamed(func(key string) string { return strings.TrimPrefix(key, ".") }) }},
	{"Delete removes a prefix", "every key is its own", func() *broken {
		return &broken{delete: func(m *Map, key, version string) error {
			for _, k := range m.list(0) {
				if strings.HasPrefix(k.key, key) {
					m.Delete(bg, k.key, "")
				}
			}
			for _, k := range m.list(store.KindEntry) {
				if strings.HasPrefix(k.key, key) {
					m.Delete(bg, k.key, "")
				}
			}
			return nil
		}}
	}},
	{"versions begin again", "versions", func() *broken {
		born := make(map[string]uint64)
		return versioned(func(key, real string) string {
			var now, first uint64
			fmt.Sscanf(real, "%x", &now)
			if now%5 == 0 {
				born[key] = now
			}
			first = born[key]
			return fmt.Sprint(now - first)
		})
	}},
	{"the version is the hour", "versions", func() *broken { return versioned(func(string, string) string { return "this-hour" }) }},
	{"versions change", "versions", func() *broken {
		n := 0
		return versioned(func(_, real string) string { n++; return fmt.Sprint(real, "-", n) })
	}},
	{"Clear resets versions", "versions", func() *broken {
		return &broken{clear: func(m *Map) error { m.Clear(bg); m.versions = 0; return nil }}
	}},
	{"Put replaces anything", "put replaces one version", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			old, _ := m.Get(bg, key)
			r.Version = old.Version
			return m.Put(bg, key, r)
		}}
	}},
	{"Put replaces any version, but creates only what is absent", "put replaces one version", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			if old, _ := m.Get(bg, key); r.Version != "" {
				r.Version = old.Version
			}
			return m.Put(bg, key, r)
		}}
	}},
	{"a conflict deletes", "put replaces one version", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			err := m.Put(bg, key, r)
			if err != nil {
				m.Delete(bg, key, "")
			}
			return err
		}}
	}},
	{"Delete removes any version", "delete removes one version", func() *broken {
		return &broken{delete: func(m *Map, key, _ string) error { return m.Delete(bg, key, "") }}
	}},
	{"Delete removes nothing without a version", "delete removes one version", func() *broken {
		return &broken{delete: func(m *Map, key, version string) error {
			if version == "" {
				return nil
			}
			return m.Delete(bg, key, version)
		}}
	}},
	{"Put keeps what it is given", "data is not shared", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			err := m.Put(bg, key, r)
			if err == nil {
				m.records[key].Value.(*kept).record.Data = r.Data
			}
			return err
		}}
	}},
	{"Get gives away what it keeps", "data is not shared", func() *broken {
		return &broken{get: func(m *Map, key string) (store.Record, error) {
			if e := m.live(key, time.Now()); e != nil {
				return e.Value.(*kept).record, nil
			}
			return store.Record{}, nil
		}}
	}},
	{"Get uses a buffer again", "data is not shared", func() *broken {
		var buffer []byte
		return &broken{get: func(m *Map, key string) (store.Record, error) {
			r, err := m.Get(bg, key)
			if r.Data != nil {
				buffer = append(buffer[:0], r.Data...)
				r.Data = buffer
			}
			return r, err
		}}
	}},
	{"GetMulti shares", "data is not shared", func() *broken {
		return &broken{multi: func(m *Map, keys []string) ([]store.Record, error) {
			records, err := m.GetMulti(bg, keys)
			for i := range records {
				records[i].Data = records[0].Data
			}
			return records, err
		}}
	}},
	{"Range shares", "data is not shared", func() *broken {
		return &broken{ranging: func(m *Map, kind store.Kind, f func(string, store.Record) bool) error {
			for _, k := range m.list(kind) {
				f(k.key, k.record)
			}
			return nil
		}}
	}},
	{"too large for a record costs it", "too large", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			err := m.Put(bg, key, r)
			if errors.Is(err, store.ErrTooLarge) {
				m.Delete(bg, key, "")
			}
			return err
		}}
	}},
	{"too large has another name", "too large", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			err := m.Put(bg, key, r)
			if errors.Is(err, store.ErrTooLarge) {
				err = errors.New("value too large")
			}
			return err
		}}
	}},
	{"what is too large is cut off", "too large", func() *broken {
		return &broken{put: orPut(func(r *store.Record) { r.Data = r.Data[:min(len(r.Data), 3<<20)] })}
	}},
	{"a part takes its owner along", "owners", func() *broken {
		return &broken{delete: func(m *Map, key, version string) error {
			r, _ := m.Get(bg, key)
			m.Delete(bg, r.Owner, "")
			return m.Delete(bg, key, version)
		}}
	}},
	{"an owner takes the parts of others along", "owners", func() *broken {
		return &broken{delete: func(m *Map, key, version string) error {
			if r, _ := m.Get(bg, key); r.Kind == store.KindEntry {
				for _, k := range m.list(store.KindBody) {
					m.Delete(bg, k.key, "")
				}
			}
			return m.Delete(bg, key, version)
		}}
	}},
	{"keys that come late are dropped", "many keys", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			if len(m.records) > 1000 {
				return nil
			}
			return m.Put(bg, key, r)
		}}
	}},
	{"a Put too late is said to be done", "context done", func() *broken {
		return &broken{done: func(context.Context) error { return nil }}
	}},
	{"a Put does not look at its context", "context done", func() *broken {
		return &broken{done: func(context.Context) error { <-time.After(time.Second); return nil }}
	}},
}
